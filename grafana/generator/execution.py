"""Execution quality: what became of orders, at what price, how fast, at what cost."""

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model

from . import board, looks
from . import execution_tables as tables
from .execution_tables import REFERENCE
from .panels import Threshold, judged, lines
from .query import AS, A, gain, latest, outstanding, over, quantile, rate, taken_away

OUTCOMES = ("filled", "cancelled", "expired", "rejected", "denied")
OUTCOME_COLORS = (
    ("filled", looks.GREEN),
    ("cancelled", looks.BLUE),
    ("expired", looks.YELLOW),
    ("rejected", looks.RED),
    ("denied", "purple"),
)
MONEY = (*AS, "currency")


def reference():
    """Which price slippage is measured against."""
    names = ("expected", "arrival", "limit")
    return (
        build.CustomVariable("reference")
        .label("Reference price")
        .values(",".join(names))
        .options([model.VariableOption(selected=n == names[0], text=n, value=n) for n in names])
        .current(model.VariableOption(selected=True, text=names[0], value=names[0]))
    )


def glance():
    """The figures of the worst account."""
    judging = " The colour is the exporter's own judgement; grey: too few samples to judge."
    size = (6, 4)
    return [
        judged(
            "Fill ratio, worst account",
            "Orders filled completely, of those that ended, without untouched ones that the user "
            "cancelled." + judging,
            "fill_ratio",
            "trading_account_fill_ratio_ex_user_cancels",
            low_is_bad=True,
            size=size,
        ),
        judged(
            "Slippage, worst account",
            "Against the expected price, positive is worse." + judging,
            "slippage_bps",
            "trading_account_slippage_bps",
            reference="expected",
            unit=looks.BASIS_POINTS,
            size=size,
        ),
        judged(
            "Rejections, worst account",
            "Orders rejected, of those that ended." + judging,
            "rejection_ratio",
            "trading_account_rejection_ratio",
            size=size,
        ),
        judged(
            "Fill time, worst account",
            "Mean time from submission to the last fill." + judging,
            "fill_time_seconds",
            "trading_account_fill_time_seconds_mean",
            unit=looks.SECONDS,
            size=size,
        ),
    ]


def flow():
    """Orders in, orders out."""
    window = "$__rate_interval"
    return [
        lines(
            "Orders by outcome",
            "Orders that ended in the time between two points, by outcome. An order whose outcome "
            "changes late is counted again.",
            [
                (f"sum({gain(f'trading_orders_{what}_total', AS, window=window)})", what)
                for what in OUTCOMES
            ],
            looks.COUNT,
            bars=True,
            stacked=True,
            colors=OUTCOME_COLORS,
        ),
        lines(
            "Orders and fills a second",
            "Orders submitted and accepted, and executions.",
            [
                (f"sum({rate('trading_orders_submitted_total', AS)})", "submitted"),
                (f"sum({rate('trading_orders_accepted_total', AS)})", "accepted"),
                (f"sum({rate('trading_fills_total', AS)})", "fills"),
            ],
            looks.PER_SECOND,
        ),
        lines(
            "Open and unacknowledged orders",
            "Orders that have not ended, and those of which nothing was heard for too long.",
            [
                (f"sum({latest('trading_orders_open', AS)})", "open"),
                (f"sum({latest('trading_orders_unacknowledged', AS)})", "unacknowledged"),
            ],
            looks.COUNT,
            size=(8, 7),
            colors=(("unacknowledged", looks.RED),),
            steps=True,
            bounds=(0, None),
        ),
        lines(
            "Age of the oldest open order",
            "Time since the oldest open order of each account was submitted. No line: none.",
            [(f"time() - {latest('trading_oldest_open_order_timestamp_seconds')}", "{{account}}")],
            looks.SECONDS,
            size=(8, 7),
            bounds=(0, None),
        ),
        lines(
            "Rejections by reason",
            "Orders rejected in the time between two points, by a closed set of reasons.",
            [
                (
                    gain(
                        "trading_rejections_by_reason_total",
                        ("account", "reason"),
                        by=("reason",),
                        window=window,
                    )
                    + " > 0",
                    "{{reason}}",
                )
            ],
            looks.COUNT,
            bars=True,
            stacked=True,
            size=(8, 7),
        ),
    ]


