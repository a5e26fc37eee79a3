"""The exporter itself and the path of its alerts: who watches the watchman."""

from grafana_foundation_sdk.models.common import BigValueTextMode

from . import board, looks, query
from . import exporter_paths as paths
from .exporter_paths import SELECTED, WATCHDOG, each
from .panels import lines, tile
from .query import I, age, gain, latest, over, own, quantile, rate, select

E = ()
RELOADED = "trading_exporter_config_last_reload_success_timestamp_seconds"


def every(metric, function="{}"):
    """The same, of a metric that other jobs have too."""
    return over("max", I, own(function.format(metric + SELECTED)))


def glance():
    """Tiles."""
    limit = select("trading_exporter_series_limit", E)
    reloaded = select("trading_exporter_config_last_reload_successful", E)
    return [
        tile(
            "Scraped",
            "Whether Prometheus reaches each exporter that it reached in the last day. No data: it "
            "reached none.",
            [(f"min(up{SELECTED} and on (job, instance) {query.SEEN})", "")],
            meaning=looks.UP,
            size=(3, 4),
        ),
        paths.durability(),
        tile(
            "Version",
            "Version of each exporter that runs.",
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
            "Running for",
            "Time since the exporter was started, the youngest counts.",
            [(f"time() - max({own('process_start_time_seconds' + SELECTED)})", "")],
            unit=looks.SECONDS,
            decimals=0,
            size=(3, 4),
        ),
        tile(
            "Configuration",
            "Whether the last load of the configuration succeeded. FAILED: the old one holds.",
            [(f"min({reloaded})", "")],
            meaning=looks.SUCCESS,
            size=(3, 4),
        ),
        tile(
            "Series used",
            "Share of the budget of series. Past it the quietest symbols are shown together as "
            "__other__; all of them stay monitored.",
            [(f"max({select('trading_exporter_series', E)} / {limit})", "")],
            unit=looks.RATIO,
            decimals=1,
            steps=((0, looks.GREEN), (0.8, looks.ORANGE), (1, looks.RED)),
            size=(3, 4),
        ),
        tile(
            "Labels folded",
            "Values of labels that were folded into __other__ since the exporter started. They are "
            "monitored as before, and shown under their own name when they are in trouble.",
            [(f"sum({latest('trading_exporter_series_folded_total', ('instance', 'label'))})", "")],
            steps=((0, looks.GREEN), (1, looks.ORANGE)),
            size=(3, 4),
        ),
        tile(
            "Watchdog",
            "Time since the Watchdog alert last came back from Alertmanager. When it stays away, "
            "the path of alerts is dead and nobody is told. No data: it has never come.",
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
    """What it is told."""
    typed = ("type",)
    return [
        lines(
            "Events received",
            "Events decoded a second, by type.",
            [(rate("trading_exporter_events_received_total", typed) + " > 0", "{{type}}")],
            looks.PER_SECOND,
            stacked=True,
            legend="right",
            size=(12, 9),
        ),
        lines(
            "Refused",
            "Events and requests refused in the time between two points, by error code.",
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
            "Events known already (harmless), events that contradict what was known under their "
            "id, and snapshots older than one that was known; since the exporter began to count.",
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
            "From a request to its answer, which comes when the events are safe: half, 95 % and "
            "99 % took no longer. Estimated from buckets.",
            quantiles("trading_exporter_ingest_duration_seconds"),
            looks.SECONDS,
            size=(8, 7),
            bounds=(0, None),
        ),
        lines(
            "Delay of events",
            "From the sender's time of an event to its receipt. High: the sender is late, resends "
            "what is old, or its clock is wrong.",
            quantiles("trading_exporter_event_delay_seconds"),
            looks.SECONDS,
            size=(8, 7),
            bounds=(0, None),
        ),
        lines(
            "Queue",
            "Requests that wait for the writer, of as many as may. One more is answered 503.",
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
            "Halts, releases and reconciles in the journal that this version did not reach by "
            "itself when it replayed them. They stand all the same; above zero, tell the makers.",
            [(each("trading_exporter_decisions_missed_total"), "{{instance}}")],
            looks.COUNT,
            size=(6, 7),
            bounds=(0, None),
            steps=True,
        ),
        lines(
            "Records",
            "Records folded into the state a second: events, ticks, decisions.",
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
            "The newest record in each exporter's state. Of two that read one log, the lower one "
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
    """What it shows."""
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
            "As the exporter sees it (projecting and encoding), and as Prometheus does.",
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
            "Time since the configuration was last loaded with success.",
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
    """What it costs."""
    size, bounds = (6, 7), (0, None)
    cpu = every("process_cpu_seconds_total", "rate({}[$__rate_interval])")
    files = f"{every('process_open_fds')} / {every('process_max_fds')}"
    return [
        lines(
            "CPU",
            "Cores that the process uses.",
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
            "Open file descriptors, of as many as may be.",
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
        "The exporter itself: what it is told, what it refuses, what it costs, and whether alerts "
        "find their way.",
        ("job", "instance"),
        [
            ("", glance()),
            ("What it is told", intake()),
            ("What it keeps", paths.journal()),
            ("What it delivers", paths.webhooks()),
            ("Who listens", paths.listeners()),
            ("Whether alerts find their way", paths.alerting()),
            ("What it shows", output()),
            ("What it costs", process()),
        ],
    )
