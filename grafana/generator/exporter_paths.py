"""Panels about where the exporter puts what it knows: journal, webhooks, listeners, alerts."""

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
    """A gauge of each instance: replicas are looked at one by one here."""
    return over("max", I, metric + SELECTED)


def durability():
    """What an acknowledged event survives, in a colour for each answer."""
    panel = tile(
        "Durability",
        "What an acknowledged event survives: synced, a power cut; relaxed, a crash of the "
        "exporter; memory, nothing at all. Each that holds for an exporter shown here.",
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
    """What is kept."""
    size, bounds = (6, 7), (0, None)
    sync = "trading_exporter_journal_sync_duration_seconds"
    return [
        lines(
            "Journal",
            "Bytes that the journal takes up. No data: records are kept in memory.",
            [(each("trading_exporter_journal_bytes"), "{{instance}}")],
            looks.BYTES,
            size=size,
            bounds=bounds,
        ),
        lines(
            "Time of a sync",
            "Time that the sync of a batch to the disk took: every acknowledgement waits for it. "
            "Estimated from buckets.",
            [(quantile(q, sync, E), f"q {q}") for q in (0.5, 0.95, 0.99)],
            looks.SECONDS,
            size=size,
            bounds=bounds,
        ),
        lines(
            "Journal refused",
            f"Batches that the journal did not take, for it was full or failed, {SINCE}.",
            [(each("trading_exporter_journal_errors_total"), "{{instance}}")],
            size=size,
            bounds=bounds,
            steps=True,
        ),
        lines(
            "Torn tails",
            "Batches kept aside that a crash cut short before they were acknowledged.",
            [(each("trading_exporter_journal_torn_tails"), "{{instance}}")],
            size=size,
            bounds=bounds,
            steps=True,
        ),
        lines(
            "Snapshots that went wrong",
            "Snapshots of the state that could not be written or read, and times that old records "
            f"could not be dropped behind one, {SINCE}. A restart then replays more.",
            [(each("trading_exporter_journal_snapshot_errors_total"), "{{instance}}")],
            size=(12, 7),
            bounds=bounds,
            steps=True,
        ),
        lines(
            "Since the last snapshot",
            "Age of the newest state that a restart can begin with; what came later is replayed. "
            "No line: there is none yet, and a restart replays everything.",
            [(age("trading_exporter_journal_snapshot_timestamp_seconds", I), "{{instance}}")],
            looks.SECONDS,
            size=(12, 7),
            bounds=bounds,
        ),
    ]


def webhooks():
    """What is delivered."""
    bounds = (0, None)
    return [
        lines(
            "Webhooks by outcome",
            f"Webhooks by target and outcome, {SINCE}: failed is an attempt that is made again, "
            "dropped and expired were never delivered.",
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
            "Webhooks that wait",
            "Webhooks that are not delivered yet, by target.",
            [(latest("trading_exporter_webhook_pending", SINK), "{{sink}}")],
            size=(8, 8),
            bounds=bounds,
            steps=True,
        ),
        lines(
            "Since the last delivery",
            "Time since a webhook was last delivered to each target. No line: none was since the "
            "start. High is well where nothing happened.",
            [(age("trading_exporter_webhook_last_success_timestamp_seconds", SINK), "{{sink}}")],
            looks.SECONDS,
            size=(8, 8),
            bounds=bounds,
        ),
        timeline(
            "Targets",
            "Whether a target failed so often that it is tried only now and then.",
            [(latest("trading_exporter_webhook_breaker_open", SINK), "{{sink}}")],
            looks.BREAKER,
            size=(12, 6),
        ),
        lines(
            "Outbox errors",
            f"Writes to the outbox of a target that failed, {SINCE}.",
            [(latest("trading_exporter_webhook_outbox_errors_total", SINK), "{{sink}}")],
            size=(12, 6),
            bounds=bounds,
            steps=True,
        ),
    ]


def listeners():
    """Engines that follow what is told."""
    size = (8, 7)
    kinds, refused = ("kind",), "trading_exporter_listeners_refused_total"
    return [
        lines(
            "Listeners",
            "Event streams, and requests that wait for a permit, that are open now.",
            [(over("sum", kinds, "trading_exporter_listeners" + SELECTED), "{{kind}}")],
            size=size,
            bounds=(0, None),
            steps=True,
        ),
        lines(
            "Listeners refused",
            f"Streams and waits refused because as many were open as may be, {SINCE}.",
            [(latest(refused, kinds), "{{kind}}")],
            size=size,
            bounds=(0, None),
            steps=True,
        ),
        lines(
            "Streams that ended",
            f"Event streams by why they ended, {SINCE}: slow is an engine that does not keep up.",
            [(latest("trading_exporter_streams_ended_total", ("reason",)), "{{reason}}")],
            size=size,
            bounds=(0, None),
            steps=True,
        ),
    ]


def alerting():
    """Whether alerts find their way."""
    return [
        lines(
            "Alerts that fire",
            "Alerts that fire about these exporters and their accounts, by severity. No data: none "
            "does; whether the rules are loaded, the overview tells.",
            [(f"count by (severity) ({ALERTS})", "{{severity}}")],
            looks.COUNT,
            steps=True,
            bounds=(0, None),
            size=(8, 7),
        ),
        lines(
            "Notifications of Alertmanager",
            f"Notifications received, by what came of them, {SINCE}: set "
            "(a halt), duplicate, nothing (asked for), refused, failed (Alertmanager tries again).",
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
            "Time since the Watchdog alert last came back: it rises and falls while the path "
            "works, and only rises when it is dead.",
            [(f"time() - {each(WATCHDOG)}", "{{instance}}")],
            looks.SECONDS,
            bounds=(0, None),
            size=(8, 7),
        ),
    ]
