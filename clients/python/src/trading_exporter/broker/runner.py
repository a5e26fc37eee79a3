"""The loop: asks a broker, and posts what it said until the exporter has it.

Input: a poller, a client with the broker's token. Output: a `positions` event of each poll, with a
heartbeat of the component `broker` in the same request. Invariants: a fetch that failed is posted
as failed, never as flat; a request that is sent again has the same event ids; only the newest list
waits for the exporter; a list is dated when the broker was asked. It logs changes, not polls.
Deliberately absent: the client's queue, and memory of earlier lists.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

from .._http import raise_for
from ..client import Client
from ..errors import ExporterRefused, ExporterUnavailable
from ..health import _Check
from ..positions import snapshot
from .poll import Answer, Poller

log = logging.getLogger("trading_exporter.broker")

_RETRY_FIRST_SECONDS = 5.0
_RESEND_FIRST_SECONDS = 0.2
_RESEND_SECONDS_MAX = 15.0
#: Errors after which a broker is not asked sooner than usual.
_PATIENT = frozenset(
    {
        "AuthenticationError",
        "DDoSProtection",
        "NotUnderstoodError",
        "PermissionDenied",
        "RateLimitExceeded",
        "UnknownMarketError",
    }
)


class Undelivered(NamedTuple):
    """Why the exporter has not accepted a request."""

    #: A stable code: a change of it is logged.
    code: str
    text: str
    #: Whether the same request may be accepted later.
    is_temporary: bool
    retry_after_seconds: float = 0.0


@dataclass(frozen=True)
class Pace:
    """The intervals of a runner, in seconds."""

    interval: float = 60.0

    def retry(self, failures: int, kind: str) -> float:
        """The time to the next question after so many failures in a row."""
        if kind in _PATIENT:
            return self.interval
        delay = _RETRY_FIRST_SECONDS * 2.0 ** min(failures - 1, 16)
        return min(self.interval, _jittered(delay))


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.75, 1.25)


class Runner:
    """Polls and posts in the calling thread."""

    def __init__(self, name: str, client: Client, poller: Poller, pace: Pace) -> None:
        self._name = name
        self._client = client
        self._poller = poller
        self._pace = pace
        # As HealthChecker judges: one failure is degraded, three in a row are unhealthy.
        self._health = _Check("broker", lambda: None, pace.interval, 0.0, (3, 2))
        self._failures = 0
        self._told: dict[str, str] = {}
        self._pause = threading.Event()

    def run(self) -> None:
        """Polls until an exception of a signal ends it."""
        while True:
            began = time.monotonic()
            answer = self._poller.ask()
            self._count(answer)
            wait = self._pace.interval
            if answer.listing is None:
                wait = self._pace.retry(self._failures, answer.kind)
            self._deliver(answer, began + wait)
            self._sleep(began + wait - time.monotonic())

    def run_once(self, patience_seconds: float) -> bool:
        """Polls once. Returns whether the broker gave a list and the exporter has it."""
        answer = self._poller.ask()
        self._count(answer)
        delivered = self._deliver(answer, time.monotonic() + patience_seconds)
        return delivered and answer.listing is not None

    def events(self, answer: Answer) -> list[dict[str, Any]]:
        """The events of a poll."""
        listing, error = answer.listing, answer.error
        if listing is None:
            fields = snapshot("broker", None, error)
        else:
            fields = {**snapshot("broker", listing.rows), "complete": listing.complete}
        health = self._health.record(listing is not None, error, answer.seconds)
        beat = {
            "component": "broker",
            "status": health.status.value,
            "message": error,
            "latency_seconds": round(answer.seconds, 6),
            "interval_seconds": self._pace.interval,
        }
        made = self._client.event("positions", fields, time_ns=answer.asked_ns)
        return [made, self._client.event("heartbeat", beat)]

    def _count(self, answer: Answer) -> None:
        listing = answer.listing
        if listing is None:
            self._failures += 1
            self._tell("broker", answer.kind, logging.WARNING, f"failed: {answer.error}")
            return
        self._failures = 0
        kind = "a complete list" if listing.complete else "a partial list"
        self._tell("broker", "", logging.INFO, f"{kind}, now of {len(listing.rows)} symbols")

    def _deliver(self, answer: Answer, deadline: float) -> bool:
        """Posts the events of a poll, again and again until the deadline."""
        events, delay = self.events(answer), _RESEND_FIRST_SECONDS
        while True:
            trouble = self._post(events)
            self._tell_delivery(trouble)
            if trouble is None:
                return True
            if trouble.code == "list_rejected" and answer.listing is not None:
                # A list that the exporter does not take is a list that nobody has.
                error = f"Rejected: {trouble.text}"
                failed = Answer(answer.asked_ns, answer.seconds, None, "Rejected", error)
                self._post(self.events(failed))
                return False
            wait = max(_jittered(delay), trouble.retry_after_seconds)
            if not trouble.is_temporary or time.monotonic() + wait >= deadline:
                return False
            self._sleep(wait)
            delay = min(delay * 2, _RESEND_SECONDS_MAX)

    def _post(self, events: list[dict[str, Any]]) -> Optional[Undelivered]:
        try:
            answer = self._client.post_events(events, broker=True)
        except ExporterUnavailable as error:
            return Undelivered("unavailable", str(error), True)
        fields = answer.json()
        rejected = fields.get("rejected") if isinstance(fields, dict) else None
        for row in rejected or []:
            text = f"{row.get('code')}: {row.get('message')}"
            if row.get("code") == "forbidden":
                return Undelivered("forbidden", f"{text} {_TOKEN}", False)
            code = "list_rejected" if row.get("index") == 0 else "heartbeat_rejected"
            return Undelivered(code, text, False)
        try:
            raise_for(answer)
        except ExporterUnavailable as error:
            after = answer.retry_after_seconds() or 0.0
            return Undelivered(f"http_{answer.status}", str(error), True, after)
        except ExporterRefused as error:
            hint = f" {_TOKEN}" if answer.status in (401, 403) else ""
            return Undelivered(error.code, f"{error}{hint}", False)
        return None

    def _tell_delivery(self, trouble: Optional[Undelivered]) -> None:
        if trouble is None:
            self._tell("exporter", "", logging.INFO, "the exporter accepts the lists")
        else:
            text = f"the exporter does not have the list: {trouble.text}"
            self._tell("exporter", trouble.code, logging.WARNING, text)

    def _tell(self, topic: str, code: str, level: int, text: str) -> None:
        """Logs a result that is not the last one of its topic."""
        if self._told.get(topic) != code:
            self._told[topic] = code
            log.log(level, "%s: %s", self._name, text)

    def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            self._pause.wait(seconds)


_TOKEN = "(the broker's token needs the scope ingest:broker)"  # noqa: S105
