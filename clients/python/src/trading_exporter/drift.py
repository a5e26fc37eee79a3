"""Position drift: compares the engine's positions with the broker's.

Input: two sources of positions. Output: the drifts that the exporter has confirmed. Invariants: a
source that raises is reported as failed, never as flat; the two sides are sent with two tokens.
Severity and confirmation are the exporter's, so everybody sees the same. Automatic repairs write
the engine's book, and their number is limited: the exporter counts the repairs of a symbol, and
leaves further ones to a person. Deliberately absent: orders that would correct a position.
"""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, Callable, Optional

from ._http import Answer, raise_for
from ._reconcile import Apply, NotDone, read, write, writer_of
from .client import AnyClient, client_of
from .errors import BrokerTokenMissing, ExporterError, ExporterRefused
from .positions import PositionSource, Row, rows, snapshot

log = logging.getLogger("trading_exporter")

#: Timeout for events recorded before a check, which should reach the exporter first.
_FLUSH_SECONDS = 2.0


class DriftSeverity(str, Enum):
    """How large a drift is."""

    MINOR = "minor"
    MODERATE = "moderate"
    CRITICAL = "critical"


class DriftType(str, Enum):
    """How the books differ."""

    QUANTITY_MISMATCH = "quantity_mismatch"
    PRICE_MISMATCH = "price_mismatch"
    UNKNOWN_POSITION = "unknown_position"
    GHOST_POSITION = "ghost_position"


@dataclass(frozen=True)
class Drift:
    """A confirmed difference between the books."""

    account: str
    symbol: str
    severity: Optional[DriftSeverity]
    drift_type: DriftType
    #: `open`, or `reconciling` after a directive to the engine.
    state: str
    #: local - broker, signed.
    quantity_drift: Decimal
    #: Its absolute value in the account's currency; None without a price or a rate.
    value_drift: Optional[Decimal]
    local_quantity: Decimal
    broker_quantity: Decimal
    #: The sum of the fills that the exporter received.
    ledger_quantity: Decimal
    #: `engine_missed_fill`, `external_or_unreported_trade` or `unexplained`.
    attribution: str
    #: `none`, `reconcile`, `alert` or `halt`.
    action: str
    directive_id: Optional[str]
    #: The test that gave the severity: `quantity`, `value` ...; `reconcile_failed` and
    #: `reconcile_budget` if no more repairs are attempted.
    decided_by: Optional[str]
    #: The exporter's answer with all fields.
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Drift:
        """A drift from an answer of `/api/v1/drift`."""
        severity, value = answer.get("severity"), answer.get("value_drift")
        return cls(
            account=str(answer["account"]),
            symbol=str(answer["symbol"]),
            severity=DriftSeverity(severity) if severity is not None else None,
            drift_type=DriftType(answer["type"]),
            state=str(answer["state"]),
            quantity_drift=Decimal(answer["quantity_drift"]),
            value_drift=Decimal(value) if value is not None else None,
            local_quantity=Decimal(answer["local_quantity"]),
            broker_quantity=Decimal(answer["broker_quantity"]),
            ledger_quantity=Decimal(answer["ledger_quantity"]),
            attribution=str(answer["attribution"]),
            action=str(answer["action"]),
            directive_id=answer.get("directive_id"),
            decided_by=answer.get("decided_by"),
            raw=answer,
        )

    def to_dict(self) -> dict[str, Any]:
        """The drift as in the exporter's answer: JSON scalars, quantities as decimal strings."""
        return dict(self.raw)


