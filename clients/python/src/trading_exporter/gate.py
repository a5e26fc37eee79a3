"""The permit to trade, which an engine checks before each order.

Input: the exporter's permit, renewed in the background, and the trading state in every answer to
events. Output: :meth:`TradingGate.allowed`, from memory. Invariants: a permit is valid for its
duration, on the monotonic clock and from before its request; without a valid permit, `on_expiry`
decides; a permit with a lower epoch than an earlier one is ignored; a restriction in an answer to
events applies immediately, until a permit that was requested later removes it. Callbacks run in
their own thread: a slow one delays the next callback, never the permit.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Callable, NamedTuple, Optional

from . import _forks
from ._follow import Follower
from .client import AnyClient, client_of

log = logging.getLogger("trading_exporter")

_CALLBACKS_MAX = 1_000
_DIRECTIVES_MAX = 1_000
#: Time to wait for the permit with the causes of a halt, before `on_halt` is called without them.
_CAUSES_SECONDS = 0.25
_LOG_EVERY_SECONDS = 30.0
#: An account is unknown until its first event. If it is unknown for longer, that is logged.
_UNKNOWN_SECONDS = 2.0


class TradingState(str, Enum):
    """The trading state of an account. `reducing` permits only orders that reduce a position."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


class OnExpiry(str, Enum):
    """The behaviour of an engine whose permit has expired."""

    REDUCE_ONLY = "reduce_only"
    HALT = "halt"
    CONTINUE = "continue"


_SEVERITY = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}


@dataclass(frozen=True)
class Halt:
    """Trading was restricted or released."""

    account: str
    state: TradingState
    #: The epoch of the latch, which a release has to name.
    epoch: int
    #: The causes from the exporter: id, kind, subject, reason, actor, epoch ... May be empty.
    causes: tuple[Mapping[str, Any], ...] = field(default=())

    @property
    def reason(self) -> str:
        """The reasons in one line."""
        return "; ".join(str(cause.get("reason")) for cause in self.causes) or self.state.value


@dataclass(frozen=True)
class Reconcile:
    """The exporter asks the engine to set its book to what the broker holds."""

    account: str
    symbol: str
    drift_type: str
    directive_id: str
    #: The engine's quantity and the broker's: decimal strings.
    from_quantity: str
    to_quantity: str
    #: The average price on the broker's side, if it is known.
    to_price: Optional[str]
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, directive: Mapping[str, Any]) -> Reconcile:
        """The directive from the exporter's message."""
        return cls(
            account=str(directive["account"]),
            symbol=str(directive["symbol"]),
            drift_type=str(directive["drift_type"]),
            directive_id=str(directive["id"]),
            from_quantity=str(directive["from_quantity"]),
            to_quantity=str(directive["to_quantity"]),
            to_price=directive.get("to_price"),
            raw=directive,
        )


class _View(NamedTuple):
    """The input of :meth:`TradingGate.allowed`: one tuple, so that it is replaced atomically."""

    valid_until: float
    opens: bool
    reduces: bool
    expired_opens: bool
    expired_reduces: bool


#: The kind of callback, the value, and the callbacks.
_Task = tuple[str, Any, list[Callable[[Any], Any]]]


