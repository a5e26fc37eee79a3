"""trading-exporter-broker with the real ccxt, alpaca-py and ib_async, against the real exporter.

The venues are stubs of their HTTP APIs: what they answer has to pass the libraries' own parsers.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable

import ib_async
import pytest
from ib_async import Contract, Forex, Future, Option, Position, Stock

import trading_exporter
from harness import SOON, Exporter, until
from trading_exporter.broker import cli, ib
from trading_exporter.broker.listing import NotUnderstoodError, net

COMMAND = (sys.executable, "-m", "trading_exporter.broker")
SOURCE = str(Path(trading_exporter.__file__).parents[1])
KEYS = {
    "BINANCEUSDM_APIKEY": "key-hushhush",
    "BINANCEUSDM_SECRET": "secret-hushhush",
    "OKX_APIKEY": "key-hushhush",
    "OKX_SECRET": "secret-hushhush",
    "OKX_PASSWORD": "password-hushhush",
    "APCA_API_KEY_ID": "key-hushhush",
    "APCA_API_SECRET_KEY": "secret-hushhush",
    "TRADING_EXPORTER_BROKER_TOKEN": "broker",
}
TOKENS = """
tokens:
  - {{name: engine, sha256: {engine}, scopes: [ingest]}}
  - {{name: broker, sha256: {broker}, scopes: ["ingest:broker"]}}
  - {{name: reader, sha256: {reader}, scopes: [read, metrics]}}
"""


class Stub:
    """A venue's API: bodies by path, and a mood for all of them."""

    def __init__(self) -> None:
        self.bodies: dict[str, Any] = {}
        #: `well`, `500`, `garbage`, `braces` or `hangs`. Markets are always well.
        self.mood = "well"
        self.private: set[str] = set()
        self.requests: list[str] = []
        self._release = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Starts it, again at the same address."""
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stub.answer(self)

            def log_message(self, *_: Any) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def close(self) -> None:
        self._release.set()
        self.stop()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.split("?")[0]
        self.requests.append(path)
        mood = self.mood if path in self.private else "well"
        status, body = 200, json.dumps(self.bodies.get(path, []))
        if mood == "hangs":
            until(lambda: self.mood != "hangs" or self._release.is_set())
            return
        if mood == "500":
            status, body = 500, json.dumps({"code": -1001, "msg": "internal error"})
        elif mood == "garbage":
            body = "<html><body>down for maintenance</body></html>"
        elif mood == "braces":
            body = "{}"
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        # One connection a request, so that a stopped stub is gone.
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(body.encode())


def market(base: str, quote: str = "USDT") -> dict[str, Any]:
    return {
        "symbol": f"{base}{quote}",
        "pair": f"{base}{quote}",
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": quote,
        "marginAsset": quote,
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.1", "maxPrice": "1e7", "tickSize": "0.1"},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
        ],
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC"],
    }


def held(symbol: str, amount: str, entry: str, mark: str, side: str = "BOTH") -> dict[str, Any]:
    """A row of Binance's `GET /fapi/v3/positionRisk`."""
    return {
        "symbol": symbol,
        "positionSide": side,
        "positionAmt": amount,
        "entryPrice": entry,
        "breakEvenPrice": entry,
        "markPrice": mark,
        "unRealizedProfit": "0",
        "liquidationPrice": "0",
        "isolatedMargin": "0",
        "notional": str(float(amount) * float(mark)),
        "marginAsset": "USDT",
        "isolatedWallet": "0",
        "initialMargin": "1",
        "maintMargin": "1",
        "positionInitialMargin": "1",
        "openOrderInitialMargin": "0",
        "adl": "2",
        "bidNotional": "0",
        "askNotional": "0",
        "updateTime": 1722062678998,
    }


@pytest.fixture
def stub() -> Iterator[Stub]:
    made = Stub()
    yield made
    made.close()


RISK = "/fapi/v3/positionRisk"


