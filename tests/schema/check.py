"""Requests made from the served OpenAPI document, against the real binary, without and with tokens.

Schemathesis sends valid and invalid requests to every route and compares the answers with the document:
status codes, content types, headers, bodies, and that what violates the document is refused. Afterwards
the exporter must be alive, and neither a handler may have panicked nor an invariant be broken.

Usage: check.py BINARY
"""

import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

# A valid event may be refused because of an earlier one (the same id with other content), a cursor because
# no page returned it: the document cannot say so.
EXCLUDED_CHECKS = "positive_data_acceptance"
# They never end, or wait as long as they are asked to.
EXCLUDED_PATHS = ["/api/v1/stream", "/api/v1/permit"]
TOKEN = "password"
TOKENS = """
tokens:
  - name: desk
    scopes: [ingest, read, metrics, halt]
    sha256: 5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8
"""
START_SECONDS = 20
RUN_SECONDS = 600


def get(url: str, token: str | None) -> str:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with urllib.request.urlopen(
        urllib.request.Request(url, headers=headers), timeout=10
    ) as answer:
        return answer.read().decode()


def address(log: Path, server: subprocess.Popen[bytes]) -> str:
    """The address in the log line about listening."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        found = re.search(r"listening.*address=(\S+)", log.read_text())
        if found:
            return f"http://{found[1]}"
        time.sleep(0.05)
    raise SystemExit(f"the exporter does not listen:\n{log.read_text()}")


def check(
    binary: str,
    directory: Path,
    configuration: str,
    token: str | None,
    phases: list[str],
) -> None:
    config, log = directory / "exporter.yml", directory / "log"
    config.write_text(configuration)
    with log.open("wb") as output:
        arguments = ["--config.file", config, "--storage.path", directory / "data"]
        arguments += ["--web.listen-address", "127.0.0.1:0"]
        server = subprocess.Popen(
            [binary, *map(str, arguments)],
            env={"NO_COLOR": "1"},
            stdout=output,
            stderr=output,
        )
    try:
        url = address(log, server)
        command = [
            Path(sys.executable).with_name("st"),
            "run",
            f"{url}/api/v1/openapi.json",
        ]
        command += ["--phases", *phases, "--seed", "1"]
        command += [
            "--exclude-checks",
            EXCLUDED_CHECKS,
        ]
        command += [
            word for path in EXCLUDED_PATHS for word in ("--exclude-path", path)
        ]
        command += ["--continue-on-failure", "--no-color", "--warnings", "off"]
        command += ["--header", f"Authorization: Bearer {token}"] if token else []
        subprocess.run(command, cwd=directory, timeout=RUN_SECONDS, check=True)
        get(f"{url}/-/healthy", token)
        broken = re.findall(
            r"^trading_exporter_invariant_violations_total(?:\{.*\})? ([1-9].*)$",
            get(f"{url}/metrics", token),
            re.MULTILINE,
        )
        if broken or "panicked" in log.read_text():
            raise SystemExit(
                f"an invariant was broken ({broken}) or a handler panicked:\n{log.read_text()}"
            )
    finally:
        server.terminate()
        server.wait(timeout=START_SECONDS)


def main() -> None:
    binary = str(Path(sys.argv[1]).resolve())
    runs: list[tuple[str, str | None, list[str]]] = [
        # Every constraint of the document, kept and violated.
        ("{}\n", None, ["examples,coverage"]),
        # Random requests.
        (TOKENS, TOKEN, ["fuzzing", "--max-examples", "5", "--max-time", "40"]),
    ]
    for configuration, token, phases in runs:
        with tempfile.TemporaryDirectory() as directory:
            check(binary, Path(directory), configuration, token, phases)


main()
