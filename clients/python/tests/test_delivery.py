"""Reported events arrive once: despite failures, restarts, full queues, forks and exits."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable

import pytest

import trading_exporter
from harness import SOON, Cutter, Exporter, Fake, hang, reply, reset, trickle, until
from trading_exporter import Client, ExecutionMonitor, Rejected
from trading_exporter._http import Answer
from trading_exporter._sender import judge

Make = Callable[..., Client]


def record(client: Client, orders: range) -> None:
    monitor = ExecutionMonitor(client=client)
    for n in orders:
        assert monitor.record_submission(f"O-{n}", "AAPL", "buy", 100, 100.0)
        assert monitor.record_fill(f"O-{n}", 100.05, fill_id=f"F-{n}")


def run_python(code: str, tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    source = str(Path(trading_exporter.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": source, "XDG_STATE_HOME": str(tmp_path)},
        stdin=subprocess.PIPE,
        text=True,
    )


def test_orders_become_figures(shared: Exporter, make: Make, account: str) -> None:
    client = make(shared.url)
    record(client, range(300))
    assert client.flush(SOON)
    counters = shared.counters(account)
    assert (counters["submitted"], counters["filled"], counters["fills"]) == (300, 300, 300)
    assert ExecutionMonitor(client=client).get_metrics().slippage_bps == pytest.approx(5.0)
    stats = client.stats()
    assert (stats.accepted, stats.dropped, stats.waiting) == (600, 0, 0)


@pytest.mark.parametrize("on_disk", [True, False])
def test_nothing_is_lost_or_counted_twice_during_an_outage(
    exporter: Callable[..., Exporter], make: Make, account: str, on_disk: bool
) -> None:
    server = exporter()
    client = make(server.url, **({} if on_disk else {"spill_folder": None}))
    record(client, range(500))
    until(lambda: client.stats().failures >= 2)
    if on_disk:
        until(lambda: client.stats().bytes_on_disk > 0)
    record(client, range(500, 1000))
    server.start()
    assert client.flush(SOON)
    counters = server.counters(account)
    assert (counters["submitted"], counters["filled"], counters["fills"]) == (1000, 1000, 1000)
    assert client.stats().dropped == client.stats().rejected == 0
    assert client.stats().bytes_on_disk == 0


def test_lost_answers_do_not_count_twice(shared: Exporter, make: Make, account: str) -> None:
    proxy = Cutter(shared.port, lost=3)
    client = make(proxy.url)
    record(client, range(200))
    assert client.flush(SOON)
    proxy.close()
    assert proxy.cut == 3
    counters = shared.counters(account)
    assert (counters["submitted"], counters["filled"], counters["fills"]) == (200, 200, 200)
    stats = client.stats()
    assert stats.duplicates > 0
    assert stats.rejected == 0


@pytest.mark.parametrize(
    "act",
    [
        hang,
        reset,
        trickle,
        reply(503, Retry_After="0"),
        reply(429, {"code": "x"}),
        reply(500),
        b"garbage\r\n\r\n",
    ],
    ids=["hang", "reset", "trickle", "503", "429", "500", "garbage"],
)
def test_retries_use_the_same_ids(make: Make, act: Any) -> None:
    fake = Fake(act)
    client = make(fake.url, timeout_seconds=0.3)
    record(client, range(3))
    assert client.flush(SOON)
    fake.close()
    ids = [event["event_id"] for event in fake.events()]
    assert len(set(ids)) == 6
    assert len(ids) > 6, "they were sent once only"
    assert [e["type"] for e in fake.events()[-2:]] == ["order_submitted", "order_filled"]


def test_rejected_events_are_reported_and_not_sent_again(make: Make) -> None:
    refusal = {"index": 1, "code": "invalid_price", "field": "price", "message": "no"}
    fake = Fake(reply(207, {"accepted": 1, "duplicates": 0, "rejected": [refusal], "states": {}}))
    told: list[Rejected] = []

    def on_rejected(rejected: Rejected) -> None:
        told.append(rejected)
        raise RuntimeError("a callback that fails")

    client = make(fake.url, on_rejected=on_rejected)
    record(client, range(1))
    assert client.flush(SOON)
    fake.close()
    assert [(r.code, r.field, r.event["order_id"]) for r in told] == [
        ("invalid_price", "price", "O-0")
    ]
    assert client.stats().rejected == 1
    assert len(fake.events()) == 2


def test_a_body_that_is_too_large_is_split(make: Make) -> None:
    fake = Fake(*[reply(413, {"code": "body_too_large"})] * 2)
    client = make(fake.url, spill_folder=None)
    record(client, range(8))
    assert client.flush(SOON)
    fake.close()
    assert len({e["event_id"] for e in fake.events()}) == 16
    assert len(fake.bodies[2].splitlines()) < len(fake.bodies[0].splitlines())


def test_consequences_of_answers() -> None:
    def judged(status: int, body: Any = None, **headers: str) -> Any:
        return judge(Answer(status, headers, json.dumps(body).encode()), 10)

    taken = {"accepted": 10, "duplicates": 0, "rejected": [], "states": {"a": "halted"}}
    assert judged(200, taken).done
    assert judged(200, taken).states == {"a": "halted"}
    assert judged(422, {**taken, "accepted": 0, "rejected": [{"index": 0}] * 10}).done
    assert not judged(200, {"something": "else"}).done, "a proxy said that"
    assert judged(413).split
    assert judged(400, {"code": "too_many_events"}).split
    assert judged(503, {}, **{"retry-after": "7"}).after_seconds == 7
    assert judged(429, {}, **{"retry-after": "100000"}).after_seconds == 300
    assert judged(503, {}, **{"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}).after_seconds == 0
    assert judged(503, {}, **{"retry-after": "soon"}).after_seconds is None
    assert judged(400, {"code": "incomplete_body", "retryable": True}).after_seconds is None
    for status in (301, 400, 401, 403, 404, 405, 415):
        verdict = judged(status, {"code": "c", "detail": "d"})
        assert verdict.after_seconds > 1, f"{status} does not shorten the delay"
        assert verdict.why == f"c ({status}): d"


def test_retry_after_is_respected(make: Make) -> None:
    fake = Fake(reply(503, {"code": "overloaded"}, Retry_After="300"))
    client = make(fake.url)
    record(client, range(1))
    until(lambda: client.stats().failures)
    client.reachable()
    assert not client.flush(0.1), "another request's answer does not shorten a Retry-After"
    assert client._sender._not_before - time.monotonic() > 200
    assert len(fake.bodies) == 1
    fake.close()


def test_a_full_queue_drops_and_counts(make: Make) -> None:
    fake = Fake(hang)
    client = make(fake.url, queue_events_max=10, spill_folder=None, timeout_seconds=SOON)
    client.send("order_accepted", {"order_id": "first"})
    until(lambda: fake.bodies, "the sender waits for an answer")
    results = [client.send("order_accepted", {"order_id": str(n)}) for n in range(15)]
    assert results == [True] * 10 + [False] * 5
    assert client.stats().dropped_queue_full == 5
    fake.close()


def test_a_full_disk_leaves_events_in_memory(make: Make, tmp_path: Path) -> None:
    fake = Fake(*[reply(503)] * 4)
    client = make(fake.url, spill_bytes_max=1000)
    record(client, range(50))
    assert client.flush(SOON)
    fake.close()
    assert len({e["event_id"] for e in fake.events()}) == 100
    assert client.stats().dropped == 0


class Awkward:
    """An argument whose methods all raise."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __hash__ = None  # type: ignore[assignment]


