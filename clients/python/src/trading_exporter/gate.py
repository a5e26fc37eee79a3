"""The permit to trade, as an engine asks for it before each order.

Input: the exporter's permit, renewed in the background, and the trading state in every answer to
events. Output: :meth:`TradingGate.allowed`, from memory. Invariants: a permit holds for its time,
counted on the monotonic clock from before it was asked for; without one the gate does what
`on_expiry` says; a permit with a lower epoch than one seen is ignored, and what an answer to
events forbids is forbidden at once, until a permit that was asked for later says otherwise.
Callbacks run in a thread of their own: a slow one delays the next callback, never the permit.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Callable, NamedTuple, Optional

from . import _forks
from ._http import FAILURES, raise_for
from .client import AnyClient, client_of
from .errors import ExporterError, ExporterRefused

log = logging.getLogger("trading_exporter")

_RETRY_SECONDS = (0.05, 2.0)
_CALLBACKS_MAX = 1_000
#: A halt heard of in an answer to events is told with its causes if the permit comes in this time.
_CAUSES_SECONDS = 0.25
_LOG_EVERY_SECONDS = 30.0


class TradingState(str, Enum):
    """What an account may do: `reducing` is orders that make a position smaller, and no others."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


class OnExpiry(str, Enum):
    """What an engine does when its permit has run out."""

    REDUCE_ONLY = "reduce_only"
    HALT = "halt"
    CONTINUE = "continue"


_SEVERITY = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}


@dataclass(frozen=True)
class Halt:
    """Trading was restricted, or let go on."""

    account: str
    state: TradingState
    #: The number of changes so far: a release names it.
    epoch: int
    #: Why, as the exporter says it: id, kind, subject, reason, actor. May be empty.
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
    #: What the engine holds, and what it should: decimal strings.
    from_quantity: str
    to_quantity: str
    #: The average price on the broker's side, if it says one.
    to_price: Optional[str]
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, drift: Mapping[str, Any]) -> Reconcile:
        """The directive behind a drift that is `reconciling`."""
        return cls(
            account=str(drift["account"]),
            symbol=str(drift["symbol"]),
            drift_type=str(drift["type"]),
            directive_id=str(drift["directive_id"]),
            from_quantity=str(drift["local_quantity"]),
            to_quantity=str(drift["broker_quantity"]),
            to_price=drift.get("broker_price"),
            raw=drift,
        )


class _View(NamedTuple):
    """What :meth:`TradingGate.allowed` reads: one tuple, so that it is never half new."""

    valid_until: float
    opens: bool
    reduces: bool
    expired_opens: bool
    expired_reduces: bool


#: What to tell, the value, and whom.
_Task = tuple[str, Any, list[Callable[[Any], Any]]]


