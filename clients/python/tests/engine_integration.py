"""How an engine uses the Python client. The names and calls here are fixed: this file must run as it is.

    EXPORTER_URL=http://127.0.0.1:10471 [EXPORTER_TOKEN=...] python engine_integration.py

Ends with exit code 0 and prints OK lines; every `assert` is part of the contract.
"""

import os
import time

from trading_exporter import (
    Client,
    ComponentType,
    DriftDetector,
    DriftSeverity,
    ExecutionMonitor,
    HealthChecker,
    TradingGate,
)

ACCOUNT = f"integration-{os.getpid()}"
client = Client(
    os.environ.get("EXPORTER_URL", "http://127.0.0.1:10471"),
    token=os.environ.get("EXPORTER_TOKEN"),
    account=ACCOUNT,
)


class Book:
    """Anything with get_positions() is a position store or a broker."""

    def __init__(self, **positions):
        self.positions = positions

    def get_positions(self):
        return dict(self.positions)


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


# 1 Health: the engine registers its checks and asks for the whole.
health_checker = HealthChecker(client=client, check_interval=30)
broker_alive = True
health_checker.register_check(
    ComponentType.BROKER, check_function=lambda: broker_alive, interval_seconds=0.1
)
health_checker.register_check(
    ComponentType.DATA_FEED, check_function=lambda: 1 / 0, interval_seconds=0.1
)
health_checker.start()
assert until(
    lambda: ComponentType.DATA_FEED in health_checker.get_system_health().get_unhealthy_components()
)
health = health_checker.get_system_health()
assert not health.is_healthy()
assert health.components[ComponentType.BROKER].is_healthy()
assert "ZeroDivisionError" in health.components[ComponentType.DATA_FEED].message
health_checker.stop()
print("OK health")

# 2 Execution: submissions and fills; slippage is positive when it cost money.
execution_monitor = ExecutionMonitor(client=client, max_history=1000)
for n in range(25):
    order_id = f"O-{n}"
    execution_monitor.record_submission(
        order_id=order_id, symbol="AAPL", side="buy", quantity=100, expected_price=100.00
    )
    if n % 5 == 0:
        execution_monitor.record_rejection(order_id=order_id, reason="insufficient funds")
    else:
        execution_monitor.record_fill(order_id=order_id, fill_price=100.30)
client.flush(timeout=10)
metrics = execution_monitor.get_metrics(symbol="AAPL")
assert metrics.samples == 25, metrics
assert abs(metrics.fill_ratio - 20 / 25) < 1e-12
assert abs(metrics.rejection_ratio - 5 / 25) < 1e-12
assert abs(metrics.slippage_bps - 30.0) < 1e-9
alerts = execution_monitor.detect_anomalies()
assert any(
    severity == "CRITICAL" and "slippage" in message.lower() for severity, message in alerts
), alerts
print("OK execution")

# 3 Drift: the engine's store against the broker.
store, broker = Book(MSFT=10, NVDA=100), Book(MSFT=11, NVDA=100)
drift_detector = DriftDetector(
    client=client, position_store=store, broker=broker, check_interval_seconds=60
)
drift_detector.check_drift()
drifts = drift_detector.check_drift()  # a second, newer comparison confirms
assert [d.severity for d in drifts] == [DriftSeverity.MINOR], drifts
assert drifts[0].to_dict()["symbol"] == "MSFT"
assert drift_detector.auto_reconcile(drifts[0])  # adopts the broker's quantity in what is reported
store.positions["MSFT"] = 11
assert drift_detector.check_drift() == []
print("OK drift")

# 4 Halt: a critical drift stops the engine, and stays.
gate = TradingGate(client=client)
halts = []
gate.on_halt(lambda halt: halts.append(halt))
assert until(gate.allowed)
broker.positions["NVDA"] = 80
drifts = drift_detector.check_drift()
assert [d.severity for d in drifts] == [DriftSeverity.CRITICAL], drifts
assert until(lambda: halts and not gate.allowed(), 2.0)
broker.positions["NVDA"] = 100
assert drift_detector.check_drift() == []
assert not gate.allowed()  # it latches: agreement alone releases nothing
gate.close()
client.close()
print("OK halt")
