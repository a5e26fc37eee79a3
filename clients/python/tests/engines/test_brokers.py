"""Positions from brokers' libraries: alpaca-py over HTTP, ib_async as objects."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Callable

import pytest
from alpaca.trading.client import TradingClient
from ib_async import IB, CommissionReport, Contract, Future, PortfolioItem, Position, Stock
from ib_async.util import UNSET_DOUBLE

from harness import SOON, Exporter
from trading_exporter import Client, DriftDetector, ExecutionMonitor
from trading_exporter.engines.alpaca import AlpacaPositions
from trading_exporter.engines.ib import IbPositions
from trading_exporter.positions import rows

POSITIONS = b"""[
 {"asset_id": "4462ebfc-5f91-4ef0-9cfb-ac6e7687a66e", "symbol": "AAPL", "exchange": "NASDAQ",
  "asset_class": "us_equity", "asset_marginable": true, "qty": "-9", "qty_available": "-9",
  "avg_entry_price": "186.629221", "side": "short", "market_value": "-1686.6",
  "cost_basis": "-1679.663", "current_price": "187.4", "lastday_price": "187.4"},
 {"asset_id": "64bbff51-59d6-4b3c-9351-13ad85e3c752", "symbol": "BTCUSD", "exchange": "CRYPTO",
  "asset_class": "crypto", "asset_marginable": false, "qty": "0.123456789", "side": "long",
  "qty_available": "0.123456789", "avg_entry_price": "64000.5", "market_value": "7901",
  "cost_basis": "7901", "current_price": "64000"}
]"""


class Alpaca(BaseHTTPRequestHandler):
    """The only path of Alpaca's API that is used."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(type(self).status)
        self.send_header("Content-Length", str(len(POSITIONS)))
        self.end_headers()
        self.wfile.write(POSITIONS)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def alpaca() -> Iterator[TradingClient]:
    Alpaca.status = 200
    server = HTTPServer(("127.0.0.1", 0), Alpaca)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    yield TradingClient("key", "secret", paper=True, url_override=url)
    server.shutdown()
    server.server_close()


class Book:
    def __init__(self, **positions: Any) -> None:
        self.positions = positions

    def get_positions(self) -> dict[str, Any]:
        return self.positions


def test_alpacas_own_client_is_a_broker(
    alpaca: TradingClient, shared: Exporter, make: Callable[..., Client], account: str
) -> None:
    store = Book(AAPL=-9, BTCUSD="0.123456789")
    detector = DriftDetector(store, AlpacaPositions(alpaca), client=make(shared.url))
    assert detector.check_drift() == []
    books = {r["symbol"]: r for r in shared.get(f"/api/v1/positions?account={account}")}
    assert books["AAPL"]["broker_quantity"] == "-9"
    assert books["AAPL"]["broker_price"] == "186.629221"
    assert books["BTCUSD"]["broker_quantity"] == "0.123456789"
    Alpaca.status = 500
    assert detector.check_drift() == [], "a failing broker reports nothing"
    books = {r["symbol"]: r for r in shared.get(f"/api/v1/positions?account={account}")}
    assert books["AAPL"]["broker_quantity"] == "-9"
    Alpaca.status = 200
    store.positions["AAPL"] = -100
    (drift,) = detector.check_drift()
    assert (drift.symbol, str(drift.quantity_drift)) == ("AAPL", "-91")


def test_raw_data_of_alpaca_is_rejected(alpaca: TradingClient) -> None:
    class Raw:
        def get_all_positions(self) -> dict[str, Any]:
            return {"message": "forbidden."}

    broker: Any = AlpacaPositions(Raw())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="dict"):
        broker.get_positions()


def test_positions_of_ib_async_have_prices_without_multiplier() -> None:
    stock: Contract = Stock("AAPL", "SMART", "USD", localSymbol="AAPL")
    future: Contract = Future("ES", "202612", "CME", localSymbol="ESZ6", multiplier="50")
    held = [Position("DU1", stock, -9.0, 186.629221), Position("DU1", future, 2.0, 300_012.5)]
    item = PortfolioItem(future, 2.0, 6001.25, 600_125.0, 300_012.5, 0.0, 0.0, "DU1")
    assert rows(held) == [
        {"symbol": "AAPL", "quantity": "-9.0", "average_price": "186.629221"},
        {"symbol": "ESZ6", "quantity": "2.0", "average_price": "6000.25"},
    ]
    assert rows([item]) == [
        {
            "symbol": "ESZ6",
            "quantity": "2.0",
            "average_price": "6000.25",
            "market_price": "6001.25",
        }
    ]


def test_a_fill_without_a_commission_yet_is_reported(
    shared: Exporter, make: Callable[..., Client], account: str
) -> None:
    """It reports the largest double, or its own unset values."""
    report = CommissionReport()
    report.commission = report.realizedPNL = UNSET_DOUBLE
    client = make(shared.url)
    monitor = ExecutionMonitor(client=client)
    monitor.record_submission("7", "SPY", "buy", 10, UNSET_DOUBLE, limit_price=UNSET_DOUBLE)
    monitor.record_fill("7", 600.0, 10.0, fill_id="1", fee=report.commission, fee_currency="USD")
    assert client.flush(SOON)
    assert shared.counters(account)["filled"] == 1
    assert shared.fees(account) == {}
    # When it is known, the same fill is reported again with it.
    monitor.record_fill("7", 600.0, 10.0, fill_id="1", fee=1.05, fee_currency="USD")
    assert client.flush(SOON)
    assert shared.fees(account) == {("SPY", "USD"): 1.05}
    assert shared.counters(account)["fills"] == 1
    assert client.stats().rejected == client.stats().unencodable == 0


def test_ib_async_without_a_connection_is_a_failure() -> None:
    with pytest.raises(ConnectionError, match="not connected"):
        IbPositions(IB(), "DU1").get_positions()
