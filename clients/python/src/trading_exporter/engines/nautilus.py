"""NautilusTrader: an actor that forwards order and position events, and a link to its risk engine.

    actor = ExporterActor(ExporterActorConfig(url="http://127.0.0.1:10471", account="paper"))
    node.trader.add_actor(actor)
    obey(actor.gate, node.kernel.risk_engine, node.get_event_loop().call_soon_threadsafe)

Input: events of the message bus. Output: events of the exporter, with nautilus' own event ids and
times. Invariants: unknown events are ignored; a failure here never reaches the engine. Orders that
the engine generates to reconcile with a venue are sent as synthetic: they change positions and are
not in any quality figure.
"""

from __future__ import annotations

import logging
import os
from decimal import Decimal
from typing import Any, Callable, Optional

from nautilus_trader.common.actor import Actor
from nautilus_trader.common.config import ActorConfig
from nautilus_trader.model.enums import OrderSide, TradingState
from nautilus_trader.model.events import (
    OrderAccepted,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderPendingCancel,
    OrderRejected,
    OrderSubmitted,
    OrderUpdated,
)

from .. import gate as _gate
from ..client import DEFAULT_URL, Client
from ..execution import ExecutionMonitor

log = logging.getLogger("trading_exporter")

_STATES = {
    _gate.TradingState.ACTIVE: TradingState.ACTIVE,
    _gate.TradingState.REDUCING: TradingState.REDUCING,
    _gate.TradingState.HALTED: TradingState.HALTED,
}


class ExporterActorConfig(ActorConfig, frozen=True):
    """The address of the exporter. The token comes from the environment, never from here."""

    url: str = DEFAULT_URL
    account: str = "default"
    #: PEM file of the authority of an https URL. None: those of the system.
    ca_file: Optional[str] = None
    token_variable: str = "TRADING_EXPORTER_TOKEN"  # noqa: S105
    #: Whether to keep a permit, for :func:`obey`.
    permit: bool = True


