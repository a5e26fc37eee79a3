"""The permit: permissions, expiry and callbacks."""

from __future__ import annotations

import json
import os
import threading
from functools import partial
from typing import Any, Callable

import pytest

from harness import SOON, Exporter, Fake, hang, reply, until
from trading_exporter import (
    Client,
    DriftDetector,
    ExecutionMonitor,
    ExporterRefused,
    Halt,
    Reconcile,
    TradingGate,
    TradingState,
)
from trading_exporter import gate as gates
from trading_exporter._http import Channel
from trading_exporter._sse import Parser

Make = Callable[..., Client]


class Book:
    def __init__(self, **positions: Any) -> None:
        self.positions = positions

    def get_positions(self) -> dict[str, Any]:
        return dict(self.positions)


def permit(state: str, epoch: int, valid_for_ms: int = 60_000, on_expiry: str = "halt") -> bytes:
    causes = [] if state == "active" else [{"id": 1, "kind": "operator", "reason": f"why {epoch}"}]
    body = {
        "account": "a",
        "state": state,
        "causes": causes,
        "epoch": epoch,
        "sequence": 1,
        "valid_for_ms": valid_for_ms,
        "on_expiry": on_expiry,
    }
    return reply(200, body)


def halt(exporter: Exporter, account: str, state: str = "halted") -> Any:
    body = {"account": account, "state": state, "reason": "a drill", "actor": "anna"}
    return exporter.post("/api/v1/halts", body)


def release(exporter: Exporter, account: str, epoch: int) -> None:
    body = {"account": account, "epoch": epoch, "reason": "drill over", "actor": "anna"}
    exporter.post("/api/v1/halts/release", body)


def test_a_halt_and_a_release_are_obeyed_and_reported(
    shared: Exporter, make: Make, account: str
) -> None:
    told: list[tuple[str, Halt]] = []
    with TradingGate(client=make(shared.url)) as gate:
        gate.on_halt(lambda h: told.append(("halt", h)))
        gate.on_release(lambda h: told.append(("release", h)))
        until(gate.allowed)
        assert gate.state.value == "active"
        halt(shared, account, "reducing")
        until(lambda: not gate.allowed())
        assert gate.allowed(reduces=True)
        assert gate.state.value == "reducing"
        halt(shared, account)
        until(lambda: not gate.allowed(reduces=True))
        assert gate.state.value == "halted"
        until(lambda: len(told) == 2)
        release(shared, account, gate.epoch)
        until(gate.allowed)
        until(lambda: len(told) == 3)
    assert [(kind, h.state.value) for kind, h in told] == [
        ("halt", "reducing"),
        ("halt", "halted"),
        ("release", "active"),
    ]
    assert told[0][1].reason == "a drill"
    assert told[0][1].epoch < told[1][1].epoch < told[2][1].epoch


def test_an_earlier_halt_is_reported(shared: Exporter, make: Make, account: str) -> None:
    halt(shared, account)
    told: list[Halt] = []
    with TradingGate(client=make(shared.url)) as gate:
        gate.on_halt(told.append)
        until(lambda: told)
        assert not gate.allowed()


@pytest.mark.parametrize(
    ("configured", "asked_for", "opens", "reduces"),
    [
        ("reduce_only", None, False, True),
        ("halt", None, False, False),
        ("continue", None, True, True),
        ("continue", "halt", False, False),
        ("halt", "reduce_only", False, True),
    ],
)
def test_without_the_exporter_the_permit_expires(
    exporter: Callable[..., Exporter],
    make: Make,
    configured: str,
    asked_for: str | None,
    opens: bool,
    reduces: bool,
) -> None:
    server = exporter(f"permit: {{valid_for: 500ms, on_expiry: {configured}}}").start()
    told: list[TradingState] = []
    with TradingGate(client=make(server.url), on_expiry=asked_for) as gate:
        gate.on_expired(told.append)
        until(gate.allowed)
        server.kill()
        until(lambda: gate.expired)
        assert (gate.allowed(), gate.allowed(reduces=True)) == (opens, reduces)
        until(lambda: told)
        assert told[0] is gate.state
        server.start()
        until(lambda: not gate.expired)
        assert gate.allowed()


def test_a_halt_outlives_the_permit(exporter: Callable[..., Exporter], make: Make) -> None:
    server = exporter("permit: {valid_for: 500ms, on_expiry: continue}").start()
    with TradingGate(client=make(server.url, account="a")) as gate:
        until(gate.allowed)
        halt(server, "a")
        until(lambda: gate.state.value == "halted")
        server.kill()
        until(lambda: gate.expired)
        assert not gate.allowed()
        assert not gate.allowed(reduces=True)


