"""A Prometheus on loopback, and the part of its API that Grafana uses."""

import json
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from waiting import until

CONFIG = """
global: {{scrape_interval: 2s, evaluation_interval: 1s}}
rule_files: {rules}
scrape_configs:
  - job_name: trading-exporter
    static_configs: [{{targets: {targets}}}]
  # Unrelated jobs, one of them down. No panel may show them.
  - job_name: others
    static_configs: [{{targets: {strangers}}}]
"""
START_SECONDS = 30


def free_port():
    """A free port. Prometheus needs it in its configuration, because it scrapes itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Prometheus:
    """A server with a directory. It ends with the `with` block."""

    def __init__(self, directory, targets, rules):
        self.log = (directory / "prometheus.log").open("w")
        config = directory / "prometheus.yml"
        listen = f"127.0.0.1:{free_port()}"
        self.strangers = [listen, "127.0.0.1:9"]
        config.write_text(
            CONFIG.format(
                targets=json.dumps(targets),
                rules=json.dumps(rules),
                strangers=json.dumps(self.strangers),
            )
        )
        self.server = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address={listen}",
                "--log.level=info",
            ],
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        self.base = f"http://{listen}"
        self.wait_until_ready(directory / "prometheus.log")

    def wait_until_ready(self, log):
        """Waits until it accepts queries."""

        def problem():
            return f"Prometheus did not start: {log.read_text()}"

        def is_ready():
            if self.server.poll() is not None:
                raise RuntimeError(problem())
            return "Server is ready" in log.read_text()

        until(is_ready, START_SECONDS, problem)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.terminate()
        self.server.wait(timeout=30)
        self.log.close()

    def get(self, path, **parameters):
        """The data of an answer."""
        body = urllib.parse.urlencode(parameters, doseq=True).encode()
        url = f"{self.base}/api/v1/{path}"
        if path.startswith("label/"):
            url, body = f"{url}?{body.decode()}", None
        try:
            with urllib.request.urlopen(url, data=body, timeout=30) as answer:
                return json.loads(answer.read())["data"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.loads(error.read())["error"]) from error

    def instant(self, query, at):
        """The series of a query at a time."""
        data = self.get("query", query=query, time=at)
        return data["result"]

    def range(self, query, start, end, step):
        """The series of a query over time."""
        return self.get("query_range", query=query, start=start, end=end, step=step)["result"]

    def label_values(self, label, selector=""):
        """The values that a label has."""
        matchers = {"match[]": selector} if selector else {}
        return self.get(f"label/{label}/values", **matchers)
