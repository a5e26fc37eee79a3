"""Execution quality: outcomes of orders, prices, times and costs."""

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model

from . import board, looks
from . import execution_tables as tables
from .execution_tables import REFERENCE
from .panels import Threshold, judged, lines
from .query import AS, A, gain, latest, outstanding, over, quantile, rate, reversed_total

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
    """The variable for the reference price of slippage."""
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
    judging = " The colour is the exporter's own anomaly level; grey: too few samples."
    size = (6, 4)
    return [
        judged(
            "Fill ratio, worst account",
            "Share of ended orders that were filled completely, ignoring orders without a fill "
            "that the user cancelled." + judging,
            "fill_ratio",
            "trading_account_fill_ratio_ex_user_cancels",
            low_is_bad=True,
            size=size,
        ),
        judged(
            "Slippage, worst account",
            "Mean slippage against the expected price; positive is worse." + judging,
            "slippage_bps",
            "trading_account_slippage_bps",
            reference="expected",
            unit=looks.BASIS_POINTS,
            size=size,
        ),
        judged(
            "Rejections, worst account",
            "Share of ended orders that were rejected." + judging,
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
    """The flow of orders."""
    window = "$__rate_interval"
    return [
        lines(
            "Orders by outcome",
            "Orders that ended in each interval, by outcome. An order whose outcome changes later "
            "is counted again.",
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
            "Orders and fills per second",
            "Submitted orders, accepted orders, and executions.",
            [
                (f"sum({rate('trading_orders_submitted_total', AS)})", "submitted"),
                (f"sum({rate('trading_orders_accepted_total', AS)})", "accepted"),
                (f"sum({rate('trading_fills_total', AS)})", "fills"),
            ],
            looks.PER_SECOND,
        ),
        lines(
            "Open and unacknowledged orders",
            "Orders that have not ended, and submitted orders without an answer for too long.",
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
            "Time since the submission of each account's oldest open order. No line: none is open.",
            [(f"time() - {latest('trading_oldest_open_order_timestamp_seconds')}", "{{account}}")],
            looks.SECONDS,
            size=(8, 7),
            bounds=(0, None),
        ),
        lines(
            "Rejections by reason",
            "Orders rejected in each interval, by reason.",
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
    """Ratios of the window."""

    def symbols(metric, pick):
        return outstanding(f"({latest(metric, AS)})", pick, 8, metric)

    return [
        lines(
            "Fill ratio by account",
            "Share of ended orders that were filled completely (without user cancels), with the "
            "thresholds in force.",
            [(latest("trading_account_fill_ratio_ex_user_cancels", replicas="min"), "{{account}}")],
            looks.RATIO,
            thresholds=Threshold("fill_ratio", ("warning", "critical"), "max"),
            bounds=(None, 1),
        ),
        lines(
            "Fill ratio, eight lowest symbols",
            "The eight symbols with the lowest fill ratio now. With few orders a ratio is not "
            "significant: the table below has their number.",
            [(symbols("trading_fill_ratio", "bottomk"), "{{account}} {{symbol}}")],
            looks.RATIO,
            bounds=(0, 1),
            legend="right",
        ),
        lines(
            "Rejections by account",
            "Share of ended orders that were rejected, with the thresholds in force.",
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
    """Prices compared with a reference, and costs."""
    return [
        lines(
            "Slippage by account",
            "Mean slippage of the window's orders against the reference price chosen above; "
            "positive is worse. The thresholds are those of the configured reference.",
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
            "Quantiles of the slippage of the window's orders; q 1 is the worst order. Of the "
            "worst account shown.",
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
            "As above, weighted by the notional of orders.",
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
            "Cost of fills worse than the expected price minus savings of better ones, in each "
            "interval, by account and currency. Below zero: a saving.",
            [
                (
                    net("trading_slippage_cost_total")
                    + f" - ({net('trading_price_improvement_total')})",
                    "{{account}} {{currency}}",
                )
            ],
            looks.COUNT,
            size=(8, 7),
        ),
        lines(
            "Fees, net",
            "Fees minus rebates in each interval, by account and currency.",
            [
                (
                    net("trading_fees_total") + f" - ({net('trading_fee_rebates_total')})",
                    "{{account}} {{currency}}",
                )
            ],
            looks.COUNT,
            size=(8, 7),
        ),
        lines(
            "Notional executed",
            "Absolute price x quantity x multiplier in each interval, minus reversals by busts and "
            "corrections, by account and currency.",
            [(net("trading_executed_notional_total"), "{{account}} {{currency}}")],
            looks.COUNT,
            size=(8, 7),
        ),
    ]


def money(metric):
    """The increase of a money counter in each interval. Currencies are never added."""
    return gain(metric, MONEY, by=("account", "currency"), window="$__rate_interval")


def net(metric):
    """The increase of a money counter minus reversals by busts and corrections."""
    return f"{money(metric)} - {money(reversed_total(metric))}"


def speed():
    """Times of orders."""
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
                f"Quantiles of the time from submission to {what}, in each interval, of the worst "
                "account shown. Estimated from buckets: times beyond the largest bucket show as "
                "its bound.",
                [(f"max({quantile(q, metric)})", f"q {q}") for q in (0.5, 0.95, 0.99)],
                looks.SECONDS,
                bounds=(0, None),
            )
            for what, metric in durations
        ),
    ]


def oddities():
    """Events that should be rare."""
    names = (
        ("overfilled", "trading_overfills_total", AS),
        ("busted fills", "trading_fills_busted_total", AS),
        ("corrected fills", "trading_fills_corrected_total", AS),
        ("outcome changed", "trading_order_outcome_changes_total", A),
    )
    lost = ("account", "reference", "reason")
    return [
        lines(
            "Overfills, busts, corrections",
            "Overfilled orders, busted and corrected fills, and orders whose outcome changed "
            "later, since the exporter began to count.",
            [(f"sum({latest(metric, labels)})", name) for name, metric, labels in names],
            looks.COUNT,
            steps=True,
            size=(8, 7),
            bounds=(0, None),
        ),
        lines(
            "Orders without a reference price",
            "Filled orders without a slippage, because the reference price is missing or zero, "
            "since the exporter began to count.",
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
            "Orders dropped",
            "Orders dropped because the limit of held orders was reached. Above zero, figures are "
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
        "Outcomes of orders, prices, times and costs.",
        ("job", "instance", "account", "symbol"),
        [
            ("", glance()),
            ("Flow", flow()),
            ("Ratios", ratios()),
            ("Price", slippage()),
            ("Time", speed()),
            ("Symbols", tables.symbols()),
            ("By strategy and venue", tables.breakdowns()),
            ("Should be rare", oddities()),
        ],
        extra=(reference(),),
    )
