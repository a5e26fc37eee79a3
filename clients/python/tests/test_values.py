"""Conversion of numbers, texts and positions."""

from __future__ import annotations

import gc
from collections import namedtuple
from decimal import Decimal
from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest

from trading_exporter._events import Raw, build, pack, unpack
from trading_exporter._values import (
    TooSmallError,
    decimal_text,
    is_missing,
    plain_text,
    position_text,
    side_text,
)
from trading_exporter.positions import PositionsError, rows


class Int64:
    """Like numpy integers: an integer that is not an int."""

    def __index__(self) -> int:
        return 7


class Float32(SimpleNamespace):
    """Like numpy floats: a number that is not a float."""

    dtype = "float32"

    def __float__(self) -> float:
        return 0.10000000149011612

    def __str__(self) -> str:
        return "0.1"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (100, "100"),
        (0.1, "0.1"),
        (0.1 + 0.2, "0.30000000000000004"),
        (9.61e-06, "0.00000961"),
        (1e16, "1e+16"),
        (1.2345678901234567e-05, "0.000012345678901235"),
        (-0.0, "-0.0"),
        (Decimal("187.40"), "187.40"),
        (Decimal("1E+3"), "1E+3"),
        (Decimal("1.50000000000000000000"), "1.500000000000000000"),
        (Decimal(1) / 3, "0.333333333333333333"),
        (Decimal("12345678901.1234567890123456789"), "12345678901.12345678901234568"),
        ("0.1234567890123456785", "0.123456789012345678"),
        ("0.00119879999999999995", "0.001198800000000000"),
        (0.0012 - 0.0012 * 0.001, "0.001198800000000000"),
        (9.876543209876543e-06, "0.000009876543209877"),
        (1e22, "1e+22"),
        (10**30, "1000000000000000000000000000000"),
        ("  0.1 ", "0.1"),
        (SimpleNamespace(as_decimal=lambda: Decimal("0.5")), "0.5"),
        (Int64(), "7"),
        (Float32(), "0.1"),
    ],
)
def test_numbers_keep_their_value(value: Any, text: str) -> None:
    got = decimal_text(value)
    assert Decimal(got) == Decimal(text)
    assert isinstance(value, float) or got == text


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        Decimal("NaN"),
        Decimal("Infinity"),
        True,
        None,
        "",
        "abc",
        "1_0",
        "٣",
        [],
        object(),
    ],
)
def test_values_that_are_not_numbers_are_rejected(value: Any) -> None:
    with pytest.raises(ValueError, match="number"):
        decimal_text(value)


@pytest.mark.parametrize("value", [1e-19, Decimal("1E-30"), "0.0000000000000000001"])
def test_no_number_is_rounded_to_zero(value: Any) -> None:
    with pytest.raises(TooSmallError):
        decimal_text(value)
    assert position_text(value) == "0"


#: Values for "no number" in libraries: Interactive Brokers' largest double and its
#: decimal, the largest decimal of .NET, infinities, and what pandas prints.
NOT_GIVEN = [
    None,
    float("nan"),
    float("inf"),
    float("-inf"),
    1.7976931348623157e308,
    -1.7976931348623157e308,
    "1.7976931348623157E308",
    Decimal("1.7976931348623157e308"),
    Decimal(2**127 - 1),
    2**127 - 1,
    "79228162514264337593543950335",
    Decimal("NaN"),
    Decimal("sNaN"),
    Decimal("Infinity"),
    "",
    "None",
    "nan",
    "<NA>",
    "inf",
]


@pytest.mark.parametrize("value", NOT_GIVEN)
def test_missing_values_are_left_out_of_events(value: Any) -> None:
    assert is_missing(value)
    fields = {"order_id": "1", "quantity": 10, "price": 600, "fee": value, "fee_currency": ""}
    event = build(Raw(9, None, "order_filled", 5, "id", fields), {})
    assert event["price"] == "600"
    assert not {"fee", "fee_currency"} & event.keys()
    (row,) = rows([{"symbol": "A", "quantity": 1, "average_price": value, "market_price": value}])
    assert row == {"symbol": "A", "quantity": "1"}
    quote = {"symbol": "A", "bid": 1, "ask": 2, "price": value}
    assert "price" not in build(Raw(9, None, "quote", 5, "id", quote), {})


def test_values_that_are_present_are_not_missing() -> None:
    for value in (0, 0.0, Decimal(0), "0", -1, "x", 9.2e18, 7.9e28, SimpleNamespace()):
        assert not is_missing(value)


@pytest.mark.parametrize("name", ["price", "quantity"])
def test_a_fill_without_its_quantity_is_an_error(name: str) -> None:
    """Without its quantity it would be a fill of all that is left."""
    for value in (float("nan"), 1.7976931348623157e308, float("inf")):
        fields = {"order_id": "1", "quantity": 10, "price": 600, name: value}
        event = Raw(9, None, "order_filled", 5, "id", fields)
        if value == 1.7976931348623157e308:
            # It is a number, and the exporter rejects it as too large.
            assert build(event, {})[name].startswith("1.797")
        else:
            with pytest.raises(ValueError, match=name):
                build(event, {})


