"""The exporter itself, and the path of its alerts."""

from grafana_foundation_sdk.models.common import BigValueTextMode

from . import board, looks, query
from . import exporter_paths as paths
from .exporter_paths import SELECTED, WATCHDOG, each
from .panels import lines, tile
from .query import I, age, gain, latest, over, own, quantile, rate, select

E = ()
RELOADED = "trading_exporter_config_last_reload_success_timestamp_seconds"


def every(metric, function="{}"):
    """A metric of each exporter, for metrics that other jobs have too."""
    return over("max", I, own(function.format(metric + SELECTED)))


def glance():
    """Tiles."""
    limit = select("trading_exporter_series_limit", E)
    reloaded = select("trading_exporter_config_last_reload_successful", E)
    return [
        tile(
            "Scraped",
            "Whether Prometheus scrapes every exporter that it scraped in the last day. No data: "
            "it scraped none.",
            [(f"min(up{SELECTED} and on (job, instance) {query.SEEN})", "")],
            meaning=looks.UP,
            size=(3, 4),
        ),
        paths.durability(),
        tile(
            "Version",
            "Versions of the running exporters.",
            [
                (
                    over("count", ("version",), select("trading_exporter_build_info", E)),
                    "{{version}}",
                )
            ],
            size=(3, 4),
            text=BigValueTextMode.NAME,
        ),
        tile(
            "Uptime",
            "Time since the last start of an exporter.",
            [(f"time() - max({own('process_start_time_seconds' + SELECTED)})", "")],
            unit=looks.SECONDS,
            decimals=0,
            size=(3, 4),
        ),
        tile(
            "Configuration",
            "Whether the last load of the configuration succeeded. FAILED: the old one is used.",
            [(f"min({reloaded})", "")],
            meaning=looks.SUCCESS,
            size=(3, 4),
        ),
        tile(
            "Series used",
            "Share of the series budget. Beyond it the quietest symbols are shown together as "
            "__other__; all are still monitored.",
            [(f"max({select('trading_exporter_series', E)} / {limit})", "")],
            unit=looks.RATIO,
            decimals=1,
            steps=((0, looks.GREEN), (0.8, looks.ORANGE), (1, looks.RED)),
            size=(3, 4),
        ),
        tile(
            "Labels folded",
            "Label values folded into __other__ since the exporter started. They are still "
            "monitored, and shown under their own name if they have a problem.",
            [(f"sum({latest('trading_exporter_series_folded_total', ('instance', 'label'))})", "")],
            steps=((0, looks.GREEN), (1, looks.ORANGE)),
            size=(3, 4),
        ),
        tile(
            "Watchdog",
            "Time since the Watchdog alert last returned from Alertmanager. If it does not return, "
            "the alert path is broken and no alert arrives. No data: it has never returned.",
            [
                (
                    f"max({age(WATCHDOG, E)})",
                    "",
                )
            ],
            unit=looks.SECONDS,
            decimals=0,
            steps=((-1e9, looks.GREEN), (300, looks.ORANGE), (900, looks.RED)),
            size=(3, 4),
        ),
    ]


