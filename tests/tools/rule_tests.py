"""Unit tests of the alert rules, written as files for `promtool test rules`.

usage: rule_tests.py FOLDER

FOLDER holds the rule files; the tests go into FOLDER/tests. What every alert says is asked of promtool
and stands there as a golden text: read the difference before it is committed.

For each alert of ALERTS: it fires; just under its threshold it does not; with thin data it does not;
one missed scrape neither ends it nor restarts its wait; two replicas raise it once; it ends when the
exporter is gone; and what happens when the thresholds are missing. A missed scrape is the staleness
marker that Prometheus writes then, not a gap. Cases that no scheme makes stand in EXTRA.
"""

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

JOB = "trading-exporter"
STALE = "stale"


class S:
    """A series: a metric with labels, and a value or a list of samples."""

    def __init__(self, metric, value, *, instance="a:10471", **labels):
        self.metric, self.value = metric, value
        self.labels = {"job": JOB, "instance": instance, **labels}

    def key(self):
        return (self.metric, tuple(sorted(self.labels.items())))

    def at(self, instance):
        labels = {k: v for k, v in self.labels.items() if k not in ("job", "instance")}
        return S(self.metric, self.value, instance=instance, **labels)

    def samples(self, count):
        if isinstance(self.value, list):
            last = self.value[-1]
            return (self.value + [last] * count)[:count]
        return [self.value] * count


def steps(*runs):
    """Samples in runs: steps((0, 4), (1, 2)) is four times 0 and two times 1."""
    return [value for value, times in runs for _ in range(times)]


def grow(step, count=600):
    """A counter with a constant increase per scrape."""
    return [round(step * n, 6) for n in range(count)]


def threshold(figure, severity, value):
    return S("trading_threshold", value, account="paper", figure=figure, severity=severity)


THRESHOLDS = [
    threshold("drift_quantity", "minor", 1),
    threshold("drift_quantity", "moderate", 5),
    threshold("drift_quantity", "critical", 10),
    threshold("drift_value", "minor", 10),
    threshold("drift_value", "moderate", 100),
    threshold("drift_value", "critical", 500),
    threshold("fill_ratio", "warning", 0.9),
    threshold("fill_ratio", "critical", 0.75),
    threshold("slippage_bps", "warning", 10),
    threshold("slippage_bps", "critical", 20),
    threshold("fill_time_seconds", "warning", 30),
    threshold("fill_time_seconds", "critical", 60),
    threshold("rejection_ratio", "warning", 0.05),
    threshold("rejection_ratio", "critical", 0.1),
    threshold("min_samples", "", 20),
    threshold("snapshot_age_seconds", "", 180),
    threshold("unacknowledged_seconds", "", 5),
]
UP = S("up", 1)
# The thresholds of an alert that are not those of its file.
FIGURES = {
    "FillRatioLow": ["fill_ratio", "min_samples"],
    "SlippageHigh": ["slippage_bps", "min_samples"],
    "FillTimeHigh": ["fill_time_seconds", "min_samples"],
    "RejectionRatioHigh": ["rejection_ratio", "min_samples"],
    "PositionDrift": ["drift_quantity", "drift_value"],
    "PositionSnapshotStale": ["snapshot_age_seconds"],
    "OrdersUnacknowledged": ["unacknowledged_seconds"],
    "FillRatioBudgetBurn": ["fill_ratio"],
}


def thresholds(alert):
    return [t for t in THRESHOLDS if t.labels["figure"] in FIGURES.get(alert, [])]


@dataclass
class Alert:
    """An alert, and the series with which it fires and does not fire."""

    name: str
    severity: str
    file: str
    fires: list
    # Series that replace those of `fires`, so that it does not.
    under: list
    # Series that replace those of `fires` when there are too few samples. None: no series at all.
    thin: list = None
    # Labels of the alert other than alertname, alertstate and severity.
    labels: dict = field(default_factory=dict)
    # Latest time until it fires, in seconds.
    after: int = 30
    # It is about one exporter, so a healthy replica does not change it.
    healthy_replica: list = None
    # Labels with which it still fires when the exporter is gone. None: it has ended.
    when_gone: dict = None
    # It fires without thresholds: it uses the exporter's own level, or needs no threshold.
    without_thresholds: bool = True
    # Latest time until it has ended after its series ended, in seconds.
    lingers: int = 540
    interval: int = 15
    # It always fires, and has no job.
    always: bool = False

    def title(self):
        return f"{self.name} ({self.severity})"

    def expected(self):
        action = {"action": "halt"} if (self.name, self.severity) in HALTING else {}
        return {} if self.always else {"job": JOB, **self.labels, **action}


HALTING = {("PositionDrift", "critical")}
AAPL = {"account": "paper", "symbol": "AAPL"}
# The fill ratio that the alert uses.
FILLS = "trading_fill_ratio_ex_user_cancels"


