"""Stubs of venues' HTTP APIs. The venues' libraries have to understand their answers."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from harness import until


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
