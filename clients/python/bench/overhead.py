"""Measures the overhead of the client for its caller, and the latency of a halt. Prints tables.

    PYTHONPATH=src python bench/overhead.py [path of the exporter]

Needs the exporter, built with `cargo build --release`. The row "nothing" is the same loop with an
empty function: the overhead of the machine itself.
"""

from __future__ import annotations

import contextlib
import gc
import json
import resource
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import harness
from harness import SOON, Exporter, Fake, hang, until
from trading_exporter import Client, ExecutionMonitor, Halt, TradingGate

ORDERS = 10_000
HALTS = 100


def row(name: str, seconds: list[float], unit: float, digits: int) -> None:
    ordered = sorted(seconds)
    figures = [ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)], ordered[-1]]
    print(f"{name:34}" + "".join(f"{f / unit:12.{digits}f}" for f in figures))


class Slow:
    """Calls of more than a millisecond, and their causes."""

    def __init__(self) -> None:
        self.calls = self.preempted = self.collected = self.collections = 0
        gc.callbacks.append(self._collecting)

    def timed(self, into: list[float], function: Callable[..., Any], *arguments: Any) -> None:
        preempted = resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw
        collections = self.collections
        timed(into, function, *arguments)
        if into[-1] > 1e-3:
            self.calls += 1
            self.collected += self.collections > collections
            self.preempted += resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw > preempted

    def tell(self) -> None:
        gc.callbacks.remove(self._collecting)
        if self.calls:
            print(
                f"  {self.calls} calls took over 1 ms; in {self.preempted} the system had"
                f" preempted, in {self.collected} the garbage collector ran"
            )

    def _collecting(self, phase: str, _: dict[str, int]) -> None:
        self.collections += phase == "stop"


def timed(into: list[float], function: Callable[..., Any], *arguments: Any) -> None:
    began = time.perf_counter()
    function(*arguments)
    into.append(time.perf_counter() - began)


def paced() -> Iterator[int]:
    """Orders at about a thousand a second, because an engine also does other work."""
    pause = threading.Event()
    for n in range(ORDERS):
        yield n
        pause.wait(0.0005)


def overhead(name: str, client: Client) -> None:
    monitor = ExecutionMonitor(client=client)
    # Collect the garbage of the start, so that it is not collected during an order.
    gc.collect()
    slow = Slow()
    submissions: list[float] = []
    fills: list[float] = []
    for n in paced():
        order = f"{name}-{n}"
        slow.timed(submissions, monitor.record_submission, order, "AAPL", "buy", 100, 187.4)
        slow.timed(fills, monitor.record_fill, order, 187.45, 100)
    row(f"record_submission, exporter {name}", submissions, 1e-6, 1)
    row(f"record_fill, exporter {name}", fills, 1e-6, 1)
    slow.tell()
    stats = client.stats()
    if stats.dropped:
        print(f"  {stats.dropped} of {2 * ORDERS} events were dropped")
    client.close(1.0)


def post(url: str, path: str, body: Any) -> Any:
    request = urllib.request.Request(
        url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=SOON) as answer:
        return json.load(answer)


def books(url: str, local: int, broker: int) -> None:
    def side(source: str, quantity: int) -> dict[str, Any]:
        rows = [{"symbol": "NVDA", "quantity": quantity}]
        return {"type": "positions", "account": "b", "source": source, "positions": rows}

    post(url, "/api/v1/events", side("local", local))
    post(url, "/api/v1/events", side("broker", broker))


def halts(server: Exporter, folder: str) -> None:
    client = Client(server.url, account="b", spill_folder=folder)
    arrived = threading.Event()
    at: list[float] = []

    def on_halt(_: Halt) -> None:
        at.append(time.perf_counter())
        arrived.set()

    seconds: list[float] = []
    with TradingGate(client=client) as gate:
        gate.on_halt(on_halt)
        until(gate.allowed)
        for _ in range(HALTS):
            arrived.clear()
            event = {
                "type": "positions",
                "account": "b",
                "source": "broker",
                "positions": [{"symbol": "NVDA", "quantity": 80}],
            }
            post(
                server.url,
                "/api/v1/events",
                {**event, "source": "local", "positions": [{"symbol": "NVDA", "quantity": 100}]},
            )
            began = time.perf_counter()
            post(server.url, "/api/v1/events", event)
            assert arrived.wait(SOON)
            seconds.append(at[-1] - began)
            books(server.url, 100, 100)
            body = {"account": "b", "epoch": gate.epoch, "reason": "bench", "actor": "bench"}
            post(server.url, "/api/v1/halts/release", body)
            until(gate.allowed)
    row("broker snapshot to on_halt", seconds, 1e-3, 2)
    client.close()


def permits(server: Exporter, folder: str) -> None:
    with TradingGate(client=Client(server.url, account="b2", spill_folder=folder)) as gate:
        until(gate.allowed)
        functions: list[tuple[str, Callable[[], bool]]] = [
            ("nothing", bool),
            ("allowed()", gate.allowed),
        ]
        for name, function in functions:
            seconds = []
            for _ in range(200):
                began = time.perf_counter()
                for _ in range(1000):
                    function()
                seconds.append((time.perf_counter() - began) / 1000)
            row(f"{name}, mean of 1000", seconds, 1e-9, 0)


def main() -> None:
    if len(sys.argv) > 1:
        harness.BINARY = Path(sys.argv[1])
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        server = Exporter(Path(folder)).start()
        stack.callback(server.kill)
        print(f"{'microseconds on the caller':34}{'p50':>12}{'p99':>12}{'max':>12}")
        control: list[float] = []
        for _ in paced():
            timed(control, bool)
        row("nothing", control, 1e-6, 1)
        fake = Fake(*[hang] * 1000)
        for name, url in (
            ("up", server.url),
            ("away", "http://127.0.0.1:9"),
            ("hanging", fake.url),
        ):
            overhead(name, Client(url, account=name, spill_folder=folder, timeout_seconds=2.0))
        fake.close()
        print(f"\n{'nanoseconds':34}{'p50':>12}{'p99':>12}{'max':>12}")
        permits(server, folder)
        print(f"\n{'milliseconds':34}{'p50':>12}{'p99':>12}{'max':>12}")
        halts(server, folder)


if __name__ == "__main__":
    main()
