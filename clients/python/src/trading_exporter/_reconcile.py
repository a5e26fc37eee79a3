"""Sets the engine's book to what the broker holds: what `DriftDetector.auto_reconcile` writes.

Input: a position store, a drift, what was reported of the store. Output: one write, read back.
Invariants: the book is written only if it still says what was reported, so a fill of meanwhile is
never overwritten; numbers go in the types that the store itself uses; a store that refuses, or
says something else afterwards, is told as not done.
"""

from __future__ import annotations

import inspect
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Callable, Optional

from ._values import is_missing
from .positions import Held, PositionsError, PositionSource, held

if TYPE_CHECKING:
    from .drift import Drift

#: Symbol, signed quantity, average price or None. It sets, and does not add.
Apply = Callable[[str, Any, Any], Any]

#: What differs by less agrees, as for the exporter.
_DUST = Decimal("1e-12")


class NotDone(Exception):
    """Why a drift was not reconciled."""


def writer_of(store: PositionSource, apply: Optional[Apply]) -> Optional[Apply]:
    """How the store is written: the engine's hook, or a method of the store."""
    for write in (
        apply,
        getattr(store, "set_position", None),
        getattr(store, "update_position", None),
    ):
        if callable(write):
            return write
    return None


def read(store: PositionSource, symbol: str) -> Held:
    """What the store holds of a symbol now."""
    try:
        positions = store.get_positions()
        if inspect.isawaitable(positions):
            _close(positions)
            raise PositionsError("get_positions() is asynchronous")
        return held(positions, symbol)
    except Exception as error:
        raise NotDone(f"the position store cannot be read: {_named(error)}") from error


def write(store: PositionSource, by: Apply, drift: Drift, reported: Decimal) -> None:
    """Sets the store to what the broker holds. Raises :class:`NotDone`."""
    now = read(store, drift.symbol)
    target = reported - drift.quantity_drift
    same_quantity = drift.quantity_drift == 0
    if not same_quantity and _equal(now.quantity, target):
        # Somebody was faster: `on_reconcile`, or a fill that came late.
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
        raise NotDone(f"the position store was set to {target}, and says {after}")


def _equal(one: Decimal, other: Decimal) -> bool:
    return abs(one - other) <= max(_DUST, Decimal("1e-9") * max(abs(one), abs(other)))


def _like(sample: Any, number: Decimal) -> Any:
    """A number in the type of another one."""
    if isinstance(sample, bool):
        return number
    if isinstance(sample, int) and number == number.to_integral_value():
        return int(number)
    if isinstance(sample, (int, float)):
        return float(number)
    return format(number, "f") if isinstance(sample, str) else number


def _price_like(now: Held, price: Decimal) -> Any:
    if not is_missing(now.raw_average):
        # A whole average says nothing of the next one.
        return _like(_fraction(now.raw_average), price)
    return _like(_fraction(now.raw_quantity), price)


def _fraction(sample: Any) -> Any:
    return float(sample) if isinstance(sample, int) else sample


def _close(answer: Any) -> None:
    if inspect.iscoroutine(answer):
        answer.close()


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
