"""Positions and balances as brokers' libraries give them, and the rows that they become."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from trading_exporter.broker import alpaca, ccxt, ib
from trading_exporter.broker.listing import Leg, NotUnderstoodError, net

LINEAR = {"contractSize": 0.001, "linear": True, "inverse": False}
MARKETS: dict[str, dict[str, Any]] = {
    "BTC/USDT:USDT": LINEAR,
    "ETH/USDT:USDT": {**LINEAR, "contractSize": "1"},
    "DOGE/USDT:USDT": {**LINEAR, "contractSize": 1000.0},
    "BTC/USD:BTC": {"contractSize": 100.0, "linear": False, "inverse": True},
    "ETH/USD:BTC": {"contractSize": 1e-06, "linear": False, "inverse": False, "quanto": True},
    "BTC/USD:BTC-C": {"contractSize": 1.0, "linear": False, "inverse": True, "option": True},
    "NIL/USDT:USDT": {**LINEAR, "contractSize": None},
    "ZERO/USDT:USDT": {**LINEAR, "contractSize": 0},
}


def position(symbol: Any = "BTC/USDT:USDT", contracts: Any = 30, **fields: Any) -> dict[str, Any]:
    common = {"side": "long", "entryPrice": 64000.1, "markPrice": None, "marginMode": "cross"}
    return {"symbol": symbol, "contracts": contracts, "id": None, **common, **fields}


def row(symbol: str, quantity: str, average: Any = None, market: Any = None) -> dict[str, str]:
    prices = {"average_price": average, "market_price": market}
    given = {name: value for name, value in prices.items() if value is not None}
    return {"symbol": symbol, "quantity": quantity, **given}


BTC, INVERSE = "BTC/USDT:USDT", "BTC/USD:BTC"


@pytest.mark.parametrize(
    ("answer", "expect"),
    [
        ([], []),
        # Contracts of 0.001: the float product 30 * 0.001 is 0.03, and 3 * 0.001 is not 0.003.
        ([position()], [row(BTC, "0.030", "64000.1")]),
        ([position(contracts=3)], [row(BTC, "0.003", "64000.1")]),
        ([position(contracts="3.00")], [row(BTC, "0.00300", "64000.1")]),
        ([position(contracts=Decimal("3"))], [row(BTC, "0.003", "64000.1")]),
        ([position(contracts=0.1 + 0.2)], [row(BTC, "0.0003", "64000.1")]),
        ([position(contracts=30, side="short")], [row(BTC, "-0.030", "64000.1")]),
        ([position(contracts=-30, side="short")], [row(BTC, "-0.030", "64000.1")]),
        ([position(contracts=30, side="Short")], [row(BTC, "-0.030", "64000.1")]),
        # Dust is a position; rows of size 0 are none, whatever else they have.
        (
            [position("ETH/USDT:USDT", 1e-08, entryPrice=1e-07)],
            [row("ETH/USDT:USDT", "0.00000001", "0.0000001")],
        ),
        ([position(contracts=0.0), position("GONE", "0.000", side=None)], []),
        # Below the precision of the exporter it is flat.
        ([position("ETH/USDT:USDT", "1e-19")], []),
        ([position("DOGE/USDT:USDT", 12345)], [row("DOGE/USDT:USDT", "12345000.0", "64000.1")]),
        # 0 is no price, and so is NaN.
        ([position(entryPrice=0, markPrice="0.0")], [row(BTC, "0.030")]),
        (
            [position(entryPrice=float("nan"), markPrice=64010.5)],
            [row(BTC, "0.030", None, "64010.5")],
        ),
        # Hedge mode: long and short are added, and have no average.
        (
            [
                position(contracts=50, markPrice=7),
                position(contracts=20, side="short", markPrice=7),
            ],
            [row(BTC, "0.030", None, "7")],
        ),
        ([position(contracts=20), position(contracts=20, side="short")], []),
        # Two margin modes: prices are averaged by quantity.
        (
            [
                position(contracts=10, entryPrice=100),
                position(contracts=30, entryPrice=200, marginMode="isolated"),
            ],
            [row(BTC, "0.040", "175")],
        ),
        # Inverse: contracts, each of 100 USD, whatever the price of a coin is.
        (
            [position(INVERSE, 12, side="short", markPrice=64010.5)],
            [row(INVERSE, "-12", None, "100.0")],
        ),
        # An inverse option counts coins, and its prices are coins too.
        ([position("BTC/USD:BTC-C", 2.5, markPrice=0.05)], [row("BTC/USD:BTC-C", "2.50")]),
    ],
)
def test_positions_of_ccxt(answer: Any, expect: list[dict[str, str]]) -> None:
    found = net(ccxt.positions(answer, MARKETS))
    assert [{**r, "quantity": Decimal(r["quantity"])} for r in found] == [
        {**r, "quantity": Decimal(r["quantity"])} for r in expect
    ]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "NoneType"),
        ({}, "dict"),
        ("[]", "str"),
        ([None], "NoneType"),
        ([position(contracts=None)], "contracts is None"),
        ([position(contracts=float("nan"))], "'nan', not a number"),
        ([position(contracts="many")], "'many', not a number"),
        ([position(contracts=True)], "contracts is True"),
        ([position(contracts=float("inf"))], "'inf', not a number"),
        ([position(side=None)], "the side is 'none'"),
        ([position(side="both")], "the side is 'both'"),
        ([position(contracts=-30)], "-30 contracts, and the side is 'long'"),
        ([position("NEW/USDT:USDT")], "'NEW/USDT:USDT' is not in the markets"),
        ([position(None)], "'' is not in the markets"),
        ([position("NIL/USDT:USDT")], "contractSize of the market is None"),
        ([position("ZERO/USDT:USDT")], "contractSize of the market is 0"),
        ([position("ETH/USD:BTC")], "neither linear nor inverse"),
        ([position(), position()], "the same position is there twice"),
        ([position(id="7"), position(contracts=31, id="7")], "the same position is there twice"),
        # One row that is not understood fails the whole list.
        ([position(), position("ETH/USDT:USDT", None)], "contracts is None"),
    ],
)
def test_nonsense_of_ccxt_fails_the_fetch(answer: Any, why: str) -> None:
    with pytest.raises(NotUnderstoodError, match=why):
        ccxt.positions(answer, MARKETS)


def test_contracts_stay_contracts_if_wanted() -> None:
    answer = [position(contracts=30), position("ETH/USD:BTC", 4), position(INVERSE, 12)]
    found = net(ccxt.positions(answer, MARKETS, ccxt.Unit.CONTRACTS))
    assert [(r["symbol"], r["quantity"]) for r in found] == [
        (INVERSE, "12"),
        (BTC, "30"),
        ("ETH/USD:BTC", "4"),
    ]


@pytest.mark.parametrize(
    ("totals", "expect"),
    [
        ({}, {}),
        ({"USDT": 1000.5}, {}),
        (
            {"BTC": 0.1 + 0.2, "ETH": "0.10"},
            {"BTC/USDT": "0.30000000000000004", "ETH/USDT": "0.10"},
        ),
        ({"BTC": 0, "ETH": 0.0, "XRP": "0.000"}, {}),
        ({"BTC": 1e-08}, {"BTC/USDT": "0.00000001"}),
        ({"BTC": -0.5}, {"BTC/USDT": "-0.5"}),
        ({"SHIB": 123456789012.5}, {"SHIB/USDT": "123456789012.5"}),
        # Without a total it is the sum of free and used.
        ({"SOL": None}, {"SOL/USDT": "0.3"}),
    ],
)
def test_balances_of_ccxt(totals: dict[str, Any], expect: dict[str, str]) -> None:
    answer = {"total": totals, "free": {"SOL": 0.1}, "used": {"SOL": 0.2}, "info": {}}
    found = net(ccxt.balances(answer, "USDT"))
    assert {r["symbol"]: r["quantity"] for r in found} == expect


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"total": []},
        {"total": {"BTC": None}},
        {"total": {"BTC": None}, "free": {"BTC": 1}, "used": {"BTC": None}},
        {"total": {"BTC": float("nan")}},
        {"total": {"BTC": "some"}},
    ],
)
def test_balances_without_totals_fail_the_fetch(answer: Any) -> None:
    with pytest.raises(NotUnderstoodError):
        ccxt.balances(answer, "USDT")


class Venue:
    """A library's exchange whose answers are set by a test."""

    def __init__(self, answer: Any = (), text: str = "[]") -> None:
        self.markets: dict[str, Any] = {}
        self.currencies = {"BTC": 1, "USDT": 2}
        self.answer, self.last_http_response = list(answer), text
        self.loads = 0
        self.params: list[Any] = []

    def load_markets(self, reload: bool = False) -> None:
        self.loads += 1
        # A market is listed later.
        new = {"NEW/USDT:USDT": LINEAR} if self.loads > 1 else {}
        self.markets = {**MARKETS, **new}

    def fetch_positions(self, symbols: Any, params: dict[str, Any]) -> Any:
        self.params.append(params)
        return self.answer.pop(0) if len(self.answer) > 1 else self.answer[0]

    def fetch_balance(self) -> Any:
        return {"total": {"BTC": 2, "USDT": 5}}


