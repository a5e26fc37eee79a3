"""The books: what differs, since when, and what was done about it."""

from . import board, looks
from .drifts import drifting, drifting_timeline
from .panels import Threshold, lines, tile, timeline
from .query import AS, A, age, gain, latest, outstanding, over, select

TYPED = (*AS, "drift")
SEVERITIES = ("minor", "moderate", "critical")
COLORS = tuple((severity, looks.THRESHOLD_COLORS[severity]) for severity in SEVERITIES)


PENDING = "trading_position_pending_quantity"
# Symbols whose pending quantity changed at all.
IN_FLIGHT = outstanding(f"({latest(PENDING, AS)})", "topk", 8, PENDING, by="changes") + " > 0"


def glance():
    """Tiles: how many, how bad, how sure."""
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
                f"Differences of severity {severity} that are confirmed and not cleared.",
                [(f"sum({latest('trading_position_drift_open', opened, where)})", "")],
                steps=((0, looks.GREEN), (1, color)),
            )
        )
    return [
        *tiles,
        tile(
            "Books",
            "STALE: a book is too old, or has never come, and drift cannot be judged.",
            [(f"max({select('trading_position_drift_stale', A)})", "")],
            meaning=looks.STALE,
        ),
        tile(
            "Halts by drift",
            "Halts that a critical drift caused in the time shown.",
            [(f"sum({gain('trading_halts_total', ('account', 'cause'), HALT_CAUSE)})", "")],
            steps=((0, looks.GREEN), (0.5, looks.RED)),
            decimals=0,
        ),
    ]


HALT_CAUSE = 'cause="drift"'


def sizes():
    """How large the differences are, against the thresholds."""
    value = over("max", AS, latest("trading_position_drift_value", TYPED))
    quantity = over("max", AS, f"abs({select('trading_position_drift_quantity', TYPED)})")
    return [
        lines(
            "Drift by value",
            "Absolute value of the difference, in the account's currency, of the eight largest, "
            "with the thresholds in force. The worst of value and quantity decides. The scale is "
            "logarithmic.",
            [
                (
                    outstanding(f"({value})", "topk", 8, "trading_position_drift_value"),
                    "{{account}} {{symbol}}",
                )
            ],
            looks.COUNT,
            thresholds=Threshold("drift_value", SEVERITIES),
            size=(12, 9),
            bounds=(0, None),
            steps=True,
            symlog=True,
            legend="right",
        ),
        lines(
            "Drift by quantity",
            "Absolute difference in units of the instrument, of the eight symbols with the most "
            "severe drift, with the thresholds in force.",
            [
                (
                    outstanding(f"({quantity})", "topk", 8, "trading_position_drift_severity"),
                    "{{account}} {{symbol}}",
                )
            ],
            looks.COUNT,
            thresholds=Threshold("drift_quantity", SEVERITIES),
            size=(12, 9),
            bounds=(0, None),
            steps=True,
            symlog=True,
            legend="right",
        ),
        lines(
            "In flight",
            "Differences that fills under way may explain: shown, and not yet drift. Up to eight "
            "symbols, the busiest. No data: nothing was in flight in the time shown.",
            [(IN_FLIGHT, "{{account}} {{symbol}}")],
            looks.COUNT,
            size=(12, 9),
            steps=True,
            legend="right",
        ),
        lines(
            "Age of the books",
            "Time since the newest snapshot of each book. Above the threshold drift cannot be "
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
            "How much older than its date each list was, by the fills that it already had. A "
            "broker that lags more than drift.in_flight.lag_max is judged as drift. No data: the "
            "two books never differed by fills.",
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
            "Evidence that was lost",
            "Fetches of positions that failed, by account and book, and changes of position that "
            "were dropped because a symbol had too many, in the time between two points.",
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
    """What is held."""
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
            f"Held by the {book} book" if book == "local" else "Held by the broker",
            "Position of the eight symbols with the most severe drift, negative is short. Choose "
            "a symbol above to see others.",
            [(expression, "{{account}} {{symbol}}")],
            looks.COUNT,
            steps=True,
        )
        for book, expression in by_book.items()
    ]


def consequences():
    """What was done."""
    drifts = ("account", "drift", "severity")
    return [
        lines(
            "Drifts confirmed",
            "Drifts confirmed in the time between two points, by the severity reached.",
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
            "Reconcile directives by what became of them, since the exporter began to count.",
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
            "Whether each account may trade; * holds for all accounts.",
            [(latest("trading_state"), "{{account}}")],
            looks.STATE,
        ),
        lines(
            "Halts and releases",
            "Causes set on the latches, by kind, and releases, since the exporter began to count.",
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
        "Symbols that differ",
        "Every symbol whose books differ by more than the tolerance, with what each book holds. "
        "Quantity is local minus broker; the ledger follows the fills that the exporter saw and "
        "tells which side is wrong. No data: no book differs, if the books are not stale.",
        books=True,
    )
    return board.dashboard(
        board.POSITIONS,
        "Trading / Positions and drift",
        "The engine's book against the broker's: what differs, how much, and what was done.",
        ("job", "instance", "account", "symbol"),
        [
            ("", [*glance(), table]),
            ("How much", [drifting_timeline(size=(24, 7)), *sizes()]),
            ("What is held", held()),
            ("What was done", consequences()),
        ],
    )
