"""Sets the engine's book to the broker's position, for `DriftDetector.auto_reconcile`.

Input: a position store, a drift, the position last reported. Output: one write, read back.
Invariants: the book is written only if it still has the reported position, so a later fill is never
overwritten; numbers have the types that the store itself uses; if the store rejects the write or
has another position afterwards, the reconciliation is reported as not done.
"""

from __future__ import annotations

import inspect
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Callable, Optional

from ._values import is_missing
from .positions import Held, PositionsError, PositionSource, held

if TYPE_CHECKING:
    from .drift import Drift

#: Symbol, signed quantity, average price or None. It sets the position, it does not add to it.
Apply = Callable[[str, Any, Any], Any]

#: Smaller differences are equal, as in the exporter.
_DUST = Decimal("1e-12")


class NotDone(Exception):
    """Why a drift was not reconciled."""


def writer_of(store: PositionSource, apply: Optional[Apply]) -> Optional[Apply]:
    """The function that writes the store: the engine's hook, or a method of the store."""
    for write in (
        apply,
        getattr(store, "set_position", None),
        getattr(store, "update_position", None),
    ):
        if callable(write):
            return write
    return None


def read(store: PositionSource, symbol: str) -> Held:
    """The current position of a symbol in the store."""
    try:
        positions = store.get_positions()
        if inspect.isawaitable(positions):
            _close(positions)
            raise PositionsError("get_positions() is asynchronous")
        return held(positions, symbol)
    except Exception as error:
        raise NotDone(f"the position store cannot be read: {_named(error)}") from error


def write(store: PositionSource, by: Apply, drift: Drift, reported: Decimal) -> None:
    """Sets the store to the broker's position. Raises :class:`NotDone`."""
    now = read(store, drift.symbol)
    target = reported - drift.quantity_drift
    same_quantity = drift.quantity_drift == 0
    if not same_quantity and _equal(now.quantity, target):
        # The store has changed: by `on_reconcile`, or by a late fill.
        return
    if not _equal(now.quantity, reported):
        raise NotDone(
            f"the position store moved since the check, from {reported} to {now.quantity}"
        )
    price = drift.raw.get("broker_price")
    average = now.raw_average if price is None else _price_like(now, Decimal(price))
    try:
        answer = by(drift.symbol, _like(now.raw_quantity, target), average)
    except Exception as error:
        raise NotDone(f"the position store refused {target}: {_named(error)}") from error
    if inspect.isawaitable(answer):
        _close(answer)
        raise NotDone("the position store is written asynchronously: wrap it in a function")
    if answer is False:
        raise NotDone(f"the position store refused {target}")
    after = read(store, drift.symbol).quantity
    if not _equal(after, target):
        raise NotDone(f"the position store was set to {target}, but has {after}")


def _equal(one: Decimal, other: Decimal) -> bool:
    return abs(one - other) <= max(_DUST, Decimal("1e-9") * max(abs(one), abs(other)))


def _like(sample: Any, number: Decimal) -> Any:
    """A number in the type of another number."""
    if isinstance(sample, bool):
        return number
    if isinstance(sample, int) and number == number.to_integral_value():
        return int(number)
    if isinstance(sample, (int, float)):
        return float(number)
    return format(number, "f") if isinstance(sample, str) else number


def _price_like(now: Held, price: Decimal) -> Any:
    if not is_missing(now.raw_average):
        # An integer average does not mean that averages are always integers.
        return _like(_fraction(now.raw_average), price)
    return _like(_fraction(now.raw_quantity), price)


def _fraction(sample: Any) -> Any:
    return float(sample) if isinstance(sample, int) else sample


def _close(answer: Any) -> None:
    if inspect.iscoroutine(answer):
        answer.close()


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
