"""The broker's witness: asks a broker for its list of positions, and posts it.

    trading-exporter-broker ccxt --exchange binanceusdm --account paper

Input: a broker, by a library that exists. Output: its list every minute, with a token of its own.
Each library is an extra of this package, and is imported only by its command.
"""

from __future__ import annotations

from .cli import main

__all__ = ["main"]