def test_an_engine_waits_for_its_first_permit(shared: Exporter, make: Make, account: str) -> None:
    with TradingGate(client=make(shared.url)) as gate:
        assert gate.wait(SOON)
        assert gate.allowed()
    halt(shared, account)
    with TradingGate(client=make(shared.url)) as gate:
        assert gate.wait(SOON), "a permit is there, and says no"
        assert not gate.allowed()


def test_waiting_for_a_permit_times_out(make: Make) -> None:
    gate = TradingGate(client=make("http://127.0.0.1:9"))
    assert not gate.wait(0.01)
    waits = threading.Thread(target=gate.wait, args=(None,))
    waits.start()
    gate.close()
    waits.join(SOON)
    assert not waits.is_alive()


def test_an_unknown_account_is_logged_once(
    make: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "_UNKNOWN_SECONDS", 0.05)
    body = body_of(permit("active", 1, 100))
    unknown = reply(200, {**body, "known": False})
    known = reply(200, {**body, "known": True})
    fake = Fake(permits=[*[unknown] * 4, known])
    with TradingGate(client=make(fake.url, account="papr")) as gate:
        assert gate.wait(SOON)
        assert gate.allowed(), "it is told, not refused"
        until(lambda: gate.known)
    told = [r for r in caplog.records if "does not know account 'papr'" in r.getMessage()]
    assert len(told) == 1
    fake.close()