def intake():
    """Events that it receives."""
    typed = ("type",)
    return [
        lines(
            "Events received",
            "Events decoded per second, by type.",
            [(rate("trading_exporter_events_received_total", typed) + " > 0", "{{type}}")],
            looks.PER_SECOND,
            stacked=True,
            legend="right",
            size=(12, 9),
        ),
        lines(
            "Rejected",
            "Events and requests rejected in each interval, by error code.",
            [
                (
                    gain(
                        "trading_exporter_events_rejected_total",
                        ("code",),
                        window="$__rate_interval",
                    )
                    + " > 0",
                    "{{code}}",
                )
            ],
            looks.COUNT,
            bars=True,
            stacked=True,
            legend="right",
            size=(12, 9),
        ),
        lines(
            "Duplicates, conflicts, out of order",
            "Repeated events (harmless), events that conflict with an earlier event of the same "
            "id, and snapshots older than a known one, since the exporter began to count.",
            [
                (f"sum({latest(f'trading_exporter_events_{what}_total', typed)})", name)
                for what, name in (
                    ("duplicate", "duplicates"),
                    ("conflict", "conflicts"),
                    ("out_of_order", "out of order"),
                )
            ],
            looks.COUNT,
            steps=True,
            size=(8, 7),
            bounds=(0, None),
            colors=(("conflicts", looks.RED),),
        ),
        lines(
            "Time to answer a request with events",
            "Quantiles of the time from a request to its answer, which is sent when the events are "
            "durable. Estimated from buckets.",
            quantiles("trading_exporter_ingest_duration_seconds"),
            looks.SECONDS,
            size=(8, 7),
            bounds=(0, None),
        ),
        lines(
            "Delay of events",
            "Quantiles of the time from an event, by its sender's clock, to its receipt. High: the "
            "sender is slow or resends old events, or its clock is wrong.",
            quantiles("trading_exporter_event_delay_seconds"),
            looks.SECONDS,
            size=(8, 7),
            bounds=(0, None),
        ),
        lines(
            "Queue",
            "Requests waiting for the writer, as a share of the limit. At the limit, requests are "
            "answered with 503.",
            [
                (
                    f"{each('trading_exporter_queue_depth')} / "
                    f"{each('trading_exporter_queue_limit')}",
                    "{{instance}}",
                )
            ],
            looks.RATIO,
            size=(6, 7),
            bounds=(0, 1),
        ),
        lines(
            "Decisions missed",
            "Halts, releases and reconciles in the journal that this version would not have "
            "decided in a replay. They remain in force. Above zero, please report it.",
            [(each("trading_exporter_decisions_missed_total"), "{{instance}}")],
            looks.COUNT,
            size=(6, 7),
            bounds=(0, None),
            steps=True,
        ),
        lines(
            "Records",
            "Records applied to the state per second: events, ticks, decisions.",
            [
                (
                    over(
                        "max",
                        I,
                        f"rate(trading_exporter_records_total{SELECTED}[$__rate_interval])",
                    ),
                    "{{instance}}",
                )
            ],
            looks.PER_SECOND,
            size=(6, 7),
            bounds=(0, None),
        ),
        lines(
            "Sequence number",
            "The newest record in each exporter's state. If two read the same log, the lower one "
            "lags.",
            [(each("trading_exporter_sequence"), "{{instance}}")],
            looks.COUNT,
            size=(6, 7),
        ),
    ]


def quantiles(metric):
    """Queries for three quantiles of a histogram without labels."""
    return [(quantile(q, metric, E), f"q {q}") for q in (0.5, 0.95, 0.99)]


def output():
    """Metrics that it exposes."""
    return [
        lines(
            "Series",
            "Series of the monitored state.",
            [(each("trading_exporter_series"), "{{instance}}")],
            looks.COUNT,
            size=(8, 7),
            bounds=(0, None),
        ),
        lines(
            "Duration of a scrape",
            "Measured by the exporter (projection and encoding), and by Prometheus.",
            [
                (each("trading_exporter_scrape_duration_seconds"), "exporter, {{instance}}"),
                (every("scrape_duration_seconds"), "Prometheus, {{instance}}"),
            ],
            looks.SECONDS,
            size=(8, 7),
            bounds=(0, None),
        ),
        lines(
            "Age of the configuration",
            "Time since the last successful load of the configuration.",
            [
                (
                    f"time() - {each(RELOADED)}",
                    "{{instance}}",
                )
            ],
            looks.SECONDS,
            size=(8, 7),
            bounds=(0, None),
        ),
    ]


def process():
    """Resources of the process."""
    size, bounds = (6, 7), (0, None)
    cpu = every("process_cpu_seconds_total", "rate({}[$__rate_interval])")
    files = f"{every('process_open_fds')} / {every('process_max_fds')}"
    return [
        lines(
            "CPU",
            "CPU cores used by the process.",
            [(cpu, "{{instance}}")],
            size=size,
            bounds=bounds,
        ),
        lines(
            "Memory",
            "Resident memory of the process.",
            [(every("process_resident_memory_bytes"), "{{instance}}")],
            looks.BYTES,
            size=size,
            bounds=bounds,
        ),
        lines(
            "File descriptors",
            "Open file descriptors, as a share of the limit.",
            [(files, "{{instance}}")],
            looks.RATIO,
            size=size,
            bounds=bounds,
        ),
        lines(
            "Threads",
            "Threads of the process.",
            [(every("process_threads"), "{{instance}}")],
            size=size,
            bounds=bounds,
        ),
    ]


def make():
    """The dashboard."""
    return board.dashboard(
        board.EXPORTER,
        "Trading / Exporter",
        "The exporter itself: intake, rejections, resources, and the alert path.",
        ("job", "instance"),
        [
            ("", glance()),
            ("Intake", intake()),
            ("Journal", paths.journal()),
            ("Webhooks", paths.webhooks()),
            ("Listeners", paths.listeners()),
            ("Alert path", paths.alerting()),
            ("Exposition", output()),
            ("Process", process()),
        ],
    )
