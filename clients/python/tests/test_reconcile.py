"""An automatic repair writes the book or gives the reason, and repairs are limited."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Callable

import pytest

from harness import Exporter, until
from trading_exporter import Client, Drift, DriftDetector, DriftSeverity

Make = Callable[..., Client]
#: Iterations of the loop: more than any repair may take.
TURNS = 40


def at(quantity: int) -> dict[str, int]:
    """A broker's row. The value of a difference of two units is known and small."""
    return {"quantity": quantity, "market_price": 2}


class Book:
    """A position store that only its owner can write."""

    def __init__(self, **positions: Any) -> None:
        self.positions = positions

    def get_positions(self) -> Any:
        return dict(self.positions)


class Store(Book):
    """A position store that can be written."""

    def set_position(self, symbol: str, quantity: Any, average_price: Any) -> None:
        self.positions[symbol] = quantity


class Updated(Book):
    def update_position(self, symbol: str, quantity: Any, average_price: Any) -> bool:
        self.positions[symbol] = quantity
        return True


class Refusing(Book):
    """A store whose database is unavailable."""

    tries = 0

    def set_position(self, symbol: str, quantity: Any, average_price: Any) -> None:
        self.tries += 1
        raise ConnectionError("the database is away")


class Priced(Book):
    """A store with average prices, in floats."""

    def get_positions(self) -> Any:
        return [
            {"symbol": s, "quantity": q, "avg_price": p} for s, (q, p) in self.positions.items()
        ]

    def set_position(self, symbol: str, quantity: Any, average_price: Any) -> None:
        self.positions[symbol] = (quantity, average_price)


class Account:
    """A detector with an engine's store and a broker."""

    def __init__(self, client: Client, store: Any, broker: Any, **options: Any) -> None:
        self.store, self.broker = store, broker
        self.detector = DriftDetector(store, broker, client=client, **options)

    def confirmed(self) -> Drift:
        """The drift, once it is confirmed."""
        self.detector.check_drift()
        (drift,) = self.detector.check_drift()
        return drift

    def loop(self) -> list[bool]:
        """Repairs in a loop until there is nothing to repair. Returns the result of each repair."""
        answers: list[bool] = []
        for _ in range(TURNS):
            for drift in self.detector.check_drift():
                if drift.severity is not DriftSeverity.MINOR:
                    return answers
                answers.append(self.detector.auto_reconcile(drift))
        return answers


@pytest.mark.parametrize("kind", [Store, Updated])
def test_the_missions_loop_writes_the_store_and_ends(
    shared: Exporter, make: Make, kind: type[Book]
) -> None:
    account = Account(make(shared.url), kind(AAPL=298), Book(AAPL=at(300)))
    assert account.loop() == [True]
    assert account.store.positions == {"AAPL": 300}
    assert type(account.store.positions["AAPL"]) is int
    assert account.detector.reconcile_reason == ""


def test_a_drift_of_unknown_value_is_repaired_on_request(shared: Exporter, make: Make) -> None:
    """The exporter sends no directive for it, and counts the engine's own repairs."""
    account = Account(make(shared.url), Store(AAPL=298), Book(AAPL=300))
    drift = account.confirmed()
    assert (drift.state, drift.directive_id) == ("open", None)
    assert account.detector.auto_reconcile(drift), account.detector.reconcile_reason
    assert account.store.positions == {"AAPL": 300}


def test_a_hook_writes_instead(shared: Exporter, make: Make) -> None:
    store = Book(ETH=Decimal("2.5"))
    told: list[tuple[str, Any, Any]] = []

    def apply(symbol: str, quantity: Any, average_price: Any) -> None:
        told.append((symbol, quantity, average_price))
        store.positions[symbol] = quantity

    broker = Book(ETH={"quantity": "4.1", "average_price": "3.5"})
    account = Account(make(shared.url), store, broker, apply=apply)
    drift = account.confirmed()
    assert account.detector.auto_reconcile(drift), account.detector.reconcile_reason
    assert told == [("ETH", Decimal("4.1"), Decimal("3.5"))]
    assert account.detector.check_drift() == []


def test_a_failing_store_is_reported_and_nothing_is_adopted(
    shared: Exporter, make: Make, account: str, caplog: pytest.LogCaptureFixture
) -> None:
    one = Account(make(shared.url), Refusing(AAPL=298), Book(AAPL=at(300)))
    drift = one.confirmed()
    assert not one.detector.auto_reconcile(drift)
    assert "the database is away" in one.detector.reconcile_reason
    assert "AAPL is not reconciled" in caplog.text
    (row,) = shared.get(f"/api/v1/positions?account={account}")
    assert row["local_quantity"] == "298", "the store's position is reported"
    assert [d.symbol for d in one.detector.check_drift()] == ["AAPL"]


QUICK = "drift: {reconcile_timeout: 100ms, reconcile_tries: 2}"


def test_a_failing_store_escalates_and_the_loop_stops(
    exporter: Callable[..., Exporter], make: Make
) -> None:
    """Directives that are not carried out end, and the minor drift is left to a person."""
    server = exporter(QUICK).start()
    one = Account(make(server.url), Refusing(AAPL=298), Book(AAPL=at(300)))
    one.confirmed()

    def escalated() -> bool:
        drifts = one.detector.check_drift()
        answers = [one.detector.auto_reconcile(drift) for drift in drifts]
        assert answers == [False]
        return drifts[0].severity is DriftSeverity.MODERATE

    until(escalated, "the drift is moderate")
    tries = one.store.tries
    assert "no directive was carried out: a person decides" in one.detector.reconcile_reason
    (drift,) = one.detector.check_drift()
    assert not one.detector.auto_reconcile(drift)
    assert one.store.tries == tries, "what is a person's is not written"


