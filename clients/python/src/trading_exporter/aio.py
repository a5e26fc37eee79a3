"""The client for asyncio: nothing here blocks the event loop.

Calls that take microseconds (`send`, `record_*`, `allowed`) are made directly, from any coroutine.
Calls that wait for the exporter run in a small thread pool.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Optional, TypeVar

from .client import Client, HasClient, Stats
from .drift import Drift, DriftDetector
from .execution import ExecutionMetrics, ExecutionMonitor
from .gate import TradingGate

T = TypeVar("T")

_THREADS = 4


class AsyncClient(HasClient):
    """A :class:`Client` whose waiting parts are coroutines.

    Takes the same arguments. Give it as `client=` to `ExecutionMonitor`, `DriftDetector`,
    `HealthChecker` and `TradingGate`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.client = Client(*args, **kwargs)
        self._monitor = ExecutionMonitor(client=self.client)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="trading-exporter-async")

    async def run(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Runs a blocking call in the pool, such as `run(detector.check_drift)`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, functools.partial(function, *args, **kwargs))

    def send(
        self,
        kind: str,
        fields: Mapping[str, Any],
        *,
        time_ns: Optional[int] = None,
        event_id: Optional[str] = None,
    ) -> bool:
        """Queues an event and returns immediately; see :meth:`Client.send`."""
        return self.client.send(kind, fields, time_ns=time_ns, event_id=event_id)

    def stats(self) -> Stats:
        """Counts of events by result."""
        return self.client.stats()

    async def flush(self, timeout: Optional[float] = None) -> bool:
        """See :meth:`Client.flush`."""
        return await self.run(self.client.flush, timeout)

    async def get(self, path: str, **query: object) -> Any:
        """See :meth:`Client.get`."""
        return await self.run(self.client.get, path, **query)

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """See :meth:`Client.post`."""
        return await self.run(self.client.post, path, body)

    async def get_metrics(self, symbol: Optional[str] = None) -> ExecutionMetrics:
        """See :meth:`ExecutionMonitor.get_metrics`."""
        return await self.run(self._monitor.get_metrics, symbol)

    async def detect_anomalies(self) -> list[tuple[str, str]]:
        """See :meth:`ExecutionMonitor.detect_anomalies`."""
        return await self.run(self._monitor.detect_anomalies)

    async def check_drift(self, detector: DriftDetector) -> list[Drift]:
        """See :meth:`DriftDetector.check_drift`."""
        return await self.run(detector.check_drift)

    async def auto_reconcile(self, detector: DriftDetector, drift: Drift) -> bool:
        """See :meth:`DriftDetector.auto_reconcile`. A thread of the pool writes the store."""
        return await self.run(detector.auto_reconcile, drift)

    async def permit(self, gate: TradingGate, timeout: Optional[float] = 10.0) -> bool:
        """See :meth:`TradingGate.wait`."""
        return await self.run(gate.wait, timeout)

    async def close(self, timeout: Optional[float] = None) -> None:
        """See :meth:`Client.close`."""
        await self.run(self.client.close, timeout)
        self._pool.shutdown(wait=False)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def in_loop(callback: Callable[[Any], Coroutine[Any, Any, Any]]) -> Callable[[Any], None]:
    """A callback for :class:`TradingGate` that runs as a coroutine in the current event loop.

    `gate.on_halt(in_loop(cancel_everything))`
    """
    loop = asyncio.get_running_loop()

    def call(value: Any) -> None:
        asyncio.run_coroutine_threadsafe(callback(value), loop)

    return call
