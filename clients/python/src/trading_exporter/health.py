"""Health of an engine's components, checked in the engine and sent to the exporter.

Input: functions. Output: states, here and as heartbeats. Invariants: a check that raises, returns a
false value or hangs has failed; each check has its own thread, so that a hanging one blocks no
other; one failure is degraded, three in a row are unhealthy, two successes in a row healthy (or
other numbers, as configured in the exporter). A component that was not checked is unknown, and
unknown is not healthy.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Callable, Optional, Union

from ._values import plain_text
from .client import AnyClient, client_of

log = logging.getLogger("trading_exporter")

#: The exporter's defaults of `health.failures` and `health.successes`.
_FAILURES = 3
_SUCCESSES = 2


class HealthStatus(str, Enum):
    """The state of a component, or of all of them."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


class ComponentType(str, Enum):
    """The components with a predefined name. Use a string for any other name."""

    BROKER = "broker"
    DATA_FEED = "data_feed"
    DISK = "disk"
    MEMORY = "memory"
    ENGINE = "engine"


#: The components that the system needs to be healthy: the default of `health.critical`.
CRITICAL = frozenset({"broker", "data_feed", "engine"})

Component = Union[ComponentType, str]


@dataclass(frozen=True)
class ComponentHealth:
    """The current health of a component."""

    component: str
    status: HealthStatus
    message: str = ""
    latency_seconds: Optional[float] = None
    consecutive_failures: int = 0
    consecutive_successes: int = 0
    #: `time.time()` of the last result. None if there is none.
    checked_at: Optional[float] = None

    def is_healthy(self) -> bool:
        """Whether it is healthy. Unknown is not."""
        return self.status is HealthStatus.HEALTHY


@dataclass(frozen=True)
class SystemHealth:
    """All components, and the health of the system."""

    status: HealthStatus
    #: By name. A `ComponentType` is also a valid key.
    components: dict[Any, ComponentHealth] = field(default_factory=dict)

    def is_healthy(self) -> bool:
        """Whether every component is healthy. A system without components is not."""
        return self.status is HealthStatus.HEALTHY

    def get_unhealthy_components(self) -> list[Any]:
        """The unhealthy components, without degraded and unknown ones."""
        return [n for n, c in self.components.items() if c.status is HealthStatus.UNHEALTHY]


class _Check:
    """A registered check: its function, its thread, its results."""

    def __init__(
        self,
        key: Component,
        function: Callable[[], Any],
        interval: float,
        timeout: float,
        needed: tuple[int, int],
    ) -> None:
        self.key = key
        self.name = _name(key)
        self.function = function
        self.interval = interval
        self.timeout = timeout
        #: Consecutive failures until it is unhealthy, and successes until it is healthy again.
        self.needed = needed
        self.lock = threading.Lock()
        self.health = ComponentHealth(self.name, HealthStatus.UNKNOWN)
        self.running = False

    def record(self, passed: bool, message: str, latency: Optional[float]) -> ComponentHealth:
        with self.lock:
            last = self.health
            failures = 0 if passed else last.consecutive_failures + 1
            successes = last.consecutive_successes + 1 if passed else 0
            self.health = ComponentHealth(
                component=self.name,
                status=_next_status(last.status, failures, successes, self.needed),
                message=message,
                latency_seconds=latency,
                consecutive_failures=failures,
                consecutive_successes=successes,
                checked_at=time.time(),
            )
            return self.health


def _next_status(
    status: HealthStatus, failures: int, successes: int, needed: tuple[int, int]
) -> HealthStatus:
    if failures >= needed[0]:
        return HealthStatus.UNHEALTHY
    if failures:
        return HealthStatus.UNHEALTHY if status is HealthStatus.UNHEALTHY else HealthStatus.DEGRADED
    if successes >= needed[1] or status in (HealthStatus.UNKNOWN, HealthStatus.HEALTHY):
        return HealthStatus.HEALTHY
    return status


