"""Converts an engine's values for the exporter: to exact decimals, short plain text, and words.

Input: values of engines (Decimal, int, float, str, numpy scalars, objects with `as_decimal`).
Output: text. Invariants: every number is in the exporter's range: rounded half-even to 18 decimals
and 28 digits, whatever its type, and never rounded to 0; values that libraries use for "no number"
(None, NaN, an infinity, the largest double of Interactive Brokers) are missing.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from enum import Enum
from typing import Any, Optional

#: Decimals and significant digits in the exporter.
PLACES = 18
DIGITS = 28
#: Longest text in bytes that is not an identifier.
TEXT_BYTES_MAX = 512

_STEP = Decimal(1).scaleb(-PLACES)
#: Wide enough for the largest double with 18 decimals.
_WIDE = Context(prec=400, rounding=ROUND_HALF_EVEN)
_HELD = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN)
#: A text up to this length, without an exponent, needs no rounding.
_SHORT = PLACES + 1
#: The exporter has 96 bits. Larger values are never prices or fees, but mean "none" in a library:
#: the largest double and 2**127 - 1 (Interactive Brokers), `decimal.MaxValue` (.NET).
_NOT_GIVEN = Decimal(2**96 - 1)
_NO_NUMBER = frozenset({"", "nan", "none", "null", "<na>", "nat", "n/a"})


class TooSmallError(ValueError):
    """A number other than 0 that would be rounded to 0."""


def decimal_text(value: Any) -> str:
    """The decimal text of a number, rounded to the exporter's precision.

    Raises `ValueError` if it is not a finite number, `TooSmallError` if it would be rounded to 0.
    """
    kind = type(value)
    if kind is int:
        return str(value)
    if kind is str:
        return _held(value.strip())
    if isinstance(value, bool):
        raise ValueError("a boolean is not a number")
    if isinstance(value, (Decimal, float)):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a finite number")
        return _held(str(value) if isinstance(value, Decimal) else float.__repr__(value))
    exact = getattr(value, "as_decimal", None)
    if callable(exact):
        return decimal_text(exact())
    index = getattr(value, "__index__", None)
    if callable(index):
        return str(index())
    # A numpy scalar that is not a subclass of float (float32) has its own shortest text.
    return _held(str(value).strip())


def position_text(value: Any) -> str:
    """The decimal text of a position. A quantity that would be rounded to 0 is 0."""
    try:
        return decimal_text(value)
    except TooSmallError:
        return "0"


def is_missing(value: Any) -> bool:
    """Whether a value is missing: None, not a number, or larger than any price."""
    if value is None:
        return True
    kind = type(value)
    if kind is int:
        return bool(abs(value) >= _NOT_GIVEN)
    if isinstance(value, float):
        return not math.isfinite(value) or abs(value) >= _NOT_GIVEN
    if isinstance(value, Decimal):
        return not value.is_finite() or value.copy_abs() >= _NOT_GIVEN
    text = str(value).strip()
    if text.lower() in _NO_NUMBER:
        return True
    try:
        number = Decimal(text)
    except InvalidOperation:
        return False
    return not number.is_finite() or number.copy_abs() >= _NOT_GIVEN


def plain_text(value: Any) -> str:
    """A readable text: at most 512 bytes, no control characters."""
    text = value if isinstance(value, str) else str(value)
    text = "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)
    data = text.encode("utf-8", "replace")
    if len(data) > TEXT_BYTES_MAX:
        data = data[: TEXT_BYTES_MAX - 3] + b"..."
    return data.decode("utf-8", "ignore")


def identifier(value: Any) -> str:
    """A name as text: the value of an enum, otherwise `str` of it."""
    if type(value) is str:
        return value
    return str(value.value) if isinstance(value, Enum) else str(value)


def side_text(value: Any) -> Optional[str]:
    """`buy` or `sell`, from a word or an enum in any spelling. Other words are unchanged."""
    if value is None:
        return None
    text = str(value.name) if isinstance(value, Enum) else str(value)
    word = text.rsplit(".", 1)[-1].strip().lower()
    return {"b": "buy", "s": "sell"}.get(word, word)


def _held(text: str) -> str:
    """The text of a number unchanged, or rounded if it has too many digits."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or "_" in text or not text.isascii():
        raise ValueError(f"{text[:40]!r} is not a finite number")
    if len(text) <= _SHORT and "e" not in text and "E" not in text:
        return text
    _, digits, exponent = number.as_tuple()
    if int(exponent) >= -PLACES and len(digits) <= DIGITS:
        return text
    rounded = number
    if int(exponent) < -PLACES:
        rounded = number.quantize(_STEP, context=_WIDE)
    if rounded.adjusted() < DIGITS:
        # If the integer part alone has too many digits, the exporter rejects it as too large.
        rounded = _HELD.plus(rounded)
    if number and not rounded:
        raise TooSmallError(f"{text[:40]} is below the precision of the exporter")
    return str(rounded)