def drift(quantity, value, severity, kind="quantity_mismatch", opened=None):
    """The series of one drift. `opened` is the severity of a confirmed drift."""
    words = ["minor", "moderate", "critical"]
    verdict = words.index(severity) + 1 if severity else 0
    return [
        S("trading_position_drift_quantity", quantity, **AAPL, drift=kind),
        S("trading_position_drift_value", value, **AAPL, drift=kind),
        S("trading_position_drift_severity", verdict, **AAPL),
        S("trading_position_quantity", 40, **AAPL, book="local"),
        S("trading_position_quantity", 52, **AAPL, book="broker"),
    ] + [
        S("trading_position_drift_open", int(word == opened), account="paper", drift=kind, severity=word)
        for word in words
    ]


def position_drift(severity, after, kind="quantity_mismatch", **sizes):
    return Alert(
        "PositionDrift", severity, "drift", **sizes,
        labels={**AAPL, "drift": kind}, after=after,
        thin=drift(0, 0, None),
    )


def figure(metric, value, level, samples=20, figure_name=None, reference=None, symbol="AAPL"):
    """The series of a window figure: value, number of samples, and anomaly level."""
    name = figure_name or metric.removeprefix("trading_")
    judged = name.removesuffix("_ex_user_cancels")
    scope = {"account": "paper", **({"symbol": symbol} if symbol else {})}
    own = {"reference": reference} if reference else {}
    prefix = "trading_" if symbol else "trading_account_"
    return [
        S(metric if symbol else metric.replace("trading_", "trading_account_"), value, **scope, **own),
        S(f"{prefix}window_samples", samples, **scope, figure=name, reference=reference or ""),
        S("trading_anomaly", level, account="paper", symbol=symbol, figure=judged),
    ]


def window_alert(name, metric, severity, beyond, under, after, **more):
    level = 2 if severity == "critical" else 1
    return Alert(
        name, severity, "execution",
        fires=figure(metric, beyond, level, **more),
        under=figure(metric, under, level - 1, **more),
        thin=figure(metric, beyond, 0, samples=19, **more),
        labels=AAPL, after=after,
    )


def anomaly(level, name, symbol="AAPL"):
    return S("trading_anomaly", level, account="paper", symbol=symbol, figure=name)


def outcomes(filled, cancelled, expired=0, rejected=0):
    """Counters of ended orders with a constant increase per scrape."""
    sizes = {"filled": filled, "cancelled": cancelled, "expired": expired, "rejected": rejected}
    return [S(f"trading_orders_{word}_total", grow(size), **AAPL) for word, size in sizes.items()]


def burn(severity, after, over, under, thin, lingers):
    return Alert(
        "FillRatioBudgetBurn", severity, "slo",
        fires=outcomes(*over), under=outcomes(*under), thin=outcomes(*thin),
        labels={"account": "paper"}, after=after, interval=60, without_thresholds=False,
        lingers=lingers,
    )


def component(code):
    return S("trading_component_health", code, account="paper", component="broker")


def exporter_alert(name, severity, fires, under, after, *, thin=None, lingers=540, **labels):
    return Alert(
        name, severity, "exporter", fires, under, thin,
        labels={"instance": "a:10471", **labels}, after=after, healthy_replica=under, lingers=lingers,
    )


def syncs(seconds, each):
    """Journal syncs: the duration of each, and the number between two scrapes."""
    name = "trading_exporter_journal_sync_duration_seconds"
    return [S(f"{name}_sum", grow(seconds * each)), S(f"{name}_count", grow(each))]


def webhook(breaker, pending, failed):
    """One target of webhooks."""
    return [S("trading_exporter_webhook_breaker_open", breaker, sink="engine"),
            S("trading_exporter_webhook_pending", pending, sink="engine"),
            S("trading_exporter_webhook_deliveries_total", failed, sink="engine", outcome="failed")]


def lost(value):
    """Webhooks that were dropped."""
    return [S("trading_exporter_webhook_deliveries_total", value, sink="engine", outcome="expired")]


def missing(kind, value):
    return S("trading_missing_evidence", value, account="paper", kind=kind)


PAPER = {"account": "paper"}
BROKER = {"account": "paper", "component": "broker"}

