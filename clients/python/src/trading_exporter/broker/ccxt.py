"""Exchanges by ccxt: positions and balances, in ccxt's unified names.

Input: answers of `fetch_positions` and `fetch_balance`, and ccxt's markets. Output: a listing.

Quantities are coins: contracts times the market's `contractSize`, exactly. Contracts of an inverse
market are a fixed amount of the quote currency each, and so many coins as the price says: their
number of coins changes with every tick, so they stay contracts. The market price of such a row is
the value of one contract in the quote currency, so that quantity times price is the value; it has
no average price. `Unit.CONTRACTS` leaves all quantities in contracts.

Invariants: a row without a number, a side or a known market, and a market without `contractSize`,
fail the fetch; so does an answer that ccxt reads as an empty list although it is no list. With
`symbols` the list is partial, and has a row for each of them, 0 if the venue has none.
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Any, Optional
from urllib.parse import urlsplit

from .._values import decimal_text
from ..positions import Row
from .listing import Leg, Listing, NotUnderstoodError, exact, net, price, product, total

#: Shortest time between two requests for the markets because of one that is not known.
_RELOAD_SECONDS = 600.0


class Unit(str, Enum):
    """What a quantity of a linear contract counts."""

    COINS = "coins"
    CONTRACTS = "contracts"


class UnknownMarketError(NotUnderstoodError):
    """A position has a symbol that ccxt's markets do not have, as after a new listing."""


@dataclass(frozen=True)
class Wanted:
    """What is asked of an exchange."""

    positions: bool = True
    balances: bool = False
    #: The currency in which balances are quoted: a balance of BTC is a position of `BTC/quote`.
    quote: str = "USDT"
    symbols: frozenset[str] = frozenset()
    #: Parameters of each request for positions. All answers together are the list.
    params: Sequence[Mapping[str, Any]] = field(default_factory=lambda: [{}])
    unit: Unit = Unit.COINS


def positions(
    answer: Any,
    markets: Mapping[str, Mapping[str, Any]],
    unit: Unit = Unit.COINS,
    symbols: frozenset[str] = frozenset(),
) -> list[Leg]:
    """The legs of an answer of `fetch_positions`. Rows of size 0 are left out, they are flat.

    A symbol may have legs of both sides (hedge mode) and of both margin modes. A leg that is there
    twice fails the fetch.
    """
    if isinstance(answer, (str, bytes, Mapping)) or not isinstance(answer, Iterable):
        raise NotUnderstoodError(f"the positions are {type(answer).__name__}, not a list")
    legs: list[Leg] = []
    seen: set[tuple[Any, ...]] = set()
    for row in answer:
        if not isinstance(row, Mapping):
            raise NotUnderstoodError(f"a position is {type(row).__name__}, not an object")
        if symbols and row.get("symbol") not in symbols:
            continue
        contracts = exact(row.get("contracts"), f"{row.get('symbol')}: contracts")
        if not contracts:
            continue
        leg = _leg(row, contracts, markets, unit)
        key = (leg.symbol, leg.quantity > 0, row.get("marginMode"), row.get("id"))
        if key in seen:
            raise NotUnderstoodError(f"{leg.symbol}: the same position is there twice")
        seen.add(key)
        legs.append(leg)
    return legs


def _leg(
    row: Mapping[str, Any],
    contracts: Decimal,
    markets: Mapping[str, Mapping[str, Any]],
    unit: Unit,
) -> Leg:
    symbol = str(row.get("symbol") or "")
    market = markets.get(symbol)
    if market is None:
        raise UnknownMarketError(f"{symbol!r} is not in the markets of the exchange")
    side = str(row.get("side")).lower()
    if side not in ("long", "short") or (contracts < 0 and side == "long"):
        raise NotUnderstoodError(f"{symbol}: {contracts} contracts, and the side is {side!r}")
    contracts = abs(contracts) if side == "long" else -abs(contracts)
    size = exact(market.get("contractSize"), f"{symbol}: contractSize of the market")
    if size <= 0:
        raise NotUnderstoodError(f"{symbol}: contractSize of the market is {size}")
    average, now = price(row.get("entryPrice")), price(row.get("markPrice"))
    linear, inverse = bool(market.get("linear")), bool(market.get("inverse"))
    if linear == inverse:
        if unit is Unit.COINS:
            raise NotUnderstoodError(
                f"{symbol} is neither linear nor inverse: pass --unit=contracts"
            )
        return Leg(symbol, contracts)
    if inverse and not market.get("option"):
        return Leg(symbol, contracts, None, size)
    quantity = contracts if unit is Unit.CONTRACTS else product(contracts, size)
    # Inverse options count coins, but their prices are coins too.
    return Leg(symbol, quantity, average, now) if linear else Leg(symbol, quantity)