def test_an_account_is_known_from_its_first_event(
    exporter: Callable[..., Exporter], make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    server = exporter("permit: {valid_for: 3s}").start()
    client = make(server.url, account="papr")
    with TradingGate(client=client) as gate:
        assert gate.wait(SOON)
        until(lambda: "'papr'" in caplog.text)
        assert gate.known is False
        assert DriftDetector(client=client).check_drift() == []
        assert ExecutionMonitor(client=client).detect_anomalies() == []
        client.send("heartbeat", {"component": "engine"})
        until(lambda: gate.known)
        assert gate.allowed()
    assert "unknown_account" not in caplog.text


def test_causes_keep_all_fields(make: Make) -> None:
    body = body_of(permit("halted", 5))
    release_body = {"account": "*", "epoch": 2}
    cause = {**body["causes"][0], "account": "*", "epoch": 2, "release": release_body}
    refused = reply(409, {"code": "stale_epoch", "detail": "...", "epochs": {"a": 5, "*": 2}})
    fake = Fake(permits=[reply(200, {**body, "causes": [cause]})])
    fake._routes["/api/v1/halts/release"] = [refused]
    client = make(fake.url)
    told: list[Halt] = []
    with TradingGate(client=client) as gate:
        gate.on_halt(told.append)
        until(lambda: told)
        assert told[0].causes[0]["release"] == gate.causes[0]["release"] == release_body
        with pytest.raises(ExporterRefused, match="stale_epoch") as raised:
            client.post("/api/v1/halts/release", {"account": "a", "epoch": 4})
    assert raised.value.problem["epochs"] == {"a": 5, "*": 2}
    fake.close()


def test_a_cause_has_the_body_of_its_release(exporter: Callable[..., Exporter], make: Make) -> None:
    """A halt of all accounts is released for all accounts, as the permit of one of them shows."""
    server = exporter().start()
    halt(server, "a")
    halt(server, "*")
    client = make(server.url, account="a")
    with TradingGate(client=client) as gate:

        def of(account: str) -> list[Any]:
            return [cause for cause in gate.causes if cause["account"] == account]

        def released(account: str) -> bool:
            return not of(account)

        assert gate.wait(SOON)
        stale = {"account": "*", "epoch": gate.epoch, "actor": "anna", "reason": "over"}
        with pytest.raises(ExporterRefused, match="stale_epoch") as refused:
            client.post("/api/v1/halts/release", stale)
        assert refused.value.problem["epochs"]["*"] < gate.epoch
        for account in ("*", "a"):
            (cause,) = of(account)
            body = {**cause["release"], "actor": "anna", "reason": "over"}
            client.post("/api/v1/halts/release", body)
            until(partial(released, account))
        until(gate.allowed)


def test_before_the_first_permit_only_reducing_is_allowed(make: Make) -> None:
    with TradingGate(client=make("http://127.0.0.1:9")) as gate:
        assert gate.expired
        assert not gate.allowed()
        assert gate.allowed(reduces=True)


def test_an_answer_that_is_not_a_permit_changes_nothing(make: Make) -> None:
    odd: list[Any] = [
        reply(200, []),
        reply(200, {}),
        reply(200, {"state": "open"}),
        b"\r\n\r\n",
        hang,
    ]
    fake = Fake(permits=[permit("active", 1, 400), *odd, permit("halted", 2)])
    with TradingGate(client=make(fake.url)) as gate:
        until(gate.allowed)
        until(lambda: gate.state.value == "halted" and gate.epoch == 2)
    fake.close()


def test_a_lower_epoch_is_ignored(make: Make) -> None:
    fake = Fake(permits=[permit("active", 4, 100), permit("halted", 5, 100), permit("active", 3)])
    with TradingGate(client=make(fake.url)) as gate:
        until(lambda: gate.epoch == 5)
        seen = len(fake.heads)
        until(lambda: len(fake.heads) >= seen + 5)
        assert gate.state.value == "halted"
        assert gate.epoch == 5
    fake.close()


def test_validity_starts_before_the_request(make: Make) -> None:
    """A permit that expires before its answer arrives is useless."""

    def late(connection: Any, body: bytes) -> None:
        threading.Event().wait(0.3)
        connection.sendall(permit("active", 1, valid_for_ms=200))

    fake = Fake(permits=[late])
    with TradingGate(client=make(fake.url)) as gate:
        until(lambda: gate.epoch == 1)
        assert gate.expired
        assert not gate.allowed()
    fake.close()


def test_an_answer_to_events_halts_immediately(make: Make) -> None:
    """No newer permit arrives: the halt is in the answer to the request that caused it."""
    states = {"account-x": "halted"}
    answer = {"accepted": 1, "duplicates": 0, "rejected": [], "states": states}
    fake = Fake(reply(200, answer), permits=[permit("active", 1), hang])
    client = make(fake.url, account="account-x")
    told: list[Halt] = []
    with TradingGate(client=client) as gate:
        gate.on_halt(told.append)
        until(gate.allowed)
        client.send("order_accepted", {"order_id": "1"})
        until(lambda: not gate.allowed())
        until(lambda: told)
        assert told[0].state.value == "halted"
    fake.close()


def test_the_effective_state_is_reported(exporter: Callable[..., Exporter], make: Make) -> None:
    server = exporter("permit: {valid_for: 500ms}").start()
    told: list[str] = []
    with TradingGate(client=make(server.url)) as gate:
        gate.on_state(lambda state: told.append(state.value))
        until(lambda: told == ["reducing", "active"] or told == ["active"])
        server.kill()
        until(lambda: told[-1] == "reducing" and told[-2:] == ["active", "reducing"])
        server.start()
        until(lambda: told[-1] == "active")


# The stream


def events(*messages: tuple[str, str, Any]) -> bytes:
    """Messages of a stream: id, event, data."""
    texts = [
        (f"id: {i}\r\n" if i else "") + f"event: {e}\ndata: {json.dumps(d)}\n\n"
        for i, e, d in messages
    ]
    return (": hello\nretry: 1000\n\n" + "".join(texts)).encode()


def streamed(*pieces: bytes, then_hang: bool = True) -> Callable[[Any, bytes], None]:
    """A stream in these pieces, which is then silent or ends."""

    def act(connection: Any, body: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces:
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        if then_hang:
            connection.recv(1)
        else:
            connection.sendall(b"0\r\n\r\n")

    return act


def body_of(answer: bytes) -> Any:
    return json.loads(answer.split(b"\r\n\r\n", 1)[1])


RECONCILE = {
    "id": "7-0",
    "account": "a",
    "type": "reconcile",
    "symbol": "MSFT",
    "attempt": 1,
    "from_quantity": "10",
    "to_quantity": "11",
    "drift_type": "quantity_mismatch",
}


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_stream_is_read_in_pieces_of_any_size(make: Make, size: int) -> None:
    active, halted = body_of(permit("active", 1)), body_of(permit("halted", 2))
    text = events(("", "permit", active), ("7-0", "reconcile", RECONCILE), ("", "permit", halted))
    fake = Fake(streams=[streamed(*[text[n : n + size] for n in range(0, len(text), size)])])
    told: list[Any] = []
    with TradingGate(client=make(fake.url)) as gate:
        gate.on_reconcile(told.append)
        gate.on_halt(told.append)
        until(lambda: len(told) == 2)
        assert gate.state.value == "halted"
    assert (told[0].to_quantity, told[1].reason) == ("11", "why 2")
    fake.close()


def test_a_stream_is_resumed_and_a_directive_reported_once(make: Make) -> None:
    active = body_of(permit("active", 1))
    first = events(("7-0", "reconcile", RECONCILE), ("", "permit", active))
    second = events(
        ("7-0", "reconcile", RECONCILE), ("8-0", "reconcile", {**RECONCILE, "id": "8-0"})
    )
    ends = events(("", "end", {"reason": "lifetime"}))
    fake = Fake(
        streams=[
            streamed(first, then_hang=False),
            streamed(second, ends),
            streamed(b"data: {\n\n"),
            streamed(events(("9-0", "reconcile", {**RECONCILE, "id": "9-0"}))),
        ]
    )
    told: list[Reconcile] = []
    with TradingGate(client=make(fake.url)) as gate:
        until(lambda: len(gate._directives) == 3)
        gate.on_reconcile(told.append)
        until(lambda: len(told) == 3)
    assert [r.directive_id for r in told] == ["7-0", "8-0", "9-0"]
    streams = [head for head in fake.heads if b"/stream?" in head]
    assert b"Last-Event-ID" not in streams[0]
    assert b"Last-Event-ID: 7-0" in streams[1]
    assert b"Last-Event-ID: 8-0" in streams[2]
    fake.close()


def test_an_endless_message_is_an_error() -> None:
    parser = Parser()
    assert parser.feed(b"data: " + b"x" * 1_000_000) == []
    with pytest.raises(ValueError, match="too long"):
        parser.feed(b"x" * 100_000)


def test_a_callback_that_fails_or_is_slow_harms_no_other(
    shared: Exporter, make: Make, account: str
) -> None:
    told, free = threading.Event(), threading.Event()

    def fails(_: Halt) -> None:
        raise RuntimeError("a defect of the engine")

    def waits(_: Halt) -> None:
        told.set()
        free.wait(SOON)

    with TradingGate(client=make(shared.url)) as gate:
        gate.on_halt(fails)
        gate.on_halt(waits)
        until(gate.allowed)
        halt(shared, account)
        assert told.wait(SOON)
        release(shared, account, gate.epoch)
        until(gate.allowed, "the permit goes on while a callback waits")
        free.set()


def test_a_directive_is_carried_out_and_confirmed(
    shared: Exporter, make: Make, account: str
) -> None:
    client = make(shared.url)
    store, broker = Book(MSFT=10), Book(MSFT={"quantity": 11, "market_price": 8})
    detector = DriftDetector(store, broker, client=client)
    asked: list[Reconcile] = []

    def reconcile(directive: Reconcile) -> bool:
        asked.append(directive)
        store.positions[directive.symbol] = int(directive.to_quantity)
        return True

    with TradingGate(client=client) as gate:
        gate.on_reconcile(reconcile)
        detector.check_drift()
        assert [d.state for d in detector.check_drift()] == ["reconciling"]
        until(lambda: store.positions["MSFT"] == 11)
        assert detector.check_drift() == []
        assert gate.allowed()
    assert [(r.symbol, r.from_quantity, r.to_quantity) for r in asked] == [("MSFT", "10", "11")]
    assert client.flush(SOON)
    assert client.stats().rejected == 0


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_child_of_a_fork_requests_its_own_permit(
    shared: Exporter, make: Make, account: str
) -> None:
    with TradingGate(client=make(shared.url)) as gate:
        until(gate.allowed)
        # While the answer is held back, the child has no permit: neither its own nor its parent's.
        shared.hold()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                assert not gate.allowed(), "the parent's permit is not the child's"
                shared.resume()
                until(gate.allowed)
                halt(shared, account)
                until(lambda: not gate.allowed())
                status = 0
            finally:
                shared.resume()
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        until(lambda: not gate.allowed())


def test_an_unknown_on_expiry_is_rejected(make: Make) -> None:
    with pytest.raises(ValueError, match="go_on"):
        TradingGate(client=make("http://127.0.0.1:9"), on_expiry="go_on")


def test_closing_ends_the_threads(shared: Exporter, make: Make) -> None:
    client = make(shared.url)
    before = threading.active_count()
    gate = TradingGate(client=client)
    until(gate.allowed)
    gate.close()
    until(lambda: threading.active_count() <= before)
    with pytest.raises(ExporterRefused, match="unknown_path"):
        client.get("/api/v1/nothing")


def test_only_its_own_thread_closes_a_connection(
    shared: Exporter, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    users: dict[Channel, set[str]] = {}

    def seen(name: str) -> None:
        original = getattr(Channel, name)

        def call(channel: Channel, *args: Any, **kwargs: Any) -> Any:
            users.setdefault(channel, set()).add(threading.current_thread().name)
            return original(channel, *args, **kwargs)

        monkeypatch.setattr(Channel, name, call)

    seen("_send")
    seen("close")
    client = make(shared.url)
    before = threading.active_count()
    gate = TradingGate(client=client)
    until(gate.allowed)
    until(lambda: {"trading-exporter-stream"} in users.values())
    gate.close()
    until(lambda: threading.active_count() <= before)
    assert [names for names in users.values() if len(names) > 1] == []
    assert {"trading-exporter-permit"} in users.values()
