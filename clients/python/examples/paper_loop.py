"""A paper-trading loop that submits, fills, reconciles, is halted, and is released.

    cargo run -- --web.listen-address 127.0.0.1:10471      # in another terminal
    pip install ./clients/python
    python clients/python/examples/paper_loop.py

The broker is an object in this file, which sometimes loses a fill. Watch http://127.0.0.1:10471
meanwhile. In a real system, a person makes the release at the end.
"""

from __future__ import annotations

import os
import random
import threading
import time
from decimal import Decimal
from typing import Callable

from trading_exporter import (
    Client,
    ComponentType,
    DriftDetector,
    ExecutionMonitor,
    Halt,
    HealthChecker,
    Reconcile,
    TradingGate,
)

URL = os.environ.get("EXPORTER_URL", "http://127.0.0.1:10471")
SYMBOL = "AAPL"
#: A cheap symbol: a difference of one share is minor, if its value is known.
OTHER = "F"


class Book:
    """Positions by symbol. The engine has a book, and so has the broker."""

    def __init__(self) -> None:
        self.positions: dict[str, Decimal] = {}

    def add(self, symbol: str, quantity: Decimal) -> None:
        self.positions[symbol] = self.positions.get(symbol, Decimal(0)) + quantity

    def get_positions(self) -> dict[str, Decimal]:
        return dict(self.positions)


def wait_for(what: str, condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Waits until a condition is true."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: it did not happen within {seconds:g} s")
        pause.wait(0.02)


class Engine:
    """One symbol, one account, market orders at random."""

    def __init__(self, client: Client) -> None:
        self.book, self.broker = Book(), Book()
        self.random = random.Random(7)
        self.halts: list[Halt] = []
        self.client = client
        self.monitor = ExecutionMonitor(client=client)
        self.gate = TradingGate(client=client)
        self.gate.on_halt(self.on_halt)
        self.gate.on_release(lambda r: print(f"released: {r.state.value}, epoch {r.epoch}"))
        self.gate.on_reconcile(self.on_reconcile)
        self.detector = DriftDetector(self.book, self.broker, 60, client=client)
        self.orders = 0

    def on_halt(self, halt: Halt) -> None:
        print(f"halted: {halt.reason}")
        self.halts.append(halt)

    def on_reconcile(self, directive: Reconcile) -> bool:
        print(f"reconcile {directive.symbol}: {directive.from_quantity} -> {directive.to_quantity}")
        self.book.positions[directive.symbol] = Decimal(directive.to_quantity)
        return True

    def trade(self, quantity: int = 10) -> bool:
        """Sends one order. Returns False if the permit does not allow it."""
        if not self.gate.allowed():
            return False
        self.orders += 1
        order = f"O-{self.orders}"
        price = Decimal("187.40")
        self.monitor.record_submission(order, SYMBOL, "buy", quantity, price)
        self.monitor.record_acceptance(order)
        if self.random.random() < 0.1:
            self.monitor.record_rejection(order, "insufficient funds")
            return True
        paid = price + Decimal(self.random.randint(-2, 4)) / 100
        self.monitor.record_fill(order, paid, quantity, fill_id=f"F-{self.orders}", fee="0.35")
        self.book.add(SYMBOL, Decimal(quantity))
        self.broker.add(SYMBOL, Decimal(quantity))
        return True


def main() -> None:
    """Runs the whole example."""
    account = f"paper-{os.getpid()}"
    with Client(URL, account=account) as client:
        engine = Engine(client)
        health = HealthChecker(client=client)
        health.register_check(ComponentType.ENGINE, lambda: True, interval_seconds=1)
        health.start()

        if not engine.gate.wait(30):
            raise SystemExit("no permit came within 30 s")
        while engine.orders < 50:
            engine.trade()
        client.flush()
        figures = engine.monitor.get_metrics(SYMBOL)
        print(
            f"{figures.samples} orders: fill ratio {figures.fill_ratio},"
            f" slippage {figures.slippage_bps} bps"
        )
        for severity, sentence in engine.monitor.detect_anomalies():
            print(f"{severity}: {sentence}")

        # Use a symbol that was not traded: no fill of it can be in flight.
        client.quote(OTHER, bid="9.98", ask="10.02")
        engine.book.positions[OTHER], engine.broker.positions[OTHER] = Decimal(10), Decimal(11)
        engine.detector.check_drift()
        engine.detector.check_drift()
        wait_for("a reconciliation", lambda: engine.book.positions[OTHER] == 11)
        assert engine.detector.check_drift() == []

        engine.broker.positions[OTHER] = Decimal(-40)
        for drift in engine.detector.check_drift():
            print(f"{drift.symbol}: {drift.severity}, {drift.quantity_drift} apart")
        wait_for("the halt", lambda: bool(engine.halts))
        assert not engine.trade(), "a halted engine sends nothing"

        # Agreeing books release nothing: a person with a name and a reason has to do it.
        engine.broker.positions[OTHER] = engine.book.positions[OTHER]
        assert engine.detector.check_drift() == []
        assert not engine.gate.allowed()
        client.post(
            "/api/v1/halts/release",
            {
                "account": account,
                "epoch": engine.gate.epoch,
                "actor": "the example",
                "reason": "the broker's booking error is corrected",
            },
        )
        wait_for("the release", engine.gate.allowed)
        assert engine.trade()
        engine.gate.close()
        health.stop()
    print(f"done: {client.stats()}")


if __name__ == "__main__":
    main()