@pytest.fixture
def binance(stub: Stub) -> Stub:
    symbols = [market("BTC"), market("ETH"), market("DOGE")]
    stub.bodies = {
        "/fapi/v1/exchangeInfo": {"timezone": "UTC", "symbols": symbols, "assets": []},
        RISK: [
            held("BTCUSDT", "0.030", "64000.1", "64010.5"),
            held("ETHUSDT", "-1.5", "3000.25", "3001"),
            held("DOGEUSDT", "0", "0.0", "0.1"),
        ],
        "/fapi/v3/account": {
            "assets": [
                {"asset": "USDT", "walletBalance": "1000", "availableBalance": "900",
                 "marginBalance": "1000", "crossWalletBalance": "1000", "maintMargin": "0",
                 "initialMargin": "100"},
                {"asset": "BNB", "walletBalance": "0.3", "availableBalance": "0.1",
                 "marginBalance": "0.3", "crossWalletBalance": "0.3", "maintMargin": "0",
                 "initialMargin": "0.2"},
            ],
            "positions": [],
        },
    }  # fmt: skip
    stub.private = {RISK, "/fapi/v3/account"}
    return stub


@pytest.fixture
def guarded(exporter: Callable[..., Exporter]) -> Exporter:
    names = ("engine", "broker", "reader")
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in names}
    made = exporter(TOKENS.format(**digests))
    made.storage = "journal"
    return made.start()


class Ran:
    """A running command."""

    def __init__(self, arguments: list[str]) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            env={**os.environ, "PYTHONPATH": SOURCE},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.error = ""

    def end(self) -> int:
        """Sends SIGTERM, and waits."""
        self.process.send_signal(signal.SIGTERM)
        _, self.error = self.process.communicate(timeout=SOON)
        return self.process.returncode


@contextmanager
def running(exporter: Exporter, *arguments: str) -> Iterator[Ran]:
    ran = Ran([*arguments, f"--url={exporter.url}", "--account=acc", "--interval=0.2"])
    try:
        yield ran
        assert ran.process.poll() is None, ran.process.communicate()
        assert ran.end() == 0, ran.error
        assert "hushhush" not in ran.error
        assert "Traceback" not in ran.error
    finally:
        ran.process.kill()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    own = logging.getLogger("trading_exporter")
    before = list(own.handlers), own.level
    yield
    own.handlers[:], own.level = before


def once(exporter: Exporter, *arguments: str) -> tuple[int, str, str]:
    """The command in this process, which has imported the libraries. Not in the main thread, so
    that it leaves signals alone."""
    out, error, status = io.StringIO(), io.StringIO(), [-1]
    every = [*arguments, f"--url={exporter.url}", "--account=acc"]

    def run() -> None:
        status[0] = cli.main(every)

    with redirect_stdout(out), redirect_stderr(error):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert "hushhush" not in error.getvalue() + out.getvalue()
    return status[0], out.getvalue(), error.getvalue()


def books(exporter: Exporter, name: str = "broker_quantity") -> dict[str, Any]:
    try:
        rows = exporter.get("/api/v1/positions?account=acc", "reader")
    except urllib.error.HTTPError:
        return {}
    return {row["symbol"]: row[name] for row in rows}


def metrics(exporter: Exporter, family: str) -> dict[str, float]:
    """The samples of a family for the account, by their other labels."""
    request = urllib.request.Request(f"{exporter.url}/metrics")  # noqa: S310
    request.add_header("Authorization", "Bearer reader")
    with urllib.request.urlopen(request, timeout=SOON) as answer:  # noqa: S310
        text = answer.read().decode()
    start = f'{family}{{account="acc"'
    lines = [line for line in text.splitlines() if line.startswith(start)]
    return {
        line[len(start) :].rsplit("}", 1)[0].lstrip(","): float(line.split()[-1]) for line in lines
    }


def broker_health(exporter: Exporter) -> tuple[str, str]:
    for component in exporter.get("/api/v1/health?account=acc", "reader")["components"]:
        if component["component"] == "broker":
            return component["status"], component.get("message") or ""
    return "none", ""


def local(exporter: Exporter, **positions: str) -> None:
    rows = [{"symbol": s, "quantity": q} for s, q in positions.items()]
    event = {"type": "positions", "account": "acc", "source": "local", "positions": rows}
    answer = exporter.post("/api/v1/events", event, "engine")
    assert answer["accepted"] == 1, answer


BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
BINANCE = ("ccxt", "--exchange=binanceusdm")
FAILURES = 'book="broker"'


