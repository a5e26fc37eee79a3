"""Events as the exporter takes them, from what engines hand over.

Input: a type, raw fields, a time. Output: a dictionary of JSON scalars. `pack` runs on the order
path; the rest in the sender's thread: it may raise `ValueError`, and the event is then counted and
reported, never half sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, NamedTuple, Optional

from ._values import (
    TooSmallError,
    decimal_text,
    identifier,
    is_missing,
    plain_text,
    side_text,
)

#: One event as the caller left it, made on the order path: the members of `Raw`, with the names of
#: the fields and then their values in place of the dictionary. Flat on purpose. A tuple of numbers
#: and texts is nothing that the garbage collector has to look at again, and one in a tuple or
#: beside a dictionary is: with some thousand events waiting, a collection stopped the engine for
#: more than a millisecond.
Item = tuple[Any, ...]


class Raw(NamedTuple):
    """One event, not yet checked."""

    #: When it was recorded, in Unix nanoseconds.
    recorded_ns: int
    #: Of events with one key only the newest is worth sending, and not for long; without, every is.
    key: Optional[tuple[str, ...]]
    kind: str
    #: When it happened, in Unix nanoseconds.
    time_ns: int
    event_id: str
    fields: Mapping[str, Any]


_FIELDS_AT = len(Raw._fields) - 1


def pack(
    recorded_ns: int,
    key: Optional[tuple[str, ...]],
    kind: str,
    time_ns: int,
    event_id: str,
    fields: Mapping[str, Any],
) -> Item:
    """The event as it waits in the queue."""
    return (recorded_ns, key, kind, time_ns, event_id, *fields, *fields.values())


def unpack(item: Item) -> Raw:
    """What was packed."""
    half = (len(item) + _FIELDS_AT) // 2
    fields = dict(zip(item[_FIELDS_AT:half], item[half:]))
    return Raw._make((*item[:_FIELDS_AT], fields))


def _boolean(value: Any) -> bool:
    return bool(value)


def _as_is(value: Any) -> Any:
    return value


_NUMBERS = (
    "quantity",
    "notional",
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
#: Numbers without which an event says nothing, or something else: a fill without a quantity is
#: one of all that is left. Where another of them is missing (NaN, the largest double), it is left
#: out, and the event goes.
_NEEDED = frozenset({"quantity", "price"})
#: Types of event that go without the one or the other, too.
_NOT_NEEDED = frozenset(
    {("order_replaced", "quantity"), ("order_submitted", "quantity"), ("quote", "price")}
)

_MAKERS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_NUMBERS, decimal_text),
    "side": side_text,
    "reason": plain_text,
    "message": plain_text,
    "error": plain_text,
    "reduce_only": _boolean,
    "synthetic": _boolean,
    "final": _boolean,
    "complete": _boolean,
    "positions": _as_is,
}


def build(raw: Raw, envelope: Mapping[str, str]) -> dict[str, Any]:
    """The event, ready for JSON, with what every event of the client carries.

    What is not given is left out: None, an empty text, and numbers that may be missing and are.
    """
    event: dict[str, Any] = {"type": raw.kind, "event_id": raw.event_id}
    event["time_ns"] = int(raw.time_ns)
    event.update(envelope)
    for name, value in raw.fields.items():
        if value is None or (isinstance(value, str) and not value):
            continue
        make: Callable[[Any], Any] = _MAKERS.get(name, identifier)
        optional = make is decimal_text and (name not in _NEEDED or (raw.kind, name) in _NOT_NEEDED)
        if optional and is_missing(value):
            continue
        try:
            event[name] = make(value)
        except TooSmallError as error:
            if not optional:
                raise ValueError(f"{name}: {error}") from error
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return event
