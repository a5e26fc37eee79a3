"""Positions: drifts between the books, their history, and their consequences."""

from . import board, looks
from .drifts import drifting, drifting_timeline
from .panels import Threshold, lines, tile, timeline
from .query import AS, A, age, gain, latest, outstanding, over, select

TYPED = (*AS, "drift")
SEVERITIES = ("minor", "moderate", "critical")
COLORS = tuple((severity, looks.THRESHOLD_COLORS[severity]) for severity in SEVERITIES)


PENDING = "trading_position_pending_quantity"
# Symbols whose pending quantity changed in the time range.
IN_FLIGHT = outstanding(f"({latest(PENDING, AS)})", "topk", 8, PENDING, by="changes") + " > 0"


def glance():
    """Tiles: number and severity of drifts, and whether the books are current."""
    opened = ("account", "drift", "severity")
    tiles = [
        tile(
            "Worst drift",
            "The highest severity of the differences between the engine's book and the broker's.",
            [(f"max({select('trading_position_drift_severity', AS)})", "")],
            meaning=looks.SEVERITY,
        )
    ]
    for severity, color in COLORS:
        where = f'severity="{severity}"'
        tiles.append(
            tile(
                f"Open, {severity}",
                f"Drifts of severity {severity} that are confirmed and not cleared.",
                [(f"sum({latest('trading_position_drift_open', opened, where)})", "")],
                steps=((0, looks.GREEN), (1, color)),
            )
        )
    return [
        *tiles,
        tile(
            "Books",
            "STALE: a book is too old or has never arrived, so drift cannot be judged.",
            [(f"max({select('trading_position_drift_stale', A)})", "")],
            meaning=looks.STALE,
        ),
        tile(
            "Halts by drift",
            "Halts caused by a critical drift in the time range.",
            [(f"sum({gain('trading_halts_total', ('account', 'cause'), HALT_CAUSE)})", "")],
            steps=((0, looks.GREEN), (0.5, looks.RED)),
            decimals=0,
        ),
    ]


HALT_CAUSE = 'cause="drift"'


def size_panel(title, description, figure, expression, ranking):
    """The size of the eight symbols with the highest `ranking` metric, on a logarithmic scale."""
    return lines(
        title,
        description,
        [(outstanding(f"({expression})", "topk", 8, ranking), "{{account}} {{symbol}}")],
        looks.COUNT,
        thresholds=Threshold(figure, SEVERITIES),
        size=(12, 9),
        bounds=(0, None),
        steps=True,
        symlog=True,
        legend="right",
    )


def sizes():
    """The size of drifts and the state of the books, with the thresholds."""
    value = over("max", AS, latest("trading_position_drift_value", TYPED))
    quantity = over("max", AS, f"abs({select('trading_position_drift_quantity', TYPED)})")
    return [
        size_panel(
            "Drift by value",
            "Absolute value of the difference in the account's currency, of the eight largest, "
            "with the thresholds in force. The more severe of value and quantity decides. The "
            "scale is logarithmic.",
            "drift_value",
            value,
            "trading_position_drift_value",
        ),
        size_panel(
            "Drift by quantity",
            "Absolute difference in units of the instrument, of the eight symbols with the most "
            "severe drift, with the thresholds in force. The scale is logarithmic.",
            "drift_quantity",
            quantity,
            "trading_position_drift_severity",
        ),
        lines(
            "In flight",
            "Differences that fills in flight may explain, so they are no drift yet. The eight "
            "symbols with the most changes. No data: nothing was in flight in the time range.",
            [(IN_FLIGHT, "{{account}} {{symbol}}")],
            looks.COUNT,
            size=(12, 9),
            steps=True,
            legend="right",
        ),
        lines(
            "Age of the books",
            "Time since the newest snapshot of each book. Above the threshold, drift cannot be "
            "judged.",
            [
                (
                    age("trading_position_snapshot_timestamp_seconds", ("account", "book")),
                    "{{account}} {{book}}",
                )
            ],
            looks.SECONDS,
            thresholds=Threshold("snapshot_age_seconds", ("",)),
            size=(12, 9),
            bounds=(0, None),
            legend="right",
        ),
        lines(
            "Lag of the books",
            "How much older than its date each list was, judged by the fills that it included. A "
            "broker that lags more than drift.in_flight.lag_max causes a drift. No data: the two "
            "books never differed by fills.",
            [
                (
                    latest("trading_position_book_lag_seconds", ("account", "book")),
                    "{{account}} {{book}}",
                )
            ],
            looks.SECONDS,
            size=(12, 7),
            steps=True,
            legend="right",
        ),
        lines(
            "Lost evidence",
            "Failed fetches of positions, by account and book, and position changes dropped "
            "because a symbol had too many, in each interval.",
            [
                (
                    gain(
                        "trading_position_fetch_failures_total",
                        ("account", "book"),
                        by=("account", "book"),
                        window="$__rate_interval",
                    ),
                    "fetch failed: {{account}} {{book}}",
                ),
                (
                    gain(
                        "trading_position_flows_dropped_total",
                        A,
                        by=("account",),
                        window="$__rate_interval",
                    ),
                    "dropped: {{account}}",
                ),
            ],
            looks.COUNT,
            bars=True,
            size=(12, 7),
            legend="right",
        ),
    ]


