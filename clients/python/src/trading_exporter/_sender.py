"""The delivery thread: from the caller's queue to the exporter, through the disk if necessary.

Input: items of a bounded deque. Output: requests, one at a time, each repeated with the same event
ids until the exporter has answered for every event in it. Invariants: a reported event is in the
queue, in `_outbox`, or on disk, until it is acknowledged, rejected, or counted as dropped; the
order is kept; a batch is encoded in small steps, so that the interpreter lock is never held for
long. Deliberately absent: anything that a caller of `record_*` would have to wait for.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple, Optional

from . import _spill
from ._events import Raw, build, unpack
from ._http import FAILURES, Answer, Channel
from ._spill import Line, Spill

log = logging.getLogger("trading_exporter")

#: Events to encode before other threads get the interpreter.
_STEP = 16
_BREATH_SECONDS = 0.00005
#: Wait of the woken sender for more events.
_LINGER_SECONDS = 0.002
#: While the exporter is unavailable, interval at which new events are written to disk.
_ABSORB_SECONDS = 0.05
_IDLE_SECONDS = 60.0
_RETRY_FIRST_SECONDS = 0.1
#: Retry interval of a request that fails because of the configuration (a token, a path).
_MISTAKE_SECONDS = 10.0
_RETRY_AFTER_SECONDS_MAX = 300.0
_LOG_EVERY_SECONDS = 30.0
_DEFECT_SECONDS = 0.2


@dataclass(frozen=True)
class Rejected:
    """An event that the exporter rejected, or that could not be encoded. It is not sent again."""

    event: dict[str, Any]
    code: str
    message: str
    field: Optional[str] = None


@dataclass(frozen=True)
class Options:
    """The limits of a sender."""

    batch_events_max: int = 500
    batch_bytes_max: int = 1024 * 1024
    queue_events_max: int = 10_000
    timeout_seconds: float = 10.0
    retry_seconds_max: float = 15.0
    #: Below the 24 hours for which the exporter remembers event ids.
    resend_age_seconds_max: float = 23 * 3600.0


@dataclass(eq=False)
class Marker:
    """Set when everything before it is delivered, rejected or dropped."""

    reached: threading.Event = field(default_factory=threading.Event)
    facts: int = -1
    passing: int = -1


class Verdict(NamedTuple):
    """The consequence of an answer for the batch: finished, split, or retried after a pause."""

    done: bool = False
    split: bool = False
    after_seconds: Optional[float] = None
    why: str = ""
    rejected: tuple[Mapping[str, Any], ...] = ()
    warnings: tuple[Mapping[str, Any], ...] = ()
    states: Mapping[str, str] = {}
    accepted: int = 0
    duplicates: int = 0


def judge(answer: Answer, events: int) -> Verdict:
    """The consequence of an answer to a batch of this size."""
    body = answer.json()
    fields: Mapping[str, Any] = body if isinstance(body, dict) else {}
    if answer.status in (200, 207, 422) and isinstance(fields.get("rejected"), list):
        rejected = tuple(r for r in fields["rejected"] if isinstance(r, dict))
        states = fields.get("states")
        return Verdict(
            done=True,
            rejected=rejected,
            warnings=warnings_of(fields),
            states=states if isinstance(states, dict) else {},
            accepted=int(fields.get("accepted") or 0),
            duplicates=int(fields.get("duplicates") or 0),
        )
    code = str(fields.get("code") or f"http_{answer.status}")
    why = f"{code} ({answer.status}): {fields.get('detail') or 'no detail'}"
    if code in ("body_too_large", "too_many_events", "too_deep") or answer.status == 413:
        if events > 1:
            return Verdict(split=True, why=why)
        return Verdict(done=True, why=why, rejected=({"index": 0, "code": code, "message": why},))
    after = answer.retry_after_seconds()
    if after is not None:
        after = min(after, _RETRY_AFTER_SECONDS_MAX)
    elif answer.status < 500 and answer.status not in (408, 429) and not fields.get("retryable"):
        after = _MISTAKE_SECONDS
    return Verdict(after_seconds=after, why=why)


def warnings_of(answer: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """A warning about accepted events: a list too old to compare, a clock that is ahead."""
    warnings = answer.get("warnings")
    return tuple(w for w in warnings if isinstance(w, dict)) if isinstance(warnings, list) else ()


class Counts:
    """Counts of events by result, written only by the sender's thread."""

    def __init__(self) -> None:
        self.accepted = 0
        self.duplicates = 0
        self.rejected = 0
        self.expired = 0
        self.superseded = 0
        self.unencodable = 0
        self.lost_at_close = 0
        self.failures = 0


