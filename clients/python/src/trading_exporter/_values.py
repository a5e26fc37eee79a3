"""Values of an engine as the exporter takes them: exact decimal text, short plain text, words.

Input: what engines hold (Decimal, int, float, str, numpy scalars, objects with `as_decimal`).
Output: text. Invariants: every number is one that the exporter holds: rounded half-even to 18
decimals and 28 digits, whatever type it came in, and never rounded to 0; what libraries put where
they have no number (None, NaN, an infinity, the largest double of Interactive Brokers) is missing.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from enum import Enum
from typing import Any, Optional

#: Decimals, and digits in all, that the exporter holds.
PLACES = 18
DIGITS = 28
#: Bytes of a text that is no identifier.
TEXT_BYTES_MAX = 512

_STEP = Decimal(1).scaleb(-PLACES)
#: Wide enough for the largest double with 18 decimals.
_WIDE = Context(prec=400, rounding=ROUND_HALF_EVEN)
_HELD = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN)
#: A text of this length or less, without an exponent, is held as it is.
_SHORT = PLACES + 1
#: The exporter holds 96 bits. What is larger is no price and no fee, but how a library says "none":
#: the largest double and 2**127 - 1 (Interactive Brokers), `decimal.MaxValue` (.NET).
_NOT_GIVEN = Decimal(2**96 - 1)
_NO_NUMBER = frozenset({"", "nan", "none", "null", "<na>", "nat", "n/a"})


class TooSmallError(ValueError):
    """A number of which rounding to 18 decimals would leave 0."""


def decimal_text(value: Any) -> str:
    """The decimal text of a number, rounded to what the exporter holds.

    Raises `ValueError` for what is no finite number, `TooSmallError` where nothing would be left.
    """
    kind = type(value)
    if kind is int:
        return str(value)
    if kind is str:
        return _held(value.strip())
    if isinstance(value, bool):
        raise ValueError("a truth value is no number")
    if isinstance(value, (Decimal, float)):
        if not math.isfinite(value):
            raise ValueError(f"{value} is no finite number")
        return _held(str(value) if isinstance(value, Decimal) else float.__repr__(value))
    exact = getattr(value, "as_decimal", None)
    if callable(exact):
        return decimal_text(exact())
    index = getattr(value, "__index__", None)
    if callable(index):
        return str(index())
    # A numpy scalar that is no subclass of float (float32) has a shortest text of its own.
    return _held(str(value).strip())


def position_text(value: Any) -> str:
    """The same for a quantity that is held: what is too small to be held is nothing."""
    try:
        return decimal_text(value)
    except TooSmallError:
        return "0"


def is_missing(value: Any) -> bool:
    """Whether a value says nothing: None, not a number, or larger than any price is."""
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
    """A text for people: at most 512 bytes, no control characters."""
    text = value if isinstance(value, str) else str(value)
    text = "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)
    data = text.encode("utf-8", "replace")
    if len(data) > TEXT_BYTES_MAX:
        data = data[: TEXT_BYTES_MAX - 3] + b"..."
    return data.decode("utf-8", "ignore")


def identifier(value: Any) -> str:
    """A name as text: the value of an enum, else what `str` says."""
    if type(value) is str:
        return value
    return str(value.value) if isinstance(value, Enum) else str(value)


def side_text(value: Any) -> Optional[str]:
    """`buy` or `sell`, from a word or an enum in any spelling; else the word itself."""
    if value is None:
        return None
    text = str(value.name) if isinstance(value, Enum) else str(value)
    word = text.rsplit(".", 1)[-1].strip().lower()
    return {"b": "buy", "s": "sell"}.get(word, word)


def _held(text: str) -> str:
    """The text of a number as it came, or rounded where it has more digits than are held."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or "_" in text or not text.isascii():
        raise ValueError(f"{text[:40]!r} is no finite number")
    if len(text) <= _SHORT and "e" not in text and "E" not in text:
        return text
    _, digits, exponent = number.as_tuple()
    if int(exponent) >= -PLACES and len(digits) <= DIGITS:
        return text
    rounded = number
    if int(exponent) < -PLACES:
        rounded = number.quantize(_STEP, context=_WIDE)
    if rounded.adjusted() < DIGITS:
        # Where the whole part alone has more digits, the exporter says that it is too large.
        rounded = _HELD.plus(rounded)
    if number and not rounded:
        raise TooSmallError(f"{text[:40]} is less than the exporter holds")
    return str(rounded)