def test_positions_of_an_exchange(binance: Stub, guarded: Exporter) -> None:
    arguments = (*BINANCE, f"--base-url={binance.url}")
    assert once(guarded, *arguments, "--once")[:2] == (0, "")
    assert books(guarded) == {BTC: "0.03", ETH: "-1.5"}
    quantities = metrics(guarded, "trading_position_quantity")
    assert quantities[f'symbol="{BTC}",book="broker"'] == 0.03
    assert quantities[f'symbol="{ETH}",book="broker"'] == -1.5
    assert books(guarded, "broker_price") == {BTC: "64000.1", ETH: "3000.25"}
    assert broker_health(guarded)[0] == "healthy"
    # A symbol that the venue leaves out of its next list is flat.
    binance.bodies[RISK] = [held("ETHUSDT", "-1.5", "3000.25", "3001")]
    assert once(guarded, *arguments, "--once")[0] == 0
    quantities = metrics(guarded, "trading_position_quantity")
    assert quantities[f'symbol="{BTC}",book="broker"'] == 0.0
    assert quantities[f'symbol="{ETH}",book="broker"'] == -1.5


def test_hedge_mode_balances_and_a_dry_run(binance: Stub, guarded: Exporter) -> None:
    binance.bodies[RISK] = [
        held("BTCUSDT", "0.050", "64000", "64010", "LONG"),
        held("BTCUSDT", "-0.020", "65000", "64010", "SHORT"),
    ]
    arguments = (*BINANCE, f"--base-url={binance.url}", "--positions", "--balances")
    status, out, error = once(guarded, *arguments, "--dry-run")
    assert (status, error) == (0, "")
    event = json.loads(out)
    assert event["positions"] == [
        {"symbol": "BNB/USDT", "quantity": "0.3"},
        {"symbol": BTC, "quantity": "0.030", "market_price": "64010.0"},
    ]
    assert books(guarded) == {}, "a dry run posts nothing"
    assert once(guarded, *arguments, "--once")[0] == 0
    assert books(guarded) == {BTC: "0.03", "BNB/USDT": "0.3"}
    # Only some symbols: a partial list, which says of them alone that they are flat.
    binance.bodies[RISK] = []
    assert once(guarded, *arguments, "--once", "--symbols", BTC)[0] == 0
    assert books(guarded) == {BTC: "0", "BNB/USDT": "0.3"}


@pytest.mark.parametrize("mood", ["500", "garbage", "braces", "hangs"])
def test_a_failing_exchange_is_not_flat(binance: Stub, guarded: Exporter, mood: str) -> None:
    with running(guarded, *BINANCE, f"--base-url={binance.url}", "--timeout=2") as ran:
        until(lambda: books(guarded) == {BTC: "0.03", ETH: "-1.5"})
        local(guarded, **{BTC: "0.03", ETH: "-1.5"})
        binance.mood = mood
        until(lambda: broker_health(guarded)[0] == "unhealthy", mood)
        assert metrics(guarded, "trading_position_fetch_failures_total")[FAILURES] >= 3
        assert books(guarded) == {BTC: "0.03", ETH: "-1.5"}
        assert sum(metrics(guarded, "trading_position_drifts_total").values()) == 0
        # A position that was closed meanwhile is flat when the exchange is well.
        binance.bodies[RISK] = [held("BTCUSDT", "0.04", "64000.1", "64010.5")]
        binance.mood = "well"
        until(lambda: books(guarded) == {BTC: "0.04", ETH: "0"})
        until(lambda: broker_health(guarded)[0] == "healthy")
    # Changes are logged, not polls.
    lines = ran.error.splitlines()
    assert len([line for line in lines if "a complete list" in line]) == 2, ran.error
    assert len([line for line in lines if "failed" in line]) <= 3, ran.error


def test_a_difference_is_a_drift(binance: Stub, guarded: Exporter) -> None:

    def drifts() -> Any:
        local(guarded, **{BTC: "0.03", ETH: "0"})
        return guarded.get("/api/v1/drift?account=acc&state=open", "reader")

    with running(guarded, *BINANCE, f"--base-url={binance.url}"):
        (drift,) = until(drifts)
    assert (drift["symbol"], drift["type"]) == (ETH, "unknown_position")
    # 1.5 at the venue's mark price.
    assert (drift["quantity_drift"], drift["value_drift"]) == ("1.5", "4501.5")


