"""NautilusTrader's own engine, with our actor, against the real exporter."""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from typing import Any, Callable

import pytest
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.config import LoggingConfig, RiskEngineConfig, StrategyConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import (
    AccountType,
    OmsType,
    OrderSide,
    OrderStatus,
    TimeInForce,
    TradingState,
)
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

from harness import SOON, Exporter, until
from trading_exporter import Client, TradingGate
from trading_exporter.engines.nautilus import ExporterActor, ExporterActorConfig, obey

START_NS = 1_709_562_600_000_000_000
TICKS = 1500


class ChaosConfig(StrategyConfig, frozen=True):
    seed: int = 7


class Chaos(Strategy):
    """All kinds of orders, cancels, changes, and rejections by the engine and the venue."""

    def __init__(self, instruments: list[Any]) -> None:
        super().__init__(ChaosConfig())
        self.instruments = {i.id: i for i in instruments}
        self.random = random.Random(7)

    def on_start(self) -> None:
        for instrument in self.instruments:
            self.subscribe_quote_ticks(instrument)

    def on_quote_tick(self, tick: Any) -> None:
        instrument = self.instruments[tick.instrument_id]
        for order in self.cache.orders_open(instrument_id=instrument.id):
            if self.random.random() < 0.15:
                self.cancel_order(order)
            elif order.has_price and self.random.random() < 0.1:
                self.modify_order(order, quantity=instrument.make_qty(order.quantity + 10))
        if self.random.random() < 0.6:
            self.submit_order(self.make(instrument, tick))

    def make(self, instrument: Any, tick: Any) -> Any:
        side = self.random.choice([OrderSide.BUY, OrderSide.SELL])
        quantity = instrument.make_qty(self.random.choice([10, 30, 80]))
        kind = self.random.choice(["market", "limit", "cross", "post", "ioc", "denied", "gtd"])
        common: dict[str, Any] = {
            "instrument_id": instrument.id,
            "order_side": side,
            "quantity": quantity,
        }
        if kind == "market":
            return self.order_factory.market(**common)
        near = tick.ask_price if side == OrderSide.BUY else tick.bid_price
        away = Decimal("0.03") * (1 if side == OrderSide.SELL else -1)
        passive = instrument.make_price(near.as_decimal() + away)
        if kind == "cross":
            return self.order_factory.limit(price=near, **common)
        if kind == "post":
            return self.order_factory.limit(price=near, post_only=True, **common)
        if kind == "ioc":
            return self.order_factory.limit(price=near, time_in_force=TimeInForce.IOC, **common)
        if kind == "denied":
            # It has more decimals than the instrument, so nautilus' own risk engine denies it.
            return self.order_factory.limit(price=Price(near.as_double(), 6), **common)
        if kind == "gtd":
            expires = self.clock.utc_now() + self.clock_step()
            return self.order_factory.limit(
                price=passive, time_in_force=TimeInForce.GTD, expire_time=expires, **common
            )
        return self.order_factory.limit(price=passive, **common)

    @staticmethod
    def clock_step() -> Any:
        from datetime import timedelta

        return timedelta(seconds=3)


def ticks(instrument: Any, seed: int) -> list[Any]:
    walk = random.Random(seed)
    mid, out = 10_000, []
    for n in range(TICKS):
        mid += walk.choice([-2, -1, 0, 1, 2])
        at = START_NS + n * 1_000_000_000 + seed
        out.append(
            QuoteTick(
                instrument.id,
                instrument.make_price(mid / 100 - 0.01),
                instrument.make_price(mid / 100 + 0.01),
                Quantity.from_int(walk.choice([20, 50, 100])),
                Quantity.from_int(walk.choice([20, 50, 100])),
                at,
                at,
            )
        )
    return out


