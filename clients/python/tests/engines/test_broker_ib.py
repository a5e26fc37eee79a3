"""The witness of Interactive Brokers, with objects of ib_async, because there is no TWS here."""

from __future__ import annotations

from typing import Any

import ib_async
import pytest
from ib_async import Contract, Forex, Future, Option, Position, Stock

from trading_exporter.broker import ib
from trading_exporter.broker.listing import NotUnderstoodError, net

STOCK: Contract = Stock("BRK B", "SMART", "USD", conId=1, localSymbol="BRK B")
FUTURE: Contract = Future("ES", "202612", "CME", conId=2, localSymbol="ESZ6", multiplier="50")
OPTION: Contract = Option(
    "AAPL", "20261218", 200.0, "C", conId=3, localSymbol="AAPL  261218C00200000", multiplier="100"
)
FOREX: Contract = Forex("EURUSD", conId=4)
NAMELESS = Contract(secType="BOND", symbol="US-T", conId=5)


def test_positions_of_ib_async() -> None:
    answer = [
        Position("DU1", STOCK, -9.0, 186.629221),
        Position("DU1", FUTURE, 2.0, 300_012.5),
        Position("DU1", OPTION, -3.0, 512.345),
        Position("DU1", FOREX, 25_000.0, 1.08215),
        Position("DU1", NAMELESS, 1.0, ib_async.util.UNSET_DOUBLE),
        Position("DU1", Stock("GONE", "SMART", "USD", conId=6), 0.0, 0.0),
        Position("DU2", STOCK, 7.0, 1.0),
    ]
    assert net(ib.positions(answer, "DU1")) == [
        {"symbol": "AAPL  261218C00200000", "quantity": "-3.0", "average_price": "5.12345"},
        {"symbol": "BRK B", "quantity": "-9.0", "average_price": "186.629221"},
        {"symbol": "ESZ6", "quantity": "2.0", "average_price": "6000.25"},
        {"symbol": "EUR.USD", "quantity": "25000.0", "average_price": "1.08215"},
        {"symbol": "US-T#5", "quantity": "1.0"},
    ]
    no_multiplier = Future("ES", "202612", "CME", conId=2, localSymbol="ESZ6")
    assert net(ib.positions([Position("DU1", no_multiplier, 2.0, 300_012.5)], "DU1")) == [
        {"symbol": "ESZ6", "quantity": "2.0"}
    ]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "not a list"),
        ([object()], "no contract"),
        ([Position("DU1", STOCK, float("nan"), 1.0)], "not a number"),
        ([Position("DU1", Contract(secType="BOND"), 1.0, 1.0)], "no local symbol and no id"),
        (
            [
                Position("DU1", Stock("SHOP", "NYSE", "USD", conId=8), 1.0, 1.0),
                Position("DU1", Stock("SHOP", "TSE", "CAD", conId=9), 1.0, 1.0),
            ],
            "SHOP is the name of two contracts, 8 and 9",
        ),
        (
            [Position("DU1", Future("ES", localSymbol="ESZ6", multiplier="x"), 1.0, 1.0)],
            "multiplier",
        ),
    ],
)
def test_nonsense_of_ib_async_fails_the_fetch(answer: Any, why: str) -> None:
    with pytest.raises(NotUnderstoodError, match=why):
        ib.positions(answer, "DU1")


class Tws(ib_async.IB):
    """The library's own client and wrapper, with the messages of a gateway."""

    lost = False

    async def connectAsync(self, *arguments: Any, **named: Any) -> Any:
        assert named["readonly"] is True
        self.wrapper.accounts = ["DU1", "DU2"]
        self.client._apiReady = True
        return self

    async def reqPositionsAsync(self) -> Any:
        self.wrapper.position("DU1", FUTURE, 2.0, 300_012.5)
        self.wrapper.position("DU2", STOCK, 7.0, 1.0)
        if self.lost:
            self.client._apiReady = False


def test_a_gateway_is_asked_for_one_account() -> None:
    class Library:
        IB = Tws
        StartupFetch = ib_async.StartupFetch

    def source(account: str | None) -> ib.IbSource:
        return ib.IbSource(Library, "127.0.0.1", 4001, 71, account, 5.0)

    listing = source("DU1").fetch()
    assert [row["symbol"] for row in listing.rows] == ["ESZ6"]
    assert listing.complete
    with pytest.raises(NotUnderstoodError, match="no account DU3"):
        source("DU3").fetch()
    with pytest.raises(NotUnderstoodError, match="2 accounts"):
        source(None).fetch()
    Tws.lost = True
    with pytest.raises(ConnectionError, match="lost"):
        source("DU1").fetch()
