"""The two threads that keep a permit: one reads the stream, one polls when the stream is silent.

Input: the exporter's stream of one account, its permit, its directives. Output: calls of the gate.
Invariants: no answer of an exporter or a proxy ends a thread; the validity of a permit starts
before its request; without the stream (a proxy buffers it, or the exporter is old), permits and
halts arrive by long polling.
"""

from __future__ import annotations

import http.client
import json
import logging
import random
import threading
import time
from collections.abc import Mapping
from typing import Any, Protocol

from ._http import FAILURES, Channel, raise_for
from ._sse import Message, Parser
from .client import Client
from .errors import ExporterError, ExporterRefused, ExporterUnavailable

log = logging.getLogger("trading_exporter")

_RETRY_SECONDS = (0.05, 2.0)
#: The exporter sends something on a stream at least every 5 s.
_SILENCE_SECONDS = 15.0
_ASK_SECONDS = 2.0
_LOG_EVERY_SECONDS = 30.0


class Follows(Protocol):
    """The receiver of permits and directives: the gate."""

    client: Client

    def take_permit(self, permit: Mapping[str, Any], asked_at: float) -> None:
        """Handles a permit, with the monotonic time before its request."""

    def take_directive(self, directive: Mapping[str, Any]) -> None:
        """Handles a reconcile directive, which may be repeated."""

    def known_permit(self) -> tuple[int, float, float]:
        """The epoch, the monotonic time of expiry, and the validity in seconds."""


class Follower:
    """Keeps the permit of a gate until it is closed."""

    def __init__(self, gate: Follows) -> None:
        self._gate = gate
        self._client = gate.client
        self._closed = threading.Event()
        self._stream = self._client.new_channel()
        self._permit = self._client.new_channel()
        self._last_id = ""
        self._logged_at = -_LOG_EVERY_SECONDS
        for name, run, channel in (
            ("stream", self._follow, self._stream),
            ("permit", self._ask, self._permit),
        ):
            threading.Thread(
                target=self._keep, args=(run, channel), name=f"trading-exporter-{name}", daemon=True
            ).start()

    def close(self) -> None:
        """Ends both threads, even while they read an answer."""
        self._closed.set()
        self._stream.abort()
        self._permit.abort()

    def _keep(self, run: Any, channel: Channel) -> None:
        """Repeats a step, with a pause after a failure. Only this thread closes `channel`."""
        failures = 0
        while not self._closed.is_set():
            try:
                run()
                failures = 0
            except Exception as error:
                if self._closed.is_set():
                    break
                failures += 1
                self._log_failure(error)
                low, high = _RETRY_SECONDS
                pause = min(high, low * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0)
                self._closed.wait(pause)
        channel.close()

    def _log_failure(self, error: Exception) -> None:
        if time.monotonic() - self._logged_at >= _LOG_EVERY_SECONDS:
            self._logged_at = time.monotonic()
            log.warning("cannot follow the permit: %s: %s", type(error).__name__, error)

    # The stream

    def _follow(self) -> None:
        """Reads one stream until it ends."""
        asked_at = time.monotonic()
        headers = {"Last-Event-ID": self._last_id} if self._last_id else {}
        query = {"account": self._client.account}
        response = self._stream.stream("/api/v1/stream", query, headers, _ASK_SECONDS * 2)
        if response.status != 200:
            _refuse(response, self._stream)
        self._client.reachable()
        parser = Parser(self._last_id)
        self._standing()
        while not self._closed.is_set():
            self._stream.patience(_SILENCE_SECONDS)
            data = response.read1(64 * 1024)
            if not data:
                break
            for message in parser.feed(data):
                # Set before the directive is handled: one that fails must not be sent repeatedly.
                self._last_id = message.last_id
                self._take(message, asked_at)
        self._stream.close()

    def _take(self, message: Message, asked_at: float) -> None:
        if message.event == "permit":
            self._gate.take_permit(json.loads(message.data), asked_at)
        elif message.event == "reconcile":
            self._gate.take_directive(json.loads(message.data))
        elif message.event == "reset":
            self._last_id = ""
            self._standing()
        elif message.event == "end":
            raise ExporterUnavailable(f"the stream ended: {message.data}")

    def _standing(self) -> None:
        """Fetches the directives that were sent before the stream was open."""
        for drift in self._client.rows("/api/v1/drift", state="reconciling"):
            if drift.get("directive_id"):
                self._gate.take_directive(
                    {
                        "id": drift["directive_id"],
                        "account": drift["account"],
                        "symbol": drift["symbol"],
                        "drift_type": drift["type"],
                        "from_quantity": drift["local_quantity"],
                        "to_quantity": drift["broker_quantity"],
                        "to_price": drift.get("broker_price"),
                    }
                )

    # The permit

    def _ask(self) -> None:
        """Requests a permit when half of the validity of the last one has passed."""
        epoch, valid_until, valid_for = self._gate.known_permit()
        left = valid_until - time.monotonic()
        if left > valid_for / 2:
            # The stream has sent it. It sends the next one before half of the validity has passed.
            self._closed.wait(max(0.01, left - valid_for / 2))
            return
        query: dict[str, object] = {"account": self._client.account}
        wait = int(valid_for / 3) if left > 0 else 0
        if wait:
            query.update(wait=wait, epoch=epoch)
        asked_at = time.monotonic()
        try:
            answer = self._permit.request(
                "GET", "/api/v1/permit", timeout=wait + _ASK_SECONDS, query=query
            )
        except FAILURES as error:
            raise ExporterUnavailable(f"{type(error).__name__}: {error}") from error
        raise_for(answer)
        self._gate.take_permit(answer.json(), asked_at)
        self._client.reachable()


def _refuse(response: http.client.HTTPResponse, channel: Channel) -> None:
    """Raises the error of a rejected stream."""
    try:
        problem = json.loads(response.read(64 * 1024))
        code, detail = str(problem["code"]), str(problem.get("detail"))
    except (ValueError, KeyError, TypeError, *FAILURES):
        code, detail = f"http_{response.status}", "the stream was refused"
    channel.close()
    if response.status >= 500 or response.status in (408, 429):
        raise ExporterUnavailable(f"{code} ({response.status}): {detail}")
    if response.status < 400:
        raise ExporterError(f"{response.status}: the answer is not a stream")
    raise ExporterRefused(response.status, code, detail)
