"""LEAN (QuantConnect), in Python: a base for algorithms that reports orders and keeps a permit.

    class MyAlgorithm(ExporterAlgorithm):
        def initialize(self) -> None:
            self.start_exporter("http://127.0.0.1:10471", account="lean")
            ...

A Python class can have only one .NET base class, so this is a base class and not a mix-in for
`QCAlgorithm`. An algorithm that cannot change its base class uses :class:`LeanReporter`.

Input: LEAN's order events and holdings. Output: events. Invariant: no exception from here reaches
the algorithm. It is checked against LEAN's published type stubs and tested with objects of the same
shape. LEAN itself is a .NET program, which the checks of this repository do not run.
"""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from typing import Any, Optional

from AlgorithmImports import OrderDirection, OrderEvent, OrderStatus, QCAlgorithm

from ..client import DEFAULT_URL, Client
from ..execution import ExecutionMonitor
from ..gate import TradingGate

log = logging.getLogger("trading_exporter")


class LeanReporter:
    """Reports the orders and holdings of one algorithm."""

    def __init__(self, algorithm: QCAlgorithm, client: Client) -> None:
        self.algorithm = algorithm
        self.client = client
        self.monitor = ExecutionMonitor(client=client)
        self.gate = TradingGate(client=client)

    def on_order_event(self, event: OrderEvent) -> None:
        """Call it with every order event of the algorithm."""
        try:
            self._report(event)
            self.report_positions()
        except Exception:
            log.exception("an order event was not reported")

    def report_positions(self) -> None:
        """Reports the positions of the algorithm."""
        rows = [
            {
                "symbol": str(holding.symbol.value),
                "quantity": holding.quantity,
                "average_price": holding.average_price,
                "market_price": holding.price or None,
            }
            for holding in self.algorithm.portfolio.values()
            if holding.invested
        ]
        from ..positions import rows as checked

        fields = {"source": "local", "positions": checked(rows)}
        self.client.send("positions", fields, key=("positions", "local"))

    def close(self) -> None:
        """Delivers waiting events, and ends."""
        self.gate.close()
        self.client.close()

    def _report(self, event: OrderEvent) -> None:
        order_id = str(event.order_id)
        common: dict[str, Any] = {
            "time_ns": _ns(event.utc_time),
            "event_id": f"{self.client.account}:{event.order_id}:{event.id}",
            "symbol": str(event.symbol.value),
            "side": "sell" if event.direction == OrderDirection.SELL else "buy",
        }
        status = event.status
        if status == OrderStatus.SUBMITTED:
            self._submitted(event, order_id, common)
        elif status in (OrderStatus.FILLED, OrderStatus.PARTIALLY_FILLED):
            fee = event.order_fee.value
            self.monitor.record_fill(
                order_id,
                event.fill_price,
                abs(event.fill_quantity),
                fill_id=str(event.id),
                fee=fee.amount,
                fee_currency=str(fee.currency),
                **common,
            )
        elif status == OrderStatus.CANCELED:
            self.monitor.record_cancellation(order_id, event.message or None, **common)
        elif status == OrderStatus.INVALID:
            self.monitor.record_rejection(order_id, event.message or None, **common)
        elif status == OrderStatus.UPDATE_SUBMITTED:
            self.monitor.record_replacement(
                order_id, abs(event.quantity), event.limit_price, **common
            )

    def _submitted(self, event: OrderEvent, order_id: str, common: dict[str, Any]) -> None:
        self.monitor.record_submission(
            order_id,
            common.pop("symbol"),
            common.pop("side"),
            abs(event.quantity),
            self.expected_price(event),
            limit_price=event.limit_price,
            **common,
        )

    def expected_price(self, event: OrderEvent) -> Optional[float]:
        """The expected price of an order when it was sent: the last price of its security."""
        price = self.algorithm.securities[event.symbol].price
        return price if price > 0 else None


class ExporterAlgorithm(QCAlgorithm):
    """A `QCAlgorithm` that reports. Without :meth:`start_exporter` it adds nothing."""

    exporter: Optional[LeanReporter] = None

    def start_exporter(
        self,
        url: str = DEFAULT_URL,
        token: Optional[str] = None,
        account: str = "lean",
        ca_file: Optional[str] = None,
    ) -> None:
        """Starts reporting. Call it in `initialize`. A backtest reports nothing."""
        if self.live_mode:
            client = Client(url, token=token, account=account, ca_file=ca_file)
            self.exporter = LeanReporter(self, client)

    def trading_allowed(self, *, reduces: bool = False) -> bool:
        """Whether an order may be sent now. Always True in a backtest."""
        return self.exporter is None or self.exporter.gate.allowed(reduces=reduces)

    def on_order_event(self, order_event: OrderEvent) -> None:
        """Reports the event. If you override it, call `super().on_order_event(order_event)`."""
        if self.exporter is not None:
            self.exporter.on_order_event(order_event)

    def on_end_of_algorithm(self) -> None:
        """Delivers waiting events."""
        if self.exporter is not None:
            self.exporter.close()


def _ns(when: datetime) -> int:
    aware = when if when.tzinfo is not None else when.replace(tzinfo=timezone.utc)
    return int(aware.timestamp() * 1_000_000) * 1000
