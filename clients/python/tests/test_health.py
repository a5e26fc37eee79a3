"""Checks that pass, fail, raise and hang."""

from __future__ import annotations

import threading
from typing import Any, Callable

import pytest

from harness import SOON, Exporter, until
from trading_exporter import Client, ComponentType, HealthChecker, HealthStatus
from trading_exporter.health import _next_status

Make = Callable[..., Client]

DEGRADED, HEALTHY, UNHEALTHY, UNKNOWN = (
    HealthStatus.DEGRADED,
    HealthStatus.HEALTHY,
    HealthStatus.UNHEALTHY,
    HealthStatus.UNKNOWN,
)


@pytest.mark.parametrize(
    ("results", "expect"),
    [
        ([], UNKNOWN),
        ([True], HEALTHY),
        ([False], DEGRADED),
        ([True, False], DEGRADED),
        ([True, False, False], DEGRADED),
        ([True, False, False, False], UNHEALTHY),
        ([False, True], DEGRADED),
        ([False, True, True], HEALTHY),
        ([False, False, False, True], UNHEALTHY),
        ([False, False, False, True, False], UNHEALTHY),
        ([False, False, False, True, True], HEALTHY),
    ],
)
def test_three_failures_and_two_successes(results: list[bool], expect: HealthStatus) -> None:
    status, failures, successes = UNKNOWN, 0, 0
    for passed in results:
        failures, successes = (0, successes + 1) if passed else (failures + 1, 0)
        status = _next_status(status, failures, successes, (3, 2))
    assert status is expect


def test_checks_do_not_wait_for_one_another(shared: Exporter, make: Make, account: str) -> None:
    free = threading.Event()
    calls: list[int] = []

    def hangs() -> bool:
        calls.append(1)
        return free.wait(SOON)

    def raises() -> Any:
        raise SystemExit("even this")

    client = make(shared.url)
    checker = HealthChecker(client=client, check_interval=0.01)
    checker.register_check(ComponentType.BROKER, hangs, timeout_seconds=0.05)
    checker.register_check(ComponentType.DATA_FEED, lambda: True)
    checker.register_check("gateway", raises)
    checker.register_check("nothing", lambda: None)
    checker.register_check("pair", lambda: (False, "too slow: 3 s"))
    assert checker.get_system_health().status is UNKNOWN
    checker.start()
    until(lambda: len(checker.get_system_health().get_unhealthy_components()) == 4)
    health = checker.get_system_health()
    components = health.components
    assert health.status is UNHEALTHY
    assert not health.is_healthy()
    assert components[ComponentType.DATA_FEED].is_healthy()
    assert "SystemExit: even this" in components["gateway"].message
    assert "returned None" in components["nothing"].message
    assert components["pair"].message == "too slow: 3 s"
    assert "hangs" in components[ComponentType.BROKER].message
    assert len(calls) == 1, "a check that hangs is not started again beside itself"
    free.set()
    until(lambda: checker.get_system_health().components[ComponentType.BROKER].is_healthy())
    checker.stop()
    assert client.flush(SOON)
    answer = shared.get(f"/api/v1/health?account={account}")
    told = {c["component"]: c["status"] for c in answer["components"]}
    assert told["gateway"] == told["nothing"] == "unhealthy"
    assert told["data_feed"] == "healthy"


def test_a_component_that_is_not_critical_degrades_the_system(make: Make) -> None:
    checker = HealthChecker(client=make("http://127.0.0.1:9"), check_interval=0.01)
    checker.register_check("engine", lambda: True)
    checker.register_check("report", lambda: False)
    checker.start()
    until(lambda: checker.get_system_health().get_unhealthy_components() == ["report"])
    assert checker.get_system_health().status is DEGRADED
    checker.stop()


def test_a_check_may_be_added_later_and_once(make: Make) -> None:
    checker = HealthChecker(client=make("http://127.0.0.1:9"))
    checker.start()
    checker.register_check("late", lambda: True)
    until(lambda: checker.get_system_health().is_healthy())
    with pytest.raises(ValueError, match="late"):
        checker.register_check("late", lambda: True)
    with pytest.raises(ValueError, match="above 0"):
        checker.register_check("never", lambda: True, interval_seconds=0)
    checker.stop()


def test_the_numbers_can_be_configured(make: Make) -> None:
    client = make("http://127.0.0.1:9")
    checker = HealthChecker(client=client, check_interval=0.01, failures=1, critical=["report"])
    checker.register_check("engine", lambda: True)
    checker.register_check("report", lambda: False)
    checker.start()
    until(lambda: checker.get_system_health().status is UNHEALTHY)
    assert checker.get_system_health().components["report"].consecutive_failures >= 1
    checker.stop()
    with pytest.raises(ValueError, match="at least 1"):
        HealthChecker(client=client, successes=0)
