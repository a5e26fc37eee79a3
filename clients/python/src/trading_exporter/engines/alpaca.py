"""Alpaca: the positions of an account, by `alpaca-py`.

    broker = AlpacaPositions(TradingClient(key, secret, paper=True))
    DriftDetector(position_store, broker, client=client)

Input: a `TradingClient`. Output: its positions. Invariant: a failed request is an error, never a
flat position. If possible, use a read-only key in the process that posts this side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alpaca.trading.client import TradingClient


class AlpacaPositions:
    """A broker for :class:`DriftDetector`."""

    def __init__(self, client: TradingClient) -> None:
        self._client = client

    def get_positions(self) -> list[Any]:
        """The open positions: quantities signed, with average and current prices."""
        positions = self._client.get_all_positions()
        if not isinstance(positions, list):
            raise TypeError(f"Alpaca answered {type(positions).__name__}, not a list of positions")
        return positions