class ExporterActor(Actor):
    """Forwards events of the message bus.

    Without `client`, one is created from the configuration and closed with the actor.
    """

    def __init__(
        self, config: Optional[ExporterActorConfig] = None, client: Optional[Client] = None
    ) -> None:
        config = config if config is not None else ExporterActorConfig()
        super().__init__(config)
        self._owns_client = client is None
        self.client = client or Client(
            config.url,
            token=os.environ.get(config.token_variable),
            account=config.account,
            ca_file=config.ca_file,
        )
        self.monitor = ExecutionMonitor(client=self.client)
        self.gate = _gate.TradingGate(client=self.client) if config.permit else None
        self._makers: dict[type, Callable[[Any, Any], None]] = {
            OrderSubmitted: self._submitted,
            OrderAccepted: self._accepted,
            OrderFilled: self._filled,
            OrderRejected: self._rejected,
            OrderDenied: self._denied,
            OrderCanceled: self._cancelled,
            OrderExpired: self._expired,
            OrderUpdated: self._updated,
        }

    def expected_price(self, order: Any) -> Optional[Decimal]:
        """The expected price of an order when it was sent: the current mid.

        Override it if the strategy has a better price. None: slippage has no sample.
        """
        quote = self.cache.quote_tick(order.instrument_id)
        if quote is not None:
            total: Decimal = quote.bid_price.as_decimal() + quote.ask_price.as_decimal()
            return total / 2
        trade = self.cache.trade_tick(order.instrument_id)
        return trade.price.as_decimal() if trade is not None else None

    # Lifecycle

    def on_start(self) -> None:
        """Subscribes to all strategies."""
        self.msgbus.subscribe(topic="events.order.*", handler=self._on_order)
        self.msgbus.subscribe(topic="events.position.*", handler=self._on_position)

    def on_stop(self) -> None:
        """Unsubscribes, and delivers waiting events."""
        self.msgbus.unsubscribe(topic="events.order.*", handler=self._on_order)
        self.msgbus.unsubscribe(topic="events.position.*", handler=self._on_position)
        self.client.flush()

    def on_dispose(self) -> None:
        """Closes what it created."""
        if self.gate is not None:
            self.gate.close()
        if self._owns_client:
            self.client.close()

    # Events

    def _on_order(self, event: Any) -> None:
        try:
            make = self._makers.get(type(event))
            if make is not None:
                make(event, self.cache.order(event.client_order_id))
        except Exception:
            log.exception("%s was not forwarded", type(event).__name__)

    def _on_position(self, event: Any) -> None:
        """Handles a change of any position: reports a snapshot of all positions."""
        try:
            rows = [
                {
                    "symbol": str(position.instrument_id),
                    "quantity": str(position.signed_decimal_qty()),
                    "average_price": str(round(Decimal(str(position.avg_px_open)), 18)),
                }
                for position in self.cache.positions_open()
            ]
            self.client.send(
                "positions",
                {"source": "local", "positions": rows},
                time_ns=max(event.ts_event, self.clock.timestamp_ns()),
                key=("positions", "local"),
            )
        except Exception:
            log.exception("positions were not forwarded")

    @staticmethod
    def _common(event: Any, order: Any) -> dict[str, Any]:
        instrument = event.instrument_id
        common: dict[str, Any] = {
            "time_ns": event.ts_event,
            "event_id": str(event.id),
            "strategy": str(event.strategy_id),
            "venue": str(instrument.venue),
        }
        if order is not None:
            common["side"] = "buy" if order.side == OrderSide.BUY else "sell"
            common["symbol"] = str(instrument)
            if order.tags and "RECONCILIATION" in order.tags:
                common["synthetic"] = True
        return common

    def _submitted(self, event: Any, order: Any) -> None:
        if order is None:
            return
        common = self._common(event, order)
        self.monitor.record_submission(
            str(event.client_order_id),
            common.pop("symbol"),
            common.pop("side"),
            str(order.quantity.as_decimal()),
            self.expected_price(order),
            order_type=order.type_string(),
            limit_price=str(order.price.as_decimal()) if order.has_price else None,
            time_in_force=order.tif_string(),
            reduce_only=order.is_reduce_only or None,
            **common,
        )

    def _accepted(self, event: Any, order: Any) -> None:
        self.monitor.record_acceptance(
            str(event.client_order_id),
            venue_order_id=str(event.venue_order_id),
            **self._common(event, order),
        )

    def _filled(self, event: Any, order: Any) -> None:
        common = self._common(event, order)
        common["symbol"] = str(event.instrument_id)
        common["side"] = "buy" if event.order_side == OrderSide.BUY else "sell"
        self.monitor.record_fill(
            str(event.client_order_id),
            str(event.last_px.as_decimal()),
            str(event.last_qty.as_decimal()),
            fill_id=str(event.trade_id),
            fee=str(event.commission.as_decimal()),
            fee_currency=str(event.commission.currency),
            liquidity=_LIQUIDITY.get(event.liquidity_side.name),
            **common,
        )

    def _rejected(self, event: Any, order: Any) -> None:
        code = "post_only" if getattr(event, "due_post_only", False) else None
        self.monitor.record_rejection(
            str(event.client_order_id), event.reason, code, **self._common(event, order)
        )

    def _denied(self, event: Any, order: Any) -> None:
        self.monitor.record_denial(
            str(event.client_order_id), event.reason, **self._common(event, order)
        )

    def _cancelled(self, event: Any, order: Any) -> None:
        asked = order is not None and any(isinstance(e, OrderPendingCancel) for e in order.events)
        self.monitor.record_cancellation(
            str(event.client_order_id),
            initiator="user" if asked else "venue",
            **self._common(event, order),
        )

    def _expired(self, event: Any, order: Any) -> None:
        self.monitor.record_expiry(str(event.client_order_id), **self._common(event, order))

    def _updated(self, event: Any, order: Any) -> None:
        self.monitor.record_replacement(
            str(event.client_order_id),
            str(event.quantity.as_decimal()),
            str(event.price.as_decimal()) if event.price is not None else None,
            **self._common(event, order),
        )


_LIQUIDITY = {"MAKER": "maker", "TAKER": "taker"}


def obey(
    gate: _gate.TradingGate,
    risk_engine: Any,
    call: Callable[..., Any] = lambda function, *arguments: function(*arguments),
) -> None:
    """Passes the gate's state to nautilus' risk engine, which then denies orders itself.

    `call` runs a function in the engine's thread: in a live node,
    `node.get_event_loop().call_soon_threadsafe`. Cancels are always allowed.
    """

    def take(state: _gate.TradingState) -> None:
        wanted = _STATES[state]
        if risk_engine.trading_state != wanted:
            risk_engine.set_trading_state(wanted)

    gate.on_state(lambda state: call(take, state))