class TradingGate:
    """Decides whether an order may be sent.

    `on_expiry` overrides the exporter's configuration for an expired permit: `reduce_only`, `halt`
    or `continue`. Until the first permit arrives, `on_expiry` decides; by default only reducing
    orders are allowed.
    """

    def __init__(
        self,
        *,
        client: Optional[AnyClient] = None,
        on_expiry: Optional[OnExpiry | str] = None,
    ) -> None:
        from .client import Client

        self.client = client_of(client) if client is not None else Client()
        self._wanted_expiry = OnExpiry(on_expiry) if on_expiry is not None else None
        self._expiry = self._wanted_expiry or OnExpiry.REDUCE_ONLY
        self._callbacks: list[tuple[str, Callable[[Any], Any]]] = []
        self._known: Optional[TradingState] = None
        self._epoch = 0
        self._causes: tuple[Mapping[str, Any], ...] = ()
        self._valid_until = 0.0
        self._valid_for = 0.0
        self._restricted_at = 0.0
        self._is_known: Optional[bool] = None
        self._unknown_since: Optional[float] = None
        self._logged_unknown = False
        self._reported: Optional[TradingState] = None
        self._reported_effective: Optional[TradingState] = None
        self._reported_expired = True
        self._directives: OrderedDict[str, Reconcile] = OrderedDict()
        self._view = self._view_of_now()
        self._begin()
        self.client.on_state(self._on_answer)
        _forks.after_in_child(self, TradingGate._after_fork)

    def _begin(self) -> None:
        """Creates the state that each process has for itself."""
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._closed = False
        self._tasks: queue.Queue[Optional[_Task]] = queue.Queue(_CALLBACKS_MAX)
        self._report_by: Optional[float] = None
        self._logged_at = -_LOG_EVERY_SECONDS
        threading.Thread(
            target=self._run_callbacks, name="trading-exporter-callbacks", daemon=True
        ).start()
        self._follower = Follower(self)

    # Methods for the engine

    def allowed(self, *, reduces: bool = False) -> bool:
        """Whether an order may be sent now. Set `reduces` if it can only reduce a position.

        Answered from memory, in a fraction of a microsecond. Cancels are always allowed.
        """
        # Unpacking the tuple is faster than reading its attributes.
        valid_until, opens, may_reduce, expired_opens, expired_may_reduce = self._view
        if time.monotonic() < valid_until:
            return may_reduce if reduces else opens
        return expired_may_reduce if reduces else expired_opens

    def wait(self, timeout: Optional[float] = 10.0) -> bool:
        """Waits for a permit. Returns whether there is a valid one within `timeout` seconds.

        For the start of an engine, outside the order path: the first permit arrives some
        milliseconds after the gate is created, and until then `allowed` returns False. The permit
        itself may still forbid trading. With None, waits until it arrives or the gate is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self.expired, timeout)
        return not self.expired

    @property
    def state(self) -> TradingState:
        """The current trading state, taking expiry into account."""
        if self.allowed():
            return TradingState.ACTIVE
        return TradingState.REDUCING if self.allowed(reduces=True) else TradingState.HALTED

    @property
    def expired(self) -> bool:
        """Whether there is no valid permit."""
        return time.monotonic() >= self._view.valid_until

    @property
    def epoch(self) -> int:
        """The epoch of the latch in the newest permit."""
        return self._epoch

    @property
    def causes(self) -> tuple[Mapping[str, Any], ...]:
        """The causes of the restriction, from the newest permit.

        Each has all fields from the exporter: `id`, `kind`, `reason`, `account`, the `epoch` of its
        latch, and the body of the request that would release it.
        """
        return self._causes

    @property
    def known(self) -> Optional[bool]:
        """Whether the exporter knows the account. None if there was no permit yet."""
        return self._is_known

    # Callbacks

    def on_halt(self, callback: Callable[[Halt], Any]) -> None:
        """Calls back when the state becomes more severe (reducing, halted).

        If there is a restriction already, calls back immediately.
        """
        with self._lock:
            self._callbacks.append(("halt", callback))
            reported = self._reported
            if reported is not None and reported is not TradingState.ACTIVE:
                # The restriction is older than this callback.
                self._put("halt", self._halt(reported), [callback])

    def on_release(self, callback: Callable[[Halt], Any]) -> None:
        """Calls back when the state becomes less severe."""
        self._callbacks.append(("release", callback))

    def on_reconcile(self, callback: Callable[[Reconcile], Any]) -> None:
        """Calls back with a directive to set the book to what the broker holds.

        If the callback returns True, the exporter is informed that the book was set. The drift
        clears only with the engine's next snapshot.
        """
        with self._lock:
            self._callbacks.append(("reconcile", callback))
            for directive in self._directives.values():
                self._put("reconcile", directive, [callback])

    def on_state(self, callback: Callable[[TradingState], Any]) -> None:
        """Calls back with the state immediately, and whenever `state` changes.

        Unlike `on_halt` and `on_release`, this includes the expiry and the return of a permit.
        """
        with self._lock:
            self._callbacks.append(("state", callback))
            self._reported_effective = self.state
            self._put("state", self._reported_effective, [callback])

    def on_expired(self, callback: Callable[[TradingState], Any]) -> None:
        """Calls back when a permit has expired, with the resulting state."""
        self._callbacks.append(("expired", callback))

    def close(self) -> None:
        """Ends the background threads. The permit then expires."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.client.off_state(self._on_answer)
        self._follower.close()
        with contextlib.suppress(queue.Full):
            self._tasks.put_nowait(None)

    def __enter__(self) -> TradingGate:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Messages of the exporter

    def known_permit(self) -> tuple[int, float, float]:
        """The epoch, the monotonic time of expiry, and the validity in seconds."""
        return self._epoch, self._valid_until, self._valid_for

    def take_permit(self, permit: Mapping[str, Any], asked_at: float) -> None:
        """Handles a permit, with the monotonic time before its request."""
        state, epoch = TradingState(permit["state"]), int(permit["epoch"])
        made_at = asked_at + int(permit.get("waited_ms") or 0) / 1000
        valid_for = int(permit["valid_for_ms"]) / 1000
        expiry = self._wanted_expiry or OnExpiry(permit["on_expiry"])
        with self._lock:
            if epoch < self._epoch:
                self._log_lower_epoch(epoch)
                return
            if epoch == self._epoch and made_at + valid_for < self._valid_until:
                # The stream has sent a newer one meanwhile.
                return
            self._epoch, self._causes = epoch, tuple(permit.get("causes") or ())
            self._valid_until, self._valid_for = made_at + valid_for, valid_for
            self._expiry = expiry
            self._record_known(permit.get("known"), made_at)
            is_outdated = made_at < self._restricted_at
            if not is_outdated or self._is_worse(state):
                self._known = state
            self._view = self._view_of_now()
            self._reported_expired = False
            if not is_outdated or self._causes:
                self._report_by = None
                self._report_latch()
            self._report_effective()
            self._changed.notify_all()
        # The callback thread waits for the expiry of the permit.
        self._wake_callbacks()

    def take_directive(self, directive: Mapping[str, Any]) -> None:
        """Handles a reconcile directive, which may be repeated."""
        reconcile = Reconcile.of(directive)
        with self._lock:
            if reconcile.directive_id in self._directives:
                return
            self._directives[reconcile.directive_id] = reconcile
            if len(self._directives) > _DIRECTIVES_MAX:
                self._directives.popitem(last=False)
            self._put("reconcile", reconcile)

    def _on_answer(self, word: str) -> None:
        """Handles the trading state in an answer to events."""
        state = TradingState(word)
        with self._lock:
            if self._known is None or not self._is_worse(state):
                return
            self._restricted_at = time.monotonic()
            self._known = state
            self._view = self._view_of_now()
            self._report_by = self._restricted_at + _CAUSES_SECONDS
            self._report_effective()
        self._wake_callbacks()

    def _is_worse(self, state: TradingState) -> bool:
        known = self._known
        return known is None or _SEVERITY[state] > _SEVERITY[known]

    def _view_of_now(self) -> _View:
        state = self._known
        severity = _SEVERITY[state] if state is not None else 0
        at_least = {OnExpiry.CONTINUE: 0, OnExpiry.REDUCE_ONLY: 1, OnExpiry.HALT: 2}[self._expiry]
        expired = max(severity, at_least)
        return _View(self._valid_until, severity < 1, severity < 2, expired < 1, expired < 2)

    def _record_known(self, known: Any, at: float) -> None:
        """Logs once that the account is unknown. Call it under the lock."""
        self._is_known = known if isinstance(known, bool) else None
        if self._is_known is not False:
            return
        if self._unknown_since is None:
            self._unknown_since = at
        if not self._logged_unknown and at - self._unknown_since >= _UNKNOWN_SECONDS:
            self._logged_unknown = True
            log.warning(
                "the exporter does not know account %r yet: is it spelled correctly?",
                self.client.account,
            )

    def _log_lower_epoch(self, epoch: int) -> None:
        if time.monotonic() - self._logged_at >= _LOG_EVERY_SECONDS:
            self._logged_at = time.monotonic()
            log.warning(
                "a permit of epoch %d after one of epoch %d is ignored: has the exporter lost"
                " its state?",
                epoch,
                self._epoch,
            )

    # The callbacks

    def _report_latch(self) -> None:
        """Queues the callbacks about the latch state. Call it under the lock."""
        known, reported = self._known, self._reported
        if known is None or known is reported:
            return
        rises = _SEVERITY[known] > (_SEVERITY[reported] if reported is not None else 0)
        first = reported is None
        self._reported = known
        if not first or rises:
            self._put("halt" if rises else "release", self._halt(known))

    def _report_effective(self) -> None:
        """Queues the callbacks about the effective state. Call it under the lock."""
        state = self.state
        if state is not self._reported_effective:
            self._reported_effective = state
            self._put("state", state)

    def _halt(self, state: TradingState) -> Halt:
        return Halt(self.client.account, state, self._epoch, self._causes)

    def _put(self, kind: str, value: Any, to: Optional[list[Callable[[Any], Any]]] = None) -> None:
        """Queues a value for the given callbacks, by default for all of its kind."""
        if to is None:
            to = [callback for wanted, callback in self._callbacks if wanted == kind]
        try:
            self._tasks.put_nowait((kind, value, to))
        except queue.Full:
            log.error("%d callbacks are waiting: %s was dropped", _CALLBACKS_MAX, kind)

    def _wake_callbacks(self) -> None:
        if self._tasks.empty():
            self._put("deadlines", None)

    def _run_callbacks(self) -> None:
        while True:
            try:
                task = self._tasks.get(timeout=self._seconds_to_deadline())
            except queue.Empty:
                self._check_deadlines()
                continue
            if task is None:
                return
            kind, value, callbacks = task
            if kind == "deadlines":
                self._check_deadlines()
            for callback in callbacks:
                self._call(kind, callback, value)

    def _seconds_to_deadline(self) -> float:
        """Seconds until time alone changes something."""
        now = time.monotonic()
        times = [60.0]
        if self._report_by is not None:
            times.append(self._report_by - now)
        if not self._reported_expired:
            times.append(self._valid_until - now)
        return max(0.0, min(times))

    def _check_deadlines(self) -> None:
        now = time.monotonic()
        with self._lock:
            if self._report_by is not None and now >= self._report_by:
                self._report_by = None
                self._report_latch()
            if not self._reported_expired and now >= self._valid_until:
                self._reported_expired = True
                self._put("expired", self.state)
                self._report_effective()

    def _call(self, kind: str, callback: Callable[[Any], Any], value: Any) -> None:
        try:
            done = callback(value)
            if kind == "reconcile":
                self._carried_out(value, done is True)
        except Exception:
            log.exception("a callback of on_%s failed", kind)

    def _carried_out(self, directive: Reconcile, is_done: bool) -> None:
        if is_done:
            self.client.reconciled(directive.symbol, directive.directive_id)

    def _after_fork(self) -> None:
        """Starts new threads in the child of a fork, which has no permit at first."""
        if self._closed:
            return
        self._valid_until = 0.0
        self._view = self._view_of_now()
        self._begin()