class TradingGate:
    """Says whether an order may go out.

    `on_expiry` overrides what the exporter's configuration says for a permit that has run out:
    `reduce_only`, `halt` or `continue`. Until the first permit comes, nothing but reducing orders
    is allowed, or what `on_expiry` says.
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
        self._heard_at = 0.0
        self._directives: list[str] = []
        self._view = self._look()
        self._begin()
        self.client.on_state(self._heard)
        _forks.after_in_child(self, TradingGate._after_fork)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._tasks: queue.Queue[Optional[_Task]] = queue.Queue(_CALLBACKS_MAX)
        self._told: Optional[TradingState] = None
        self._tell_by: Optional[float] = None
        self._told_expired = True
        self._complained_at = -_LOG_EVERY_SECONDS
        self._can_wait = True
        self._channel = self.client.new_channel()
        for name in ("permit", "callbacks", "directives"):
            threading.Thread(
                target=getattr(self, f"_run_{name}"),
                name=f"trading-exporter-gate-{name}",
                daemon=True,
            ).start()

    # What an engine asks

    def allowed(self, *, reduces: bool = False) -> bool:
        """Whether an order may go out now; `reduces` if it can only make a position smaller.

        Answered from memory, in a fraction of a microsecond. Cancels are always allowed.
        """
        view = self._view
        if time.monotonic() < view[0]:
            return view[2] if reduces else view[1]
        return view[4] if reduces else view[3]

    @property
    def state(self) -> TradingState:
        """What the account may do now, expiry counted in."""
        if self.allowed():
            return TradingState.ACTIVE
        return TradingState.REDUCING if self.allowed(reduces=True) else TradingState.HALTED

    @property
    def expired(self) -> bool:
        """Whether there is no permit that holds."""
        return time.monotonic() >= self._view.valid_until

    @property
    def epoch(self) -> int:
        """The number of changes of the state, as the newest permit says."""
        return self._epoch

    @property
    def causes(self) -> tuple[Mapping[str, Any], ...]:
        """Why the account may not trade freely, as the newest permit says."""
        return self._causes

    # Callbacks

    def on_halt(self, callback: Callable[[Halt], Any]) -> None:
        """Calls back when the state becomes more severe (reducing, halted).

        A restriction that stands already is told at once.
        """
        with self._lock:
            self._callbacks.append(("halt", callback))
            told = self._told
            if told is not None and told is not TradingState.ACTIVE:
                # It stood before anybody was there to be told.
                self._put("halt", self._halt(told), [callback])

    def on_release(self, callback: Callable[[Halt], Any]) -> None:
        """Calls back when the state becomes less severe."""
        self._callbacks.append(("release", callback))

    def on_reconcile(self, callback: Callable[[Reconcile], Any]) -> None:
        """Calls back with a directive to set the book to what the broker holds.

        When the callback returns True, the exporter is told that it was carried out. What counts
        is the engine's next snapshot.
        """
        self._callbacks.append(("reconcile", callback))

    def on_expired(self, callback: Callable[[TradingState], Any]) -> None:
        """Calls back when a permit has run out, with the state that this leads to."""
        self._callbacks.append(("expired", callback))

    def close(self) -> None:
        """Ends the background threads. Afterwards the permit runs out."""
        self._closed.set()
        self._channel.abort()
        with contextlib.suppress(queue.Full):
            self._tasks.put_nowait(None)

    def __enter__(self) -> TradingGate:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The permit

    def _run_permit(self) -> None:
        failures = 0
        while not self._closed.is_set():
            asked_at = time.monotonic()
            try:
                self._take(self._ask(), asked_at)
            except Exception as error:
                # Nothing that an exporter, or a proxy before it, answers may end this thread.
                failures += 1
                self._complain(error)
                low, high = _RETRY_SECONDS
                pause = min(high, low * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0)
                self._closed.wait(pause)
                continue
            if failures:
                failures = 0
                self.client.reachable()

    def _ask(self) -> Mapping[str, Any]:
        """The next permit: at the next change, or when a part of its time has passed."""
        left = max(0.0, self._valid_until - time.monotonic())
        query: dict[str, object] = {"account": self.client.account}
        wait = 0.0
        if self._can_wait and self._known is not None and not self._closed.is_set():
            wait = max(0.05, min(10.0, left / 3))
            query.update(wait=f"{wait:.3f}", epoch=self._epoch)
        try:
            answer = self._channel.request("GET", "/api/v1/permit", timeout=wait + 2.0, query=query)
            raise_for(answer)
        except ExporterRefused as error:
            if error.code == "unknown_parameter" and self._can_wait:
                self._can_wait = False
                return self._ask()
            raise
        except FAILURES as error:
            raise ExporterError(f"{type(error).__name__}: {error}") from error
        if not self._can_wait:
            self._closed.wait(0.02)
        permit = answer.json()
        if not isinstance(permit, dict):
            raise ExporterError("a permit that is no JSON object")
        return permit

    def _take(self, permit: Mapping[str, Any], asked_at: float) -> None:
        state, epoch = TradingState(permit["state"]), int(permit["epoch"])
        with self._lock:
            if epoch < self._epoch:
                self._complain(ExporterError(f"epoch {epoch} comes after {self._epoch}: ignored"))
                self._closed.wait(_RETRY_SECONDS[1] / 4)
                return
            self._epoch, self._causes = epoch, tuple(permit.get("causes") or ())
            self._valid_until = asked_at + int(permit["valid_for_ms"]) / 1000
            self._expiry = self._wanted_expiry or OnExpiry(permit["on_expiry"])
            heard_later = asked_at < self._heard_at
            if not heard_later or self._is_worse(state):
                self._known = state
            self._view = self._look()
            self._told_expired = False
            if not heard_later or self._causes:
                self._tell_by = None
                self._tell_state()
        # The thread of the callbacks waits for the end of the permit.
        self._nudge()

    def _heard(self, word: str) -> None:
        """An answer to events said what the account may do."""
        state = TradingState(word)
        with self._lock:
            if self._known is None or not self._is_worse(state):
                return
            self._heard_at = time.monotonic()
            self._known = state
            self._view = self._look()
            self._tell_by = self._heard_at + _CAUSES_SECONDS
        self._nudge()

    def _is_worse(self, state: TradingState) -> bool:
        known = self._known
        return known is None or _SEVERITY[state] > _SEVERITY[known]

    def _look(self) -> _View:
        state = self._known
        severity = _SEVERITY[state] if state is not None else 0
        at_least = {OnExpiry.CONTINUE: 0, OnExpiry.REDUCE_ONLY: 1, OnExpiry.HALT: 2}[self._expiry]
        expired = max(severity, at_least)
        return _View(self._valid_until, severity < 1, severity < 2, expired < 1, expired < 2)

    def _complain(self, error: Exception) -> None:
        if time.monotonic() - self._complained_at >= _LOG_EVERY_SECONDS:
            self._complained_at = time.monotonic()
            log.warning("no permit: %s", error)

    # The callbacks

    def _tell_state(self) -> None:
        """Queues what is to be told of the state; under the lock."""
        known, told = self._known, self._told
        if known is None or known is told:
            return
        rises = _SEVERITY[known] > (_SEVERITY[told] if told is not None else 0)
        first = told is None
        self._told = known
        if not first or rises:
            self._put("halt" if rises else "release", self._halt(known))

    def _halt(self, state: TradingState) -> Halt:
        return Halt(self.client.account, state, self._epoch, self._causes)

    def _put(self, kind: str, value: Any, to: Optional[list[Callable[[Any], Any]]] = None) -> None:
        """Queues a value for the callbacks that are there now, or for these."""
        if to is None:
            to = [callback for wanted, callback in self._callbacks if wanted == kind]
        try:
            self._tasks.put_nowait((kind, value, to))
        except queue.Full:
            log.error("%d callbacks wait: %s is not told", _CALLBACKS_MAX, kind)

    def _nudge(self) -> None:
        if self._tasks.empty():
            self._put("look", None)

    def _run_callbacks(self) -> None:
        while True:
            try:
                task = self._tasks.get(timeout=self._patience())
            except queue.Empty:
                self._look_at_clock()
                continue
            if task is None:
                return
            kind, value, callbacks = task
            if kind == "look":
                self._look_at_clock()
            for callback in callbacks:
                self._call(kind, callback, value)

    def _patience(self) -> float:
        """Seconds until the clock alone changes something."""
        now = time.monotonic()
        times = [60.0]
        if self._tell_by is not None:
            times.append(self._tell_by - now)
        if not self._told_expired:
            times.append(self._valid_until - now)
        return max(0.0, min(times))

    def _look_at_clock(self) -> None:
        now = time.monotonic()
        with self._lock:
            if self._tell_by is not None and now >= self._tell_by:
                self._tell_by = None
                self._tell_state()
            if not self._told_expired and now >= self._valid_until:
                self._told_expired = True
                self._put("expired", self.state)

    def _call(self, kind: str, callback: Callable[[Any], Any], value: Any) -> None:
        try:
            result = callback(value)
            if kind == "reconcile" and result is True:
                self.client.reconciled(value.symbol, value.directive_id)
        except Exception:
            log.exception("a callback of on_%s failed", kind)

    # Directives

    def _run_directives(self) -> None:
        while not self._closed.wait(0.5):
            if not any(kind == "reconcile" for kind, _ in self._callbacks):
                continue
            try:
                self._resync()
            except Exception as error:
                log.debug("directives cannot be read: %s", error)

    def _resync(self) -> None:
        """Tells of every directive that stands and was not told of."""
        account = self.client.account
        drifts = self.client.get("/api/v1/drift", account=account, state="reconciling")
        standing = [d for d in drifts if d.get("directive_id")]
        for drift in standing:
            if drift["directive_id"] not in self._directives:
                self._put("reconcile", Reconcile.of(drift))
        self._directives = [d["directive_id"] for d in standing]

    def _after_fork(self) -> None:
        """The child has no threads: it asks for a permit of its own, and until then has none."""
        if self._closed.is_set():
            return
        self._valid_until = 0.0
        self._view = self._look()
        self._begin()