class Sender:
    """Delivers the items of `queue`. `wake` is set when there are new ones."""

    def __init__(
        self,
        options: Options,
        channel: Channel,
        queue: deque[Any],
        wake: threading.Event,
        spill: Optional[Spill],
        envelope: Mapping[str, str],
        on_states: Callable[[Mapping[str, str]], None],
        on_rejected: Callable[[Rejected], None],
        on_warnings: Callable[[tuple[Mapping[str, Any], ...]], None],
    ) -> None:
        self._options = options
        self._channel = channel
        self._queue = queue
        self._wake = wake
        self._spill = spill
        self._envelope = envelope
        self._on_states = on_states
        self._on_rejected = on_rejected
        self._on_warnings = on_warnings
        self.counts = Counts()
        self._outbox: deque[Line] = deque()
        self._passing: dict[tuple[str, ...], tuple[int, Line]] = {}
        self._markers: deque[Marker] = deque()
        self._facts_taken = 0
        self._facts_done = 0
        self._passing_taken = 0
        self._away = False
        self._spill_fails = False
        self._batch_max = options.batch_events_max
        self._failures = 0
        self._not_before = 0.0
        self._logged_at = -_LOG_EVERY_SECONDS
        self._close_by: Optional[float] = None
        self.closed = threading.Event()

    # Methods for other threads

    @property
    def away(self) -> bool:
        """Whether the last request failed."""
        return self._away

    def waiting(self) -> int:
        """Number of events taken from the queue that are not finished."""
        return self._facts_taken - self._facts_done + len(self._passing)

    def hurry(self) -> None:
        """Retries now, because the exporter probably answers again."""
        if self._away and self._failures:
            self._failures = 0
            self._not_before = min(self._not_before, time.monotonic())
            self._wake.set()

    def end(self, by: float) -> None:
        """Delivers the waiting events until the monotonic time `by`, then ends."""
        self._close_by = by
        self._wake.set()

    # The thread

    def run(self) -> None:
        """Runs until it is stopped."""
        self._guarded(self._adopt)
        while not self._is_over():
            self._guarded(self._turn)
        try:
            self._finish()
        finally:
            self.closed.set()

    def _guarded(self, step: Callable[[], None]) -> None:
        """Runs one step. Continues after a bug or a failing disk: undelivered events are kept."""
        try:
            step()
        except Exception as error:
            self._failed(None, f"{type(error).__name__}: {error}")
            log.debug("a step of the sender failed", exc_info=True)
            # A step that fails immediately must not be repeated thousands of times a second.
            time.sleep(_DEFECT_SECONDS)

    def _turn(self) -> None:
        self._absorb()
        self._settle()
        wait = self._not_before - time.monotonic()
        if wait > 0:
            self._pause(min(wait, _ABSORB_SECONDS * 20))
            return
        facts, passing = self._batch()
        if not facts and not passing:
            self._pause(_IDLE_SECONDS)
            return
        self._deliver(facts, passing)

    def _pause(self, seconds: float) -> None:
        if self._close_by is not None:
            seconds = min(seconds, max(0.0, self._close_by - time.monotonic()), 0.05)
        if self._wake.wait(seconds):
            if not self._markers and self._close_by is None:
                time.sleep(_ABSORB_SECONDS if self._away else _LINGER_SECONDS)
            # Clear it before reading the queue, because a later append sets it again.
            self._wake.clear()

    def _is_over(self) -> bool:
        if self._close_by is None:
            return False
        if time.monotonic() >= self._close_by:
            return True
        self._guarded(self._absorb)
        if self._queue or self._outbox:
            return False
        if self._away:
            # The remaining events are on disk; the next process sends them.
            return True
        return not self._passing and self._facts_done >= self._facts_taken

    def _adopt(self) -> None:
        if self._spill is None:
            return
        adopted = self._spill.adopt()
        if adopted:
            log.info("sending %d files with events of earlier processes", adopted)

    # From the queue to the outbox or the disk

    def _absorb(self) -> None:
        """Takes items from the queue while there is room for them."""
        steps = 0
        while self._queue and self._has_room():
            item = self._queue.popleft()
            if isinstance(item, Marker):
                item.facts, item.passing = self._facts_taken, self._passing_taken
                self._markers.append(item)
                continue
            raw = unpack(item)
            line = self._encode(raw)
            if line is None:
                continue
            key = raw.key
            if key is None:
                self._facts_taken += 1
                self._keep(line)
            else:
                self._passing_taken += 1
                if self._passing.pop(key, None) is not None:
                    self.counts.superseded += 1
                self._passing[key] = (self._passing_taken, line)
            steps += 1
            if steps % _STEP == 0:
                time.sleep(_BREATH_SECONDS)

    def _has_room(self) -> bool:
        if self._to_disk():
            return True
        limit = self._options.queue_events_max if self._away else 2 * self._batch_max
        return len(self._outbox) < limit

    def _to_disk(self) -> bool:
        """Whether new events go to disk: the exporter is away, or older events are on disk."""
        if self._spill is None or self._spill_fails or self._outbox:
            return False
        return self._away or not self._spill.empty()

    def _keep(self, line: Line) -> None:
        if not self._to_disk() or not self._write(line):
            self._outbox.append(line)

    def _write(self, line: Line) -> bool:
        try:
            return self._spill is not None and self._spill.append(line)
        except OSError as error:
            self._spill_fails = True
            log.warning("events cannot be written to disk and stay in memory: %s", error)
            return False

    def _spill_outbox(self) -> None:
        """Moves events from memory to disk, in order, as far as they fit."""
        if self._spill is None or self._spill_fails:
            return
        steps = 0
        while self._outbox and self._write(self._outbox[0]):
            self._outbox.popleft()
            steps += 1
            if steps % _STEP == 0:
                time.sleep(_BREATH_SECONDS)

    def _encode(self, raw: Raw) -> Optional[Line]:
        try:
            event = build(raw, self._envelope)
        except Exception as error:
            self.counts.unencodable += 1
            self._report_rejected(Rejected({}, "unencodable", f"{type(error).__name__}: {error}"))
            return None
        try:
            text = json.dumps(event, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError) as error:
            self.counts.unencodable += 1
            self._report_rejected(Rejected(event, "unencodable", str(error)))
            return None
        return Line(raw.recorded_ns // 1_000_000_000, text.encode())

    # From there to the exporter

    def _batch(self) -> tuple[list[Line], list[tuple[tuple[str, ...], int, Line]]]:
        """The next lines: events in order, then those of which only the newest is sent."""
        self._expire()
        source = self._outbox
        facts: list[Line] = []
        if self._spill is not None and not self._spill.empty():
            facts = self._spill.peek(self._batch_max)
        else:
            for line in source:
                if len(facts) >= self._batch_max:
                    break
                facts.append(line)
        size = 0
        for number, line in enumerate(facts):
            size += len(line.json) + 1
            if size > self._options.batch_bytes_max and number > 0:
                facts = facts[:number]
                break
        room = max(1, self._batch_max - len(facts))
        passing = [(key, n, line) for key, (n, line) in list(self._passing.items())[:room]]
        return facts, passing

    def _expire(self) -> None:
        """Drops and counts lines that are too old to be sent safely."""
        now = time.time()
        oldest = now - self._options.resend_age_seconds_max
        stale = [k for k, (_, line) in self._passing.items() if line.born < now - 60]
        for key in stale:
            del self._passing[key]
            self.counts.superseded += 1
        while self._outbox and self._outbox[0].born < oldest:
            self._outbox.popleft()
            self._facts_done += 1
            self.counts.expired += 1
        while self._spill is not None:
            lines = self._spill.peek(self._batch_max)
            old = next((n for n, line in enumerate(lines) if line.born >= oldest), len(lines))
            if old == 0:
                return
            own = self._spill.head_is_own()
            self._spill.advance(old)
            self._facts_done += old if own else 0
            self.counts.expired += old

    def _deliver(self, facts: list[Line], passing: list[tuple[tuple[str, ...], int, Line]]) -> None:
        lines = facts + [line for _, _, line in passing]
        body = b"\n".join(line.json for line in lines)
        timeout = self._options.timeout_seconds
        if self._close_by is not None:
            timeout = min(timeout, max(0.05, self._close_by - time.monotonic()))
        try:
            answer = self._channel.request(
                "POST",
                "/api/v1/events",
                timeout=timeout,
                body=body,
                content_type="application/x-ndjson",
            )
        except FAILURES as error:
            self._failed(None, f"{type(error).__name__}: {error}")
            return
        verdict = judge(answer, len(lines))
        if verdict.split:
            self._batch_max = max(1, len(lines) // 2)
            return
        if not verdict.done:
            self._failed(verdict.after_seconds, verdict.why)
            return
        self._succeeded(lines, len(facts), passing, verdict)

    def _succeeded(
        self,
        lines: list[Line],
        facts: int,
        passing: list[tuple[tuple[str, ...], int, Line]],
        verdict: Verdict,
    ) -> None:
        self._done_with(facts)
        for key, number, _ in passing:
            if key in self._passing and self._passing[key][0] == number:
                del self._passing[key]
        self._batch_max = min(self._options.batch_events_max, self._batch_max * 2)
        self.counts.accepted += verdict.accepted
        self.counts.duplicates += verdict.duplicates
        if self._away:
            log.info("the exporter answers again; %d events are waiting", self.waiting())
            self._adopt()
        self._away, self._failures, self._not_before = False, 0, 0.0
        self._logged_at = -_LOG_EVERY_SECONDS
        for refusal in verdict.rejected:
            self._refused(lines, refusal)
        if verdict.warnings:
            self._on_warnings(verdict.warnings)
        if verdict.states:
            self._on_states(verdict.states)

    def _done_with(self, facts: int) -> None:
        if not facts:
            return
        if self._spill is not None and not self._spill.empty():
            own = self._spill.head_is_own()
            self._spill.advance(facts)
            self._facts_done += facts if own else 0
            if self._spill.empty():
                self._spill_fails = False
        else:
            for _ in range(facts):
                self._outbox.popleft()
            self._facts_done += facts

    def _refused(self, lines: list[Line], refusal: Mapping[str, Any]) -> None:
        self.counts.rejected += 1
        index = refusal.get("index")
        event: dict[str, Any] = {}
        if isinstance(index, int) and 0 <= index < len(lines):
            event = json.loads(lines[index].json)
        code, message = str(refusal.get("code")), str(refusal.get("message") or "")
        self._report_rejected(Rejected(event, code, message, refusal.get("field")))

    def _report_rejected(self, rejected: Rejected) -> None:
        try:
            self._on_rejected(rejected)
        except Exception:
            log.exception("on_rejected failed")

    def _failed(self, after_seconds: Optional[float], why: str) -> None:
        self.counts.failures += 1
        self._away = True
        self._failures += 1
        if after_seconds is None:
            ceiling = self._options.retry_seconds_max
            delay = min(ceiling, _RETRY_FIRST_SECONDS * 2 ** min(self._failures - 1, 20))
            delay *= random.uniform(0.5, 1.0)
        else:
            # All clients got the same delay: add a random part, and never retry too early.
            delay = after_seconds * random.uniform(1.0, 1.1)
            self._failures = 0
        self._not_before = time.monotonic() + delay
        try:
            self._spill_outbox()
        except Exception:
            log.debug("the outbox stays in memory", exc_info=True)
        if time.monotonic() - self._logged_at >= _LOG_EVERY_SECONDS:
            self._logged_at = time.monotonic()
            log.warning("%s; %d events are waiting, next try in %.1f s", why, self.waiting(), delay)

    # The end

    def _settle(self) -> None:
        """Sets the markers before which everything is finished."""
        oldest = min((n for n, _ in self._passing.values()), default=self._passing_taken + 1)
        while self._markers:
            marker = self._markers[0]
            if self._facts_done < marker.facts or oldest <= marker.passing:
                return
            self._markers.popleft().reached.set()

    def _finish(self) -> None:
        if self._close_by is not None:
            self._away = True
            self._absorb()
            self._spill_outbox()
        left = len(self._outbox) + sum(1 for i in list(self._queue) if not isinstance(i, Marker))
        self.counts.lost_at_close += left
        if left:
            log.warning("%d events were not delivered and are lost", left)
        if self._spill is not None:
            if not self._spill.empty():
                log.warning("the next process sends the events that are on disk")
            self._spill.close()
        self._channel.close()


def new_spill(folder: Optional[str], bytes_max: int) -> Optional[Spill]:
    """A spill, if one is configured and the platform supports it."""
    if folder is None or not _spill.SUPPORTED:
        return None
    return Spill(folder, bytes_max)
