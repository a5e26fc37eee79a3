"""Values of an engine as the exporter takes them: exact decimal text, short plain text, words.

Input: what engines hold (Decimal, int, float, str, numpy scalars, objects with `as_decimal`).
Output: text. Invariants: a Decimal, an int and a string keep every digit; a float is sent as its
shortest `repr`, cut to the 18 decimals that the exporter holds; NaN and None are "missing".
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from enum import Enum
from typing import Any, Optional

#: Decimals that the exporter holds.
PLACES = 18
#: Bytes of a text that is no identifier.
TEXT_BYTES_MAX = 512

_STEP = Decimal(1).scaleb(-PLACES)
_WIDE = Context(prec=80, rounding=ROUND_HALF_EVEN)
_SHORT_REPR = PLACES + 1


def decimal_text(value: Any) -> str:
    """The exact decimal text of a number.

    Raises `ValueError` for what is no finite number.
    """
    kind = type(value)
    if kind is int:
        return str(value)
    if kind is str:
        return _checked(value.strip())
    if isinstance(value, bool):
        raise ValueError("a truth value is no number")
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} is no finite number")
        return str(value)
    if isinstance(value, float):
        return _float_text(value)
    exact = getattr(value, "as_decimal", None)
    if callable(exact):
        return decimal_text(exact())
    index = getattr(value, "__index__", None)
    if callable(index):
        return str(index())
    if hasattr(value, "__float__") and hasattr(value, "dtype"):
        # A numpy scalar that is no subclass of float (float32): its own shortest text.
        return _float_text(float(str(value)))
    return _checked(str(value).strip())


def rounded_text(value: Any) -> str:
    """The text of a number that was computed (an average): rounded to 18 decimals."""
    number = Decimal(decimal_text(value))
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -PLACES:
        number = number.quantize(_STEP, context=_WIDE)
    return str(number)


def is_missing(value: Any) -> bool:
    """Whether a value says nothing: None, or not a number."""
    if value is None:
        return True
    if isinstance(value, float):
        return math.isnan(value)
    if isinstance(value, Decimal):
        return value.is_nan()
    return isinstance(value, str) and value.strip().lower() in ("", "nan", "none")


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


def _float_text(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"{value} is no finite number")
    text = float.__repr__(value)
    if len(text) <= _SHORT_REPR and "e-" not in text:
        return text
    number = Decimal(text)
    if number.as_tuple().exponent < -PLACES:  # type: ignore[operator]
        number = number.quantize(_STEP, context=_WIDE)
    return str(number)


def _checked(text: str) -> str:
    try:
        finite = Decimal(text).is_finite()
    except InvalidOperation:
        finite = False
    if not finite or "_" in text or not text.isascii():
        raise ValueError(f"{text[:40]!r} is no finite number")
    return text