def held():
    """Positions in both books."""
    where = {book: f'book="{book}"' for book in ("local", "broker")}
    by_book = {
        book: outstanding(
            f"({latest('trading_position_quantity', (*AS, 'book'), matcher)})",
            "topk",
            8,
            "trading_position_drift_severity",
        )
        for book, matcher in where.items()
    }
    return [
        lines(
            f"Positions in the {book} book",
            "Position of the eight symbols with the most severe drift; negative is short. Choose "
            "other symbols above.",
            [(expression, "{{account}} {{symbol}}")],
            looks.COUNT,
            steps=True,
        )
        for book, expression in by_book.items()
    ]


def consequences():
    """Consequences of drifts."""
    drifts = ("account", "drift", "severity")
    return [
        lines(
            "Drifts confirmed",
            "Drifts confirmed in each interval, by the severity reached.",
            [
                (
                    gain(
                        "trading_position_drifts_total",
                        drifts,
                        by=("severity",),
                        window="$__rate_interval",
                    )
                    + " > 0",
                    "{{severity}}",
                )
            ],
            looks.COUNT,
            bars=True,
            stacked=True,
            colors=COLORS,
            size=(8, 7),
        ),
        lines(
            "Drifts confirmed by type",
            "Drifts confirmed since the exporter began to count, by type.",
            [
                (
                    over("sum", ("drift",), latest("trading_position_drifts_total", drifts)),
                    "{{drift}}",
                )
            ],
            looks.COUNT,
            size=(8, 7),
            steps=True,
            bounds=(0, None),
        ),
        lines(
            "Reconciliations",
            "Reconcile directives by outcome, since the exporter began to count.",
            [
                (
                    over(
                        "sum",
                        ("outcome",),
                        latest("trading_reconciliations_total", ("account", "outcome")),
                    ),
                    "{{outcome}}",
                )
            ],
            looks.COUNT,
            size=(8, 7),
            steps=True,
            bounds=(0, None),
        ),
        timeline(
            "Trading state",
            "The trading state of each account; * applies to all accounts.",
            [(latest("trading_state"), "{{account}}")],
            looks.STATE,
        ),
        lines(
            "Halts and releases",
            "Causes set on latches, by kind, and releases, since the exporter began to count.",
            [
                (
                    over("sum", ("cause",), latest("trading_halts_total", ("account", "cause")))
                    + " > 0",
                    "halt: {{cause}}",
                ),
                (f"sum({latest('trading_halt_releases_total')})", "releases"),
            ],
            looks.COUNT,
            size=(12, 7),
            steps=True,
            bounds=(0, None),
        ),
    ]


def make():
    """The dashboard."""
    table = drifting(
        "Symbols with drift",
        "All symbols whose books differ by more than the tolerance, with the position in each "
        "book. Quantity is local minus broker. The ledger is the sum of the fills that the "
        "exporter received, and shows which side is wrong. No data: no drift, "
        "provided that no book is stale.",
        books=True,
    )
    return board.dashboard(
        board.POSITIONS,
        "Trading / Positions and drift",
        "The engine's book compared with the broker's: drifts, their size, and the consequences.",
        ("job", "instance", "account", "symbol"),
        [
            ("", [*glance(), table]),
            ("Size", [drifting_timeline(size=(24, 7)), *sizes()]),
            ("Positions", held()),
            ("Consequences", consequences()),
        ],
    )