def test_texts_are_short_and_plain() -> None:
    assert plain_text("a\x00b\x1b[31m") == "a b [31m"
    assert plain_text("line\nline") == "line\nline"
    assert len(plain_text("ä" * 1000).encode()) <= 512
    assert plain_text(ValueError("x")) == "x"


def test_sides_are_words() -> None:
    OrderSide = Enum("OrderSide", ["BUY", "SELL"])
    for value in ("buy", "BUY", "b", OrderSide.BUY, "OrderSide.BUY"):
        assert side_text(value) == "buy"
    assert side_text("hold") == "hold"
    assert side_text(None) is None


def test_an_event_leaves_out_missing_fields() -> None:
    fields = {
        "order_id": 7,
        "quantity": Decimal("1.50"),
        "expected_price": float("nan"),
        "arrival_price": None,
        "reduce_only": 1,
        "reason": "x" * 600,
    }
    raw = unpack(pack(9, None, "order_submitted", 5, "id", fields))
    assert raw == Raw(9, None, "order_submitted", 5, "id", fields)
    event = build(raw, {"account": "a"})
    assert event.pop("reason").startswith("xxx")
    assert event == {
        "type": "order_submitted",
        "event_id": "id",
        "time_ns": 5,
        "account": "a",
        "order_id": "7",
        "quantity": "1.50",
        "reduce_only": True,
    }
    with pytest.raises(ValueError, match="price: nan"):
        build(Raw(9, None, "order_filled", 5, "id", {"order_id": "1", "price": float("nan")}), {})


def test_waiting_events_are_not_tracked_by_the_garbage_collector() -> None:
    fields = {"order_id": "7", "quantity": 100, "price": "1.5", "expected_price": 2.5}
    waiting = [
        pack(9, None, "order_filled", 5, "id", fields),
        pack(9, ("quote", "AAPL"), "quote", 5, "id", fields),
        pack(9, None, "order_expired", 5, "id", {}),
    ]
    # The second pass is for the nested tuple.
    gc.collect()
    gc.collect()
    assert not any(gc.is_tracked(item) for item in waiting)


Contract = namedtuple("Contract", "symbol localSymbol multiplier")
AVERAGE = "0.000006666666666667"
IbPosition = namedtuple("IbPosition", "account contract position avgCost")


@pytest.mark.parametrize(
    ("positions", "expect"),
    [
        ({}, []),
        ([], []),
        ({"AAPL": 10}, [{"symbol": "AAPL", "quantity": "10"}]),
        ({"AAPL": Decimal("-1.5")}, [{"symbol": "AAPL", "quantity": "-1.5"}]),
        (
            {"AAPL": {"quantity": 1, "average_price": 187.5}},
            [{"symbol": "AAPL", "quantity": "1", "average_price": "187.5"}],
        ),
        (
            [{"symbol": "BTC/USDT", "qty": "0.1", "market_price": 9}],
            [{"symbol": "BTC/USDT", "quantity": "0.1", "market_price": "9"}],
        ),
        (
            [SimpleNamespace(symbol="TSLA", qty="9", side="PositionSide.SHORT")],
            [{"symbol": "TSLA", "quantity": "-9"}],
        ),
        (
            [SimpleNamespace(symbol="TSLA", qty="-9", side="short", avg_entry_price="1.10")],
            [{"symbol": "TSLA", "quantity": "-9", "average_price": "1.10"}],
        ),
        (
            [{"symbol": "PEPE/USDT", "qty": 1e6, "average_price": Decimal(2) / 3 / 10**5}],
            [{"symbol": "PEPE/USDT", "quantity": "1000000.0", "average_price": AVERAGE}],
        ),
        (
            [{"symbol": "ETH", "quantity": 5.6e-21, "average_price": "1e-30"}],
            [{"symbol": "ETH", "quantity": "0"}],
        ),
        (
            [IbPosition("DU1", Contract("ES", "ESZ6", "50"), -2.0, 300012.5)],
            [{"symbol": "ESZ6", "quantity": "-2.0", "average_price": "6000.25"}],
        ),
    ],
)
def test_positions_of_many_shapes_are_read(positions: Any, expect: list[dict[str, str]]) -> None:
    assert rows(positions) == expect


@pytest.mark.parametrize(
    "positions",
    [
        None,
        5,
        "AAPL",
        {"AAPL": float("nan")},
        {"AAPL": None},
        {"AAPL": "abc"},
        [{"symbol": "A"}],
        [{"quantity": 1}],
        {"": 1},
        [None],
        [{"symbol": "A", "quantity": 1, "average_price": "x"}],
        [SimpleNamespace(symbol="A", qty="-9", side="long")],
        [IbPosition("DU1", Contract("ES", "ESZ6", "0"), 1.0, 5.0)],
    ],
)
def test_unknown_positions_are_never_flat(positions: Any) -> None:
    with pytest.raises(PositionsError):
        rows(positions)
