"""Health: the components, the health of accounts, and active anomalies."""

from . import board, looks
from .overview import WORST_HEALTH
from .panels import Column, grid, lines, tile, timeline
from .query import A, age, gain, latest, over, select

COMPONENT = ("account", "component")
FIGURES = ("account", "figure")


def glance():
    """Tiles."""
    health = latest("trading_component_health", COMPONENT)
    level = select("trading_anomaly", A)
    return [
        tile(
            "System health",
            "The health of all components of the worst account shown.",
            [(WORST_HEALTH, "")],
            meaning=looks.HEALTH,
            size=(6, 4),
        ),
        tile(
            "Not healthy",
            "Components that report it, that fail their checks, or that are silent.",
            [(f"sum({health} > bool 0)", "")],
            steps=((0, looks.GREEN), (1, looks.RED)),
            size=(6, 4),
        ),
        tile(
            "Silent",
            "Components without a report for three of their intervals.",
            [(f"sum({latest('trading_component_silent', COMPONENT)})", "")],
            steps=((0, looks.GREEN), (1, looks.ORANGE)),
            size=(6, 4),
        ),
        tile(
            "Worst anomaly",
            "The highest level of active anomalies, of accounts and symbols.",
            [(f"max({level})", "")],
            meaning=looks.LEVEL,
            size=(6, 4),
        ),
    ]


def components():
    """Each component."""
    columns = [
        Column(
            "Health",
            latest("trading_component_health", COMPONENT),
            meaning=looks.HEALTH,
            width=130,
        ),
        Column(
            "Last report",
            age("trading_component_last_check_timestamp_seconds", COMPONENT),
            looks.SECONDS,
            0,
            width=105,
        ),
        Column(
            "Duration",
            latest("trading_component_check_duration_seconds", COMPONENT),
            looks.SECONDS,
            3,
            width=105,
        ),
        Column(
            "Failures",
            latest("trading_component_check_failures_total", COMPONENT),
            looks.WHOLE,
            width=90,
        ),
    ]
    return [
        grid(
            "Components",
            "All components, worst first. The account * has the exporter's own probes. Failures "
            "are counted since the exporter began to count; silence is one for each interval.",
            [Column("Account", "account"), Column("Component", "component")],
            columns,
            "Health",
            size=(12, 9),
        ),
        timeline(
            "Health of components",
            "The health of each component over time.",
            [(latest("trading_component_health", COMPONENT), "{{account}} {{component}}")],
            looks.HEALTH,
            size=(12, 9),
        ),
        timeline(
            "System health over time",
            "The health of each account, from all its components, over time.",
            [(latest("trading_system_health"), "{{account}}")],
            looks.HEALTH,
            size=(12, 7),
        ),
        timeline(
            "Missing evidence",
            "Books that never arrived or are too old, and silent engines. An engine can only be "
            "missing if missing_evidence.engine_silent_after is set.",
            [(latest("trading_missing_evidence", ("account", "kind")), "{{account}} {{kind}}")],
            looks.MISSING,
            size=(12, 7),
        ),
        lines(
            "Failed checks",
            "Failed checks and silences in each interval.",
            [
                (
                    gain(
                        "trading_component_check_failures_total",
                        COMPONENT,
                        window="$__rate_interval",
                    )
                    + " > 0",
                    "{{account}} {{component}}",
                )
            ],
            looks.COUNT,
            bars=True,
            stacked=True,
            size=(12, 8),
            legend="right",
        ),
        lines(
            "Duration of checks",
            "Duration of the last check of each component that reports one.",
            [
                (
                    latest("trading_component_check_duration_seconds", COMPONENT),
                    "{{account}} {{component}}",
                )
            ],
            looks.SECONDS,
            size=(12, 8),
            legend="right",
            bounds=(0, None),
        ),
    ]


def anomalies():
    """Anomalies and silence."""
    worst = over("max", FIGURES, select("trading_anomaly", A))
    ever = over("max", FIGURES, f"max_over_time({select('trading_anomaly', A)}[$__range] @ end())")
    return [
        timeline(
            "Anomalies",
            "The level of each figure that had an anomaly in the time range, of the account or of "
            "its worst symbol.",
            [(f"{worst} and on (account, figure) {ever} > 0", "{{account}} {{figure}}")],
            looks.LEVEL,
            size=(24, 9),
        ),
        lines(
            "Silence of the engines",
            "Time since the last event of each account.",
            [(age("trading_last_event_timestamp_seconds"), "{{account}}")],
            looks.SECONDS,
            bounds=(0, None),
            size=(12, 7),
        ),
        lines(
            "Unacknowledged orders",
            "Submitted orders without an answer for longer than the configured time.",
            [
                (
                    over(
                        "sum",
                        A,
                        latest("trading_orders_unacknowledged", ("account", "symbol")),
                    ),
                    "{{account}}",
                )
            ],
            looks.COUNT,
            bounds=(0, None),
            steps=True,
            size=(12, 7),
        ),
    ]


def make():
    """The dashboard."""
    return board.dashboard(
        board.HEALTH,
        "Trading / Health",
        "Brokers, feeds, engines and machines: healthy, unhealthy or silent.",
        ("job", "instance", "account"),
        [
            ("", glance()),
            ("Components", components()),
            ("Anomalies", anomalies()),
        ],
    )