ALERTS = [
    position_drift("critical", 0, fires=drift(-12, 2250, "critical", opened="critical"),
                   under=drift(-9.99, 499.99, "moderate", opened="moderate")),
    position_drift("critical", 0, "ghost_position",
                   fires=drift(0.5, 500, "critical", "ghost_position", opened="critical"),
                   under=drift(0.5, 499.99, "moderate", "ghost_position", opened="moderate")),
    position_drift("critical", 0, "price_mismatch",
                   fires=drift(0, 600, "critical", "price_mismatch", opened="critical"),
                   under=drift(0, 600, "moderate", "price_mismatch", opened="moderate")),
    position_drift("moderate", 60, fires=drift(5, 20, "moderate"),
                   under=drift(4.99, 99.99, "minor")),
    position_drift("moderate", 60, "unknown_position",
                   fires=drift(-1, 100, "moderate", "unknown_position"),
                   under=drift(-1, 99.99, "minor", "unknown_position")),
    position_drift("minor", 300, fires=drift(1, 0.5, "minor"), under=drift(0.99, 9.99, None)),
    Alert("ReconciliationFailed", "moderate", "drift",
          fires=[S("trading_reconciliations_total", steps((0, 4), (1, 60)), **PAPER, outcome="escalated")],
          under=[S("trading_reconciliations_total", 0, **PAPER, outcome="escalated")],
          labels=PAPER, after=120, lingers=960),
    Alert("PositionSnapshotStale", "moderate", "drift",
          fires=[S("trading_position_snapshot_timestamp_seconds", 0, **PAPER, book="broker")],
          under=[S("trading_position_snapshot_timestamp_seconds",
                   steps((0, 16), (225, 100)), **PAPER, book="broker")],
          labels={**PAPER, "book": "broker"}, after=255, without_thresholds=False),
    Alert("PositionBookNeverCame", "moderate", "drift",
          fires=[missing("broker_book_never_came", 1)], under=[missing("broker_book_never_came", 0)],
          thin=[missing("broker_book_never_came", 0), missing("book_stale", 1)],
          labels={**PAPER, "kind": "broker_book_never_came"}, after=60),
    Alert("DriftUnvalued", "moderate", "drift",
          fires=[S("trading_position_drift_unvalued", 1, **AAPL)],
          under=[S("trading_position_drift_unvalued", 0, **AAPL)], labels=AAPL, after=60),
    Alert("DriftNotJudged", "moderate", "drift",
          fires=[S("trading_position_drift_stale", 1, **PAPER)],
          under=[S("trading_position_drift_stale", 0, **PAPER)], labels=PAPER, after=300),
    window_alert("FillRatioLow", "trading_fill_ratio_ex_user_cancels", "critical", 0.7499, 0.75, 60),
    window_alert("FillRatioLow", "trading_fill_ratio_ex_user_cancels", "moderate", 0.8999, 0.9, 300),
    window_alert("SlippageHigh", "trading_slippage_bps", "critical", 20.01, 20, 60, reference="expected"),
    window_alert("SlippageHigh", "trading_slippage_bps", "moderate", 10.01, 10, 300, reference="expected"),
    window_alert("FillTimeHigh", "trading_fill_time_seconds_mean", "critical", 60.1, 60, 60,
                 figure_name="fill_time_seconds"),
    window_alert("FillTimeHigh", "trading_fill_time_seconds_mean", "moderate", 30.1, 30, 300,
                 figure_name="fill_time_seconds"),
    window_alert("RejectionRatioHigh", "trading_rejection_ratio", "critical", 0.101, 0.1, 60),
    window_alert("RejectionRatioHigh", "trading_rejection_ratio", "moderate", 0.051, 0.05, 300),
    Alert("OrdersUnacknowledged", "critical", "execution",
          fires=[S("trading_orders_unacknowledged", 3, **AAPL), anomaly(2, "unacknowledged_orders", "")],
          under=[anomaly(1, "unacknowledged_orders", "")],
          thin=[anomaly(0, "unacknowledged_orders", "")], labels=PAPER, after=0),
    Alert("OrdersUnacknowledged", "moderate", "execution",
          fires=[S("trading_orders_unacknowledged", 1, **AAPL), anomaly(1, "unacknowledged_orders", "")],
          under=[S("trading_orders_unacknowledged", 0, **AAPL), anomaly(0, "unacknowledged_orders", "")],
          labels=PAPER, after=30),
    Alert("RejectionsInARow", "moderate", "execution",
          fires=[anomaly(1, "consecutive_rejections")], under=[anomaly(0, "consecutive_rejections")],
          labels={**AAPL, "figure": "consecutive_rejections"}, after=0),
    Alert("OrderOverfilled", "critical", "execution",
          fires=[S("trading_overfills_total", steps((0, 4), (1, 60)), **AAPL), anomaly(1, "overfill")],
          under=[S("trading_overfills_total", 0, **AAPL), anomaly(0, "overfill")],
          labels=AAPL, after=0),
    Alert("EventConflict", "moderate", "execution",
          fires=[anomaly(1, "conflict")], under=[anomaly(0, "conflict")],
          labels={**AAPL, "figure": "conflict"}, after=0),
    Alert("ClockSkew", "minor", "execution",
          fires=[anomaly(1, "clock_skew")], under=[anomaly(0, "clock_skew")],
          labels={**AAPL, "figure": "clock_skew"}, after=300),
    Alert("OrdersDropped", "minor", "execution",
          fires=[S("trading_orders_dropped_total", steps((0, 4), (7, 60)), **PAPER, kind="open")],
          under=[S("trading_orders_dropped_total", 7, **PAPER, kind="open")],
          labels={**PAPER, "kind": "open"}, after=120, lingers=660),
    # The budget is 0.1: factors 14.4, 6 and 1 ask for 0.8 (the cap), 0.6 and 0.1.
    burn("critical", 3720, over=(1, 4.1), under=(1, 3.9), thin=(0, 0.8), lingers=900),
    burn("moderate", 22200, over=(2, 3.1), under=(2, 2.9), thin=(0, 0.13), lingers=2700),
    burn("minor", 28800, over=(9, 0.6, 0.25, 0.25), under=(9, 0.5, 0.25, 0.2), thin=(0, 0.08),
         lingers=22800),
    Alert("SystemUnhealthy", "critical", "health",
          fires=[S("trading_system_health", 3, **PAPER)], under=[S("trading_system_health", 2, **PAPER)],
          labels=PAPER, after=30),
    Alert("SystemDegraded", "minor", "health",
          fires=[S("trading_system_health", 1, **PAPER)], under=[S("trading_system_health", 0, **PAPER)],
          labels=PAPER, after=600),
    # Unknown although a component reported once; and unknown because none ever did.
    Alert("SystemDegraded", "minor", "health",
          fires=[S("trading_system_health", 2, **PAPER), component(2)],
          under=[S("trading_system_health", 0, **PAPER), component(0)],
          thin=[S("trading_component_health", [], **BROKER)], labels=PAPER, after=600),
    Alert("ComponentUnhealthy", "moderate", "health",
          fires=[component(3)], under=[component(2)], labels=BROKER, after=30),
    Alert("ComponentDegraded", "minor", "health",
          fires=[component(1)], under=[component(0)], labels=BROKER, after=300),
    Alert("HeartbeatSilent", "moderate", "health",
          fires=[S("trading_component_silent", 1, **BROKER),
                 S("trading_component_last_check_timestamp_seconds", 0, **BROKER)],
          under=[S("trading_component_silent", 0, **BROKER)],
          thin=[S("trading_component_silent", 0, **BROKER)], labels=BROKER, after=30),
    Alert("EngineSilent", "critical", "health",
          fires=[missing("engine_silent", 1)], under=[missing("engine_silent", 0)],
          thin=[missing("engine_silent", 0), missing("book_stale", 1)], labels=PAPER, after=0),
    Alert("TradingHalted", "critical", "trading_state",
          fires=[S("trading_state", 2, **PAPER)], under=[S("trading_state", 1, **PAPER)],
          labels=PAPER, after=0),
    Alert("TradingReducing", "moderate", "trading_state",
          fires=[S("trading_state", 1, **PAPER)], under=[S("trading_state", 0, **PAPER)],
          labels=PAPER, after=0),
    Alert("OrdersWhileHalted", "critical", "trading_state",
          fires=[S("trading_state", 2, **PAPER), S("trading_orders_submitted_total", grow(1), **AAPL)],
          under=[S("trading_orders_submitted_total", 8, **AAPL)],
          thin=[S("trading_state", steps((0, 6), (2, 4), (0, 60)), **PAPER)], labels=PAPER, after=150),
    Alert("TradingReleased", "minor", "trading_state",
          fires=[S("trading_halt_releases_total", steps((0, 4), (1, 60)), **PAPER)],
          under=[S("trading_halt_releases_total", 1, **PAPER)], labels=PAPER, after=90),
    Alert("HaltOfUnknownAccount", "critical", "trading_state",
          fires=[anomaly(2, "halt_of_unknown_account", "")],
          under=[anomaly(0, "halt_of_unknown_account", "")], labels=PAPER, after=0),
    Alert("ExporterDown", "critical", "exporter",
          fires=[S("up", 0)], under=[S("up", 1)], labels={"instance": "a:10471"}, after=30,
          thin=[S("up", steps((1, 4), (0, 1), (1, 60)))], healthy_replica=[S("up", 1)],
          when_gone={"instance": "a:10471"}),
    Alert("ExporterAbsent", "critical", "exporter",
          fires=[S("up", [])], under=[S("up", 0)], labels={}, after=120,
          thin=[S("up", 1)], when_gone={}),
    exporter_alert("ExporterRestarted", "minor",
                   [S("process_start_time_seconds", 0)], [S("process_start_time_seconds", -300)], 0),
    exporter_alert("ThresholdsMissing", "moderate", [S("up", 1), S("trading_threshold", [])],
                   [threshold("min_samples", "", 20)], 120, thin=[S("up", 0)]),
    exporter_alert("ExporterClockBehind", "critical",
                   [S("trading_exporter_clock_behind_seconds", 6)], [S("trading_exporter_clock_behind_seconds", 0)], 60),
    exporter_alert("ExporterQueueFilling", "moderate",
                   [S("trading_exporter_queue_depth", 820), S("trading_exporter_queue_limit", 1024)],
                   [S("trading_exporter_queue_depth", 819), S("trading_exporter_queue_limit", 1024)], 60),
    exporter_alert("ExporterOverloaded", "critical",
                   [S("trading_exporter_events_rejected_total", steps((0, 4), (1, 60)), code="overloaded")],
                   [S("trading_exporter_events_rejected_total", 1, code="overloaded")], 90, code="overloaded"),
    exporter_alert("EventsRefused", "moderate",
                   [S("trading_exporter_events_rejected_total", grow(1), code="invalid_quantity"),
                    S("trading_exporter_events_received_total", grow(18), type="quote")],
                   [S("trading_exporter_events_rejected_total", grow(1), code="invalid_quantity"),
                    S("trading_exporter_events_received_total", grow(20), type="quote")], 150,
                   thin=[S("trading_exporter_events_rejected_total", steps((0, 4), (9, 60)),
                           code="invalid_quantity"),
                         S("trading_exporter_events_received_total", 0, type="quote")], lingers=720),
    exporter_alert("UnauthorizedRequests", "moderate",
                   [S("trading_exporter_requests_refused_total", steps((0, 4), (30, 60)), code="unauthorized")],
                   [S("trading_exporter_requests_refused_total", steps((0, 4), (10, 60)), code="unauthorized"),
                    S("trading_exporter_requests_refused_total", steps((0, 4), (900, 60)), code="too_old")], 90,
                   lingers=720),
    exporter_alert("NotMonitored", "critical",
                   [S("trading_not_monitored_total", steps((0, 4), (2, 60)), **PAPER)],
                   [S("trading_not_monitored_total", 2, **PAPER)], 90, lingers=1080, **PAPER),
    exporter_alert("SeriesFolded", "minor",
                   [S("trading_exporter_series_folded_total", steps((0, 4), (2, 60)), label="symbol")],
                   [S("trading_exporter_series_folded_total", 2, label="symbol")], 90, label="symbol",
                   lingers=1080),
    exporter_alert("SeriesNearLimit", "minor",
                   [S("trading_exporter_series", 90001), S("trading_exporter_series_limit", 100000)],
                   [S("trading_exporter_series", 90000), S("trading_exporter_series_limit", 100000)], 300),
    exporter_alert("StateNearLimit", "moderate",
                   [S("trading_exporter_state_bytes", 801), S("trading_exporter_state_bytes_limit", 1000)],
                   [S("trading_exporter_state_bytes", 800), S("trading_exporter_state_bytes_limit", 1000)], 60),
    exporter_alert("ExporterInvariantBroken", "critical",
                   [S("trading_exporter_invariant_violations_total", 2)],
                   [S("trading_exporter_invariant_violations_total", 0)], 30),
    exporter_alert("ConfigReloadFailed", "moderate",
                   [S("trading_exporter_config_last_reload_successful", 0)],
                   [S("trading_exporter_config_last_reload_successful", 1)], 60),
    exporter_alert("WebConfigRefused", "moderate",
                   [S("trading_exporter_web_config_last_reload_successful", 0)],
                   [S("trading_exporter_web_config_last_reload_successful", 1)], 300),
    exporter_alert("JournalFailing", "critical",
                   [S("trading_exporter_journal_errors_total", steps((0, 4), (1, 60)))],
                   [S("trading_exporter_journal_errors_total", 1)], 90),
    exporter_alert("JournalSyncSlow", "moderate", syncs(0.26, 10), syncs(0.25, 10), 150, thin=syncs(0.26, 0.5),
                   lingers=720),
    exporter_alert("JournalNotDurable", "minor",
                   [S("trading_exporter_journal_durability", 1, durability="memory")],
                   [S("trading_exporter_journal_durability", 0, durability="memory"),
                    S("trading_exporter_journal_durability", 1, durability="synced")], 300, durability="memory"),
    exporter_alert("AlertPathDead", "critical",
                   [S("trading_exporter_alertmanager_last_watchdog_timestamp_seconds", 0)],
                   [S("trading_exporter_alertmanager_last_watchdog_timestamp_seconds",
                      steps((0, 20), (150, 99)))], 375),
    exporter_alert("HaltNotificationRefused", "critical",
                   [S("trading_exporter_alertmanager_webhooks_total", steps((0, 4), (1, 60)), outcome="refused")],
                   [S("trading_exporter_alertmanager_webhooks_total", 1, outcome="refused")], 90,
                   outcome="refused", lingers=780),
    exporter_alert("AlertActionUnknown", "critical",
                   [S("trading_exporter_alertmanager_unknown_actions_total", steps((0, 4), (1, 60)))],
                   [S("trading_exporter_alertmanager_unknown_actions_total", 1)], 90, lingers=780),
    exporter_alert("WebhookFailing", "moderate", webhook(1, 5, grow(0.5)), webhook(0, 5, grow(0.1)), 150,
                   thin=webhook(0, 0, grow(0.5)), sink="engine", lingers=540),
    exporter_alert("WebhookLost", "critical", lost(steps((0, 4), (2, 60))), lost(2), 90, sink="engine", lingers=1080),
    Alert("Watchdog", "none", "exporter", fires=[S("up", 1)], under=[], when_gone={}, always=True),
]


