"""Position drift: what the engine holds against what its broker says.

Input: two sources of positions. Output: the drifts that the exporter has confirmed. Invariants: a
source that raises is reported as failed, never as flat; the two sides go with two tokens. Severity
and confirmation are the exporter's, so all that look see the same. Deliberately absent: orders
that would correct a position.
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
from .client import AnyClient, client_of
from .errors import BrokerTokenMissing, ExporterRefused
from .positions import PositionSource, rows, snapshot

log = logging.getLogger("trading_exporter")

#: Events recorded before a check reach the exporter first, if they do within this time.
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
    """One confirmed difference between the books."""

    account: str
    symbol: str
    severity: Optional[DriftSeverity]
    drift_type: DriftType
    #: `open`, or `reconciling`: a directive to the engine is under way.
    state: str
    #: local - broker, signed.
    quantity_drift: Decimal
    #: Its absolute value in the account's currency; None without a price or a rate.
    value_drift: Optional[Decimal]
    local_quantity: Decimal
    broker_quantity: Decimal
    #: What the seen fills add up to.
    ledger_quantity: Decimal
    #: `engine_missed_fill`, `external_or_unreported_trade` or `unexplained`.
    attribution: str
    #: `none`, `reconcile`, `alert` or `halt`.
    action: str
    directive_id: Optional[str]
    #: The answer of the exporter, with every field that it has.
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Drift:
        """The drift of an answer of `/api/v1/drift`."""
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
            raw=answer,
        )

    def to_dict(self) -> dict[str, Any]:
        """The drift as the exporter answered it: JSON scalars, quantities as decimal strings."""
        return dict(self.raw)


class DriftDetector:
    """Posts both books, and reads what the exporter makes of them.

    `position_store` and `broker` are objects with `get_positions()`. Without a `broker` only the
    engine's book is posted: then somebody else posts the broker's, which is the better witness.
    `on_drift` is called by the background loop with the drifts of a check that found any.
    """

    def __init__(
        self,
        position_store: Optional[PositionSource] = None,
        broker: Optional[PositionSource] = None,
        check_interval_seconds: float = 60.0,
        *,
        client: Optional[AnyClient] = None,
        on_drift: Optional[Callable[[list[Drift]], None]] = None,
    ) -> None:
        from .client import Client

        self.client = client_of(client) if client is not None else Client()
        self.position_store = position_store
        self.broker = broker
        self.check_interval_seconds = check_interval_seconds
        self._on_drift = on_drift
        self._stop = threading.Event()
        self._thread: Optional[threading.Thread] = None

    def check_drift(self) -> list[Drift]:
        """Posts a new snapshot of each side, and returns the drifts that are confirmed.

        A side whose `get_positions()` raises is posted as failed. Raises `BrokerTokenMissing`,
        `ExporterUnavailable`, `ExporterRefused`.
        """
        client = self.client
        if self.broker is not None and client.token is not None and client.broker_token is None:
            raise BrokerTokenMissing(_ONE_WITNESS)
        # The broker first: it is the slow one, and the two should be of about the same time.
        broker = self._snapshot("broker", self.broker)
        client.flush(_FLUSH_SECONDS)
        local = self._snapshot("local", self.position_store)
        if client.broker_token is None:
            self._post([event for event in (local, broker) if event is not None])
        else:
            self._post([local] if local is not None else [])
            self._post([broker] if broker is not None else [], broker=True)
        answer = client.get("/api/v1/drift", account=client.account, state="open")
        return [Drift.of(drift) for drift in answer]

    def auto_reconcile(self, drift: Drift) -> bool:
        """Adopts the broker's quantity in what the exporter takes local to hold.

        True when it is done. Only minor drift may be adopted like this: for larger ones a person
        decides, and the answer is False.
        """
        if drift.severity is not DriftSeverity.MINOR:
            return False
        body = {
            "account": drift.account,
            "symbol": drift.symbol,
            "adopt": "broker",
            "actor": "engine",
            "reason": "auto-reconciliation of minor drift by the engine",
        }
        try:
            self.client.post("/api/v1/drift/reconcile", body)
        except ExporterRefused as error:
            log.warning("%s was not reconciled: %s", drift.symbol, error)
            return False
        return True

    def start(self) -> None:
        """Checks in the background, at once and every `check_interval_seconds`."""
        if self._thread is None or not self._thread.is_alive():
            self._stop = threading.Event()
            self._thread = threading.Thread(
                target=self._loop, args=(self._stop,), name="trading-exporter-drift", daemon=True
            )
            self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Ends the background checks; waits for one that is under way."""
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
                raise TypeError("get_positions() is asynchronous: wrap it in a function that waits")
            fields = snapshot(side, rows(positions))
        except Exception as error:
            log.warning("%s positions are not known: %s: %s", side, type(error).__name__, error)
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


_ONE_WITNESS = (
    "where tokens are configured, broker positions need a second one with the scope"
    " ingest:broker: pass Client(..., token=..., broker_token=...)"
)
