"""Interactive Brokers by ib_async: the positions of one account, from TWS or the gateway.

Input: positions of `ib_async`. Output: a listing, always complete. Names: the symbol of a stock,
`EUR.USD` for a currency pair, otherwise the local symbol (`ESZ6`, `AAPL  261218C00200000`), and
`SYMBOL#CONID` without one. Average costs of TWS include the multiplier of a contract, the average
prices here do not.

Invariants: each poll has a connection of its own, so a list is never an old one; an account that
the login does not have fails the fetch, as do two contracts that would have one name.
Deliberately absent: market prices, which need subscriptions.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import time
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Optional

from .._values import is_missing
from .listing import Leg, Listing, NotUnderstoodError, exact, net, price, quotient

#: Contracts whose average cost includes a multiplier.
_MULTIPLIED = frozenset({"FUT", "OPT", "FOP", "WAR", "IOPT", "CONTFUT"})


def positions(answer: Any, account: str) -> list[Leg]:
    """The legs of an account, from positions of `ib_async`."""
    if isinstance(answer, (str, bytes)) or not isinstance(answer, Iterable):
        raise NotUnderstoodError(f"the positions are {type(answer).__name__}, not a list")
    legs: list[Leg] = []
    named: dict[str, int] = {}
    for position in answer:
        contract = getattr(position, "contract", None)
        if contract is None:
            raise NotUnderstoodError(
                f"a position of type {type(position).__name__} has no contract"
            )
        if getattr(position, "account", None) != account:
            continue
        symbol = name_of(contract)
        quantity = exact(position.position, f"{symbol}: position")
        if not quantity:
            continue
        if symbol in named:
            ids = f"{named[symbol]} and {contract.conId}"
            raise NotUnderstoodError(f"{symbol} is the name of two contracts, {ids}")
        named[symbol] = contract.conId
        legs.append(Leg(symbol, quantity, _average(position.avgCost, contract)))
    return legs


def name_of(contract: Any) -> str:
    """The name of a contract in the list."""
    symbol, kind = str(contract.symbol or ""), str(contract.secType or "")
    if kind == "STK" and symbol:
        return symbol
    if kind == "CASH" and symbol and contract.currency:
        return f"{symbol}.{contract.currency}"
    local = str(contract.localSymbol or "").strip()
    if local:
        return local
    if contract.conId:
        return f"{symbol}#{contract.conId}"
    raise NotUnderstoodError(
        f"a contract {symbol!r} of type {kind!r} has no local symbol and no id"
    )


def _average(cost: Any, contract: Any) -> Optional[Decimal]:
    """The average price of one unit. None if the cost or the multiplier is unknown."""
    if is_missing(cost):
        return None
    text = str(contract.multiplier or "").strip()
    if not text:
        return None if contract.secType in _MULTIPLIED else price(cost)
    multiplier = exact(text, f"{contract.symbol}: multiplier")
    if multiplier <= 0:
        raise NotUnderstoodError(f"{contract.symbol}: the multiplier is {text}")
    paid = price(cost)
    return quotient(paid, multiplier) if paid is not None else None


def account_of(accounts: Sequence[str], wanted: Optional[str]) -> str:
    """The account to list. Without `wanted`, the only one of the login."""
    known = [account for account in accounts if account]
    if wanted:
        if wanted not in known:
            raise NotUnderstoodError(f"the login has no account {wanted}")
        return wanted
    if len(known) != 1:
        raise NotUnderstoodError(f"the login has {len(known)} accounts: pass --ib-account")
    return known[0]


class IbSource:
    """TWS or the gateway."""

    def __init__(
        self,
        library: Any,
        host: str,
        port: int,
        client_id: int,
        account: Optional[str],
        timeout: float,
    ) -> None:
        self._library = library
        self._host = host
        self._port = port
        self._client_id = client_id
        self._account = account
        self._timeout = timeout

    def fetch(self) -> Listing:
        """The open positions."""
        return asyncio.run(self._fetch())

    async def _fetch(self) -> Listing:
        ib = self._library.IB()
        try:
            await ib.connectAsync(
                self._host,
                self._port,
                clientId=self._client_id,
                timeout=self._timeout,
                readonly=True,
                fetchFields=self._library.StartupFetch(0),
            )
            account = account_of(ib.managedAccounts(), self._account)
            asked_ns = time.time_ns()
            # The connection has asked for positions too, but does not say whether it got them all.
            await asyncio.wait_for(ib.reqPositionsAsync(), self._timeout)
            if not ib.isConnected():
                raise ConnectionError("the connection was lost before the end of the list")
            return Listing(asked_ns, net(positions(ib.positions(account), account)))
        finally:
            # It raises if the connection was never ready, which would hide the first error.
            with contextlib.suppress(Exception):
                ib.disconnect()


def new_library() -> Any:
    """The module `ib_async`."""
    return importlib.import_module("ib_async")
