"""The engine's side of trading-exporter.

Client            sends events in the background; costs microseconds, never blocks, never raises
ExecutionMonitor  orders in, figures and anomalies out
DriftDetector     the engine's positions against the broker's
HealthChecker     checks of components, as heartbeats
TradingGate       whether an order may go out now
AsyncClient       the same for asyncio
"""

from __future__ import annotations

from ._sender import Rejected
from .aio import AsyncClient, in_loop
from .client import Client, Stats
from .drift import Drift, DriftDetector, DriftSeverity, DriftType
from .errors import BrokerTokenMissing, ExporterError, ExporterRefused, ExporterUnavailable
from .execution import ExecutionMetrics, ExecutionMonitor
from .gate import Halt, OnExpiry, Reconcile, TradingGate, TradingState
from .health import ComponentHealth, ComponentType, HealthChecker, HealthStatus, SystemHealth
from .positions import PositionsError, PositionSource

__version__ = "0.1.0"

__all__ = [
    "AsyncClient",
    "BrokerTokenMissing",
    "Client",
    "ComponentHealth",
    "ComponentType",
    "Drift",
    "DriftDetector",
    "DriftSeverity",
    "DriftType",
    "ExecutionMetrics",
    "ExecutionMonitor",
    "ExporterError",
    "ExporterRefused",
    "ExporterUnavailable",
    "Halt",
    "HealthChecker",
    "HealthStatus",
    "OnExpiry",
    "PositionSource",
    "PositionsError",
    "Reconcile",
    "Rejected",
    "Stats",
    "SystemHealth",
    "TradingGate",
    "TradingState",
    "in_loop",
]
