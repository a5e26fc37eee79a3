"""trading-exporter-broker with the real ccxt, alpaca-py and ib_async, and the real exporter."""

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
from pathlib import Path
from typing import Any, Callable

import pytest

import trading_exporter
from harness import SOON, Exporter, until
from trading_exporter.broker import cli
from venues import Okx, Stub, held, market, okx_position

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
    timeout = "--timeout=2" if mood == "hangs" else "--timeout=30"
    with running(guarded, *BINANCE, f"--base-url={binance.url}", timeout) as ran:
        until(lambda: books(guarded) == {BTC: "0.03", ETH: "-1.5"})
        local(guarded, **{BTC: "0.03", ETH: "-1.5"})
        binance.mood = mood
        until(lambda: broker_health(guarded)[0] == "unhealthy", mood)
        assert metrics(guarded, "trading_position_fetch_failures_total")[FAILURES] >= 3
        assert books(guarded) == {BTC: "0.03", ETH: "-1.5"}
        assert sum(metrics(guarded, "trading_position_drifts_total").values()) == 0
        error = broker_health(guarded)[1]
        assert error
        assert "hushhush" not in error
        assert "signature" not in error
        # A position that was closed meanwhile is flat when the exchange is well.
        binance.bodies[RISK] = [held("BTCUSDT", "0.04", "64000.1", "64010.5")]
        binance.mood = "well"
        until(lambda: books(guarded) == {BTC: "0.04", ETH: "0"})
        until(lambda: broker_health(guarded)[0] == "healthy")
    # Changes are logged, not polls.
    lines = ran.error.splitlines()
    if mood != "hangs":
        assert len([line for line in lines if "a complete list" in line]) == 2, ran.error
        assert len([line for line in lines if "failed" in line]) == 1, ran.error


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
    # ccxt names a market that it does not know by its id.
    binance.mood = "well"
    binance.bodies[RISK].append(held("NEWUSDT", "5", "1", "1"))
    status, _, error = once(guarded, *BINANCE, f"--base-url={binance.url}", "--once")
    assert status == 1
    assert "'NEWUSDT' is not in the markets" in error
    assert books(guarded) == {}
    # An exporter that is not there.
    binance.mood = "well"
    guarded.kill()
    arguments = (*BINANCE, f"--base-url={binance.url}", "--once", "--timeout=3")
    status, _, error = once(guarded, *arguments)
    assert status == 1
    assert "does not have the list" in error


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