class HealthChecker:
    """Runs checks, each at its own interval, and sends the results as heartbeats.

    `failures`, `successes` and `critical` are `health.failures`, `health.successes` and
    `health.critical` of the exporter's configuration: pass them if they are not the defaults.
    """

    def __init__(
        self,
        check_interval: float = 30.0,
        *,
        client: Optional[AnyClient] = None,
        failures: int = _FAILURES,
        successes: int = _SUCCESSES,
        critical: Iterable[Component] = CRITICAL,
    ) -> None:
        from .client import Client

        if failures < 1 or successes < 1:
            raise ValueError("failures and successes must be at least 1")

        self.client = client_of(client) if client is not None else Client()
        self._interval = check_interval
        self._needed = (failures, successes)
        self._critical = frozenset(_name(component) for component in critical)
        self._checks: dict[str, _Check] = {}
        self._lock = threading.Lock()
        self._stop: Optional[threading.Event] = None

    def register_check(
        self,
        component: Component,
        check_function: Callable[[], Any],
        interval_seconds: Optional[float] = None,
        timeout_seconds: Optional[float] = None,
    ) -> None:
        """Adds a check. It passes if the function returns a true value.

        It may return `(passed, message)`. A check that takes longer than `timeout_seconds` has
        failed. The default is its interval, but at least one second and at most ten.
        """
        interval = self._interval if interval_seconds is None else interval_seconds
        if not interval > 0:
            raise ValueError("interval_seconds must be above 0")
        timeout = timeout_seconds or min(10.0, max(1.0, interval))
        check = _Check(component, check_function, interval, timeout, self._needed)
        with self._lock:
            if check.name in self._checks:
                raise ValueError(f"{check.name} has a check already")
            self._checks[check.name] = check
            stop = self._stop
        if stop is not None:
            self._watch(check, stop)

    def start(self) -> None:
        """Starts the checks."""
        with self._lock:
            if self._stop is not None:
                return
            self._stop = stop = threading.Event()
            checks = list(self._checks.values())
        for check in checks:
            self._watch(check, stop)

    def stop(self) -> None:
        """Stops the checks. A thread that hangs cannot be stopped, and is abandoned."""
        with self._lock:
            stop, self._stop = self._stop, None
        if stop is not None:
            stop.set()

    def get_system_health(self) -> SystemHealth:
        """The current health of all components, without running a check."""
        with self._lock:
            checks = list(self._checks.values())
        components = {check.key: check.health for check in checks}
        status = _sum(list(components.values()), self._critical)
        return SystemHealth(status, dict(components))

    def _watch(self, check: _Check, stop: threading.Event) -> None:
        threading.Thread(
            target=self._loop,
            args=(check, stop),
            name=f"trading-exporter-watch-{check.name}",
            daemon=True,
        ).start()

    def _loop(self, check: _Check, stop: threading.Event) -> None:
        """Supervises one check. It never runs the function itself, so it never hangs."""
        while not stop.is_set():
            began = time.monotonic()
            self._send(check, self._judge(check))
            stop.wait(max(0.0, check.interval - (time.monotonic() - began)))

    def _judge(self, check: _Check) -> ComponentHealth:
        with check.lock:
            hangs, check.running = check.running, True
        if hangs:
            return check.record(False, "the check before this one still hangs", None)
        done = threading.Event()
        outcome: list[Any] = [False, "the check did not end"]
        began = time.monotonic()
        threading.Thread(
            target=_run,
            args=(check, outcome, done),
            name=f"trading-exporter-check-{check.name}",
            daemon=True,
        ).start()
        if not done.wait(check.timeout):
            return check.record(False, f"timed out after {check.timeout:g} s", check.timeout)
        return check.record(bool(outcome[0]), str(outcome[1]), time.monotonic() - began)

    def _send(self, check: _Check, health: ComponentHealth) -> None:
        fields = {
            "component": check.name,
            "status": health.status.value,
            "message": health.message,
            "latency_seconds": health.latency_seconds,
            "interval_seconds": check.interval,
        }
        self.client.send("heartbeat", fields, key=("heartbeat", check.name))


def _run(check: _Check, outcome: list[Any], done: threading.Event) -> None:
    try:
        result = check.function()
        if isinstance(result, tuple) and len(result) == 2:
            outcome[:] = [bool(result[0]), plain_text(result[1])]
        else:
            passed = bool(result)
            outcome[:] = [passed, "" if passed else f"the check returned {result!r:.80}"]
    except BaseException as error:
        outcome[:] = [False, plain_text(f"{type(error).__name__}: {error}")]
    finally:
        with check.lock:
            check.running = False
        done.set()


def _name(component: Component) -> str:
    return str(component.value) if isinstance(component, Enum) else str(component)


def _sum(components: list[ComponentHealth], critical: frozenset[str]) -> HealthStatus:
    states = {c.status for c in components}
    if any(c.status is HealthStatus.UNHEALTHY and c.component in critical for c in components):
        return HealthStatus.UNHEALTHY
    if not states or states == {HealthStatus.UNKNOWN}:
        return HealthStatus.UNKNOWN
    return HealthStatus.HEALTHY if states == {HealthStatus.HEALTHY} else HealthStatus.DEGRADED
