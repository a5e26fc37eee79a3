"""The client over TLS with a private authority, against the real exporter."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from typing import Callable

import pytest

from harness import Exporter, until
from trading_exporter import AsyncClient, Client, ExporterError, ExporterUnavailable, TradingGate

EVENT = {"component": "engine", "status": "healthy"}


def openssl(folder: Path, *arguments: str) -> None:
    command = ["openssl", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def authority(folder: Path, name: str) -> str:
    """Makes an authority. Returns the path of its certificate."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    # Python 3.13 refuses an authority that does not say that it signs.
    subject = ["-subj", f"/CN={name}", "-days", "36500"]
    subject += ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    files = ["-keyout", f"{name}.key", "-out", f"{name}.pem"]
    openssl(folder, "req", "-x509", *key, *subject, *files)
    return str(folder / f"{name}.pem")


def issue(folder: Path, name: str, usage: str) -> None:
    """Makes a certificate of the authority `ca`."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", f"{name}.key", "-out", f"{name}.csr"]
    openssl(folder, "req", *key, "-subj", f"/CN={name}", *files)
    (folder / "extensions").write_text(
        "subjectAltName = IP:127.0.0.1, DNS:localhost\n"
        f"extendedKeyUsage = {usage}\nauthorityKeyIdentifier = keyid\n"
    )
    signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "36500"]
    files = ["-in", f"{name}.csr", "-out", f"{name}.pem", "-extfile", "extensions"]
    openssl(folder, "x509", "-req", *signing, *files)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an authority, a server and a client."""
    authority(tmp_path, "ca")
    issue(tmp_path, "server", "serverAuth")
    issue(tmp_path, "client", "clientAuth")
    return tmp_path


def serve(folder: Path, make: Callable[..., Exporter], lines: str = "") -> Exporter:
    web = folder / "web.yml"
    web.write_text(f"tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n{lines}")
    exporter = make(None, f"--web.config.file={web}")
    exporter.url = f"https://127.0.0.1:{exporter.port}"
    exporter.context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    if lines:
        exporter.context.load_cert_chain(folder / "client.pem", folder / "client.key")
    return exporter.start()


def wait_for_failure(client: Client) -> None:
    until(lambda: client.stats().failures > 0, "the delivery fails")


def test_events_arrive_and_the_permit_is_kept(
    folder: Path, exporter: Callable[..., Exporter], make: Callable[..., Client]
) -> None:
    server = serve(folder, exporter)
    client = make(server.url, ca_file=str(folder / "ca.pem"))
    assert client.send("heartbeat", EVENT)
    until(lambda: client.stats().accepted == 1, "the event is accepted")
    gate = TradingGate(client=client)
    try:
        until(gate.allowed, "the permit is there")
    finally:
        gate.close()


def test_an_unknown_authority_is_refused(
    folder: Path, exporter: Callable[..., Exporter], make: Callable[..., Client]
) -> None:
    server = serve(folder, exporter)
    other = authority(folder, "other")
    for options in ({}, {"ca_file": other}):
        client = make(server.url, **options)
        with pytest.raises(ExporterUnavailable, match="certificate verify failed"):
            client.get("/api/v1/accounts")
        assert client.send("heartbeat", EVENT)
        wait_for_failure(client)
        assert client.stats().accepted == 0


def test_a_client_certificate_comes_with_a_context(
    folder: Path, exporter: Callable[..., Exporter], make: Callable[..., Client]
) -> None:
    lines = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"
    server = serve(folder, exporter, lines)
    client = make(server.url, ssl_context=server.context)
    assert client.send("heartbeat", EVENT)
    until(lambda: client.stats().accepted == 1, "the event is accepted")
    without = make(server.url, ca_file=str(folder / "ca.pem"))
    with pytest.raises(ExporterUnavailable):
        without.get("/api/v1/accounts")


def test_wrong_options_are_refused(folder: Path, tmp_path: Path) -> None:
    ca_file = str(folder / "ca.pem")
    url = "https://127.0.0.1:1"
    for address, options, words in (
        (url, {"ca_file": str(tmp_path / "gone.pem")}, "cannot be used"),
        (url, {"ca_file": str(folder / "ca.key")}, "cannot be used"),
        (url, {"ca_file": ca_file, "ssl_context": ssl.create_default_context()}, "not both"),
        ("http://127.0.0.1:1", {"ca_file": ca_file}, "is not an https URL"),
    ):
        for kind in (Client, AsyncClient):
            with pytest.raises(ExporterError, match=words):
                kind(address, spill_folder=None, **options)
