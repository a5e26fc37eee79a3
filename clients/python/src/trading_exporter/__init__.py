"""The engine's side of trading-exporter.

Client            sends events in the background; takes microseconds, never blocks, never raises
ExecutionMonitor  reports orders, reads figures and anomalies
DriftDetector     compares the engine's positions with the broker's
HealthChecker     runs checks of components, sends heartbeats
TradingGate       decides whether an order may be sent now
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