@dataclass
class Case:
    title: str
    alert: str
    severity: str
    series: list
    at: int
    expected: list
    interval: int = 15


def replaced(series, others):
    """The series, replaced by those of `others` with the same metric and labels."""
    by_key = {one.key(): one for one in series}
    by_key.update({one.key(): one for one in others})
    return list(by_key.values())


def with_stale(series, at):
    """One missed scrape: `up` is 0, every other series of the target gets a staleness marker."""
    def one(s):
        samples = s.samples(at + 200)
        missed = 0 if s.metric == "up" else STALE
        return S(s.metric, samples[:at] + [missed] + samples[at + 1:],
                 **{k: v for k, v in s.labels.items() if k != "job"})
    return [s if not s.value and isinstance(s.value, list) else one(s) for s in series]


def gone(series, at):
    """The exporter is killed: its series end, and `up` is 0."""
    def one(s):
        if s.metric == "up":
            return S("up", s.samples(at)[:at] + [0] * 200)
        return S(s.metric, s.samples(at)[:at] + [STALE] + [None] * 200,
                 **{k: v for k, v in s.labels.items() if k != "job"})
    return [s if not s.value and isinstance(s.value, list) else one(s) for s in series]


def cases(alert):
    world = replaced([UP, *thresholds(alert.name)], alert.fires)
    expected = [alert.expected()]
    base = [s for s in world if s.key() not in {f.key() for f in alert.fires}]
    thin = replaced(world, alert.thin) if alert.thin is not None else base
    # Evaluations are at whole intervals; the first that fires, and one more.
    step = alert.interval
    at = max(alert.after, 8 * step if alert.after < 8 * step and not alert.after else alert.after) + step
    half = max(1, at // step // 2)

    def case(what, series, expected, at=at):
        return Case(f"{alert.title()}: {what}", alert.name, alert.severity, series, at, expected, step)

    yield case("fires", world, expected)
    nothing = expected if alert.always else []
    yield case("just under", replaced(world, alert.under), nothing)
    yield case("thin data", thin, nothing)
    missed = world if alert.name == "ExporterDown" else with_stale(world, half)
    yield case("one missed scrape on the way", missed, expected)
    yield case("one missed scrape while it fires",
               world if alert.name == "ExporterDown" else with_stale(world, at // step), expected)
    beside = alert.healthy_replica if alert.healthy_replica is not None else world
    if alert.name != "ExporterAbsent":
        replica = replaced([s.at("b:10471") for s in [UP, *thresholds(alert.name)]],
                           [s.at("b:10471") for s in beside])
        yield case("two replicas", world + replica, expected)
    else:
        yield case("two replicas", world, expected)
    left = [alert.expected()] if alert.when_gone is not None else []
    yield case("exporter gone", gone(world, at // step + 1), left, at=at + alert.lingers)
    without = [s for s in world if s.metric != "trading_threshold" or s.key() in {f.key() for f in alert.fires}]
    if alert.without_thresholds:
        yield case("thresholds missing", without, expected)


def alone(alert):
    """Cases of missing thresholds. Rules with literal thresholds do not have them."""
    if not alert.without_thresholds:
        at = alert.after + alert.interval
        yield Case(f"{alert.title()}: thresholds missing", alert.name, alert.severity,
                   [UP, *alert.fires], at, [], alert.interval)


def extra():
    """Individual cases: exporter and rule disagree, overrides, confirmation, the common latch."""
    def both(series):
        return replaced([UP, *THRESHOLDS], series)

    drifted = {**AAPL, "drift": "quantity_mismatch", "job": JOB}
    halting = {"action": "halt"}
    over = S("trading_threshold_overridden", 1, **AAPL, rules="drift")
    quality = S("trading_threshold_overridden", 1, **AAPL, rules="anomaly")
    yield "drift", Case("drift in flight is not drift", "PositionDrift", "minor",
                        both(drift(12, 2250, None)), 600, [])
    yield "drift", Case("critical drift that is not confirmed does not halt", "PositionDrift", "critical",
                        both(drift(12, 2250, "critical")), 600, [])
    yield "drift", Case("but it is told, as moderate", "PositionDrift", "moderate",
                        both(drift(12, 2250, "critical")), 600, [drifted])
    yield "drift", Case("an override judges a symbol, not the thresholds of its account",
                        "PositionDrift", "critical",
                        both([*drift(12, 2250, "minor", opened="minor"), over]), 600, [])
    yield "drift", Case("a symbol with an override is critical by the exporter's verdict",
                        "PositionDrift", "critical",
                        both([*drift(0.02, 8, "critical", opened="critical"), over]), 600,
                        [{**drifted, **halting}])
    yield "drift", Case("thresholds are enough where the verdict is milder", "PositionDrift", "critical",
                        both(drift(12, 2250, "minor", opened="minor")), 600, [{**drifted, **halting}])
    yield "drift", Case("a capped price mismatch does not halt", "PositionDrift", "critical",
                        both(drift(0, 9000, "moderate", "price_mismatch", opened="moderate")), 600, [])
    yield "drift", Case("it goes on for five minutes after the drift", "PositionDrift", "critical",
                        both([S("trading_position_drift_severity", steps((3, 9), (0, 99)), **AAPL)]
                             + [s for s in drift(12, 2250, "critical", opened="critical")
                                if s.metric != "trading_position_drift_severity"]),
                        300, [{**drifted, **halting}])
    yield "drift", Case("and ends then", "PositionDrift", "critical",
                        both([S("trading_position_drift_severity", steps((3, 9), (0, 99)), **AAPL)]
                             + [s for s in drift(12, 2250, "critical", opened="critical")
                                if s.metric != "trading_position_drift_severity"]),
                        480, [])
    account = {**PAPER, "job": JOB}
    yield "execution", Case("an account as a whole, with an empty symbol", "FillRatioLow", "critical",
                            both(figure(FILLS, 0.5, 2, symbol="")), 120, [account])
    yield "execution", Case("by the thresholds alone", "FillRatioLow", "critical",
                            both(figure(FILLS, 0.5, 0)), 120, [{**AAPL, "job": JOB}])
    yield "execution", Case("by the verdict alone, which clears later", "FillRatioLow", "critical",
                            both(figure(FILLS, 0.78, 2)), 120, [{**AAPL, "job": JOB}])
    yield "execution", Case("a maker that quotes and cancels", "FillRatioLow", "moderate",
                            both([*figure(FILLS, 0.98, 0),
                                  S("trading_fill_ratio", 0.02, **AAPL)]), 600, [])
    yield "execution", Case("an override judges a market maker", "FillRatioLow", "critical",
                            both([*figure(FILLS, 0.3, 0), quality]), 120, [])
    yield "execution", Case("a single missed reference is no slippage", "SlippageHigh", "moderate",
                            both(figure("trading_slippage_bps", 50, 0, reference="arrival")), 600, [])
    star = [S("trading_state", 2, account="*"), S("trading_state", 2, **PAPER)]
    yield "exporter", Case("no Watchdog since the start of the process", "AlertPathDead", "critical",
                           [UP, S("process_start_time_seconds", 0)], 375, [{"job": JOB, "instance": "a:10471"}])
    yield "exporter", Case("deliveries that fail again and again while some wait", "WebhookFailing", "moderate",
                           [UP, *webhook(0, 5, grow(0.5))], 300,
                           [{"job": JOB, "instance": "a:10471", "sink": "engine"}])
    yield "trading_state", Case("a halt of everything is told once", "TradingHalted", "critical",
                                both(star), 60, [{"account": "*", "job": JOB}])
    yield "trading_state", Case("orders before the halt are no disobedience", "OrdersWhileHalted", "critical",
                                both([S("trading_state", steps((0, 12), (2, 99)), **PAPER),
                                      S("trading_orders_submitted_total",
                                        grow(1, 12) + [11] * 99, **AAPL)]), 600, [])


def joined_only():
    """Cases that apply only to rules that join thresholds."""
    for severity, rank in (("critical", 10), ("moderate", 10), ("minor", 10)):
        yield Case(f"PositionDrift ({severity}): thresholds missing, and the verdict is mild",
                   "PositionDrift", severity,
                   [UP, *drift(rank, 9999, None, opened="critical")], 600, [])
    for name, metric, beyond, more in (
        ("FillRatioLow", FILLS, 0.1, {}),
        ("SlippageHigh", "trading_slippage_bps", 99, {"reference": "expected"}),
        ("FillTimeHigh", "trading_fill_time_seconds_mean", 999, {"figure_name": "fill_time_seconds"}),
        ("RejectionRatioHigh", "trading_rejection_ratio", 0.9, {}),
    ):
        for severity in ("critical", "moderate"):
            yield Case(f"{name} ({severity}): thresholds missing, and no verdict", name, severity,
                       [UP, *figure(metric, beyond, 0, **more)], 600, [])
    other = [threshold("fill_ratio", "critical", 0.5), threshold("fill_ratio", "warning", 0.6)]
    yield Case("a reload of the exporter changes what is compared", "FillRatioLow", "critical",
               replaced([UP, *THRESHOLDS], [*other, *figure(FILLS, 0.7, 0)]), 600, [])


def number(value):
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def notation(samples):
    """Samples in promtool's notation: runs of equal values, and of constant increase."""
    out, n = [], 0
    while n < len(samples):
        value = samples[n]
        if value in (STALE, None):
            run = 1
            while n + run < len(samples) and samples[n + run] == value:
                run += 1
            out.extend(["stale"] if value == STALE else [f"_x{run}"])
            n += run if value is None else 1
            continue
        step, run = 0, 0
        if n + 1 < len(samples) and samples[n + 1] not in (STALE, None):
            step = round(samples[n + 1] - value, 6)
            while n + run + 1 < len(samples) and samples[n + run + 1] not in (STALE, None) \
                    and round(samples[n + run + 1] - samples[n + run], 6) == step:
                run += 1
        if run:
            sign = "" if step < 0 else "+"
            out.append(f"{number(value)}{sign}{number(step)}x{run}")
            n += run + 1
        else:
            out.append(number(value))
            n += 1
    return " ".join(out)


def selector(metric, labels):
    inner = ",".join(f'{k}="{v}"' for k, v in sorted(labels.items()))
    return f"{metric}{{{inner}}}"


def span(seconds):
    return f"{seconds // 60}m{seconds % 60}s" if seconds % 60 else f"{seconds // 60}m"


def rendered(case):
    count = case.at // case.interval + 3
    lines = [f"  - name: '{case.title.replace(chr(39), chr(39) * 2)}'", f"    interval: {case.interval}s"]
    series = [s for s in case.series if s.value != []]
    lines.append("    input_series:" if series else "    input_series: []")
    for s in series:
        lines.append(f"      - series: '{selector(s.metric, s.labels)}'")
        lines.append(f"        values: '{notation(s.samples(count))}'")
    query = {"alertname": case.alert, "alertstate": "firing", "severity": case.severity}
    lines += ["    promql_expr_test:", f"      - expr: '{selector('ALERTS', query)}'",
              f"        eval_time: {span(case.at)}"]
    lines.append("        exp_samples:" if case.expected else "        exp_samples: []")
    for labels in case.expected:
        lines.append(f"          - labels: '{selector('ALERTS', {**query, **labels})}'")
        lines.append("            value: 1")
    return "\n".join(lines) + "\n"


def got(text):
    """The alerts that promtool found, parsed from the output of a failing test."""
    def labels(line):
        pairs = re.findall(r'(\w+)=("(?:[^"\\]|\\.)*")', line)
        return {name: json.loads(value) for name, value in pairs}

    lines, found, inside = text.splitlines(), [], False
    for n, line in enumerate(lines):
        inside = line.strip() != "exp:[" and (inside or line.strip() == "got:[")
        if inside and line.strip().startswith("Labels:"):
            found.append((labels(line), labels(lines[n + 1])))
    return found


def message(case, alerts):
    """A test of the labels and annotations of alerts."""
    def quoted(text):
        return "'" + text.replace("'", "''") + "'"

    lines = rendered(case).split("    promql_expr_test:")[0].rstrip("\n").split("\n")
    lines += ["    alert_rule_test:", f"      - alertname: {case.alert}",
              f"        eval_time: {span(case.at)}", "        exp_alerts:"]
    for labels, annotations in alerts:
        for key, pairs in (("- exp_labels", labels), ("  exp_annotations", annotations)):
            lines.append(f"          {key}:")
            lines += [f"              {k}: {quoted(v)}" for k, v in sorted(pairs.items()) if k != "alertname"]
    return "\n".join(lines) + "\n"


def messages(folder, name, head):
    """Tests of the messages of every alert of a file, determined with promtool."""
    first = {}
    for alert in ALERTS:
        if alert.file == name:
            first.setdefault(alert.title(), (alert, next(cases(alert))))
    file = folder / "tests" / f"{name}.test.yml"
    tests = []
    for alert, case in first.values():
        case.title = f"{alert.title()}: what it says"
        interval = INTERVALS.get(name, 15)
        case.at = -(-case.at // interval) * interval
        file.write_text(head + message(case, []), encoding="utf-8")
        run = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, check=False)
        found = got(run.stdout + run.stderr)
        if not any(labels["severity"] == alert.severity for labels, _ in found):
            raise SystemExit(f"{alert.title()} does not fire: {run.stdout}{run.stderr}")
        tests.append(message(case, found))
    return tests


# Seconds between two evaluations if the windows are long.
INTERVALS = {"slo": 300}
HEAD = """\
# Unit tests of the alert rules, for `promtool test rules`.
# Generated by tests/tools/rule_tests.py: do not edit.
rule_files: [{files}]
evaluation_interval: {interval}s
tests:
"""


def write(folder):
    """Writes every file of tests."""
    for name in ("drift", "execution", "slo", "health", "trading_state", "exporter"):
        rules = "execution" if name == "slo" else name
        head = HEAD.format(files=f"../{rules}.rules.yml", interval=INTERVALS.get(name, 15))
        tests = [rendered(case) for alert in ALERTS if alert.file == name for case in cases(alert)]
        tests += [rendered(case) for file, case in extra() if file == name]
        tests += messages(folder, name, head)
        (folder / "tests" / f"{name}.test.yml").write_text(head + "\n".join(tests), encoding="utf-8")
    for name, tests in (("joined", list(joined_only())), ("joined_slo", [])):
        of_slo = name == "joined_slo"
        tests += [case for alert in ALERTS if (alert.file == "slo") == of_slo for case in alone(alert)]
        interval = INTERVALS["slo"] if of_slo else 15
        head = HEAD.format(files="../drift.rules.yml, ../execution.rules.yml", interval=interval)
        text = head + "\n".join(rendered(case) for case in tests)
        (folder / "tests" / f"{name}.test.yml").write_text(text, encoding="utf-8")


def main():
    folder = Path(sys.argv[1])
    (folder / "tests").mkdir(exist_ok=True)
    write(folder)


if __name__ == "__main__":
    main()