def test_nothing_is_raised_on_the_order_path(make: Make, shared: Exporter) -> None:
    told: list[Rejected] = []
    client = make(shared.url, on_rejected=told.append)
    monitor = ExecutionMonitor(client=client, max_history=2)
    bad: Any
    for bad in (Awkward(), float("nan"), None, [], {}, "\ud800", b"x", 10**400, object()):
        monitor.record_submission(bad, bad, bad, bad, bad)
        monitor.record_fill(bad, bad, bad, fee=bad)
        monitor.record_rejection(bad, bad, bad)
        monitor.record_cancellation(bad, bad, bad)
        monitor.record_replacement(bad, bad, bad, bad)
        for method in (monitor.record_acceptance, monitor.record_expiry, monitor.record_denial):
            method(bad, x_note=bad)
        client.send(bad, {"x": bad}, time_ns=bad, event_id=bad)
    assert monitor.record_submission("good", "AAPL", "buy", 1)
    assert client.flush(SOON)
    stats = client.stats()
    assert stats.waiting == 0
    assert stats.accepted >= 1
    assert len(told) == stats.rejected + stats.unencodable > 0


def test_many_threads_share_a_client(shared: Exporter, make: Make, account: str) -> None:
    client = make(shared.url)
    threads = [
        threading.Thread(target=record, args=(client, range(n * 100, n * 100 + 100)))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(SOON)
    assert shared.counters(account)["fills"] == 800


def test_only_the_newest_snapshot_of_a_kind_is_sent(make: Make) -> None:
    fake = Fake(reply(503, Retry_After="0"))
    client = make(fake.url)
    client.quote("AAPL", price=1)
    until(lambda: fake.bodies)
    for n in range(100):
        client.quote("AAPL", price=n)
        client.quote("MSFT", bid=n, ask=n + 1)
    assert client.flush(SOON)
    fake.close()
    assert len(fake.events()) < 20
    newest = {e["symbol"]: e for e in fake.events()}
    assert newest["AAPL"]["price"] == "99"
    assert newest["MSFT"]["ask"] == "100"


# Forks and ends of processes


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_child_of_a_fork_has_its_own_events_and_ids(
    shared: Exporter, make: Make, account: str
) -> None:
    client = make(shared.url)
    record(client, range(50))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            record(client, range(50, 100))
            status = 0 if client.flush(SOON) else 2
        finally:
            os._exit(status)
    record(client, range(100, 150))
    assert client.flush(SOON)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    counters = shared.counters(account)
    assert (counters["submitted"], counters["fills"]) == (150, 150)
    assert client.stats().rejected == 0


def child_of_multiprocessing(client: Client) -> None:
    record(client, range(20))


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_child_of_multiprocessing_flushes_at_its_end(
    shared: Exporter, make: Make, account: str
) -> None:
    client = make(shared.url)
    process = multiprocessing.get_context("fork").Process(
        target=child_of_multiprocessing, args=(client,)
    )
    process.start()
    process.join(SOON)
    assert process.exitcode == 0
    assert shared.counters(account)["fills"] == 20


REPORT = """
import sys
from trading_exporter import Client, ExecutionMonitor
monitor = ExecutionMonitor(client=Client(sys.argv[1], account=sys.argv[2], retry_seconds_max=0.2))
for n in range(int(sys.argv[3]), int(sys.argv[4])):
    monitor.record_submission(f"O-{n}", "AAPL", "sell", 1, 10)
    monitor.record_fill(f"O-{n}", 10)
"""


def test_a_process_flushes_at_its_end(shared: Exporter, account: str, tmp_path: Path) -> None:
    assert run_python(REPORT, tmp_path, shared.url, account, "0", "100").wait(SOON) == 0
    assert shared.counters(account)["fills"] == 100


def test_the_next_process_sends_undelivered_events(
    exporter: Callable[..., Exporter], account: str, tmp_path: Path
) -> None:
    server = exporter()
    assert run_python(REPORT, tmp_path, server.url, account, "0", "100").wait(SOON) == 0
    left = list((tmp_path / "trading-exporter").glob("*/*.ndjson"))
    assert len(left) == 1
    assert left[0].stat().st_mode & 0o077 == 0, "others can read it"
    server.start()
    assert run_python(REPORT, tmp_path, server.url, account, "100", "101").wait(SOON) == 0
    assert server.counters(account)["fills"] == 101
    assert list((tmp_path / "trading-exporter").glob("*/*.ndjson")) == []


KILLED = REPORT + "sys.stdin.read()"


def test_events_on_disk_survive_a_killed_process(
    exporter: Callable[..., Exporter], account: str, tmp_path: Path
) -> None:
    server = exporter()
    process = run_python(KILLED, tmp_path, server.url, account, "0", "100")

    def lines() -> int:
        files = (tmp_path / "trading-exporter").glob("*/*.ndjson")
        return sum(len(file.read_bytes().splitlines()) for file in files)

    until(lambda: lines() == 201, "a header and 200 events are on disk")
    process.kill()
    process.wait(SOON)
    server.start()
    assert run_python(REPORT, tmp_path, server.url, account, "100", "101").wait(SOON) == 0
    assert server.counters(account)["fills"] == 101


def test_a_closed_client_drops_and_counts(shared: Exporter, make: Make) -> None:
    client = make(shared.url)
    record(client, range(1))
    client.close()
    assert client.stats().accepted == 2
    assert not client.send("order_accepted", {"order_id": "late"})
    assert client.stats().dropped_closed == 1
    client.close()


def test_warnings_about_events_are_logged_once(
    make: Callable[..., Client], caplog: pytest.LogCaptureFixture
) -> None:
    """Accepted events with a warning: a list that is too old to compare."""
    warning = {"index": 0, "code": "stale", "message": "it is 300 s old"}
    answer = {"accepted": 1, "duplicates": 0, "rejected": [], "warnings": [warning, "odd"]}
    fake = Fake(*[reply(200, answer)] * 3)
    client = make(fake.url)
    for _ in range(2):
        client.send("order_accepted", {"order_id": "1"})
        assert client.flush(SOON)
    client.post_events([client.event("order_accepted", {"order_id": "1"})])
    told = [r.getMessage() for r in caplog.records if "stale" in r.getMessage()]
    assert told == ["the exporter warns: stale: it is 300 s old"]
    assert client.stats().rejected == 0
    fake.close()
