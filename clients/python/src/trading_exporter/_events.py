"""Builds events for the exporter from an engine's values.

Input: a type, raw fields, a time. Output: a dictionary of JSON scalars. `pack` runs on the order
path. The rest runs in the sender's thread and may raise `ValueError`: the event is then counted and
reported, never sent in part.
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

#: A packed event, made on the order path: the members of `Raw`, with field names and then field
#: values instead of the dictionary. It is flat on purpose. The garbage collector does not track a
#: tuple of numbers and strings, but it tracks a tuple that contains a tuple or a dictionary: with
#: thousands of events waiting, one collection would stop the engine for more than a millisecond.
Item = tuple[Any, ...]


class Raw(NamedTuple):
    """An event that is not yet checked."""

    #: When it was recorded, in Unix nanoseconds.
    recorded_ns: int
    #: Of events with the same key only the newest is sent, and not if it is old. Without a key,
    #: every event is sent.
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
    """Packs the event for the queue."""
    return (recorded_ns, key, kind, time_ns, event_id, *fields, *fields.values())


def unpack(item: Item) -> Raw:
    """Unpacks an event."""
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
#: Numbers that an event needs: without its quantity, a fill would mean all that is left. Other
#: numbers are left out if they are missing (NaN, the largest double), and the event is sent.
_NEEDED = frozenset({"quantity", "price"})
#: Event types that are also valid without one of them.
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
    """The event, ready for JSON, with the common fields of the client's events.

    Missing values are left out: None, an empty text, and missing numbers that are optional.
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
