"""An exporter with a journal, killed while it receives events."""

from __future__ import annotations

import threading
from typing import Callable

from harness import SOON, Exporter, until
from trading_exporter import Client, ExecutionMonitor

ORDERS = 3000


def test_a_killed_exporter_counts_everything_once(
    exporter: Callable[..., Exporter], make: Callable[..., Client], account: str
) -> None:
    server = exporter()
    server.storage = "journal"
    server.start()
    client = make(server.url, timeout_seconds=2.0)
    monitor = ExecutionMonitor(client=client)

    def trade() -> None:
        pause = threading.Event()
        for n in range(ORDERS):
            monitor.record_submission(f"O-{n}", "AAPL", "buy", 1, 100)
            monitor.record_fill(f"O-{n}", 100, 1)
            if n % 10 == 0:
                pause.wait(0.002)

    def wait_for(count: str, least: int) -> None:
        until(lambda: getattr(client.stats(), count) >= least)

    engine = threading.Thread(target=trade)
    engine.start()
    for kill in range(1, 4):
        wait_for("accepted", kill * 500)
        server.kill()
        failures = client.stats().failures
        wait_for("failures", failures + 1)
        server.start()
    engine.join()
    assert client.flush(SOON)
    counters = server.counters(account)
    own = {"submitted": ORDERS, "filled": ORDERS, "fills": ORDERS, "open": 0}
    assert {name: counters[name] for name in own} == own
    stats = client.stats()
    assert stats.dropped == stats.rejected == 0
    assert stats.accepted + stats.duplicates >= 2 * ORDERS