class DriftDetector:
    """Posts both books, and reads the resulting drifts.

    `position_store` and `broker` are objects with `get_positions()`. Without a `broker` only the
    engine's book is posted: then another process posts the broker's, which is more independent.
    The background loop calls `on_drift` with the drifts of a check that found any.
    `apply(symbol, quantity, average_price)` sets the engine's book in :meth:`auto_reconcile`, if
    `position_store` has no `set_position` or `update_position` of that form, or to write it
    differently. It must set the position, not add to it.
    """

    def __init__(
        self,
        position_store: Optional[PositionSource] = None,
        broker: Optional[PositionSource] = None,
        check_interval_seconds: float = 60.0,
        *,
        client: Optional[AnyClient] = None,
        on_drift: Optional[Callable[[list[Drift]], None]] = None,
        apply: Optional[Apply] = None,
    ) -> None:
        from .client import Client

        self.client = client_of(client) if client is not None else Client()
        self.position_store = position_store
        self.broker = broker
        self.check_interval_seconds = check_interval_seconds
        #: Why the last :meth:`auto_reconcile` returned False. Empty after True.
        self.reconcile_reason = ""
        self._on_drift = on_drift
        self._apply = apply
        #: The last reported positions of the engine, by symbol.
        self._reported: dict[str, Decimal] = {}
        #: The position in a store that cannot be written, when the broker's quantity was adopted.
        self._adopted: dict[str, Decimal] = {}
        self._stop = threading.Event()
        self._thread: Optional[threading.Thread] = None

    def check_drift(self) -> list[Drift]:
        """Posts a new snapshot of each side, and returns the confirmed drifts.

        A side whose `get_positions()` raises is posted as failed. Raises `BrokerTokenMissing`,
        `ExporterUnavailable`, `ExporterRefused`.
        """
        client = self.client
        if self.broker is not None and client.token is not None and client.broker_token is None:
            raise BrokerTokenMissing(_ONE_WITNESS)
        # The broker first, because it is slow and both snapshots should have about the same time.
        broker = self._snapshot("broker", self.broker)
        client.flush(_FLUSH_SECONDS)
        local = self._snapshot("local", self.position_store)
        if client.broker_token is None:
            self._post([event for event in (local, broker) if event is not None])
        else:
            self._post([local] if local is not None else [])
            self._post([broker] if broker is not None else [], broker=True)
        return self._confirmed()

    def auto_reconcile(self, drift: Drift) -> bool:
        """Sets the engine's book to the broker's position, and posts the new list.

        Returns True if the books then agree in the exporter. Returns False if a person has to
        decide or the book could not be written: `reconcile_reason` and the log give the reason.
        Only minor drifts are repaired, and no position that is unknown to the engine. Repairs are
        counted: after three of one symbol in a day, the exporter makes its next drift moderate.

        The book is written by `apply`, or by `set_position(symbol, quantity, average_price)` or
        `update_position` of the store, in the types that the store uses, and only if it still has
        the position of the last check. If the store has none of these, the exporter adopts the
        broker's quantity until the next list: True then means that the engine has to write it
        itself, and the next call returns False if it did not.
        """
        try:
            self._reconcile(drift)
        except (NotDone, ExporterError) as error:
            self.reconcile_reason = str(error)
            log.warning("%s is not reconciled: %s", drift.symbol, error)
            return False
        self.reconcile_reason = ""
        return True

    def _reconcile(self, drift: Drift) -> None:
        store = self.position_store
        if drift.severity is not DriftSeverity.MINOR:
            severity = drift.severity.value if drift.severity is not None else "pending"
            raise NotDone(f"the drift is {severity}{_why(drift)}: a person decides")
        if drift.drift_type is DriftType.UNKNOWN_POSITION:
            raise NotDone("the engine does not know the position: a person decides")
        if store is None:
            raise NotDone("there is no position store")
        by = writer_of(store, self._apply)
        if by is None:
            self._adopt_unwritten(store, drift)
            return
        reported = self._reported.get(drift.symbol, drift.local_quantity)
        if drift.state != "reconciling":
            # No directive counts this repair, so ask the exporter before the book is written.
            self._adopt(drift)
        try:
            write(store, by, drift, reported)
        finally:
            self._post_local()
        if drift.directive_id is not None:
            self.client.reconciled(drift.symbol, drift.directive_id)
        left = [d for d in self._confirmed() if d.symbol == drift.symbol]
        if left:
            raise NotDone(f"the book was set, but still differs by {left[0].quantity_drift}")

    def _adopt_unwritten(self, store: PositionSource, drift: Drift) -> None:
        """Lets the exporter adopt the broker's quantity, because the store cannot be written."""
        now = read(store, drift.symbol).quantity
        if self._adopted.get(drift.symbol) == now:
            raise NotDone(f"the position store still has {now}. {_NO_WRITER}")
        self._adopt(drift)
        self._adopted[drift.symbol] = now
        log.warning("%s was adopted, but its book was not written. %s", drift.symbol, _NO_WRITER)

    def _adopt(self, drift: Drift) -> None:
        body = {
            "account": drift.account,
            "symbol": drift.symbol,
            "adopt": "broker",
            "actor": "engine",
            "reason": "auto-reconciliation of minor drift by the engine",
        }
        self.client.post("/api/v1/drift/reconcile", body)

    def _post_local(self) -> None:
        local = self._snapshot("local", self.position_store)
        self._post([local] if local is not None else [])

    def _confirmed(self) -> list[Drift]:
        return [Drift.of(drift) for drift in self.client.rows("/api/v1/drift", state="open")]

    def start(self) -> None:
        """Checks in the background, immediately and every `check_interval_seconds`."""
        if self._thread is None or not self._thread.is_alive():
            self._stop = threading.Event()
            self._thread = threading.Thread(
                target=self._loop, args=(self._stop,), name="trading-exporter-drift", daemon=True
            )
            self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Stops the background checks. Waits for a running one."""
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _loop(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                drifts = self.check_drift()
                if drifts and self._on_drift is not None:
                    self._on_drift(drifts)
            except Exception as error:
                log.warning("a drift check failed: %s: %s", type(error).__name__, error)
            stop.wait(self.check_interval_seconds)

    def _snapshot(self, side: str, source: Optional[PositionSource]) -> Optional[dict[str, Any]]:
        if source is None:
            return None
        try:
            positions = source.get_positions()
            if inspect.isawaitable(positions):
                if inspect.iscoroutine(positions):
                    positions.close()
                raise TypeError(
                    "get_positions() is asynchronous: wrap it in a synchronous function"
                )
            held = rows(positions)
            fields = snapshot(side, held)
            if side == "local":
                self._reported = _sums(held)
        except Exception as error:
            log.warning("%s positions cannot be read: %s: %s", side, type(error).__name__, error)
            fields = snapshot(side, None, f"{type(error).__name__}: {error}")
        return self.client.event("positions", fields)

    def _post(self, events: list[dict[str, Any]], *, broker: bool = False) -> None:
        if not events:
            return
        answer = self.client.post_events(events, broker=broker)
        self._check_witness(answer)
        fields = answer.json()
        rejected = fields.get("rejected") if isinstance(fields, dict) else None
        if answer.status in (207, 422) and rejected:
            first = rejected[0]
            raise ExporterRefused(
                answer.status, str(first["code"]), str(first["message"]), first.get("field")
            )
        raise_for(answer)

    def _check_witness(self, answer: Answer) -> None:
        if answer.status not in (207, 401, 403) or self.client.broker_token is not None:
            return
        fields = answer.json() or {}
        refusals = [r for r in fields.get("rejected", []) if r.get("code") == "forbidden"]
        if answer.status != 207 or refusals:
            why = refusals[0].get("message") if refusals else fields.get("detail")
            raise BrokerTokenMissing(f"{_ONE_WITNESS} ({why})")


def _why(drift: Drift) -> str:
    """Whether the severity is due to exhausted repairs."""
    return _ENDED.get(drift.decided_by or "", "")


def _sums(held: list[Row]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for row in held:
        sums[row["symbol"]] = sums.get(row["symbol"], Decimal(0)) + Decimal(row["quantity"])
    return sums


_ENDED = {
    "reconcile_failed": ", for no directive was carried out",
    "reconcile_budget": ", for it was repaired as often as may be",
}

_NO_WRITER = (
    "For a book that is written give it set_position(symbol, quantity, average_price), or"
    " DriftDetector(apply=...)"
)

_ONE_WITNESS = (
    "where tokens are configured, broker positions need a second one with the scope"
    " ingest:broker: pass Client(..., token=..., broker_token=...)"
)
