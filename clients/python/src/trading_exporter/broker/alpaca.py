"""Alpaca by alpaca-py: the open positions of the account of a key.

Input: an answer of `TradingClient.get_all_positions`. Output: a listing, always complete. Coins are
spelled `BTC/USD`, as in the streams of orders, although the list has `BTCUSD`. Invariant: a row
whose quantity contradicts its side fails the fetch.
"""

from __future__ import annotations

import functools
import importlib
import time
from typing import Any, Optional

from .._values import identifier
from .listing import Leg, Listing, NotUnderstoodError, exact, net, price

#: The currencies in which Alpaca quotes coins, longer names first.
_COIN_QUOTES = ("USDT", "USDC", "USD", "BTC")


def positions(answer: Any) -> list[Leg]:
    """The legs of the positions of alpaca-py."""
    if not isinstance(answer, list):
        raise NotUnderstoodError(f"the positions are {type(answer).__name__}, not a list")
    return [_leg(position) for position in answer]


def _leg(position: Any) -> Leg:
    name = getattr(position, "symbol", None)
    if not isinstance(name, str) or not name:
        raise NotUnderstoodError(f"a position of type {type(position).__name__} has no symbol")
    is_coin = identifier(getattr(position, "asset_class", None)) == "crypto"
    symbol = _coin_pair(name) if is_coin else name
    quantity = exact(getattr(position, "qty", None), f"{symbol}: qty")
    side = identifier(getattr(position, "side", None)).lower()
    if side == "short":
        quantity = -abs(quantity)
    elif side == "long" and quantity < 0:
        raise NotUnderstoodError(f"{symbol}: a long position of {quantity}")
    elif side != "long":
        raise NotUnderstoodError(f"{symbol}: the side is {side!r}")
    average = price(getattr(position, "avg_entry_price", None))
    return Leg(symbol, quantity, average, price(getattr(position, "current_price", None)))


def _coin_pair(name: str) -> str:
    if "/" not in name:
        for quote in _COIN_QUOTES:
            if name.endswith(quote) and len(name) > len(quote):
                return f"{name[: -len(quote)]}/{quote}"
    return name


class AlpacaSource:
    """An account of Alpaca. `client` is a `TradingClient`."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def fetch(self) -> Listing:
        """The open positions."""
        asked_ns = time.time_ns()
        return Listing(asked_ns, net(positions(self._client.get_all_positions())))


def new_client(
    key: str,
    secret: str,
    *,
    paper: bool,
    base_url: Optional[str] = None,
    timeout_seconds: float = 30.0,
) -> Any:
    """A `TradingClient` whose requests end."""
    library = importlib.import_module("alpaca.trading.client")
    client = library.TradingClient(key, secret, paper=paper, url_override=base_url)
    # The library has no timeouts: a connection that a firewall forgot would hang for ever.
    session = client._session
    session.request = functools.partial(session.request, timeout=timeout_seconds)
    return client