def test_a_new_market_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    venue = Venue([[position()], [position("NEW/USDT:USDT", 5)]])
    source = ccxt.CcxtSource(venue, ccxt.Wanted())
    assert source.fetch().rows[0]["symbol"] == BTC
    with pytest.raises(ccxt.UnknownMarketError):
        source.fetch()
    assert venue.loads == 1, "the markets were just loaded"
    monkeypatch.setattr(ccxt, "_RELOAD_SECONDS", 0.0)
    assert source.fetch().rows == [row("NEW/USDT:USDT", "0.005", "64000.1")]
    assert venue.loads == 2


@pytest.mark.parametrize("text", ["{}", "null", "", "<html>busy</html>", " {} "])
def test_an_empty_list_out_of_nonsense_is_not_flat(text: str) -> None:
    source = ccxt.CcxtSource(Venue([[]], text), ccxt.Wanted())
    with pytest.raises(NotUnderstoodError):
        source.fetch()
    listing = ccxt.CcxtSource(Venue([[]], "[]"), ccxt.Wanted()).fetch()
    assert (listing.rows, listing.complete) == ([], True)


def test_selected_symbols_are_a_partial_list_with_zeros() -> None:
    wanted = ccxt.Wanted(symbols=frozenset({BTC, "ETH/USDT:USDT"}))
    # Others are not looked at.
    venue = Venue([[position(), position("WHAT", None)]])
    listing = ccxt.CcxtSource(venue, wanted).fetch()
    assert not listing.complete
    assert listing.rows == [row(BTC, "0.030", "64000.1"), row("ETH/USDT:USDT", "0")]
    misspelt = ccxt.Wanted(symbols=frozenset({"BTCUSDT"}))
    with pytest.raises(ccxt.UnknownMarketError, match="BTCUSDT"):
        ccxt.CcxtSource(venue, misspelt).fetch()


