"""The client for asyncio."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from harness import SOON, Exporter
from trading_exporter import (
    AsyncClient,
    DriftDetector,
    ExecutionMonitor,
    Halt,
    TradingGate,
    in_loop,
)


class Book:
    def __init__(self, **positions: Any) -> None:
        self.positions = positions

    def get_positions(self) -> dict[str, Any]:
        return self.positions


class Store(Book):
    def set_position(self, symbol: str, quantity: Any, average_price: Any) -> None:
        self.positions[symbol] = quantity


def test_an_engine_in_a_loop(shared: Exporter, account: str, tmp_path: Path) -> None:
    async def engine() -> None:
        folder = str(tmp_path)
        async with AsyncClient(shared.url, account=account, spill_folder=folder) as client:
            monitor = ExecutionMonitor(client=client)
            for n in range(20):
                monitor.record_submission(f"O-{n}", "AAPL", "buy", 1, 100)
                monitor.record_fill(f"O-{n}", 101)
            client.send("account_equity", {"equity": 100_000})
            assert await client.flush(SOON)
            metrics = await client.get_metrics("AAPL")
            assert metrics.samples == 20
            assert metrics.slippage_bps == 100.0
            assert ("CRITICAL", True) in [
                (severity, "slippage" in sentence)
                for severity, sentence in await client.detect_anomalies()
            ]
            halted: asyncio.Future[Halt] = asyncio.get_running_loop().create_future()

            async def stop(halt: Halt) -> None:
                halted.set_result(halt)

            with TradingGate(client=client) as gate:
                assert await client.permit(gate, SOON)
                store = Store(MSFT=298)
                repaired = DriftDetector(store, Book(MSFT=300), client=client)
                await client.check_drift(repaired)
                (drift,) = await client.check_drift(repaired)
                assert await client.auto_reconcile(repaired, drift)
                assert store.positions == {"MSFT": 300}
                gate.on_halt(in_loop(stop))
                detector = DriftDetector(Book(AAPL=20), Book(AAPL=120), client=client)
                assert len(await client.check_drift(detector)) == 1
                halt = await asyncio.wait_for(halted, SOON)
                assert halt.state == "halted"
                body = {
                    "account": account,
                    "epoch": halt.epoch,
                    "reason": "a drill",
                    "actor": "anna",
                    "force": True,
                }
                assert (await client.post("/api/v1/halts/release", body))["state"] == "active"
                state = await client.get("/api/v1/permit", account=account)
                assert state["state"] == "active"
            assert client.stats().dropped == 0

    asyncio.run(asyncio.wait_for(engine(), SOON * 2))