def test_a_stopped_exchange_and_a_killed_exporter(binance: Stub, guarded: Exporter) -> None:
    with running(guarded, *BINANCE, f"--base-url={binance.url}", "--timeout=5") as ran:
        until(lambda: len(books(guarded)) == 2)
        binance.stop()
        until(lambda: broker_health(guarded)[0] == "unhealthy")
        assert books(guarded) == {BTC: "0.03", ETH: "-1.5"}
        binance.bodies[RISK] = [held("BTCUSDT", "0.05", "64000.1", "64010.5")]
        binance.start()
        until(lambda: books(guarded) == {BTC: "0.05", ETH: "0"})
        guarded.kill()
        seen = len(binance.requests)
        until(lambda: len(binance.requests) > seen + 2, "it polls without the exporter")
        binance.bodies[RISK] = [held("BTCUSDT", "0.06", "64000.1", "64010.5")]
        guarded.start()
        until(lambda: books(guarded) == {BTC: "0.06", ETH: "0"})
        until(lambda: broker_health(guarded)[0] == "healthy")
        guarded.hold()
        guarded.resume()
        binance.bodies[RISK] = [held("BTCUSDT", "0.07", "64000.1", "64010.5")]
        until(lambda: books(guarded) == {BTC: "0.07", ETH: "0"})
    assert "the exporter does not have the list" in ran.error


def test_tokens_that_are_not_the_brokers(binance: Stub, guarded: Exporter, tmp_path: Path) -> None:
    arguments = (*BINANCE, f"--base-url={binance.url}", "--once")
    for token, why in (("wrong", "401"), ("engine", "ingest:broker")):
        path = tmp_path / "token"
        path.write_text(token + "\n")
        status, _, error = once(guarded, *arguments, f"--token-file={path}")
        assert status == 1
        assert why in error
    assert books(guarded) == {}


def test_once_with_a_failing_exchange(binance: Stub, guarded: Exporter) -> None:
    binance.mood = "500"
    status, _, error = once(guarded, *BINANCE, f"--base-url={binance.url}", "--once")
    assert status == 1
    assert "failed: " in error
    assert broker_health(guarded)[0] == "degraded"
    # An exporter that is not there.
    binance.mood = "well"
    guarded.kill()
    arguments = (*BINANCE, f"--base-url={binance.url}", "--once", "--timeout=3")
    status, _, error = once(guarded, *arguments)
    assert status == 1
    assert "does not have the list" in error


# OKX counts contracts, some of which are inverse.


def swap(name: str, size: str, currency: str, kind: str, settle: str) -> dict[str, Any]:
    base, quote, _ = name.split("-")
    return {
        "instType": "SWAP",
        "instId": name,
        "uly": f"{base}-{quote}",
        "instFamily": f"{base}-{quote}",
        "baseCcy": "",
        "quoteCcy": "",
        "settleCcy": settle,
        "ctVal": size,
        "ctMult": "1",
        "ctValCcy": currency,
        "ctType": kind,
        "listTime": "1606468800000",
        "expTime": "",
        "lever": "100",
        "tickSz": "0.1",
        "lotSz": "0.01",
        "minSz": "0.01",
        "state": "live",
        "maxLmtSz": "100000000",
    }


def okx_position(name: str, pos: str, side: str, mark: str) -> dict[str, Any]:
    return {
        "instType": "SWAP",
        "instId": name,
        "mgnMode": "cross",
        "posId": f"id-{name}-{side}",
        "posSide": side,
        "pos": pos,
        "posCcy": "",
        "avgPx": "64000.5",
        "markPx": mark,
        "lever": "3",
        "upl": "0",
        "uplRatio": "0",
        "notionalUsd": "100",
        "imr": "1",
        "mmr": "1",
        "mgnRatio": "9",
        "margin": "",
        "liqPx": "",
        "ccy": "USDT",
        "cTime": "1619507758793",
        "uTime": "1619507761462",
    }


class Okx(Stub):
    """OKX chooses markets by a parameter."""

    swaps = (
        swap("BTC-USDT-SWAP", "0.01", "BTC", "linear", "USDT"),
        swap("DOGE-USDT-SWAP", "1000", "DOGE", "linear", "USDT"),
        swap("BTC-USD-SWAP", "100", "USD", "inverse", "BTC"),
    )

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        data: list[Any] = []
        if "instType=SWAP" in handler.path and "instruments" in handler.path:
            data = list(self.swaps)
        self.bodies.setdefault(handler.path.split("?")[0], {"code": "0", "msg": "", "data": data})
        if "instruments" in handler.path:
            self.bodies[handler.path.split("?")[0]] = {"code": "0", "msg": "", "data": data}
        super().answer(handler)


