"""HTTP over the standard library, with a deadline for the whole exchange.

Input: a method, a path, a body. Output: an :class:`Answer`, whatever its status. Invariants: a
peer that hangs or trickles takes no longer than the deadline; proxies of the environment are
ignored; redirects are not followed. A channel is one persistent connection, used by one thread at a
time; another thread may call :meth:`Channel.abort`. Deliberately absent: timed retries.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional
from urllib.parse import quote, urlencode, urlsplit

from .errors import ExporterError, ExporterRefused, ExporterUnavailable

#: Longest answer in bytes. A longer one is a failure.
ANSWER_BYTES_MAX = 64 * 1024 * 1024
#: Exceptions of a failed connection.
FAILURES = (OSError, http.client.HTTPException)

_STALE = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)


@dataclass(frozen=True)
class Answer:
    """The answer to a request."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON. None if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def retry_after_seconds(self) -> Optional[float]:
        """The value of `Retry-After` in seconds (RFC 9110, section 10.2.3)."""
        text = self.headers.get("retry-after", "").strip()
        if not text:
            return None
        with contextlib.suppress(ValueError):
            return max(0.0, float(text))
        from email.utils import parsedate_to_datetime

        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
        except (TypeError, ValueError):
            return None


def raise_for(answer: Answer) -> None:
    """Raises the error for a status other than 2xx."""
    if 200 <= answer.status < 300:
        return
    problem = answer.json()
    fields: dict[str, Any] = problem if isinstance(problem, dict) else {}
    code = str(fields.get("code") or f"http_{answer.status}")
    detail = str(fields.get("detail") or "")
    if answer.status in (408, 429) or answer.status >= 500:
        raise ExporterUnavailable(f"{code} ({answer.status}): {detail}")
    raise ExporterRefused(answer.status, code, detail, fields.get("field"), fields)


class Endpoint:
    """The address of the exporter: scheme, host, port and path prefix.

    With https the exporter's certificate is verified against `ca_file`, or as `context` says, or
    against the authorities of the system.
    """

    def __init__(
        self,
        url: str,
        ca_file: Optional[str] = None,
        context: Optional[ssl.SSLContext] = None,
    ) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ExporterError(f"{url!r} is not an http or https URL")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ExporterError("the URL has more than a host and a path: pass token= instead")
        if ca_file is not None and context is not None:
            raise ExporterError("pass ca_file or ssl_context, not both")
        if parts.scheme != "https" and (ca_file is not None or context is not None):
            raise ExporterError(f"{url!r} is not an https URL, so nothing would be verified")
        self.host = parts.hostname
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.path = parts.path.rstrip("/")
        self.context: Optional[ssl.SSLContext] = None
        if parts.scheme == "https":
            self.context = context or _context(ca_file)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.context else 'http'}://{host}:{self.port}{self.path}"

    def connect(self, timeout: float) -> http.client.HTTPConnection:
        """A new connection, not open yet."""
        if self.context is not None:
            return http.client.HTTPSConnection(
                self.host, self.port, timeout=timeout, context=self.context
            )
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)


def _context(ca_file: Optional[str]) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:
        raise ExporterError(f"ca_file {ca_file!r} cannot be used: {error}") from error


