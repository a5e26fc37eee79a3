"""The broker's witness without a broker: calls that hang, requests sent again, the command."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any, Callable

import pytest

import trading_exporter
from harness import ROOT, SOON, Cutter, Exporter, Fake, listen, reply, until
from trading_exporter import Client
from trading_exporter.broker import cli
from trading_exporter.broker.listing import Listing
from trading_exporter.broker.poll import Answer, Poller, error_text
from trading_exporter.broker.runner import Pace, Runner

# Polls


class Script:
    """A source with scripted answers. The last one is repeated."""

    def __init__(self, *acts: Any) -> None:
        self.acts = list(acts)
        self.asked = 0

    def fetch(self) -> Listing:
        self.asked += 1
        act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
        if callable(act):
            act()
        if isinstance(act, BaseException):
            raise act
        return Listing(time.time_ns(), act) if isinstance(act, list) else act


BTC = "BTC/USDT:USDT"
HELD = [{"symbol": BTC, "quantity": "0.03", "average_price": "64000.1"}]


def test_a_call_that_hangs_is_left_to_itself_and_they_do_not_pile_up() -> None:
    end = threading.Event()
    made: list[Script] = []

    def make() -> Script:
        made.append(Script(end.wait if len(made) < 3 else HELD))
        return made[-1]

    poller = Poller(make, 0.05)
    for _ in range(3):
        assert poller.ask().error == "Timeout: no answer after 0.05 s"
    assert poller.ask().error == "Timeout: 3 earlier calls still hang"
    assert poller.ask().seconds == 0.0
    assert [source.asked for source in made] == [1, 1, 1], "each source is asked by one thread"
    end.set()
    until(lambda: poller.ask().listing)
    assert len(made) == 4


def test_a_source_that_hung_is_not_asked_again() -> None:
    end = threading.Event()
    made: list[Script] = []

    def make() -> Script:
        made.append(Script(HELD, end.wait) if not made else Script(HELD))
        return made[-1]

    poller = Poller(make, 0.5)
    assert [bool(poller.ask().listing) for _ in range(4)] == [True, False, True, True]
    assert [source.asked for source in made] == [2, 2]
    end.set()


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (ValueError("no"), "ValueError: no"),
        (SystemExit(3), "SystemExit: 3"),
        (None, "TypeError: the source answered NoneType"),
        (ValueError(""), "ValueError"),
        (ValueError("x" * 999), "ValueError: " + "x" * 200 + "..."),
        (
            OSError("GET https://v.com/a?key=hushhush&signature=ab12 503\n  hushhush"),
            "OSError: GET https://v.com/a?... 503 ***",
        ),
    ],
)
def test_an_error_is_a_short_text_without_secrets(act: Any, error: str) -> None:
    answer = Poller(lambda: Script(act), 5.0, ["hushhush", ""]).ask()
    assert (answer.listing, answer.error) == (None, error)


def test_a_source_that_cannot_be_made_is_a_failed_fetch() -> None:
    def make() -> Script:
        raise ConnectionError("refused")

    assert Poller(make, 5.0).ask().error == "ConnectionError: refused"
    assert error_text(KeyError("x"), []) == "KeyError: 'x'"


# The runner


def runner(client: Client, *acts: Any, interval: float = 60.0) -> Runner:
    script = Script(*acts)
    return Runner("venue", client, Poller(lambda: script, 5.0), Pace(interval))


def test_a_list_that_is_sent_again_has_the_same_ids(make: Callable[..., Client]) -> None:
    fake = Fake(reply(503, {"code": "overloaded"}), reply(429, None, retry_after="0"))
    assert runner(make(fake.url), HELD).run_once(SOON)
    first, second, third = (json.loads(body) for body in fake.bodies)
    assert first == second == third
    assert [event["type"] for event in first] == ["positions", "heartbeat"]
    assert first[0]["positions"] == HELD
    assert first[0]["complete"] is True
    fake.close()


def test_a_list_is_dated_when_the_broker_was_asked(make: Callable[..., Client]) -> None:
    fake = Fake()
    asked_ns = time.time_ns() - 7_000_000_000
    assert runner(make(fake.url), Listing(asked_ns, HELD, complete=False)).run_once(SOON)
    (posted, heartbeat) = json.loads(fake.bodies[0])
    assert (posted["time_ns"], posted["complete"]) == (asked_ns, False)
    assert heartbeat["time_ns"] > asked_ns + 6_000_000_000
    fake.close()


def test_a_failed_fetch_is_not_flat(make: Callable[..., Client]) -> None:
    fake = Fake()
    one = runner(make(fake.url), HELD, TimeoutError("slow"), TimeoutError("slow"), OSError("x"), [])
    assert [one.run_once(SOON) for _ in range(6)] == [True, False, False, False, True, True]
    posted = [json.loads(body) for body in fake.bodies]
    assert [events[0].get("positions") for events in posted] == [HELD, None, None, None, [], []]
    assert [events[0].get("status") for events in posted] == [
        None, "failed", "failed", "failed", None, None,
    ]  # fmt: skip
    assert posted[1][0]["error"] == posted[1][1]["message"] == "TimeoutError: slow"
    assert [events[1]["status"] for events in posted] == [
        "healthy", "degraded", "degraded", "unhealthy", "unhealthy", "healthy",
    ]  # fmt: skip
    fake.close()


def test_an_answer_that_is_lost_counts_once(
    shared: Exporter, make: Callable[..., Client], account: str
) -> None:
    cutter = Cutter(shared.port, lost=2)
    one = runner(make(cutter.url), OSError("x"), HELD)
    assert not one.run_once(SOON)
    assert cutter.cut == 2
    assert one.run_once(SOON)
    cutter.close()
    with urllib.request.urlopen(f"{shared.url}/metrics", timeout=SOON) as answer:  # noqa: S310
        text = answer.read().decode()
    name = "trading_position_fetch_failures_total"
    start = f'{name}{{account="{account}",book="broker"}} '
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    assert float(line[len(start) :]) == 1
    (book,) = shared.get(f"/api/v1/positions?account={account}")
    assert book["broker_quantity"] == "0.03"


def test_only_changes_are_logged(
    make: Callable[..., Client], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "trading_exporter.broker")
    fake = Fake()
    one = runner(make(fake.url), HELD, HELD, OSError("a"), OSError("b"), HELD, HELD)
    for _ in range(6):
        one.run_once(SOON)
    assert [record.getMessage() for record in caplog.records] == [
        "venue: a complete list, now of 1 symbols",
        "venue: the exporter accepts the lists",
        "venue: failed: OSError: a",
        "venue: a complete list, now of 1 symbols",
    ]
    fake.close()


def test_a_list_that_the_exporter_rejects_is_a_failed_fetch(
    shared: Exporter, make: Callable[..., Client], account: str
) -> None:
    client = make(shared.url)
    assert runner(client, HELD).run_once(SOON)
    assert not runner(client, [{"symbol": "x" * 200, "quantity": "1"}]).run_once(SOON)
    (book,) = shared.get(f"/api/v1/positions?account={account}")
    assert (book["symbol"], book["broker_quantity"]) == (BTC, "0.03")
    (health,) = shared.get(f"/api/v1/health?account={account}")["components"]
    assert (health["component"], health["status"]) == ("broker", "degraded")
    assert health["message"].startswith("Rejected: ")


def test_the_pace_of_polls() -> None:
    pace = Pace(60.0)
    assert 3.75 <= pace.retry(1, "OSError") <= 6.25
    assert 15.0 <= pace.retry(3, "OSError") <= 25.0
    assert pace.retry(9, "OSError") == pace.retry(99, "OSError") == 60.0
    assert pace.retry(1, "RateLimitExceeded") == pace.retry(1, "AuthenticationError") == 60.0
    assert Pace(2.0).retry(1, "OSError") == 2.0
    assert Answer(0, 0.0, None).error == ""


# The command

SOURCE = str(Path(trading_exporter.__file__).parents[1])


def command(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "trading_exporter.broker", *arguments],
        env={**os.environ, "PYTHONPATH": SOURCE, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "required: BROKER"),
        (["oanda"], "invalid choice"),
        (["alpaca", "--interval=0"], "more than 0"),
        (["alpaca", "--secret=x"], "unrecognized arguments"),
        (["alpaca", "--token-file=/no/such"], "/no/such cannot be read"),
        (["alpaca", "--credentials-file=/no/such"], "/no/such cannot be read"),
        (["alpaca"], "APCA_API_KEY_ID and APCA_API_SECRET_KEY"),
        (["alpaca", "--url=ftp://x"], "is not an http or https URL"),
        (["ccxt"], "--exchange"),
        (["ccxt", "--exchange=nyse"], "ccxt has no exchange 'nyse'"),
        (["ccxt", "--exchange=kraken", "--params=[]"], "not a JSON object"),
        (["ccxt", "--exchange=binanceusdm"], "BINANCEUSDM_APIKEY and BINANCEUSDM_SECRET"),
    ],
)
def test_wrong_usage(arguments: list[str], why: str, monkeypatch: Any, capsys: Any) -> None:
    for name in ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
        if "--url=ftp://x" in arguments:
            monkeypatch.setenv(name, "x")
    try:
        status = cli.main(arguments)
    except SystemExit as error:
        status = int(str(error.code))
    assert status == 2
    assert why in capsys.readouterr().err


@pytest.mark.parametrize(
    ("broker", "module", "extra"),
    [
        ("ccxt --exchange=kraken", "ccxt", "ccxt"),
        ("alpaca", "alpaca", "alpaca"),
        ("ib", "ib_async", "ib"),
    ],
)
def test_a_missing_library_is_one_sentence(
    broker: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert cli.main(broker.split()) == 2
    assert capsys.readouterr().err == (
        f"trading-exporter-broker: {module} is not installed here:"
        f" pip install 'trading-exporter[{extra}]'\n"
    )


def test_a_credentials_file_is_never_quoted(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "keys"
    for text in ("hushhush", '["hushhush"]', '{"key_id": 5, "secret_key": "hushhush"}'):
        path.write_text(text)
        assert cli.main(["alpaca", f"--credentials-file={path}"]) == 2
        error = capsys.readouterr().err
        assert "hushhush" not in error
        assert "is not" in error


@pytest.mark.parametrize("where", ["broker", "exporter"])
def test_a_signal_ends_it_within_a_second(where: str) -> None:
    """Also while the broker or the exporter hangs."""
    hung: list[bytes] = []
    silent, url = listen(lambda connection: hung.append(connection.recv(9)))
    fine = Fake()
    brokers, exporters = (url, fine.url) if where == "broker" else (fine.url, url)
    keys = {"APCA_API_KEY_ID": "key-of-test", "APCA_API_SECRET_KEY": "secret-of-test"}
    process = command(
        "alpaca", f"--base-url={brokers}", f"--url={exporters}", "--interval=0.2", **keys
    )
    try:
        until(lambda: hung)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=SOON)
        assert process.returncode == 0, error
        assert time.monotonic() - began < 2.0
        assert "Traceback" not in error
    finally:
        process.kill()
        silent.close()
        fine.close()


def test_the_documented_commands_are_valid() -> None:
    pages = [ROOT / "docs" / "engines" / "brokers.md", ROOT / "clients" / "python" / "README.md"]
    lines = [line.strip() for page in pages for line in page.read_text().splitlines()]
    start = "$ trading-exporter-broker "
    commands = [line[len(start) :] for line in lines if line.startswith(start)]
    assert len(commands) >= 6
    for line in commands:
        assert cli._parser().parse_args(shlex.split(line)).account == "paper"
