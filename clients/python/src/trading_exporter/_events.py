"""Events as the exporter takes them, from what engines hand over.

Input: a type, raw fields, a time. Output: a dictionary of JSON scalars. Runs in the sender's
thread: it may raise `ValueError`, and the event is then counted and reported, never half sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

from ._values import decimal_text, identifier, is_missing, plain_text, side_text

#: Type, fields, Unix nanoseconds, event id, and what every event of the client carries.
Raw = tuple[str, Mapping[str, Any], int, str, Mapping[str, str]]


def _boolean(value: Any) -> bool:
    return bool(value)


def _as_is(value: Any) -> Any:
    return value


_NUMBERS = (
    "quantity",
    "price",
    "expected_price",
    "decision_price",
    "arrival_price",
    "limit_price",
    "bid",
    "ask",
    "fee",
    "equity",
    "cash",
    "latency_seconds",
    "interval_seconds",
)
#: References and optional amounts: not a number means "not known".
_MAY_BE_NAN = frozenset(_NUMBERS) - {"quantity", "price"}

_MAKERS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_NUMBERS, decimal_text),
    "side": side_text,
    "reason": plain_text,
    "message": plain_text,
    "error": plain_text,
    "reduce_only": _boolean,
    "synthetic": _boolean,
    "complete": _boolean,
    "positions": _as_is,
}


def build(raw: Raw) -> dict[str, Any]:
    """The event, ready for JSON. Fields that are None are left out."""
    kind, fields, time_ns, event_id, envelope = raw
    event: dict[str, Any] = {"type": kind, "event_id": event_id, "time_ns": int(time_ns)}
    event.update(envelope)
    for name, value in fields.items():
        if value is None or (name in _MAY_BE_NAN and is_missing(value)):
            continue
        make: Callable[[Any], Any] = _MAKERS.get(name, identifier)
        try:
            event[name] = make(value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return event
