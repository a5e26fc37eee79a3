"""Execution quality: reports orders, and reads figures and anomalies.

Input: an engine's calls on its order path. Output: figures and anomalies on request. Invariants:
`record_*` never block and never raise; figures are computed by the exporter, so that the engine,
the dashboard and the alert use the same numbers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from .client import AnyClient, client_of
from .errors import ExporterRefused

_NOTHING_KNOWN = ("unknown_account", "unknown_symbol", "unknown_strategy")

_FIGURES = {
    "fill_ratio": ("fill ratio", "below"),
    "slippage_bps": ("mean slippage in basis points", "above"),
    "fill_time_seconds": ("mean fill time in seconds", "above"),
    "rejection_ratio": ("rejection ratio", "above"),
    "consecutive_rejections": ("rejections in a row", "at or above"),
    "unacknowledged": ("unacknowledged orders", "above"),
}


@dataclass(frozen=True)
class ExecutionMetrics:
    """Figures of the last ended orders. A figure without a sample is None, never 0.

    Slippage is in basis points; positive is worse.
    """

    samples: int
    fill_ratio: Optional[float]
    touch_ratio: Optional[float]
    quantity_fill_ratio: Optional[float]
    rejection_ratio: Optional[float]
    slippage_bps: Optional[float]
    slippage_weighted_bps: Optional[float]
    slippage_samples: int
    average_fill_time_seconds: Optional[float]
    fill_time_samples: int
    #: Counts since the exporter began: submitted, accepted, filled, rejected, fills ...
    counters: Mapping[str, Any]
    #: The window from the exporter's answer, with all figures.
    window: Mapping[str, Any]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> ExecutionMetrics:
        """The figures from an answer of `/api/v1/execution`."""
        window: Mapping[str, Any] = answer.get("window") or {}
        return cls(
            samples=int(window.get("samples") or 0),
            fill_ratio=window.get("fill_ratio"),
            touch_ratio=window.get("touch_ratio"),
            quantity_fill_ratio=window.get("quantity_fill_ratio"),
            rejection_ratio=window.get("rejection_ratio"),
            slippage_bps=window.get("slippage_bps"),
            slippage_weighted_bps=window.get("slippage_weighted_bps"),
            slippage_samples=int(window.get("slippage_samples") or 0),
            average_fill_time_seconds=window.get("fill_time_seconds_mean"),
            fill_time_samples=int(window.get("fill_time_samples") or 0),
            counters=answer.get("counters") or {},
            window=window,
        )


class ExecutionMonitor:
    """Reports orders, and reads figures.

    `max_history` is the number of orders kept here, so that a fill has the symbol and side of its
    order even if the submission never arrived. `client` is by default one of the local exporter.

    Numbers may be Decimal, int, str or float. An expected price of None or NaN means "none".
    An order by amount has a `quantity` of None and a `notional`. To add a fee that is known after
    its fill, report the fill again with the same `fill_id` and the fee.
    Pass other fields of the API as keywords: `fill_id`, `fee`, `limit_price`, `strategy` ...
    `time_ns` is the time of the event in Unix nanoseconds, by default now.
    """

    def __init__(self, max_history: int = 1000, *, client: Optional[AnyClient] = None) -> None:
        from .client import Client

        self.client = client_of(client) if client is not None else Client()
        self._max_history = max(0, max_history)
        self._orders: OrderedDict[Any, tuple[Any, Any]] = OrderedDict()

    # The order path

    def record_submission(
        self,
        order_id: Any,
        symbol: Any,
        side: Any,
        quantity: Any,
        expected_price: Any = None,
        *,
        time_ns: Optional[int] = None,
        event_id: Optional[str] = None,
        **fields: Any,
    ) -> bool:
        """Reports that an order was sent to its venue."""
        fields["order_id"] = order_id
        fields["symbol"] = symbol
        fields["side"] = side
        fields["quantity"] = quantity
        fields["expected_price"] = expected_price
        self._remember(order_id, symbol, side)
        return self.client.send("order_submitted", fields, time_ns=time_ns, event_id=event_id)

    def record_fill(
        self,
        order_id: Any,
        fill_price: Any,
        quantity: Any = None,
        *,
        time_ns: Optional[int] = None,
        event_id: Optional[str] = None,
        **fields: Any,
    ) -> bool:
        """Reports a fill of `quantity`, or of all that is left if it is not given."""
        fields["price"] = fill_price
        fields["quantity"] = quantity
        return self._about("order_filled", order_id, fields, time_ns, event_id)

    def record_acceptance(
        self,
        order_id: Any,
        *,
        time_ns: Optional[int] = None,
        event_id: Optional[str] = None,
        **fields: Any,
    ) -> bool:
        """Reports that the venue accepted an order."""
        return self._about("order_accepted", order_id, fields, time_ns, event_id)

    def record_rejection(
        self,
        order_id: Any,
        reason: Optional[str] = None,
        code: Optional[str] = None,
        *,
        time_ns: Optional[int] = None,
        event_id: Optional[str] = None,
        **fields: Any,
    ) -> bool:
        """Reports that the venue or the broker rejected an order."""
        fields["reason"] = reason
        fields["code"] = code
        return self._about("order_rejected", order_id, fields, time_ns, event_id)

    def record_denial(
        self,
        order_id: Any,
        reason: Optional[str] = None,
        *,
        time_ns: Optional[int] = None,
        event_id: Optional[str] = None,
        **fields: Any,
    ) -> bool:
        """Reports that the engine's own checks denied an order: it was never sent."""
        fields["reason"] = reason
        return self._about("order_denied", order_id, fields, time_ns, event_id)

    def record_cancellation(
        self,
        order_id: Any,
        reason: Optional[str] = None,
        initiator: Optional[str] = None,
        *,
        time_ns: Optional[int] = None,
        event_id: Optional[str] = None,
        **fields: Any,
    ) -> bool:
        """Reports that an order was cancelled. `initiator` is `user` or `venue`."""
        fields["reason"] = reason
        fields["initiator"] = initiator
        return self._about("order_cancelled", order_id, fields, time_ns, event_id)

    def record_expiry(
        self,
        order_id: Any,
        *,
        time_ns: Optional[int] = None,
        event_id: Optional[str] = None,
        **fields: Any,
    ) -> bool:
        """Reports that an order expired."""
        return self._about("order_expired", order_id, fields, time_ns, event_id)

    def record_replacement(
        self,
        order_id: Any,
        quantity: Any = None,
        limit_price: Any = None,
        new_order_id: Any = None,
        *,
        time_ns: Optional[int] = None,
        event_id: Optional[str] = None,
        **fields: Any,
    ) -> bool:
        """Reports that the venue accepted a change of an order."""
        fields["quantity"] = quantity
        fields["limit_price"] = limit_price
        fields["new_order_id"] = new_order_id
        return self._about("order_replaced", order_id, fields, time_ns, event_id)

    def _remember(self, order_id: Any, symbol: Any, side: Any) -> None:
        try:
            self._orders[order_id] = (symbol, side)
            if len(self._orders) > self._max_history:
                self._orders.popitem(last=False)
        except (KeyError, TypeError):
            # Another thread was faster, or the id is not hashable. The history is optional.
            pass

    def _about(
        self,
        kind: str,
        order_id: Any,
        fields: dict[str, Any],
        time_ns: Optional[int],
        event_id: Optional[str],
    ) -> bool:
        fields["order_id"] = order_id
        try:
            known = self._orders.get(order_id)
        except TypeError:
            known = None
        if known is not None:
            fields.setdefault("symbol", known[0])
            fields.setdefault("side", known[1])
        return self.client.send(kind, fields, time_ns=time_ns, event_id=event_id)

    # Outside the order path

    def get_metrics(
        self, symbol: Optional[str] = None, *, strategy: Optional[str] = None
    ) -> ExecutionMetrics:
        """The figures of a symbol, a strategy, or the whole account.

        They have no samples if the exporter received nothing. Raises `ExporterUnavailable`.
        """
        try:
            answer = self.client.get(
                "/api/v1/execution", account=self.client.account, symbol=symbol, strategy=strategy
            )
        except ExporterRefused as error:
            if error.code not in _NOTHING_KNOWN:
                raise
            answer = {}
        return ExecutionMetrics.of(answer)

    def detect_anomalies(self) -> list[tuple[str, str]]:
        """The active anomalies, as (`"WARNING"` or `"CRITICAL"`, a sentence).

        Raises `ExporterUnavailable`.
        """
        anomalies = self.client.rows("/api/v1/anomalies")
        return [(str(a["severity"]).upper(), _sentence(a)) for a in anomalies]


def _sentence(anomaly: Mapping[str, Any]) -> str:
    figure = str(anomaly["figure"])
    name, relation = _FIGURES.get(figure, (figure.replace("_", " "), "beyond"))
    where = anomaly["symbol"] or f"account {anomaly['account']}"
    value, threshold = float(anomaly["value"]), float(anomaly["threshold"])
    return f"{where}: {name} {value:.6g}, {relation} {threshold:.6g} ({anomaly['samples']} samples)"
