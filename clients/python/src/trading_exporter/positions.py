"""Converts positions of engines and brokers' libraries to rows of a snapshot.

Input: the result of `get_positions()`: a mapping of symbols to quantities or rows, or a list of
rows (dictionaries, `alpaca-py` positions, `ib_async` positions and portfolio items). Output: rows
for the exporter. Invariants: quantities keep their sign and the exporter's precision; a value that
is not understood is an error, never a flat position and never left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, Optional, Protocol, runtime_checkable

from ._values import TooSmallError, decimal_text, identifier, is_missing, position_text

_QUANTITY = ("quantity", "qty", "position", "signed_qty", "size")
_AVERAGE = ("average_price", "avg_price", "avg_entry_price", "avg_px_open", "avg_cost")
_MARKET = ("market_price", "current_price", "last_price", "marketPrice")

Row = dict[str, str]


@runtime_checkable
class PositionSource(Protocol):
    """A position store or a broker."""

    def get_positions(self) -> Any:
        """All current positions. Raises if they cannot be determined."""
        ...


class PositionsError(ValueError):
    """The result of a source is not a list of positions."""


def rows(positions: Any) -> list[Row]:
    """The rows of a snapshot.

    Raises `PositionsError` if anything in it is not understood. So is None, which a function
    without a return statement returns.
    """
    if isinstance(positions, Mapping):
        return [_of_pair(symbol, value) for symbol, value in positions.items()]
    if isinstance(positions, Iterable) and not isinstance(positions, (str, bytes)):
        return [_of_row(value) for value in positions]
    raise PositionsError(f"{type(positions).__name__} is not a collection of positions")


class Held(NamedTuple):
    """The position of one symbol in a source."""

    #: Signed.
    quantity: Decimal
    #: Quantity and average price in the types of the source. None without a row.
    raw_quantity: Any
    raw_average: Any


def held(positions: Any, symbol: str) -> Held:
    """The position of a symbol.

    Raises `PositionsError` if it is not understood, or if several rows have that symbol.
    """
    values = list(positions.items() if isinstance(positions, Mapping) else positions or ())
    found = [n for n, row in enumerate(rows(positions)) if row["symbol"] == symbol]
    if not found:
        return Held(Decimal(0), None, None)
    if len(found) > 1:
        raise PositionsError(f"{len(found)} rows have the symbol {symbol}")
    value = values[found[0]]
    if isinstance(positions, Mapping):
        value = value[1]
    quantity = Decimal(rows(positions)[found[0]]["quantity"])
    if not isinstance(value, Mapping) and _is_number(value):
        return Held(quantity, value, None)
    return Held(quantity, _get(value, _QUANTITY), _get(value, _AVERAGE))


def _of_pair(symbol: Any, value: Any) -> Row:
    if isinstance(value, Mapping) or not _is_number(value):
        return _of_row(value, symbol)
    return {"symbol": _symbol(symbol), "quantity": _number(symbol, "quantity", value)}


def _of_row(value: Any, symbol: Any = None) -> Row:
    contract = _get(value, ("contract",))
    if contract is not None:
        return _of_contract(value, contract)
    symbol = symbol if symbol is not None else _get(value, ("symbol", "instrument_id", "pair"))
    quantity = _get(value, _QUANTITY)
    if symbol is None or quantity is None:
        raise PositionsError(f"{value!r:.120} has no symbol or no quantity")
    text = _signed(_number(symbol, "quantity", quantity), _get(value, ("side",)))
    row = {"symbol": _symbol(symbol), "quantity": text}
    _add_price(row, "average_price", _get(value, _AVERAGE))
    _add_price(row, "market_price", _get(value, _MARKET))
    return row


def _of_contract(value: Any, contract: Any) -> Row:
    """`ib_async`: a Position or a PortfolioItem.

    The average cost of TWS includes the multiplier of the contract, the prices do not.
    """
    symbol = _get(contract, ("localSymbol",)) or _get(contract, ("symbol",))
    quantity = _get(value, ("position",))
    if not symbol or quantity is None:
        raise PositionsError(f"{value!r:.120} has no symbol or no position")
    row = {"symbol": _symbol(symbol), "quantity": _number(symbol, "position", quantity)}
    cost = _get(value, ("avgCost", "averageCost"))
    if not is_missing(cost):
        multiplier = Decimal(str(_get(contract, ("multiplier",)) or "1"))
        if not multiplier.is_finite() or multiplier <= 0:
            raise PositionsError(f"{symbol}: the multiplier {multiplier} is not a positive number")
        row["average_price"] = decimal_text(Decimal(decimal_text(cost)) / multiplier)
    _add_price(row, "market_price", _get(value, _MARKET))
    return row


def _get(value: Any, names: Iterable[str]) -> Any:
    for name in names:
        found = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
        if found is not None and not callable(found):
            return found
    return None


def _signed(quantity: str, side: Any) -> str:
    """`alpaca-py` and others have a side in addition to the quantity, which may be signed."""
    if side is None:
        return quantity
    word = identifier(side).rsplit(".", 1)[-1].lower()
    if word in ("short", "sell") and not quantity.startswith("-"):
        return str(-Decimal(quantity))
    if word in ("long", "buy") and quantity.startswith("-") and Decimal(quantity) != 0:
        raise PositionsError(f"a {word} position of {quantity}")
    return quantity


def _add_price(row: Row, name: str, value: Any) -> None:
    if not is_missing(value):
        try:
            row[name] = decimal_text(value)
        except TooSmallError:
            # 0 is not a price either.
            return
        except ValueError as error:
            raise PositionsError(f"{row['symbol']}: {name}: {error}") from error


def _number(symbol: Any, name: str, value: Any) -> str:
    try:
        return position_text(value)
    except ValueError as error:
        raise PositionsError(f"{symbol}: {name}: {error}") from error


def _is_number(value: Any) -> bool:
    try:
        position_text(value)
    except ValueError:
        # NaN and infinities are errors, which the caller reports.
        return isinstance(value, (int, float, Decimal, str))
    return True


def _symbol(value: Any) -> str:
    text = identifier(value)
    if not text:
        raise PositionsError("a symbol is empty")
    return text


def snapshot(
    source: str, positions: Optional[list[Row]], error: Optional[str] = None
) -> dict[str, Any]:
    """The fields of a `positions` event. Without positions it reports a failed fetch."""
    if positions is None:
        return {"source": source, "status": "failed", "error": error or "no answer"}
    return {"source": source, "positions": positions, "complete": True}