class Channel:
    """A persistent connection of one thread. Another thread may only :meth:`abort` an exchange."""

    def __init__(self, endpoint: Endpoint, token: Optional[str], agent: str) -> None:
        self._endpoint = endpoint
        self._headers = {"Accept": "application/json", "User-Agent": agent}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._connection: Optional[http.client.HTTPConnection] = None
        self._socket: Optional[_DeadlineSocket] = None

    def request(
        self,
        method: str,
        path: str,
        *,
        timeout: float,
        query: Optional[Mapping[str, object]] = None,
        body: Optional[bytes] = None,
        content_type: str = "application/json",
    ) -> Answer:
        """Sends a request and reads the whole answer within `timeout` seconds.

        If the peer has closed the connection since the last request, opens a new one, once.
        """
        response = self._send(method, path, timeout, query, body, content_type)
        try:
            data = response.read(ANSWER_BYTES_MAX + 1)
            if len(data) > ANSWER_BYTES_MAX:
                raise http.client.HTTPException("the answer is too long")
        except BaseException:
            self.close()
            raise
        if response.will_close:
            self.close()
        return _answer(response, data)

    def stream(
        self, path: str, query: Mapping[str, object], headers: Mapping[str, str], timeout: float
    ) -> http.client.HTTPResponse:
        """Opens an endless answer. `timeout` is for its head. See :meth:`patience`."""
        extra = {**headers, "Accept": "text/event-stream"}
        return self._send("GET", path, timeout, query, None, "", extra)

    def patience(self, timeout: float) -> None:
        """Sets the timeout of the peer in seconds, from now on."""
        if self._socket is not None:
            self._socket.deadline = time.monotonic() + timeout

    def close(self) -> None:
        """Closes the connection. The next request opens another."""
        connection, self._connection, self._socket = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()

    def abort(self) -> None:
        """Aborts an exchange in another thread."""
        guarded = self._socket
        if guarded is not None:
            guarded.shutdown()

    def _send(
        self,
        method: str,
        path: str,
        timeout: float,
        query: Optional[Mapping[str, object]],
        body: Optional[bytes],
        content_type: str,
        extra: Optional[Mapping[str, str]] = None,
    ) -> http.client.HTTPResponse:
        target = self._endpoint.path + path
        given = {k: v for k, v in (query or {}).items() if v is not None}
        if given:
            target += "?" + urlencode(given, quote_via=quote)
        headers = {**self._headers, **(extra or {})}
        if body is not None:
            headers["Content-Type"] = content_type
        deadline = time.monotonic() + timeout
        while True:
            reused = self._connection is not None
            try:
                return self._exchange(method, target, body, headers, deadline)
            except BaseException as error:
                self.close()
                if not (reused and isinstance(error, _STALE)):
                    raise

    def _exchange(
        self,
        method: str,
        target: str,
        body: Optional[bytes],
        headers: Mapping[str, str],
        deadline: float,
    ) -> http.client.HTTPResponse:
        if self._connection is None:
            connection = self._endpoint.connect(max(0.001, deadline - time.monotonic()))
            connection.connect()
            self._socket = _DeadlineSocket(connection.sock, deadline)
            connection.sock = self._socket
            self._connection = connection
        elif self._socket is not None:
            self._socket.deadline = deadline
        self._connection.request(method, target, body=body, headers=dict(headers))
        return self._connection.getresponse()


def _answer(response: http.client.HTTPResponse, data: bytes) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, data)


class _DeadlineSocket:
    """A socket with one deadline for all operations, with the methods that `http.client` needs."""

    def __init__(self, sock: Any, deadline: float) -> None:
        self._sock = sock
        self.deadline = deadline
        self._readers = 0
        self._closing = False
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _arm(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise socket.timeout("the deadline has passed")
        self._sock.settimeout(left)

    def sendall(self, data: Any) -> None:
        self._arm()
        # The timeout of `sendall` applies to all of the data.
        self._sock.sendall(data)

    def recv_into(self, buffer: Any) -> int:
        self._arm()
        return int(self._sock.recv_into(buffer))

    def makefile(self, mode: str) -> io.BufferedReader:
        del mode
        self._readers += 1
        return io.BufferedReader(_Reader(self), 64 * 1024)

    def reader_closed(self) -> None:
        self._readers -= 1
        if self._closing and self._readers <= 0:
            self._sock.close()

    def close(self) -> None:
        # As with a real socket, the connection stays open until its reader is closed.
        self._closing = True
        if self._readers <= 0:
            self._sock.close()

    def shutdown(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)


class _Reader(io.RawIOBase):
    def __init__(self, sock: _DeadlineSocket) -> None:
        super().__init__()
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._sock.recv_into(buffer)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._sock.reader_closed()