def test_contracts_of_okx(guarded: Exporter) -> None:
    stub = Okx()
    stub.bodies["/api/v5/account/positions"] = {
        "code": "0",
        "msg": "",
        "data": [
            okx_position("BTC-USDT-SWAP", "3", "net", "64010.5"),
            okx_position("DOGE-USDT-SWAP", "-7", "net", "0.1"),
            okx_position("BTC-USD-SWAP", "12", "short", "64010.5"),
        ],
    }
    arguments = ("ccxt", "--exchange=okx", f"--base-url={stub.url}", "--once")
    status, _, error = once(guarded, *arguments)
    assert status == 0, error
    inverse = "BTC/USD:BTC"
    expect = {BTC: "0.03", "DOGE/USDT:USDT": "-7000", inverse: "-12"}
    assert books(guarded) == expect
    # 12 contracts of 100 USD that the engine does not have are 1200 USD.
    local(guarded, **{**expect, inverse: "0"})
    assert once(guarded, *arguments)[0] == 0
    values = metrics(guarded, "trading_position_drift_value")
    assert values[f'symbol="{inverse}",drift="unknown_position"'] == 1200.0
    stub.close()


# Alpaca

POSITIONS = "/v2/positions"


@pytest.fixture
def alpaca(stub: Stub) -> Stub:
    common = {
        "asset_id": "4462ebfc-5f91-4ef0-9cfb-ac6e7687a66e",
        "exchange": "NASDAQ",
        "asset_marginable": True,
        "cost_basis": "1679.663",
        "market_value": "1686.6",
    }
    stub.private = {POSITIONS}
    stub.bodies[POSITIONS] = [
        {**common, "symbol": "AAPL", "asset_class": "us_equity", "qty": "-9", "side": "short",
         "avg_entry_price": "186.629221", "current_price": "187.4"},
        {**common, "symbol": "BTCUSD", "asset_class": "crypto", "qty": "0.123456789",
         "side": "long", "avg_entry_price": "64000.5", "current_price": "64000"},
    ]  # fmt: skip
    return stub


ALPACA = {"AAPL": "-9", "BTC/USD": "0.123456789"}


def test_positions_of_alpaca(alpaca: Stub, guarded: Exporter) -> None:
    with running(guarded, "alpaca", f"--base-url={alpaca.url}", "--timeout=2") as ran:
        until(lambda: books(guarded) == ALPACA)
        local(guarded, **ALPACA)
        for mood in ("500", "garbage", "braces", "hangs"):
            alpaca.mood = mood
            until(lambda: broker_health(guarded)[0] == "unhealthy")
            assert books(guarded) == ALPACA
            alpaca.mood = "well"
            until(lambda: broker_health(guarded)[0] == "healthy")
        alpaca.stop()
        until(lambda: broker_health(guarded)[0] == "unhealthy")
        assert sum(metrics(guarded, "trading_position_drifts_total").values()) == 0
        alpaca.bodies[POSITIONS] = alpaca.bodies[POSITIONS][:1]
        alpaca.start()
        until(lambda: books(guarded) == {"AAPL": "-9", "BTC/USD": "0"})
        guarded.kill()
        guarded.start()
        until(lambda: broker_health(guarded)[0] == "healthy")
    assert books(guarded) == {"AAPL": "-9", "BTC/USD": "0"}, ran.error
    assert metrics(guarded, "trading_position_quantity")['symbol="AAPL",book="broker"'] == -9


# Interactive Brokers: objects of ib_async, because there is no TWS here.

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


def test_no_gateway_is_a_failed_fetch(stub: Stub, guarded: Exporter) -> None:
    """The real library, whose connection is refused, and then is not answered."""
    port = stub.url.rsplit(":", 1)[1]
    stub.stop()
    status, _, error = once(guarded, "ib", f"--port={port}", "--once")
    assert status == 1
    assert "ConnectionRefusedError" in error
    assert broker_health(guarded)[0] == "degraded"
    assert metrics(guarded, "trading_position_fetch_failures_total")[FAILURES] == 1
    stub.start()
    status, _, error = once(guarded, "ib", f"--port={port}", "--once", "--timeout=2")
    assert status == 1
    assert "TimeoutError" in error or "Timeout" in error