def ratios():
    """Shares of the window."""

    def symbols(metric, pick):
        return outstanding(f"({latest(metric, AS)})", pick, 8, metric)

    return [
        lines(
            "Fill ratio by account",
            "Orders filled completely, of those that ended (without user cancels), with the "
            "thresholds in force.",
            [(latest("trading_account_fill_ratio_ex_user_cancels", replicas="min"), "{{account}}")],
            looks.RATIO,
            thresholds=Threshold("fill_ratio", ("warning", "critical"), "max"),
            bounds=(None, 1),
        ),
        lines(
            "Fill ratio, eight lowest symbols",
            "The eight symbols with the lowest fill ratio now. A few orders make a ratio wild: the "
            "table below has their number.",
            [(symbols("trading_fill_ratio", "bottomk"), "{{account}} {{symbol}}")],
            looks.RATIO,
            bounds=(0, 1),
            legend="right",
        ),
        lines(
            "Rejections by account",
            "Orders rejected, of those that ended, with the thresholds in force.",
            [(latest("trading_account_rejection_ratio"), "{{account}}")],
            looks.RATIO,
            thresholds=Threshold("rejection_ratio", ("warning", "critical")),
            bounds=(0, None),
        ),
        lines(
            "Rejections, eight highest symbols",
            "The eight symbols with the highest share of rejected orders now.",
            [(symbols("trading_rejection_ratio", "topk"), "{{account}} {{symbol}}")],
            looks.RATIO,
            bounds=(0, None),
            legend="right",
        ),
    ]


def slippage():
    """Prices against a reference."""
    return [
        lines(
            "Slippage by account",
            "Mean slippage of the window's orders against the reference chosen above; positive is "
            "worse. The thresholds are those for the reference that the configuration judges by.",
            [(latest("trading_account_slippage_bps", A, REFERENCE), "{{account}}")],
            looks.BASIS_POINTS,
            thresholds=Threshold("slippage_bps", ("warning", "critical")),
        ),
        lines(
            "Slippage, eight worst symbols",
            "The eight symbols with the highest mean slippage now.",
            [
                (
                    outstanding(
                        f"({latest('trading_slippage_bps', AS, REFERENCE)})",
                        "topk",
                        8,
                        "trading_slippage_bps",
                        REFERENCE,
                    ),
                    "{{account}} {{symbol}}",
                )
            ],
            looks.BASIS_POINTS,
            legend="right",
        ),
        lines(
            "Slippage, quantiles",
            "Half, 95 % and 99 % of the window's orders had no more slippage than this; q 1 is "
            "the worst one. The worst account of those shown.",
            [
                (
                    over(
                        "max",
                        ("q",),
                        latest("trading_slippage_quantile_bps", ("account", "q"), REFERENCE),
                    ),
                    "q {{q}}",
                )
            ],
            looks.BASIS_POINTS,
        ),
        lines(
            "Slippage weighted by notional, eight worst symbols",
            "As above, but large orders count for more.",
            [
                (
                    outstanding(
                        f"({latest('trading_slippage_weighted_bps', AS, REFERENCE)})",
                        "topk",
                        8,
                        "trading_slippage_weighted_bps",
                        REFERENCE,
                    ),
                    "{{account}} {{symbol}}",
                )
            ],
            looks.BASIS_POINTS,
            legend="right",
        ),
        lines(
            "Cost of slippage, net",
            "What fills worse than the expected price cost, less what better ones saved, in the "
            "time between two points. Below zero: saved. By account and currency.",
            [
                (
                    standing("trading_slippage_cost_total")
                    + f" - ({standing('trading_price_improvement_total')})",
                    "{{account}} {{currency}}",
                )
            ],
            looks.COUNT,
            size=(8, 7),
        ),
        lines(
            "Fees, net",
            "Fees less rebates in the time between two points, by account and currency.",
            [
                (
                    standing("trading_fees_total")
                    + f" - ({standing('trading_fee_rebates_total')})",
                    "{{account}} {{currency}}",
                )
            ],
            looks.COUNT,
            size=(8, 7),
        ),
        lines(
            "Notional executed",
            "Absolute price x quantity x multiplier in the time between two points, less what "
            "busts and corrections took away, by account and currency.",
            [(standing("trading_executed_notional_total"), "{{account}} {{currency}}")],
            looks.COUNT,
            size=(8, 7),
        ),
    ]


