"""Freqtrade: a strategy mix-in that reports orders, and blocks entries while trading is halted.

    class MyStrategy(ExporterMixin, IStrategy): ...

The configuration of the bot has the address of the exporter; `FREQTRADE__TRADING_EXPORTER__TOKEN`
in the environment sets the token:

    "trading_exporter": {"url": "http://127.0.0.1:10471", "account": "freqtrade"}

Input: freqtrade's callbacks and its orders in the database. Output: events, local positions.
Invariants: the bot's loop never waits for the exporter, and no exception from here reaches it; an
order is reported with ids derived from the exchange's, so that a restarted bot's repeated reports
do not count twice; a backtest reports nothing. The fills of an order are reported as one, when it
has ended.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Optional

from ..client import DEFAULT_URL, Client
from ..execution import ExecutionMonitor
from ..gate import TradingGate
from ..positions import PositionsError, rows, snapshot

if TYPE_CHECKING:
    from freqtrade.persistence import Order, Trade
    from freqtrade.strategy import IStrategy as _Base
else:
    _Base = object

log = logging.getLogger("trading_exporter")

_RUN_MODES = ("live", "dry_run")
_ENDED_MAX = 10_000


class ExporterMixin(_Base):
    """Put it before `IStrategy` in the bases of a strategy."""

    exporter: Optional[Reporter] = None

    def bot_start(self, **kwargs: Any) -> None:
        """Starts reporting, in a bot that trades live or in dry-run mode."""
        super().bot_start(**kwargs)
        try:
            if str(getattr(self.config["runmode"], "value", "")) in _RUN_MODES:
                self.exporter = Reporter(
                    self.config.get("trading_exporter") or {}, self.get_strategy_name()
                )
        except Exception:
            log.exception("reporting to the exporter could not start")

    def bot_loop_start(self, current_time: datetime, **kwargs: Any) -> None:
        """Reports changes since the last iteration of the loop."""
        super().bot_loop_start(current_time, **kwargs)
        if self.exporter is not None:
            self.exporter.turn()

    def confirm_trade_entry(self, *args: Any, **kwargs: Any) -> bool:
        """Blocks an entry while the permit does not allow it. Exits are never blocked."""
        if self.exporter is not None and not self.exporter.gate.allowed():
            log.warning("an entry is blocked: %s", self.exporter.gate.state.value)
            return False
        return super().confirm_trade_entry(*args, **kwargs)

    def order_filled(
        self, pair: str, trade: Trade, order: Order, current_time: datetime, **kwargs: Any
    ) -> None:
        """Reports the order."""
        super().order_filled(pair, trade, order, current_time, **kwargs)
        if self.exporter is not None:
            self.exporter.safely(self.exporter.report, trade, order)


class Reporter:
    """The mix-in's state of orders."""

    def __init__(self, settings: dict[str, Any], strategy: str) -> None:
        self.client = Client(
            str(settings.get("url") or DEFAULT_URL),
            token=settings.get("token"),
            account=str(settings.get("account") or "freqtrade"),
            ca_file=settings.get("ca_file"),
            strategy=strategy,
        )
        self.monitor = ExecutionMonitor(client=self.client)
        self.gate = TradingGate(client=self.client)
        #: Orders that were submitted and have not ended, by pair and id.
        self._open: dict[tuple[str, str], tuple[str, str]] = {}
        self._ended: OrderedDict[tuple[str, str], None] = OrderedDict()

    def close(self) -> None:
        """Delivers waiting events, and ends."""
        self.gate.close()
        self.client.close()

    def safely(self, function: Any, *arguments: Any) -> None:
        """Calls a function. Logs a failure, and the bot continues."""
        try:
            function(*arguments)
        except Exception:
            log.exception("%s failed", getattr(function, "__name__", "a report"))

    def turn(self) -> None:
        """One iteration of the bot's loop."""
        self.safely(self._orders)
        self.safely(self._positions)

    def _orders(self) -> None:
        from freqtrade.persistence import Order, Trade

        for trade in Trade.get_open_trades():
            for order in trade.orders:
                self.report(trade, order)
        for pair, order_id in list(self._open):
            found = Order.session.query(Order).filter_by(ft_pair=pair, order_id=order_id).first()
            if found is None:
                # Freqtrade forgets an entry that was cancelled without a fill, with its trade.
                self._cancelled(pair, order_id, "the entry was cancelled")
            else:
                self.report(found._trade_live, found)

    def report(self, trade: Trade, order: Order) -> None:
        """Reports changes of one order."""
        key = (order.ft_pair, order.order_id)
        if key in self._ended:
            return
        side = order.side or (trade.exit_side if order.ft_order_side == "stoploss" else None)
        side = side or order.ft_order_side
        common: dict[str, Any] = {
            "symbol": order.ft_pair,
            "side": side,
            "session": order.ft_pair,
            "venue": trade.exchange or None,
        }
        if key not in self._open:
            self._open[key] = (order.ft_pair, side)
            self.monitor.record_submission(
                order.order_id,
                quantity=order.ft_amount,
                expected_price=order.ft_price,
                order_type=order.order_type,
                limit_price=order.ft_price if order.order_type == "limit" else None,
                time_ns=_ns(order.order_date_utc),
                event_id=f"{order.ft_pair}:{order.order_id}:submitted",
                **common,
            )
        if order.ft_is_open or order.status in (None, "open"):
            return
        at = _ns(order.order_filled_utc or order.order_date_utc)
        if order.safe_filled > 0:
            fee, currency = _fee(trade, order)
            suffix = "filled" if fee is None else "filled:fee"
            self.monitor.record_fill(
                order.order_id,
                order.safe_price,
                order.safe_filled,
                fill_id="all",
                fee=fee,
                fee_currency=currency,
                time_ns=at,
                # Freqtrade may learn the fee later: the report of a restarted bot then adds it.
                event_id=f"{order.ft_pair}:{order.order_id}:{suffix}",
                **common,
            )
        self._end(key)
        if order.status == "closed":
            return
        common["time_ns"] = at
        common["event_id"] = f"{order.ft_pair}:{order.order_id}:{order.status}"
        if order.status == "expired":
            self.monitor.record_expiry(order.order_id, **common)
        elif order.status == "rejected":
            self.monitor.record_rejection(order.order_id, order.ft_cancel_reason, **common)
        else:
            self.monitor.record_cancellation(order.order_id, order.ft_cancel_reason, **common)

    def _cancelled(self, pair: str, order_id: str, reason: str) -> None:
        symbol, side = self._open[(pair, order_id)]
        self._end((pair, order_id))
        self.monitor.record_cancellation(
            order_id,
            reason,
            "user",
            event_id=f"{pair}:{order_id}:forgotten",
            symbol=symbol,
            side=side,
            session=pair,
        )

    def _end(self, key: tuple[str, str]) -> None:
        self._open.pop(key, None)
        self._ended[key] = None
        if len(self._ended) > _ENDED_MAX:
            self._ended.popitem(last=False)

    def _positions(self) -> None:
        """The bot's own positions."""
        from freqtrade.persistence import Trade

        held = [
            {
                "symbol": trade.pair,
                "quantity": -trade.amount if trade.is_short else trade.amount,
                "average_price": trade.open_rate,
            }
            for trade in Trade.get_open_trades()
            if trade.amount
        ]
        try:
            fields = snapshot("local", rows(held))
        except PositionsError as error:
            fields = snapshot("local", None, str(error))
        self.client.send("positions", fields, key=("positions", "local"))


def _fee(trade: Trade, order: Order) -> tuple[Optional[float], Optional[str]]:
    """The fee of an order and its currency, as far as freqtrade knows them.

    Freqtrade stores a fee in the base coin with its order, and any other fee with the trade, one
    for each side: if a side has several orders, the fee cannot be assigned to one of them.
    """
    if order.ft_fee_base:
        return order.ft_fee_base, trade.safe_base_currency
    is_entry = order.ft_order_side == trade.entry_side
    side = trade.entry_side if is_entry else trade.exit_side
    alike = [o for o in trade.orders if (o.ft_order_side == side) == is_entry and o.safe_filled]
    fee, currency = (
        (trade.fee_open_cost, trade.fee_open_currency)
        if is_entry
        else (trade.fee_close_cost, trade.fee_close_currency)
    )
    # Without a currency it is freqtrade's estimate.
    return (fee, currency) if currency and len(alike) == 1 else (None, None)


def _ns(when: datetime) -> int:
    aware = when if when.tzinfo is not None else when.replace(tzinfo=timezone.utc)
    return int(aware.timestamp() * 1_000_000) * 1000
