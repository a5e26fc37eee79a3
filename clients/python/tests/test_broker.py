"""The broker's witness without a broker: mappings, calls that hang, requests sent again."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable

import pytest

import trading_exporter
from harness import ROOT, SOON, Cutter, Exporter, Fake, listen, reply, until
from trading_exporter import Client
from trading_exporter.broker import alpaca, ccxt, cli, ib
from trading_exporter.broker.listing import Leg, Listing, NotUnderstoodError, net
from trading_exporter.broker.poll import Answer, Poller, error_text
from trading_exporter.broker.runner import Pace, Runner

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


# Polls


class Script:
    """A source with scripted answers. The last one is repeated."""

    def __init__(self, *acts: Any) -> None:
        self.acts = list(acts)
        self.asked = 0

    def fetch(self) -> Listing:
        self.asked += 1
        act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
        if callable(act):
            act()
        if isinstance(act, BaseException):
            raise act
        return Listing(time.time_ns(), act) if isinstance(act, list) else act


HELD = [row(BTC, "0.03", "64000.1")]


def test_a_call_that_hangs_is_left_to_itself_and_they_do_not_pile_up() -> None:
    end = threading.Event()
    made: list[Script] = []

    def make() -> Script:
        made.append(Script(end.wait if len(made) < 3 else HELD))
        return made[-1]

    poller = Poller(make, 0.05)
    for _ in range(3):
        assert poller.ask().error == "Timeout: no answer after 0.05 s"
    assert poller.ask().error == "Timeout: 3 earlier calls still hang"
    assert poller.ask().seconds == 0.0
    assert [source.asked for source in made] == [1, 1, 1], "each source is asked by one thread"
    end.set()
    until(lambda: poller.ask().listing)
    assert len(made) == 4


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (ValueError("no"), "ValueError: no"),
        (SystemExit(3), "SystemExit: 3"),
        (None, "TypeError: the source answered NoneType"),
        (ValueError(""), "ValueError"),
        (ValueError("x" * 999), "ValueError: " + "x" * 200 + "..."),
        (
            OSError("GET https://v.com/a?key=hushhush&signature=ab12 503\n  hushhush"),
            "OSError: GET https://v.com/a?... 503 ***",
        ),
    ],
)
def test_an_error_is_a_short_text_without_secrets(act: Any, error: str) -> None:
    answer = Poller(lambda: Script(act), 5.0, ["hushhush", ""]).ask()
    assert (answer.listing, answer.error) == (None, error)


def test_a_source_that_cannot_be_made_is_a_failed_fetch() -> None:
    def make() -> Script:
        raise ConnectionError("refused")

    assert Poller(make, 5.0).ask().error == "ConnectionError: refused"
    assert error_text(KeyError("x"), []) == "KeyError: 'x'"


# The runner


def runner(client: Client, *acts: Any, interval: float = 60.0) -> Runner:
    script = Script(*acts)
    return Runner("venue", client, Poller(lambda: script, 5.0), Pace(interval))


def test_a_list_that_is_sent_again_has_the_same_ids(make: Callable[..., Client]) -> None:
    fake = Fake(reply(503, {"code": "overloaded"}), reply(429, None, retry_after="0"))
    assert runner(make(fake.url), HELD).run_once(SOON)
    first, second, third = (json.loads(body) for body in fake.bodies)
    assert first == second == third
    assert [event["type"] for event in first] == ["positions", "heartbeat"]
    assert first[0]["positions"] == HELD
    assert first[0]["complete"] is True
    fake.close()


def test_a_failed_fetch_is_not_flat(make: Callable[..., Client]) -> None:
    fake = Fake()
    one = runner(make(fake.url), HELD, TimeoutError("slow"), TimeoutError("slow"), OSError("x"), [])
    assert [one.run_once(SOON) for _ in range(6)] == [True, False, False, False, True, True]
    posted = [json.loads(body) for body in fake.bodies]
    assert [events[0].get("positions") for events in posted] == [HELD, None, None, None, [], []]
    assert [events[0].get("status") for events in posted] == [
        None, "failed", "failed", "failed", None, None,
    ]  # fmt: skip
    assert posted[1][0]["error"] == posted[1][1]["message"] == "TimeoutError: slow"
    assert [events[1]["status"] for events in posted] == [
        "healthy", "degraded", "degraded", "unhealthy", "unhealthy", "healthy",
    ]  # fmt: skip
    fake.close()


def test_an_answer_that_is_lost_counts_once(
    shared: Exporter, make: Callable[..., Client], account: str
) -> None:
    cutter = Cutter(shared.port, lost=2)
    one = runner(make(cutter.url), OSError("x"), HELD)
    assert not one.run_once(SOON)
    assert cutter.cut == 2
    assert one.run_once(SOON)
    cutter.close()
    with urllib.request.urlopen(f"{shared.url}/metrics", timeout=SOON) as answer:  # noqa: S310
        text = answer.read().decode()
    name = "trading_position_fetch_failures_total"
    start = f'{name}{{account="{account}",book="broker"}} '
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    assert float(line[len(start) :]) == 1
    (book,) = shared.get(f"/api/v1/positions?account={account}")
    assert book["broker_quantity"] == "0.03"


def test_only_changes_are_logged(
    make: Callable[..., Client], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "trading_exporter.broker")
    fake = Fake()
    one = runner(make(fake.url), HELD, HELD, OSError("a"), OSError("b"), HELD, HELD)
    for _ in range(6):
        one.run_once(SOON)
    assert [record.getMessage() for record in caplog.records] == [
        "venue: a complete list, now of 1 symbols",
        "venue: the exporter accepts the lists",
        "venue: failed: OSError: a",
        "venue: a complete list, now of 1 symbols",
    ]
    fake.close()


def test_a_list_that_the_exporter_rejects_is_a_failed_fetch(
    shared: Exporter, make: Callable[..., Client], account: str
) -> None:
    client = make(shared.url)
    assert runner(client, HELD).run_once(SOON)
    assert not runner(client, [row("x" * 200, "1")]).run_once(SOON)
    (book,) = shared.get(f"/api/v1/positions?account={account}")
    assert (book["symbol"], book["broker_quantity"]) == (BTC, "0.03")
    (health,) = shared.get(f"/api/v1/health?account={account}")["components"]
    assert (health["component"], health["status"]) == ("broker", "degraded")
    assert health["message"].startswith("Rejected: ")


def test_the_pace_of_polls() -> None:
    pace = Pace(60.0)
    assert 3.75 <= pace.retry(1, "OSError") <= 6.25
    assert 15.0 <= pace.retry(3, "OSError") <= 25.0
    assert pace.retry(9, "OSError") == pace.retry(99, "OSError") == 60.0
    assert pace.retry(1, "RateLimitExceeded") == pace.retry(1, "AuthenticationError") == 60.0
    assert Pace(2.0).retry(1, "OSError") == 2.0
    assert Answer(0, 0.0, None).error == ""


# The command

SOURCE = str(Path(trading_exporter.__file__).parents[1])


def command(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "trading_exporter.broker", *arguments],
        env={**os.environ, "PYTHONPATH": SOURCE, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "required: BROKER"),
        (["oanda"], "invalid choice"),
        (["alpaca", "--interval=0"], "more than 0"),
        (["alpaca", "--secret=x"], "unrecognized arguments"),
        (["alpaca", "--token-file=/no/such"], "/no/such cannot be read"),
        (["alpaca", "--credentials-file=/no/such"], "/no/such cannot be read"),
        (["alpaca"], "APCA_API_KEY_ID and APCA_API_SECRET_KEY"),
        (["alpaca", "--url=ftp://x"], "is not an http or https URL"),
        (["ccxt"], "--exchange"),
        (["ccxt", "--exchange=nyse"], "ccxt has no exchange 'nyse'"),
        (["ccxt", "--exchange=kraken", "--params=[]"], "not a JSON object"),
        (["ccxt", "--exchange=binanceusdm"], "BINANCEUSDM_APIKEY and BINANCEUSDM_SECRET"),
    ],
)
def test_wrong_usage(arguments: list[str], why: str, monkeypatch: Any, capsys: Any) -> None:
    for name in ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
        if "--url=ftp://x" in arguments:
            monkeypatch.setenv(name, "x")
    try:
        status = cli.main(arguments)
    except SystemExit as error:
        status = int(str(error.code))
    assert status == 2
    assert why in capsys.readouterr().err


@pytest.mark.parametrize(
    ("broker", "module", "extra"),
    [
        ("ccxt --exchange=kraken", "ccxt", "ccxt"),
        ("alpaca", "alpaca", "alpaca"),
        ("ib", "ib_async", "ib"),
    ],
)
def test_a_missing_library_is_one_sentence(
    broker: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert cli.main(broker.split()) == 2
    assert capsys.readouterr().err == (
        f"trading-exporter-broker: {module} is not installed here:"
        f" pip install 'trading-exporter[{extra}]'\n"
    )


def test_a_credentials_file_is_never_quoted(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "keys"
    for text in ("hushhush", '["hushhush"]', '{"key_id": 5, "secret_key": "hushhush"}'):
        path.write_text(text)
        assert cli.main(["alpaca", f"--credentials-file={path}"]) == 2
        error = capsys.readouterr().err
        assert "hushhush" not in error
        assert "is not" in error


@pytest.mark.parametrize("where", ["broker", "exporter"])
def test_a_signal_ends_it_within_a_second(where: str) -> None:
    """Also while the broker or the exporter hangs."""
    hung: list[bytes] = []
    silent, url = listen(lambda connection: hung.append(connection.recv(9)))
    fine = Fake()
    brokers, exporters = (url, fine.url) if where == "broker" else (fine.url, url)
    keys = {"APCA_API_KEY_ID": "key-of-test", "APCA_API_SECRET_KEY": "secret-of-test"}
    process = command(
        "alpaca", f"--base-url={brokers}", f"--url={exporters}", "--interval=0.2", **keys
    )
    try:
        until(lambda: hung)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=SOON)
        assert process.returncode == 0, error
        assert time.monotonic() - began < 2.0
        assert "Traceback" not in error
    finally:
        process.kill()
        silent.close()
        fine.close()


def test_the_documented_commands_are_valid() -> None:
    pages = [ROOT / "docs" / "engines" / "brokers.md", ROOT / "clients" / "python" / "README.md"]
    lines = [line.strip() for page in pages for line in page.read_text().splitlines()]
    start = "$ trading-exporter-broker "
    commands = [line[len(start) :] for line in lines if line.startswith(start)]
    assert len(commands) >= 6
    for line in commands:
        assert cli._parser().parse_args(shlex.split(line)).account == "paper"