def test_several_requests_are_one_list() -> None:
    requests = ({"settle": "USDT"}, {"settle": "USDC"})
    both = [[position()], [position("ETH/USDT:USDT", 2)]]
    venue = Venue(both)
    wanted = ccxt.Wanted(balances=True, params=requests)
    rows = ccxt.CcxtSource(venue, wanted).fetch().rows
    assert [r["symbol"] for r in rows] == ["BTC/USDT", BTC, "ETH/USDT:USDT"]
    assert venue.params == list(requests)
    # A venue that ignores the parameters answers everything twice.
    twice = ccxt.CcxtSource(Venue([[position()]]), ccxt.Wanted(params=requests))
    with pytest.raises(NotUnderstoodError, match="twice"):
        twice.fetch()


@pytest.mark.parametrize(
    ("fields", "expect"),
    [
        ({}, row("AAPL", "9", "186.629221", "187.4")),
        ({"qty": "-9", "side": "short"}, row("AAPL", "-9", "186.629221", "187.4")),
        ({"qty": "9", "side": "short"}, row("AAPL", "-9", "186.629221", "187.4")),
        ({"qty": "0"}, None),
        ({"qty": "0.123456789"}, row("AAPL", "0.123456789", "186.629221", "187.4")),
        ({"symbol": "BTCUSD", "asset_class": "crypto"}, row("BTC/USD", "9", "186.629221", "187.4")),
        (
            {"symbol": "ETHUSDT", "asset_class": "crypto"},
            row("ETH/USDT", "9", "186.629221", "187.4"),
        ),
        (
            {"symbol": "SOL/USD", "asset_class": "crypto"},
            row("SOL/USD", "9", "186.629221", "187.4"),
        ),
        ({"current_price": None, "avg_entry_price": "0"}, row("AAPL", "9")),
        ({"qty": "-9"}, "a long position of -9"),
        ({"qty": None}, "qty is None"),
        ({"qty": "nan"}, "'nan', not a number"),
        ({"side": None}, "the side is 'none'"),
        ({"symbol": ""}, "no symbol"),
    ],
)
def test_positions_of_alpaca(fields: dict[str, Any], expect: Any) -> None:
    common = {
        "symbol": "AAPL",
        "asset_class": "us_equity",
        "qty": "9",
        "side": "long",
        "avg_entry_price": "186.629221",
        "current_price": "187.4",
    }
    one = SimpleNamespace(**{**common, **fields})
    if isinstance(expect, str):
        with pytest.raises(NotUnderstoodError, match=expect):
            alpaca.positions([one])
    else:
        assert net(alpaca.positions([one])) == ([] if expect is None else [expect])
    for nonsense in ({"message": "forbidden."}, None, "[]", [{"symbol": "AAPL"}]):
        with pytest.raises(NotUnderstoodError):
            alpaca.positions(nonsense)


def test_the_account_of_interactive_brokers() -> None:
    assert ib.account_of(["DU1"], None) == ib.account_of(["DU2", "DU1"], "DU1") == "DU1"
    for accounts, wanted in ((["DU1"], "DU2"), (["DU1", "DU2"], None), ([], None), ([""], None)):
        with pytest.raises(NotUnderstoodError):
            ib.account_of(accounts, wanted)


def test_urls_move_to_another_host() -> None:
    urls = {"api": {"v1": "https://api.x.com/v1", "rest": "https://api.{hostname}"}, "n": None}
    assert ccxt.moved(urls, "http://127.0.0.1:8/") == {
        "api": {"v1": "http://127.0.0.1:8/v1", "rest": "http://127.0.0.1:8"},
        "n": None,
    }


def test_a_product_is_exact() -> None:
    legs = ccxt.positions([position("ETH/USDT:USDT", "123456789012345678.123456789")], MARKETS)
    assert legs == [
        Leg("ETH/USDT:USDT", Decimal("123456789012345678.123456789"), Decimal("64000.1"))
    ]
