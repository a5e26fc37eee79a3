"""Panels about the outputs of the exporter: journal, webhooks, listeners, alerts."""

from grafana_foundation_sdk.models.common import BigValueColorMode, BigValueTextMode

from . import looks, query
from .panels import ask, lines, tile, timeline
from .query import EXPORTER, I, age, latest, over, quantile

E = ()
SELECTED = f"{{{EXPORTER}}}"
WATCHDOG = "trading_exporter_alertmanager_last_watchdog_timestamp_seconds"
ALERTS = query.firing(("alertname", "severity", "account", "symbol", "component"))
SINK = ("sink",)
SINCE = "since the exporter began to count"


def each(metric):
    """A gauge of each instance: replicas are not merged here."""
    return over("max", I, metric + SELECTED)


def durability():
    """The durability of acknowledged events, with a colour for each value."""
    panel = tile(
        "Durability",
        "The failure that an acknowledged event survives: synced, a power cut; relaxed, a crash of "
        "the exporter; memory, none. All values of the exporters shown.",
        [],
        size=(3, 4),
        text=BigValueTextMode.NAME,
    ).color_mode(BigValueColorMode.BACKGROUND_SOLID)
    colors = {"synced": looks.GREEN, "relaxed": looks.ORANGE, "memory": looks.RED}
    for name, color in colors.items():
        selector = query.select("trading_exporter_journal_durability", E, f'durability="{name}"')
        panel = panel.with_target(ask(f"max({selector} == 1)", name, ref=name, instant=True))
        panel = panel.override_by_query(name, [looks.colored(color)])
    return panel


def journal():
    """The journal and the snapshots."""
    size, bounds = (6, 7), (0, None)
    sync = "trading_exporter_journal_sync_duration_seconds"
    return [
        lines(
            "Journal",
            "Size of the journal in bytes. No data: records are kept in memory.",
            [(each("trading_exporter_journal_bytes"), "{{instance}}")],
            looks.BYTES,
            size=size,
            bounds=bounds,
        ),
        lines(
            "Duration of a sync",
            "Quantiles of the time to sync a batch to the disk, which every acknowledgement waits "
            "for. Estimated from buckets.",
            [(quantile(q, sync, E), f"q {q}") for q in (0.5, 0.95, 0.99)],
            looks.SECONDS,
            size=size,
            bounds=bounds,
        ),
        lines(
            "Journal errors",
            f"Batches that were not written because the journal was full or failed, {SINCE}.",
            [(each("trading_exporter_journal_errors_total"), "{{instance}}")],
            size=size,
            bounds=bounds,
            steps=True,
        ),
        lines(
            "Torn tails",
            "Incomplete batches kept after crashes; none of them was acknowledged.",
            [(each("trading_exporter_journal_torn_tails"), "{{instance}}")],
            size=size,
            bounds=bounds,
            steps=True,
        ),
        lines(
            "Snapshot errors",
            "Failures to write or read a snapshot of the state, or to drop old records after one, "
            f"{SINCE}. A restart then replays more records.",
            [(each("trading_exporter_journal_snapshot_errors_total"), "{{instance}}")],
            size=(12, 7),
            bounds=bounds,
            steps=True,
        ),
        lines(
            "Age of the last snapshot",
            "Age of the newest snapshot. A restart loads it and replays the records after it. No "
            "line: there is none yet, and a restart replays everything.",
            [(age("trading_exporter_journal_snapshot_timestamp_seconds", I), "{{instance}}")],
            looks.SECONDS,
            size=(12, 7),
            bounds=bounds,
        ),
    ]


def webhooks():
    """Delivery of webhooks."""
    bounds = (0, None)
    return [
        lines(
            "Webhooks by outcome",
            f"Webhooks by target and outcome, {SINCE}: failed attempts are retried; dropped and "
            "expired webhooks were never delivered.",
            [
                (
                    latest("trading_exporter_webhook_deliveries_total", ("sink", "outcome")),
                    "{{sink}}: {{outcome}}",
                )
            ],
            size=(8, 8),
            bounds=bounds,
            steps=True,
        ),
        lines(
            "Pending webhooks",
            "Webhooks that are not delivered yet, by target.",
            [(latest("trading_exporter_webhook_pending", SINK), "{{sink}}")],
            size=(8, 8),
            bounds=bounds,
            steps=True,
        ),
        lines(
            "Since the last delivery",
            "Time since the last delivery to each target. No line: no delivery since the start. A "
            "high value is normal if nothing happened.",
            [(age("trading_exporter_webhook_last_success_timestamp_seconds", SINK), "{{sink}}")],
            looks.SECONDS,
            size=(8, 8),
            bounds=bounds,
        ),
        timeline(
            "Targets",
            "Whether a target failed so often that it is only tried rarely.",
            [(latest("trading_exporter_webhook_breaker_open", SINK), "{{sink}}")],
            looks.BREAKER,
            size=(12, 6),
        ),
        lines(
            "Outbox errors",
            f"Failed writes to the outbox of a target, {SINCE}.",
            [(latest("trading_exporter_webhook_outbox_errors_total", SINK), "{{sink}}")],
            size=(12, 6),
            bounds=bounds,
            steps=True,
        ),
    ]


def listeners():
    """Engines that listen to directives."""
    size = (8, 7)
    kinds, refused = ("kind",), "trading_exporter_listeners_refused_total"
    return [
        lines(
            "Listeners",
            "Open event streams, and open requests that wait for a permit.",
            [(over("sum", kinds, "trading_exporter_listeners" + SELECTED), "{{kind}}")],
            size=size,
            bounds=(0, None),
            steps=True,
        ),
        lines(
            "Listeners rejected",
            f"Streams and waits rejected because the limit was reached, {SINCE}.",
            [(latest(refused, kinds), "{{kind}}")],
            size=size,
            bounds=(0, None),
            steps=True,
        ),
        lines(
            "Ended streams",
            f"Ended event streams by reason, {SINCE}; slow: the engine did not keep up.",
            [(latest("trading_exporter_streams_ended_total", ("reason",)), "{{reason}}")],
            size=size,
            bounds=(0, None),
            steps=True,
        ),
    ]


def alerting():
    """The alert path."""
    return [
        lines(
            "Firing alerts",
            "Firing alerts about these exporters and their accounts, by severity. No data: no "
            "alert fires; the overview shows whether the rules are loaded.",
            [(f"count by (severity) ({ALERTS})", "{{severity}}")],
            looks.COUNT,
            steps=True,
            bounds=(0, None),
            size=(8, 7),
        ),
        lines(
            "Alertmanager notifications",
            f"Notifications received by outcome, {SINCE}: set (a halt), duplicate, nothing "
            "(requested), refused, failed (Alertmanager retries).",
            [
                (
                    latest("trading_exporter_alertmanager_webhooks_total", ("outcome",)),
                    "{{outcome}}",
                )
            ],
            looks.COUNT,
            steps=True,
            bounds=(0, None),
            size=(8, 7),
            colors=(("failed", looks.RED), ("refused", looks.ORANGE)),
        ),
        lines(
            "Age of the Watchdog",
            "Time since the Watchdog alert last returned: it rises and falls while the path works, "
            "and only rises if the path is broken.",
            [(f"time() - {each(WATCHDOG)}", "{{instance}}")],
            looks.SECONDS,
            bounds=(0, None),
            size=(8, 7),
        ),
    ]