def test_a_store_without_a_writer_is_adopted_once(shared: Exporter, make: Make) -> None:
    """True means that the engine has to write it; the second call returns False."""
    one = Account(make(shared.url), Book(AAPL=298), Book(AAPL=at(300)))
    assert one.detector.auto_reconcile(one.confirmed())
    assert not one.detector.auto_reconcile(one.confirmed())
    assert "still has 298" in one.detector.reconcile_reason
    one.store.positions["AAPL"] = 300
    assert one.detector.check_drift() == []


def test_a_store_that_forgets_exhausts_its_repairs(shared: Exporter, make: Make) -> None:
    """Each repair succeeds, and the book reverts: the exporter's budget ends the repairs."""
    one = Account(make(shared.url), Store(AAPL=298), Book(AAPL=at(300)))
    repairs = 0
    for _ in range(TURNS):
        for drift in one.detector.check_drift():
            if drift.severity is not DriftSeverity.MINOR:
                assert not one.detector.auto_reconcile(drift)
                assert "repaired as often as may be" in one.detector.reconcile_reason
                assert (drift.decided_by, repairs) == ("reconcile_budget", 3)
                return
            repairs += one.detector.auto_reconcile(drift)
            one.store.positions["AAPL"] = 298
    raise AssertionError(f"{repairs} repairs, and no end")


def test_a_later_fill_is_not_overwritten(shared: Exporter, make: Make) -> None:
    one = Account(make(shared.url), Store(AAPL=298), Book(AAPL=at(300)))
    drift = one.confirmed()
    one.store.positions["AAPL"] = 398
    assert not one.detector.auto_reconcile(drift)
    assert one.store.positions["AAPL"] == 398
    assert "moved since the check, from 298 to 398" in one.detector.reconcile_reason


def test_a_correct_book_is_only_reported(shared: Exporter, make: Make) -> None:
    """`on_reconcile` has already set the book."""
    one = Account(make(shared.url), Refusing(AAPL=298), Book(AAPL=at(300)))
    drift = one.confirmed()
    one.store.positions["AAPL"] = 300
    assert one.detector.auto_reconcile(drift)
    assert one.store.tries == 0


def test_an_average_is_written_in_the_stores_own_type(shared: Exporter, make: Make) -> None:
    store = Priced(AAPL=(100, 187.40))
    broker = Book(AAPL={"quantity": "100", "average_price": "187.60", "market_price": "187"})
    one = Account(make(shared.url), store, broker)
    drift = one.confirmed()
    assert drift.drift_type.value == "price_mismatch"
    assert one.detector.auto_reconcile(drift), one.detector.reconcile_reason
    assert store.positions["AAPL"] == (100, 187.60)
    assert [type(value) for value in store.positions["AAPL"]] == [int, float]


def test_drifts_for_a_person_are_not_written(shared: Exporter, make: Make) -> None:
    store = Store(A=0, B=100)
    one = Account(make(shared.url), store, Book(A=at(7), B=at(100), C=at(2)))
    one.detector.check_drift()
    drifts = {d.symbol: d for d in one.detector.check_drift()}
    assert not one.detector.auto_reconcile(drifts["A"])
    assert "moderate" in one.detector.reconcile_reason
    assert not one.detector.auto_reconcile(drifts["C"])
    assert "does not know the position" in one.detector.reconcile_reason
    assert store.positions == {"A": 0, "B": 100}


class Deaf(Book):
    """A store that ignores the write."""

    def set_position(self, symbol: str, quantity: Any, average_price: Any) -> None: ...


class Later(Book):
    async def set_position(self, symbol: str, quantity: Any, average_price: Any) -> None: ...


class No(Book):
    def set_position(self, symbol: str, quantity: Any, average_price: Any) -> bool:
        return False


class Adding(Book):
    def update_position(self, symbol: str, quantity: Any, average_price: Any) -> None:
        self.positions[symbol] += quantity


class Twice(Book):
    def set_position(self, symbol: str, quantity: Any, average_price: Any) -> None: ...

    def get_positions(self) -> Any:
        one = {"symbol": "AAPL", "quantity": 8}
        return [{**one, "quantity": self.positions["AAPL"] - 8}, one]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Deaf, "was set to 300, but has 298"),
        (Later, "asynchronously"),
        (No, "refused 300"),
        (Adding, "was set to 300, but has 598"),
        (Twice, "2 rows have the symbol AAPL"),
    ],
)
def test_a_store_that_ignores_the_write_is_reported(
    shared: Exporter, make: Make, kind: type[Book], reason: str
) -> None:
    one = Account(make(shared.url), kind(AAPL=298), Book(AAPL=at(300)))
    assert not one.detector.auto_reconcile(one.confirmed())
    assert reason in one.detector.reconcile_reason


def test_an_unavailable_exporter_is_the_reason(
    exporter: Callable[..., Exporter], make: Make
) -> None:
    server = exporter().start()
    one = Account(make(server.url), Store(AAPL=298), Book(AAPL=at(300)))
    drift = one.confirmed()
    server.kill()
    assert not one.detector.auto_reconcile(drift)
    assert "127.0.0.1" in one.detector.reconcile_reason
