"""The real exporter, a fake that misbehaves on purpose, and waiting with a deadline."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable, Optional, Union

ROOT = Path(__file__).resolve().parents[3]
BINARY = Path(
    os.environ.get("TRADING_EXPORTER_BIN", ROOT / "target" / "debug" / "trading-exporter")
)
#: Generous: the machine may be busy.
SOON = 30.0


def until(condition: Callable[[], Any], what: str = "", seconds: float = SOON) -> Any:
    """Waits for a true value of a condition, and returns it."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"it never came true: {what or condition}"
        pause.wait(0.005)


class Exporter:
    """The real binary. It can be killed and restarted at the same address."""

    def __init__(self, folder: Path, config: Optional[str] = None, *extra: str) -> None:
        assert BINARY.exists(), f"{BINARY} is missing: cargo build"
        self._arguments = list(extra)
        if config is not None:
            path = folder / "exporter.yml"
            path.write_text(config)
            self._arguments.append(f"--config.file={path}")
        #: With `memory` it loses everything when it is killed; with `journal` no acknowledged
        #: event.
        self.storage = "memory"
        self._folder = folder
        self._process: Optional[subprocess.Popen[str]] = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        #: For an https :attr:`url`.
        self.context: Optional[ssl.SSLContext] = None

    def start(self) -> Exporter:
        """Starts it, and waits until it accepts requests."""
        self._log = open(self._folder / "exporter.log", "a")  # noqa: SIM115
        self._process = subprocess.Popen(
            [
                str(BINARY),
                f"--web.listen-address=127.0.0.1:{self.port}",
                f"--storage.mode={self.storage}",
                *self._arguments,
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self._folder,
        )
        until(self._is_ready, "the exporter is ready")
        return self

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "exporter.log").read_text()
        try:
            with urllib.request.urlopen(  # noqa: S310
                f"{self.url}/-/ready", timeout=5, context=self.context
            ) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(SOON)
            self._process = None
            self._log.close()

    def hold(self) -> None:
        """Stops the process: it answers nothing until :meth:`resume`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)

    def resume(self) -> None:
        """Continues the process. Also works from the child of a fork."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def get(self, path: str, token: Optional[str] = None) -> Any:
        request = urllib.request.Request(self.url + path)  # noqa: S310
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=SOON) as answer:  # noqa: S310
            return json.load(answer)

    def post(self, path: str, body: Any, token: Optional[str] = None) -> Any:
        request = urllib.request.Request(  # noqa: S310
            self.url + path,
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=SOON) as answer:  # noqa: S310
            return json.load(answer)

    def counters(self, account: str) -> dict[str, Any]:
        """The exporter's counters of an account."""
        answer: dict[str, Any] = self.get(f"/api/v1/execution?account={account}")["counters"]
        return answer

    def fees(self, account: str) -> dict[tuple[str, str], float]:
        """The non-zero fees of an account by symbol and currency, from /metrics."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=SOON) as answer:  # noqa: S310
            text = answer.read().decode()
        start = f'trading_fees_total{{account="{account}",symbol="'
        fees: dict[tuple[str, str], float] = {}
        for line in text.splitlines():
            if line.startswith(start):
                labels, value = line.rsplit(" ", 1)
                _, _, _, symbol, _, currency, _ = labels.split('"')
                fees[(symbol, currency)] = float(value)
        return {where: fee for where, fee in fees.items() if fee}


#: The reaction of a fake to a request: bytes to answer with, or an action on the connection.
Act = Union[bytes, Callable[[socket.socket, bytes], None]]


def reply(status: int, body: Any = None, **headers: str) -> bytes:
    """An answer in HTTP."""
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + data


def accepted(body: bytes) -> bytes:
    """The answer of an exporter that accepted every line."""
    lines = len(body.splitlines())
    return reply(
        200, {"accepted": lines, "duplicates": 0, "rejected": [], "sequence": 1, "states": {}}
    )


def listen(serve: Callable[[socket.socket], None]) -> tuple[socket.socket, str]:
    """Listens on a free port, and serves each connection in its own thread. Returns the URL too."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


class Fake:
    """A server with scripted answers to requests with events. Later requests are accepted.

    `permits` and `streams` are the answers for the two paths of a gate. The last one is repeated,
    and without any the path is unknown.
    """

    def __init__(
        self, *acts: Act, permits: Sequence[Act] = (), streams: Sequence[Act] = ()
    ) -> None:
        self._acts = list(acts)
        self._routes = {"/api/v1/permit": list(permits), "/api/v1/stream": list(streams)}
        #: Heads of the requests without events.
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.times: list[float] = []
        self._open: list[socket.socket] = []
        self._listener, self.url = listen(self._serve)

    def events(self) -> list[dict[str, Any]]:
        """Every event of every request, in order of arrival."""
        return [json.loads(line) for body in list(self.bodies) for line in body.splitlines()]

    def close(self) -> None:
        self._listener.close()
        for connection in self._open:
            connection.close()

    def _serve(self, connection: socket.socket) -> None:
        self._open.append(connection)
        try:
            with connection.makefile("rb") as reader:
                while line := reader.readline():
                    path = line.split(b" ")[1].split(b"?")[0].decode()
                    head, length = line, 0
                    while (line := reader.readline()).strip():
                        head += line
                        name, _, value = line.partition(b":")
                        if name.lower() == b"content-length":
                            length = int(value)
                    self._act(connection, path, head, reader.read(length))
        except OSError:
            pass

    def _act(self, connection: socket.socket, path: str, head: bytes, body: bytes) -> None:
        if path == "/api/v1/events":
            self.times.append(time.monotonic())
            self.bodies.append(body)
            act = self._acts.pop(0) if self._acts else accepted(body)
        else:
            self.heads.append(head)
            acts = self._routes.get(path)
            act = (acts.pop(0) if len(acts) > 1 else acts[0]) if acts else reply(200, [])
            if path in self._routes and not acts:
                act = reply(404, {"code": "unknown_path"})
        if callable(act):
            act(connection, body)
        else:
            connection.sendall(act)


def hang(connection: socket.socket, body: bytes) -> None:
    """Reads the request and never answers."""
    connection.recv(1)


def reset(connection: socket.socket, body: bytes) -> None:
    """Reads the request and resets the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


def trickle(connection: socket.socket, body: bytes) -> None:
    """Sends an endless head, one byte at a time."""
    pause = threading.Event()
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"x")
        pause.wait(0.02)


class Cutter:
    """A proxy that forwards requests, and drops the answers to the first `lost` of them."""

    def __init__(self, port: int, lost: int) -> None:
        self._port = port
        self._lost = lost
        self.cut = 0
        self._listener, self.url = listen(self._serve)

    def close(self) -> None:
        self._listener.close()

    def _serve(self, near: socket.socket) -> None:
        far = socket.create_connection(("127.0.0.1", self._port))
        threading.Thread(target=self._pump, args=(near, far), daemon=True).start()
        while True:
            try:
                data = far.recv(65536)
                if data and self.cut < self._lost:
                    # The exporter has accepted the events, and its answer is dropped.
                    self.cut += 1
                    data = b""
                if not data:
                    near.shutdown(socket.SHUT_RDWR)
                    far.close()
                    return
                near.sendall(data)
            except OSError:
                return

    @staticmethod
    def _pump(near: socket.socket, far: socket.socket) -> None:
        try:
            while data := near.recv(65536):
                far.sendall(data)
        except OSError:
            pass
