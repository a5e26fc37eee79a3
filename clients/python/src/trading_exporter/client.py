"""The connection of an engine to the exporter.

Input: events, as calls that take microseconds. Output: delivery in the background, and answers to
reads outside the order path. Invariants: :meth:`Client.send` never blocks and never raises; every
event has an id that is the same in every delivery; memory and disk are bounded, and dropped events
are counted. After a fork the child has its own queue, thread and ids; the events of the parent
remain with the parent.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import itertools
import json
import logging
import os
import secrets
import ssl
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable, Optional, Union

from . import _forks
from ._events import Raw, build, pack
from ._http import FAILURES, Answer, Channel, Endpoint, raise_for
from ._sender import Marker, Options, Rejected, Sender, new_spill, warnings_of
from .errors import ExporterRefused, ExporterUnavailable

log = logging.getLogger("trading_exporter")

DEFAULT_URL = "http://127.0.0.1:10471"
#: Default of `spill_folder`: the folder where this user's programs keep their state.
STATE_FOLDER = "~state"

_SPARE_CHANNELS = 4
#: Shortest interval between two log lines about the same kind of warning.
_WARN_EVERY_SECONDS = 60.0


@dataclass(frozen=True)
class Stats:
    """Counts of a client's events by result.

    All except `waiting` and `bytes_on_disk` only increase.
    """

    #: Accepted by the exporter.
    accepted: int
    #: Duplicates: an earlier delivery succeeded, but its answer was lost.
    duplicates: int
    #: Rejected by the exporter; see `on_rejected`.
    rejected: int
    #: Not sent because they could not be encoded; see `on_rejected`.
    unencodable: int
    #: Dropped because the queue was full.
    dropped_queue_full: int
    #: Dropped because the client was closed.
    dropped_closed: int
    #: Dropped because they were older than the exporter remembers ids.
    dropped_expired: int
    #: In memory when the client ended, without a spill folder.
    dropped_at_close: int
    #: Heartbeats, quotes and snapshots replaced by newer ones before they were sent.
    superseded: int
    #: Requests that failed and are retried.
    failures: int
    #: Events that are not finished.
    waiting: int
    #: Bytes on disk that are still to be sent.
    bytes_on_disk: int

    @property
    def dropped(self) -> int:
        """Events that were lost, for all reasons."""
        return (
            self.unencodable
            + self.dropped_queue_full
            + self.dropped_closed
            + self.dropped_expired
            + self.dropped_at_close
        )


class Client:
    """Sends events in the background, and reads from the API.

    `token` has the scopes `ingest` and `read`; `broker_token` has `ingest:broker`, because drift is
    judged between two independent sources. `session` names a run of an engine that reuses order
    ids. `on_rejected` is called in the background with each event that the exporter rejected.
    Events wait in `spill_folder` while the exporter is unavailable; None keeps them in memory.

    With an https URL, `ca_file` is the PEM file of the authority that signed the exporter's
    certificate, by default those of the system. `ssl_context` is for everything else, such as a
    certificate of this client.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        token: Optional[str] = None,
        account: str = "default",
        broker_token: Optional[str] = None,
        *,
        ca_file: Optional[str] = None,
        ssl_context: Optional[ssl.SSLContext] = None,
        session: Optional[str] = None,
        strategy: Optional[str] = None,
        venue: Optional[str] = None,
        on_rejected: Optional[Callable[[Rejected], None]] = None,
        spill_folder: Optional[str] = STATE_FOLDER,
        spill_bytes_max: int = 64 * 1024 * 1024,
        flush_timeout_seconds: float = 5.0,
        timeout_seconds: float = 10.0,
        queue_events_max: int = 10_000,
        retry_seconds_max: float = 15.0,
    ) -> None:
        from . import __version__

        self.endpoint = Endpoint(url, ca_file, ssl_context)
        self.token = token
        self.broker_token = broker_token
        self.account = account
        self._agent = f"trading-exporter-python/{__version__}"
        self._envelope = {
            key: value
            for key, value in (
                ("account", account),
                ("session", session),
                ("strategy", strategy),
                ("venue", venue),
            )
            if value
        }
        self._options = Options(
            queue_events_max=queue_events_max,
            timeout_seconds=timeout_seconds,
            retry_seconds_max=retry_seconds_max,
        )
        self._queue_max = queue_events_max
        self._flush_timeout = flush_timeout_seconds
        self._spill_folder = _folder(spill_folder, str(self.endpoint), account)
        self._spill_bytes_max = spill_bytes_max
        self._rejected_callback = on_rejected
        self._rejection_logged_at = 0.0
        self._warned_at: dict[str, float] = {}
        self._state_listeners: list[Callable[[str], None]] = []
        self._channels: deque[Channel] = deque()
        self._broker_channels: deque[Channel] = deque()
        self._begin()
        _clients.add(self)
        _forks.after_in_child(self, Client._after_fork)
        self._ensure_thread()

    def _begin(self) -> None:
        """Creates the state that each process has for itself."""
        self._queue: deque[Any] = deque()
        self._wake = threading.Event()
        self._numbers = itertools.count()
        self._id_prefix = secrets.token_urlsafe(12)
        self._dropped: dict[tuple[str, int], int] = {}
        self._thread: Optional[threading.Thread] = None
        self._thread_lock = threading.Lock()
        self._is_closed = False
        self._channels.clear()
        self._broker_channels.clear()
        self._spill = new_spill(self._spill_folder, self._spill_bytes_max)
        self._sender = Sender(
            self._options,
            self.new_channel(),
            self._queue,
            self._wake,
            self._spill,
            self._envelope,
            self._on_states,
            self._rejected,
            self._warned,
        )

    # The order path

    def send(
        self,
        kind: str,
        fields: Mapping[str, Any],
        *,
        time_ns: Optional[int] = None,
        event_id: Optional[str] = None,
        key: Optional[tuple[str, ...]] = None,
    ) -> bool:
        """Queues an event of the given type and returns immediately.

        `time_ns` is the time of the event in Unix nanoseconds, by default now. Of events with the
        same `key` only the newest is sent. Returns False if the event was dropped and counted.
        """
        try:
            now = time.time_ns()
            if self._is_closed:
                return self._drop("closed")
            if len(self._queue) >= self._queue_max:
                return self._drop("queue_full")
            identity = event_id or f"{self._id_prefix}-{next(self._numbers)}"
            at = now if time_ns is None else time_ns
            self._queue.append(pack(now, key, kind, at, identity, fields))
            if not self._wake.is_set():
                self._wake.set()
            if self._thread is None:
                self._ensure_thread()
        except Exception:
            return self._drop("failed")
        return True

    def _drop(self, why: str) -> bool:
        # One number per thread: needs no lock and loses no increment.
        key = (why, threading.get_ident())
        self._dropped[key] = self._dropped.get(key, 0) + 1
        return False

    # Other events

    def quote(self, symbol: str, bid: Any = None, ask: Any = None, price: Any = None) -> bool:
        """Reports a market quote. Only the newest of each symbol is sent."""
        fields = {"symbol": symbol, "bid": bid, "ask": ask, "price": price}
        return self.send("quote", fields, key=("quote", str(symbol)))

    def equity(self, equity: Any, currency: Optional[str] = None, cash: Any = None) -> bool:
        """Reports the value of the account."""
        fields = {"equity": equity, "currency": currency, "cash": cash}
        return self.send("account_equity", fields, key=("account_equity",))

    def position_adjusted(self, symbol: str, quantity: Any, reason: Optional[str] = None) -> bool:
        """Reports a change of position without a trade: a split, a transfer, an expiry."""
        fields = {"symbol": symbol, "quantity": quantity, "reason": reason}
        return self.send("position_adjusted", fields)

    def reconciled(self, symbol: str, directive_id: Optional[str] = None) -> bool:
        """Reports that a reconcile directive was carried out."""
        return self.send("reconciled", {"symbol": symbol, "directive_id": directive_id})

    # Outside the order path

    def flush(self, timeout: Optional[float] = None) -> bool:
        """Waits until all earlier events are finished. Returns False after the timeout."""
        if self._is_closed:
            return self.stats().waiting == 0
        marker = Marker()
        self._queue.append(marker)
        self._wake.set()
        self._ensure_thread()
        return marker.reached.wait(self._flush_timeout if timeout is None else timeout)

    def close(self, timeout: Optional[float] = None) -> None:
        """Delivers queued events within `timeout` seconds, keeps the rest on disk, and ends."""
        if self._is_closed:
            return
        self._is_closed = True
        seconds = self._flush_timeout if timeout is None else timeout
        if self._thread is not None:
            self._sender.end(time.monotonic() + seconds)
            self._sender.closed.wait(seconds + 2.0)
        for channels in (self._channels, self._broker_channels):
            while channels:
                channels.pop().close()
        _clients.discard(self)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stats(self) -> Stats:
        """Counts of events by result."""
        counts, sender = self._sender.counts, self._sender
        dropped: dict[str, int] = {}
        for (why, _), number in list(self._dropped.items()):
            dropped[why] = dropped.get(why, 0) + number
        queued = sum(1 for item in list(self._queue) if not isinstance(item, Marker))
        return Stats(
            accepted=counts.accepted,
            duplicates=counts.duplicates,
            rejected=counts.rejected,
            unencodable=counts.unencodable + dropped.get("failed", 0),
            dropped_queue_full=dropped.get("queue_full", 0),
            dropped_closed=dropped.get("closed", 0),
            dropped_expired=counts.expired,
            dropped_at_close=counts.lost_at_close,
            superseded=counts.superseded,
            failures=counts.failures,
            waiting=sender.waiting() + queued,
            bytes_on_disk=self._spill.bytes_waiting if self._spill is not None else 0,
        )

    def get(self, path: str, **query: object) -> Any:
        """Reads from the API, for example `get("/api/v1/positions", account="paper")`.

        Raises `ExporterUnavailable` and `ExporterRefused`.
        """
        answer = self._exchange("GET", path, query=query)
        raise_for(answer)
        return answer.json()

    def rows(self, path: str, **query: object) -> list[dict[str, Any]]:
        """Reads a list of the account. It is empty for an unknown account."""
        try:
            answer = self.get(path, account=self.account, **query)
        except ExporterRefused as error:
            if error.code != "unknown_account":
                raise
            return []
        return list(answer)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Posts a decision, for example `post("/api/v1/halts", {...})`. Sends it only once.

        Raises `ExporterUnavailable` and `ExporterRefused`.
        """
        answer = self._exchange("POST", path, body=json.dumps(body).encode(), fresh=True)
        raise_for(answer)
        return answer.json()

    def post_events(self, events: list[dict[str, Any]], *, broker: bool = False) -> Answer:
        """Sends events and waits. Returns the answer, whatever its status."""
        body = json.dumps(events, allow_nan=False).encode()
        answer = self._exchange("POST", "/api/v1/events", body=body, broker=broker)
        fields = answer.json()
        if answer.status < 300 and isinstance(fields, dict):
            self._warned(warnings_of(fields))
            self._on_states(fields.get("states") or {})
        return answer

    def event(
        self, kind: str, fields: Mapping[str, Any], *, time_ns: Optional[int] = None
    ) -> dict[str, Any]:
        """An event for the wire, with an id and a time, by default now."""
        identity = f"{self._id_prefix}-{next(self._numbers)}"
        now = time.time_ns()
        at = now if time_ns is None else time_ns
        return build(Raw(now, None, kind, at, identity, fields), self._envelope)

    def new_channel(self, token: Optional[str] = None) -> Channel:
        """A new connection, for one thread."""
        return Channel(self.endpoint, token or self.token, self._agent)

    def on_state(self, listener: Callable[[str], None]) -> None:
        """Calls `listener` with the state of the account in each answer to events."""
        self._state_listeners.append(listener)

    def off_state(self, listener: Callable[[str], None]) -> None:
        """Reverses :meth:`on_state`."""
        with contextlib.suppress(ValueError):
            self._state_listeners.remove(listener)

    def reachable(self) -> None:
        """Retries waiting events now, because the exporter has answered another request."""
        self._sender.hurry()

    # Private

    def _exchange(
        self,
        method: str,
        path: str,
        *,
        query: Optional[Mapping[str, object]] = None,
        body: Optional[bytes] = None,
        broker: bool = False,
        fresh: bool = False,
    ) -> Answer:
        spare = self._broker_channels if broker else self._channels
        channel: Optional[Channel] = None
        if not fresh:
            with contextlib.suppress(IndexError):
                channel = spare.pop()
        channel = channel or self.new_channel(self.broker_token if broker else None)
        try:
            answer = channel.request(
                method, path, timeout=self._options.timeout_seconds, query=query, body=body
            )
        except FAILURES as error:
            raise ExporterUnavailable(
                f"{self.endpoint}: {type(error).__name__}: {error}"
            ) from error
        if len(spare) < _SPARE_CHANNELS and not self._is_closed:
            spare.append(channel)
        else:
            channel.close()
        return answer

    def _on_states(self, states: Mapping[str, str]) -> None:
        state = states.get(self.account)
        if state is not None:
            for listener in list(self._state_listeners):
                listener(state)

    def _rejected(self, rejected: Rejected) -> None:
        now = time.monotonic()
        if now - self._rejection_logged_at > 1.0:
            self._rejection_logged_at = now
            log.warning("an event was rejected: %s %s", rejected.code, rejected.message)
        if self._rejected_callback is not None:
            self._rejected_callback(rejected)

    def _warned(self, warnings: tuple[Mapping[str, Any], ...]) -> None:
        """Logs warnings about accepted events, each kind at most once a minute."""
        for warning in warnings:
            code, now = str(warning.get("code")), time.monotonic()
            if now - self._warned_at.get(code, -_WARN_EVERY_SECONDS) >= _WARN_EVERY_SECONDS:
                self._warned_at[code] = now
                log.warning("the exporter warns: %s: %s", code, warning.get("message"))

    def _ensure_thread(self) -> None:
        with self._thread_lock:
            if self._thread is not None or self._is_closed:
                return
            thread = threading.Thread(
                target=self._sender.run, name="trading-exporter-sender", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:
                # The interpreter is shutting down.
                return
            self._thread = thread
        _close_with_process()

    def _after_fork(self) -> None:
        if self._spill is not None:
            self._spill.forget()
        was_closed = self._is_closed
        self._begin()
        self._is_closed = was_closed


_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _close_all() -> None:
    for client in list(_clients):
        client.close()


def _close_with_process() -> None:
    """A child of `multiprocessing` does not run `atexit`: it has its own finalizers."""
    module = sys.modules.get("multiprocessing.util")
    process = sys.modules.get("multiprocessing.process")
    if module is not None and process is not None and process.parent_process() is not None:
        module.Finalize(None, _close_all, exitpriority=0)


def _folder(wanted: Optional[str], url: str, account: str) -> Optional[str]:
    """The folder of an exporter and account, so that nothing is sent to another one."""
    if wanted is None:
        return None
    if wanted == STATE_FOLDER:
        state = os.environ.get("XDG_STATE_HOME") or os.path.join("~", ".local", "state")
        wanted = os.path.join(os.path.expanduser(state), "trading-exporter")
    digest = hashlib.sha256(f"{url}\n{account}".encode()).hexdigest()[:16]
    return os.path.join(os.path.abspath(wanted), digest)


atexit.register(_close_all)

AnyClient = Union[Client, "HasClient"]


class HasClient:
    """An object with a client, such as the asyncio variant."""

    client: Client


def client_of(client: AnyClient) -> Client:
    """The client itself."""
    return client if isinstance(client, Client) else client.client
