"""Drift between two books from two sources."""

from __future__ import annotations

import hashlib
from typing import Any, Callable

import pytest

from harness import SOON, Exporter, until
from trading_exporter import (
    BrokerTokenMissing,
    Client,
    Drift,
    DriftDetector,
    DriftSeverity,
    DriftType,
    ExporterUnavailable,
)

Make = Callable[..., Client]


class Book:
    def __init__(self, positions: Any) -> None:
        self.positions = positions

    def get_positions(self) -> Any:
        if isinstance(self.positions, Exception):
            raise self.positions
        return self.positions


def test_a_failed_fetch_is_never_flat(shared: Exporter, make: Make, account: str) -> None:
    store, broker = Book({"AAPL": 100}), Book({"AAPL": 80})
    detector = DriftDetector(store, broker, client=make(shared.url))
    assert [d.severity for d in detector.check_drift()] == [DriftSeverity.CRITICAL]
    for failure in (TimeoutError("the broker is away"), None, {"AAPL": float("nan")}):
        broker.positions = failure
        assert [d.symbol for d in detector.check_drift()] == ["AAPL"], "it cleared nothing"
    (row,) = shared.get(f"/api/v1/positions?account={account}")
    assert row["broker_quantity"] == "80"
    broker.positions = [{"symbol": "AAPL", "quantity": "100.0"}]
    assert detector.check_drift() == []


async def later() -> dict[str, int]:
    return {}


def test_an_asynchronous_source_is_a_failure_too(
    shared: Exporter, make: Make, account: str
) -> None:
    detector = DriftDetector(Book({"AAPL": 1}), Book(later()), client=make(shared.url))
    assert detector.check_drift() == []
    (row,) = shared.get(f"/api/v1/positions?account={account}")
    assert (row["local_quantity"], row["broker_quantity"]) == ("1", None)


def test_a_drift_has_all_fields(shared: Exporter, make: Make, account: str) -> None:
    broker = Book([{"symbol": "TSLA", "qty": "15", "current_price": "200"}])
    (drift,) = DriftDetector(Book({}), broker, client=make(shared.url)).check_drift()
    assert drift.drift_type is DriftType.UNKNOWN_POSITION
    assert (str(drift.quantity_drift), str(drift.value_drift)) == ("-15", "3000")
    assert drift.action == "halt"
    assert drift.to_dict()["account"] == account
    assert drift.to_dict()["severity"] == "critical" == drift.severity


def test_the_loop_checks_until_it_is_stopped(shared: Exporter, make: Make) -> None:
    found: list[list[Drift]] = []

    def on_drift(drifts: list[Drift]) -> None:
        found.append(drifts)
        raise RuntimeError("a defect of the engine")

    detector = DriftDetector(
        Book({"A": 50}), Book({"A": 1}), 0.01, client=make(shared.url), on_drift=on_drift
    )
    detector.start()
    detector.start()
    until(lambda: len(found) >= 3)
    detector.stop()
    count = len(found)
    detector.check_drift()
    assert len(found) == count


def test_an_unavailable_exporter_is_reported(make: Make) -> None:
    detector = DriftDetector(Book({}), Book({}), client=make("http://127.0.0.1:9"))
    with pytest.raises(ExporterUnavailable, match="127.0.0.1:9"):
        detector.check_drift()


TOKENS = """
tokens:
  - {{name: engine, sha256: {engine}, scopes: [ingest, read]}}
  - {{name: broker, sha256: {broker}, scopes: ["ingest:broker"]}}
"""


@pytest.fixture
def guarded(exporter: Callable[..., Exporter]) -> Exporter:
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("engine", "broker")}
    return exporter(TOKENS.format(**digests)).start()


def test_two_sources_use_two_tokens(guarded: Exporter, make: Make) -> None:
    client = make(guarded.url, token="engine", broker_token="broker")
    store, broker = Book({"A": 50}), Book({"A": 1})
    detector = DriftDetector(store, broker, client=client)
    assert [d.severity for d in detector.check_drift()] == [DriftSeverity.CRITICAL]
    client.send("heartbeat", {"component": "broker"})
    assert client.flush(SOON)
    assert client.stats().rejected == 0


def test_one_token_for_two_sources_is_a_clear_error(guarded: Exporter, make: Make) -> None:
    both = (Book({"A": 50}), Book({"A": 1}))
    for token in ("engine", None):
        detector = DriftDetector(*both, client=make(guarded.url, token=token))
        with pytest.raises(BrokerTokenMissing, match="broker_token="):
            detector.check_drift()
    alone = DriftDetector(both[0], client=make(guarded.url, token="engine"))
    assert alone.check_drift() == []


def test_a_wrong_token_keeps_waiting_events(guarded: Exporter, make: Make) -> None:
    client = make(guarded.url, token="wrong")
    client.send("order_accepted", {"order_id": "1"})
    until(lambda: client.stats().failures)
    assert client.stats().waiting == 1
    assert client.stats().rejected == 0
