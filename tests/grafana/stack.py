"""Two exporters that receive traffic, and a Prometheus that scrapes them."""

import base64
import re
import subprocess
import time
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.request import urlopen

from boards import ROOT
from prometheus import Prometheus
from traffic import SECONDS, Exporter, Traffic
from waiting import until

BINARY = ROOT / "target" / "debug" / "trading-exporter"
# Both run from before the traffic until the queries are done.
DEMO_SECONDS = SECONDS + 60
START_SECONDS = 20


@contextmanager
def process(command, log, address):
    """A process that prints its address. It ends with the block."""
    with log.open("w") as output:
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT)
        try:

            def problem():
                return f"{command[0]} did not start: {log.read_text()}"

            def told():
                if child.poll() is not None:
                    raise RuntimeError(problem())
                return re.search(address, log.read_text())

            yield until(told, START_SECONDS, problem)[1]
        finally:
            child.terminate()
            child.wait(timeout=30)


class Taken(BaseHTTPRequestHandler):
    """Accepts every webhook."""

    def do_POST(self):  # noqa: N802 - the name that the server looks for
        """Reads the body and answers with success."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        """Logs nothing."""


@contextmanager
def receiver():
    """A server that accepts webhooks. Yields its port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Taken) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def write_config(path, port):
    """Writes the exporter's configuration, with the receiver's port, and a secret next to it."""
    text = (Path(__file__).parent / "exporter.yml").read_text()
    path.write_text(text.replace("RECEIVER", str(port)))
    secret = path.with_name("webhook.secret")
    secret.write_text(f"whsec_{base64.b64encode(bytes(32)).decode()}\n")
    secret.chmod(0o600)


@contextmanager
def running(directory: Path):
    """Yields the Prometheus after all traffic, with everything still running, and start and end."""
    listen = ["--web.listen-address", "127.0.0.1:0"]
    demo = [str(BINARY), "demo", "--for", f"{DEMO_SECONDS}s", *listen]
    journal = f"--storage.path={directory / 'journal'}"
    config = directory / "exporter.yml"
    serve = [
        str(BINARY),
        "serve",
        f"--config.file={config}",
        journal,
        *listen,
    ]
    rules = [str(path) for path in sorted((ROOT / "alerts").glob("*.rules.yml"))]
    with ExitStack() as stack:
        started = stack.enter_context
        write_config(config, started(receiver()))
        told = started(process(serve, directory / "serve.log", r"listening address=(\S+)"))
        played = started(process(demo, directory / "demo.log", r"http://(127\S+?)/"))
        server = started(Prometheus(directory, [told, played], rules))
        # Two engines that listen.
        for account in ("equities", "crypto"):
            started(urlopen(f"http://{told}/api/v1/stream?account={account}", timeout=10))
        began = time.time()
        Traffic(Exporter(f"http://{told}")).run()
        ended = wait_for_scrape(server, time.time())
        yield server, began, ended


def wait_for_scrape(server, after):
    """Waits until both exporters were scraped since `after`; returns a time at which they had been.

    What is asked for that time is there, whatever becomes of the next scrape.
    """
    scraped = 'min(timestamp(up{job="trading-exporter"} == 1))'

    def ask():
        now = time.time()
        found = server.instant(scraped, now)
        both = server.instant('count(up{job="trading-exporter"} == 1)', now)
        is_scraped = both and both[0]["value"][1] == "2" and float(found[0]["value"][1]) > after
        return now if is_scraped else None

    return until(ask, START_SECONDS, lambda: "Prometheus does not scrape")
