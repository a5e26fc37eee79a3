"""Interactive Brokers: the positions of an account, by `ib_async`.

    broker = IbPositions(ib, account="DU1234567")
    DriftDetector(position_store, broker, client=client)

Input: a connected `IB`. Output: the last positions from TWS or the gateway. Invariant: without a
connection it raises, and is never flat. Average costs are divided by the contract's multiplier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ib_async import IB


class IbPositions:
    """A broker for :class:`DriftDetector`. Without `account`, all accounts of the login."""

    def __init__(self, ib: IB, account: str = "") -> None:
        self._ib = ib
        self._account = account

    def get_positions(self) -> list[Any]:
        """The positions in `ib_async`."""
        if not self._ib.isConnected():
            raise ConnectionError("ib_async is not connected")
        return list(self._ib.positions(self._account))