@pytest.fixture
def engine() -> Any:
    made = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True),
            risk_engine=RiskEngineConfig(max_order_submit_rate="1000000/00:00:01"),
        )
    )
    made.add_venue(
        venue=Venue("XNAS"),
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        base_currency=USD,
        starting_balances=[Money(100_000_000, USD)],
    )
    instruments = [TestInstrumentProvider.equity(s, "XNAS") for s in ("AAPL", "BRK.B")]
    for seed, instrument in enumerate(instruments):
        made.add_instrument(instrument)
        made.add_data(ticks(instrument, seed))
    yield made, instruments
    made.dispose()


def test_the_exporters_counters_equal_the_engines(
    engine: Any, shared: Exporter, make: Callable[..., Client], account: str
) -> None:
    backtest, instruments = engine
    client = make(shared.url, queue_events_max=1_000_000)
    backtest.add_actor(ExporterActor(ExporterActorConfig(permit=False), client=client))
    backtest.add_strategy(Chaos(instruments))
    backtest.run()
    assert client.flush(SOON)

    orders = backtest.cache.orders()
    status = Counter(order.status for order in orders)
    events = Counter(type(event).__name__ for order in orders for event in order.events)
    fills = backtest.trader.generate_fills_report()
    counters = shared.counters(account)
    own = {
        "submitted": events["OrderSubmitted"],
        "accepted": events["OrderAccepted"],
        "filled": status[OrderStatus.FILLED],
        "cancelled": status[OrderStatus.CANCELED],
        "expired": status[OrderStatus.EXPIRED],
        "rejected": status[OrderStatus.REJECTED],
        "denied": status[OrderStatus.DENIED],
        "open": sum(1 for o in orders if o.is_open or o.is_inflight),
        "fills": len(fills),
    }
    assert all(own[k] > 0 for k in ("filled", "cancelled", "expired", "rejected", "denied")), own
    assert {name: counters[name] for name in own} == own
    assert client.stats().rejected == client.stats().dropped == 0

    fees = sum((Decimal(c.split()[0]) for c in fills["commission"]), Decimal(0))
    money = counters["money"]["USD"]
    assert Decimal(money["fees"]) - Decimal(money["rebates"]) == fees
    for instrument in instruments:
        of_symbol = shared.get(f"/api/v1/execution?account={account}&symbol={instrument.id}")
        mine = [o for o in orders if o.instrument_id == instrument.id]
        filled = sum((o.filled_qty.as_decimal() for o in mine), Decimal(0))
        assert Decimal(of_symbol["counters"]["filled_quantity"]) == filled
        net = sum(
            (
                p.signed_decimal_qty()
                for p in backtest.cache.positions_open(instrument_id=instrument.id)
            ),
            Decimal(0),
        )
        assert Decimal(of_symbol["ledger"]) == net
        (row,) = [
            r
            for r in shared.get(f"/api/v1/positions?account={account}")
            if r["symbol"] == str(instrument.id)
        ]
        assert Decimal(row["local_quantity"] or 0) == net
    by_reason = counters["rejections_by_reason"]
    assert by_reason["post_only"] == counters["rejected"]


def test_a_halt_reaches_the_risk_engine(
    engine: Any, shared: Exporter, make: Callable[..., Client], account: str
) -> None:
    backtest, instruments = engine
    risk = backtest.kernel.risk_engine
    with TradingGate(client=make(shared.url)) as gate:
        obey(gate, risk)
        until(gate.allowed)
        until(lambda: risk.trading_state == TradingState.ACTIVE)
        body = {"account": account, "state": "halted", "reason": "a drill", "actor": "anna"}
        shared.post("/api/v1/halts", body)
        until(lambda: risk.trading_state == TradingState.HALTED)
        client = make(shared.url)
        backtest.add_actor(ExporterActor(ExporterActorConfig(permit=False), client=client))
        backtest.add_strategy(Chaos(instruments))
        backtest.run()
        assert client.flush(SOON)
    orders = backtest.cache.orders()
    assert len(orders) > 100
    assert {o.status for o in orders} == {OrderStatus.DENIED}
    assert shared.counters(account)["denied"] == len(orders)
