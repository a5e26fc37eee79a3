"""The LEAN base class, with objects shaped like LEAN's. mypy checks it against LEAN's stubs."""

from __future__ import annotations

import sys
import types
from datetime import datetime
from enum import IntEnum
from types import SimpleNamespace
from typing import Any, Callable

import pytest

from harness import SOON, Exporter, until
from trading_exporter import Client


class OrderStatus(IntEnum):
    """The numbers of `QuantConnect.Orders.OrderStatus`."""

    NEW, SUBMITTED, PARTIALLY_FILLED, FILLED = 0, 1, 2, 3
    CANCELED, NONE, INVALID, CANCEL_PENDING, UPDATE_SUBMITTED = 5, 6, 7, 8, 9


class OrderDirection(IntEnum):
    """The numbers of `QuantConnect.Orders.OrderDirection`."""

    BUY, SELL, HOLD = 0, 1, 2


class QCAlgorithm:
    live_mode = True
    portfolio: dict[Any, Any]
    securities: dict[Any, Any]

    def on_order_event(self, order_event: Any) -> None: ...

    def on_end_of_algorithm(self) -> None: ...


@pytest.fixture
def lean(monkeypatch: pytest.MonkeyPatch) -> Any:
    module = types.ModuleType("AlgorithmImports")
    for part in (OrderStatus, OrderDirection, QCAlgorithm):
        setattr(module, part.__name__, part)
    module.OrderEvent = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "AlgorithmImports", module)
    monkeypatch.delitem(sys.modules, "trading_exporter.engines.lean", raising=False)
    import trading_exporter.engines.lean as under_test

    yield under_test
    sys.modules.pop("trading_exporter.engines.lean", None)


SPY = SimpleNamespace(value="SPY")


def an_event(order: int, number: int, status: OrderStatus, **fields: Any) -> SimpleNamespace:
    money = SimpleNamespace(amount=1.0, currency="USD")
    given = {
        "order_id": order,
        "id": number,
        "symbol": SPY,
        "status": status,
        "quantity": -100.0,
        "utc_time": datetime(2026, 3, 2, 14, 30, number),
        "direction": OrderDirection.SELL,
        "fill_price": 0.0,
        "fill_quantity": 0.0,
        "limit_price": None,
        "message": "",
        "order_fee": SimpleNamespace(value=money),
        **fields,
    }
    return SimpleNamespace(**given)


def test_an_algorithm_reports(
    lean: Any, shared: Exporter, make: Callable[..., Client], account: str
) -> None:
    algorithm = lean.ExporterAlgorithm()
    holding = SimpleNamespace(
        symbol=SPY, quantity=-60.0, average_price=400.5, price=400.0, invested=True
    )
    nothing = SimpleNamespace(symbol=SimpleNamespace(value="QQQ"), quantity=0.0, invested=False)
    algorithm.portfolio = {"a": holding, "b": nothing}
    security = SimpleNamespace(price=401.0)
    algorithm.securities = _Any(security)
    algorithm.start_exporter(shared.url, account=account)
    status = OrderStatus
    for event in (
        an_event(1, 1, status.SUBMITTED),
        an_event(1, 2, status.PARTIALLY_FILLED, fill_price=400.5, fill_quantity=-60.0),
        an_event(1, 3, status.CANCELED, message="user"),
        an_event(2, 1, status.SUBMITTED, limit_price=405.0),
        an_event(2, 2, status.UPDATE_SUBMITTED, quantity=-50.0, limit_price=404.0),
        an_event(2, 3, status.FILLED, fill_price=404.0, fill_quantity=-50.0),
        an_event(3, 1, status.INVALID, message="insufficient buying power"),
        an_event(4, 1, status.NONE),
        an_event(4, 2, status.FILLED, symbol=None),
    ):
        algorithm.on_order_event(event)
    until(algorithm.trading_allowed)
    client = algorithm.exporter.client
    assert client.flush(SOON)
    counters = shared.counters(account)
    own = {"submitted": 2, "filled": 1, "cancelled": 1, "rejected": 1, "fills": 2, "open": 0}
    assert {name: counters[name] for name in own} == own
    assert counters["rejections_by_reason"]["insufficient_funds"] == 1
    (row,) = shared.get(f"/api/v1/positions?account={account}")
    assert (row["symbol"], row["local_quantity"], row["ledger_quantity"]) == ("SPY", "-60", "-110")
    assert client.stats().rejected == 0
    algorithm.on_end_of_algorithm()


class _Any(dict[Any, Any]):
    def __init__(self, value: Any) -> None:
        super().__init__()
        self._value = value

    def __getitem__(self, key: Any) -> Any:
        return self._value


def test_a_backtest_reports_nothing(lean: Any) -> None:
    algorithm = lean.ExporterAlgorithm()
    algorithm.live_mode = False
    algorithm.start_exporter()
    assert algorithm.exporter is None
    assert algorithm.trading_allowed()
    algorithm.on_order_event(None)
    algorithm.on_end_of_algorithm()