def money(metric):
    """What a counter of money gained between two points; currencies are never added."""
    return gain(metric, MONEY, by=("account", "currency"), window="$__rate_interval")


def standing(metric):
    """The same, less what busts and corrections took away."""
    return f"{money(metric)} - {money(taken_away(metric))}"


def speed():
    """Times."""
    durations = (
        ("acknowledgement", "trading_order_ack_duration_seconds"),
        ("last fill", "trading_order_fill_duration_seconds"),
    )
    return [
        lines(
            "Mean fill time by account",
            "Mean time from submission to last fill of the window's filled orders, with the "
            "thresholds in force.",
            [(latest("trading_account_fill_time_seconds_mean"), "{{account}}")],
            looks.SECONDS,
            thresholds=Threshold("fill_time_seconds", ("warning", "critical")),
            bounds=(0, None),
        ),
        lines(
            "Mean times, eight slowest symbols",
            "The eight symbols with the highest mean fill time now.",
            [
                (
                    outstanding(
                        f"({latest('trading_fill_time_seconds_mean', AS)})",
                        "topk",
                        8,
                        "trading_fill_time_seconds_mean",
                    ),
                    "{{account}} {{symbol}}",
                )
            ],
            looks.SECONDS,
            legend="right",
        ),
        *(
            lines(
                f"Time to {what}, quantiles",
                f"Time from submission to {what} of orders in the time between two points: half "
                "and 99 % took no longer. The worst account of those shown. Estimated from "
                "buckets: longer times than the largest bucket show as its bound.",
                [(f"max({quantile(q, metric)})", f"q {q}") for q in (0.5, 0.95, 0.99)],
                looks.SECONDS,
                bounds=(0, None),
            )
            for what, metric in durations
        ),
    ]


def oddities():
    """What should not happen."""
    names = (
        ("overfilled", "trading_overfills_total", AS),
        ("busted fills", "trading_fills_busted_total", AS),
        ("corrected fills", "trading_fills_corrected_total", AS),
        ("outcome changed", "trading_order_outcome_changes_total", A),
    )
    lost = ("account", "reference", "reason")
    return [
        lines(
            "Oddities",
            "Orders overfilled, fills busted and corrected, orders whose outcome changed late, "
            "since the exporter began to count.",
            [(f"sum({latest(metric, labels)})", name) for name, metric, labels in names],
            looks.COUNT,
            steps=True,
            size=(8, 7),
            bounds=(0, None),
        ),
        lines(
            "Orders without a reference price",
            "Filled orders that slippage could not be measured for, since the exporter began to "
            "count: the reference is absent or zero.",
            [
                (
                    over(
                        "sum",
                        ("reference", "reason"),
                        latest("trading_missing_references_total", lost),
                    )
                    + " > 0",
                    "{{reference}}: {{reason}}",
                )
            ],
            looks.COUNT,
            steps=True,
            size=(8, 7),
            bounds=(0, None),
        ),
        lines(
            "Orders forgotten",
            "Orders forgotten because as many are held as may be. Above zero, figures are "
            "incomplete.",
            [
                (
                    over(
                        "sum",
                        ("kind",),
                        latest("trading_orders_dropped_total", ("account", "kind")),
                    ),
                    "{{kind}}",
                )
            ],
            looks.COUNT,
            steps=True,
            size=(8, 7),
            bounds=(0, None),
        ),
    ]


def make():
    """The dashboard."""
    return board.dashboard(
        board.EXECUTION,
        "Trading / Execution",
        "What became of orders, at what price, how fast, and at what cost.",
        ("job", "instance", "account", "symbol"),
        [
            ("", glance()),
            ("Flow", flow()),
            ("Ratios", ratios()),
            ("Price", slippage()),
            ("Time", speed()),
            ("Symbols", tables.symbols()),
            ("By strategy and venue", tables.breakdowns()),
            ("What should not happen", oddities()),
        ],
        extra=(reference(),),
    )