def balances(answer: Any, quote: str, symbols: frozenset[str] = frozenset()) -> list[Leg]:
    """The legs of an answer of `fetch_balance`: the total of each currency except `quote`."""
    if not isinstance(answer, Mapping) or not isinstance(answer.get("total"), Mapping):
        raise NotUnderstoodError("the balances have no totals")
    legs: list[Leg] = []
    for code, value in answer["total"].items():
        symbol = f"{code}/{quote}"
        if code == quote or (symbols and symbol not in symbols):
            continue
        if value is None:
            free, used = (_part(answer, name, code) for name in ("free", "used"))
            amount = total(exact(free, f"{code}: free"), exact(used, f"{code}: used"))
        else:
            amount = exact(value, f"{code}: total")
        if amount:
            legs.append(Leg(symbol, amount))
    return legs


def _part(answer: Mapping[str, Any], name: str, code: str) -> Any:
    part = answer.get(name)
    return part.get(code) if isinstance(part, Mapping) else None


def with_zeros(rows: list[Row], symbols: frozenset[str]) -> list[Row]:
    """The rows of a partial list, with a row of 0 for each symbol that the venue does not have."""
    by_symbol = {row["symbol"]: row for row in rows}
    return [by_symbol.get(s, {"symbol": s, "quantity": decimal_text(0)}) for s in sorted(symbols)]


def moved(urls: Any, base_url: str) -> Any:
    """The URLs of an exchange on another scheme and host. Their paths stay."""
    if isinstance(urls, Mapping):
        return {name: moved(value, base_url) for name, value in urls.items()}
    if not isinstance(urls, str):
        return urls
    # A host may be a template: https://api.{hostname}
    return base_url.rstrip("/") + urlsplit(urls).path


class CcxtSource:
    """An exchange of ccxt."""

    def __init__(self, exchange: Any, wanted: Wanted) -> None:
        self._exchange = exchange
        self._wanted = wanted
        self._loaded_at: Optional[float] = None

    def fetch(self) -> Listing:
        """The positions and balances that are wanted. The markets are loaded before it is asked."""
        if self._loaded_at is None:
            self._load()
        try:
            return self._fetch()
        except UnknownMarketError:
            if time.monotonic() - (self._loaded_at or 0.0) < _RELOAD_SECONDS:
                raise
        self._load()
        return self._fetch()

    def _load(self) -> None:
        self._exchange.load_markets(self._loaded_at is not None)
        if not self._exchange.markets:
            raise NotUnderstoodError("the exchange has no markets")
        self._loaded_at = time.monotonic()

    def _check_symbols(self) -> None:
        """A misspelt symbol would be flat for ever."""
        markets, currencies = self._exchange.markets, self._exchange.currencies or {}
        for symbol in self._wanted.symbols:
            base, _, quote = symbol.partition("/")
            is_balance = self._wanted.balances and quote == self._wanted.quote
            if symbol not in markets and not (is_balance and base in currencies):
                raise UnknownMarketError(f"{symbol!r} is not in the markets of the exchange")

    def _fetch(self) -> Listing:
        wanted, exchange = self._wanted, self._exchange
        self._check_symbols()
        asked_ns = time.time_ns()
        legs: list[Leg] = []
        if wanted.positions:
            every: list[Any] = []
            for params in wanted.params:
                answer = exchange.fetch_positions(None, dict(params))
                self._check_empty(answer)
                if not isinstance(answer, list):
                    raise NotUnderstoodError(f"the positions are {type(answer).__name__}")
                every += answer
            legs += positions(every, exchange.markets, wanted.unit, wanted.symbols)
        if wanted.balances:
            answer = exchange.fetch_balance()
            held = balances(answer, wanted.quote, wanted.symbols)
            self._check_empty(held)
            both = {leg.symbol for leg in held} & {leg.symbol for leg in legs}
            if both:
                raise NotUnderstoodError(f"{min(both)} is a position and a balance")
            legs += held
        rows = net(legs)
        if wanted.symbols:
            return Listing(asked_ns, with_zeros(rows, wanted.symbols), complete=False)
        return Listing(asked_ns, rows)

    def _check_empty(self, found: Any) -> None:
        """ccxt reads `{}` and other nonsense as an empty list. That is not flat."""
        text = getattr(self._exchange, "last_http_response", None)
        if found or not isinstance(text, str):
            return
        try:
            answer = json.loads(text)
        except ValueError:
            raise NotUnderstoodError("the exchange's answer is not JSON") from None
        if answer is None or answer == {}:
            raise NotUnderstoodError(f"the exchange's answer is {text.strip()[:40]!r}")


def new_exchange(
    name: str,
    credentials: Mapping[str, str],
    *,
    timeout_seconds: float = 30.0,
    default_type: Optional[str] = None,
    sandbox: bool = False,
    base_url: Optional[str] = None,
) -> Any:
    """An exchange of ccxt. Raises `ValueError` if ccxt has no exchange of that name."""
    library = importlib.import_module("ccxt")
    if name not in library.exchanges:
        raise ValueError(f"ccxt has no exchange {name!r}")
    exchange = getattr(library, name)(
        {
            **credentials,
            "enableRateLimit": True,
            # The library's own timeout is for one read, and should come first.
            "timeout": int(timeout_seconds * 800),
        }
    )
    if default_type:
        exchange.options["defaultType"] = default_type
    if sandbox:
        exchange.set_sandbox_mode(True)
    if base_url:
        exchange.urls["api"] = moved(exchange.urls["api"], base_url)
    return exchange
