"""The list of one broker: exact numbers, one row for each symbol.

Input: legs, the positions as the broker's library has them. Output: rows of a `positions` event.
Invariants: a number that is not understood is an error, never 0 and never left out; arithmetic is
decimal; a symbol has one row. Deliberately absent: libraries, clocks and the network.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from typing import Any, Optional, Protocol

from .._values import TooSmallError, decimal_text, is_missing, position_text
from ..positions import Row

#: Wide enough for every product and sum of two doubles that are prices or quantities.
_WIDE = Context(prec=100)


class NotUnderstoodError(ValueError):
    """The broker's answer is not a list of positions: the fetch has failed."""


@dataclass(frozen=True)
class Leg:
    """One position of the broker. A symbol may have several, long and short."""

    symbol: str
    #: Signed.
    quantity: Decimal
    #: Price per unit of quantity. None if it is unknown.
    average: Optional[Decimal] = None
    #: Value of one unit of quantity now. None if it is unknown.
    market: Optional[Decimal] = None


@dataclass(frozen=True)
class Listing:
    """A list that the broker gave."""

    #: When the broker was asked, in Unix nanoseconds.
    asked_ns: int
    rows: list[Row]
    #: Whether a symbol that is missing is flat.
    complete: bool = True


class Source(Protocol):
    """A broker. Its methods are called in one thread at a time, and may hang."""

    def fetch(self) -> Listing:
        """The current list. Raises if it cannot be determined."""
        ...


def exact(value: Any, what: str) -> Decimal:
    """The number as the library wrote it: a float is its shortest text, 0.1 and not 0.1000...055.

    Raises `NotUnderstoodError` if it is missing or not finite.
    """
    if value is None or isinstance(value, bool):
        raise NotUnderstoodError(f"{what} is {value}")
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise NotUnderstoodError(f"{what} is {str(value)[:40]!r}, not a number")
    return number


def price(value: Any) -> Optional[Decimal]:
    """A price. None if it is missing: 0 is no price, venues send it for "not known"."""
    if is_missing(value):
        return None
    return exact(value, "a price") or None


def product(a: Decimal, b: Decimal) -> Decimal:
    """The exact product."""
    return _WIDE.multiply(a, b)


def total(a: Decimal, b: Decimal) -> Decimal:
    """The exact sum."""
    return _WIDE.add(a, b)


def quotient(a: Decimal, b: Decimal) -> Decimal:
    """The quotient, with far more digits than the exporter has."""
    return _WIDE.divide(a, b)


def net(legs: Iterable[Leg]) -> list[Row]:
    """One row for each symbol that is not flat, in the order of the symbols.

    Long and short legs of a symbol are added: drift is judged on the net position. Legs of one sign
    average their prices by quantity; legs of both signs have no average price.
    """
    by_symbol: dict[str, list[Leg]] = {}
    for leg in legs:
        if not leg.symbol:
            raise NotUnderstoodError("a position has no symbol")
        by_symbol.setdefault(leg.symbol, []).append(leg)
    rows = (_row(symbol, by_symbol[symbol]) for symbol in sorted(by_symbol))
    return [row for row in rows if Decimal(row["quantity"])]


def _row(symbol: str, legs: list[Leg]) -> Row:
    quantity = Decimal(0)
    for leg in legs:
        quantity = _WIDE.add(quantity, leg.quantity)
    row = {"symbol": symbol, "quantity": position_text(format(quantity, "f"))}
    markets = [leg.market for leg in legs if leg.market is not None]
    for name, value in (
        ("average_price", _average(legs)),
        ("market_price", markets[-1] if markets else None),
    ):
        if value is not None:
            try:
                row[name] = decimal_text(format(value, "f"))
            except TooSmallError:
                continue
    return row


def _average(legs: list[Leg]) -> Optional[Decimal]:
    if len(legs) == 1:
        return legs[0].average
    if len({leg.quantity > 0 for leg in legs}) != 1:
        return None
    cost, quantity = Decimal(0), Decimal(0)
    for leg in legs:
        if leg.average is None:
            return None
        cost = _WIDE.add(cost, product(leg.quantity, leg.average))
        quantity = _WIDE.add(quantity, leg.quantity)
    return quotient(cost, quantity) if quantity else None
