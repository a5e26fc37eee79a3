"""What a desk must see in five seconds, and below it where to look next."""

from . import board, looks
from .drifts import drifting, drifting_timeline
from .panels import Column, Threshold, grid, judged, lines, tile, timeline
from .query import AS, A, age, firing, gain, latest, over, rate, select

HEALTH = latest("trading_system_health")
WORST_HEALTH = f"max({HEALTH})"

# Where the rules are loaded, they record series: with these, no alert is 0, and without them
# nothing is known.
FIRING = (
    f"count({firing(('alertname', 'account', 'symbol', 'drift', 'component'))})"
    ' or 0 * count(job_account:trading_orders_ended:increase5m{job=~"$job"})'
)

EXPECTED = 'reference="expected"'
# Beside * there are the accounts, which are under what holds for all.
EACH = 'account!="*"'
CHANGED = "trading_state_last_change_timestamp_seconds"
OPENED = ("account", "drift", "severity")


def glance():
    """The first row: one look, one answer each."""
    state = select("trading_state", A)
    severity = select("trading_position_drift_severity", AS)
    return [
        tile(
            "Trading",
            "The worst trading state of the accounts shown. HALTED: no new orders, until a person "
            "releases the halt. No data: the exporter is not scraped, so nothing is known.",
            [(f"max({state})", "")],
            meaning=looks.STATE,
        ),
        tile(
            "Worst drift",
            "The highest severity of the differences between the engine's book and the broker's, "
            "by the thresholds in force. MINOR is reconciled, MODERATE alerts, CRITICAL halts. "
            "Worth nothing while a book is stale: look at the tile beside it.",
            [(f"max({severity})", "")],
            meaning=looks.SEVERITY,
        ),
        tile(
            "Books",
            "STALE: a book of an account is too old, or has never come, so its drift cannot be "
            "judged, whatever the tile beside this one says.",
            [(f"max({select('trading_position_drift_stale', A)})", "")],
            meaning=looks.STALE,
            size=(3, 4),
        ),
        tile(
            "System health",
            "What the components of the accounts add up to, the worst account counts. Silence is "
            "unknown, and never healthy.",
            [(WORST_HEALTH, "")],
            meaning=looks.HEALTH,
            size=(4, 4),
        ),
        tile(
            "Alerts firing",
            "Alerts that fire about these exporters and accounts. No data: the alert rules are not "
            "loaded, so nobody would be told of anything, or no order was ever seen.",
            [(FIRING, "")],
            steps=((0, looks.GREEN), (1, looks.RED)),
            size=(3, 4),
        ),
        tile(
            "Last event",
            "How long ago the exporter was last told anything about the accounts shown. It has no "
            "colour: a market may be closed, and the silence of an engine shows in System health.",
            [(f"min({age('trading_last_event_timestamp_seconds')})", "")],
            unit=looks.SECONDS,
            decimals=0,
            size=(3, 4),
        ),
        tile(
            "Open drifts",
            "Differences between the books that are confirmed and not cleared, all accounts.",
            [
                (
                    f"sum({latest('trading_position_drift_open', OPENED)})",
                    "",
                )
            ],
            steps=((0, looks.GREEN), (1, looks.ORANGE)),
            size=(3, 4),
        ),
    ]


def quality():
    """The second row: the four figures of execution quality, judged by the exporter."""
    judging = (
        " The colour is the exporter's own judgement by the thresholds in force, with their "
        "hysteresis; grey: too few samples in the window to judge."
    )
    return [
        judged(
            "Fill ratio, worst account",
            "Share of an account's ended orders that were filled completely, without untouched "
            "ones that the user cancelled." + judging,
            "fill_ratio",
            "trading_account_fill_ratio_ex_user_cancels",
            low_is_bad=True,
            size=(6, 4),
        ),
        judged(
            "Slippage, worst account",
            "Mean slippage against the expected price; positive is worse." + judging,
            "slippage_bps",
            "trading_account_slippage_bps",
            reference="expected",
            unit=looks.BASIS_POINTS,
            size=(6, 4),
        ),
        judged(
            "Rejections, worst account",
            "Share of an account's ended orders that venue or broker rejected." + judging,
            "rejection_ratio",
            "trading_account_rejection_ratio",
            size=(6, 4),
        ),
        judged(
            "Fill time, worst account",
            "Mean time from submission to the last fill of filled orders." + judging,
            "fill_time_seconds",
            "trading_account_fill_time_seconds_mean",
            unit=looks.SECONDS,
            size=(6, 4),
        ),
    ]


def accounts():
    """One row for each account."""
    link = board.to(board.POSITIONS, account="Account")
    columns = [
        Column("State", latest("trading_state", where=EACH), meaning=looks.STATE, width=105),
        Column(
            "For", age("trading_state_last_change_timestamp_seconds"), looks.SECONDS, 0, width=85
        ),
        Column(
            "Worst drift",
            over("max", A, select("trading_position_drift_severity", AS)),
            meaning=looks.SEVERITY,
            width=115,
        ),
        Column("Books", latest("trading_position_drift_stale"), meaning=looks.STALE, width=85),
        Column(
            "Health", latest("trading_system_health", where=EACH), meaning=looks.HEALTH, width=110
        ),
        Column(
            "Anomaly",
            over("max", A, select("trading_anomaly", ("account", "symbol"))),
            meaning=looks.LEVEL,
            width=105,
        ),
        Column(
            "Fill ratio",
            latest("trading_account_fill_ratio_ex_user_cancels", replicas="min"),
            looks.RATIO,
            1,
            width=100,
        ),
        Column(
            "Slippage",
            latest("trading_account_slippage_bps", A, EXPECTED),
            looks.BASIS_POINTS,
            1,
            width=100,
        ),
        Column("Rejected", latest("trading_account_rejection_ratio"), looks.RATIO, 1, width=100),
        Column(
            "Fill time",
            latest("trading_account_fill_time_seconds_mean"),
            looks.SECONDS,
            1,
            width=100,
        ),
        Column("Fills", latest("trading_account_window_fills"), looks.WHOLE, width=75),
        Column("Orders", latest("trading_account_window_orders"), looks.WHOLE, width=85),
        Column(
            "Last event", age("trading_last_event_timestamp_seconds"), looks.SECONDS, 0, width=110
        ),
    ]
    return grid(
        "Accounts, worst first",
        "Every account, the halted ones first. For: since when it is in this state; no data if "
        "it was never in another. Orders and Fills: how many are behind the figures. "
        "A cell without a value: nothing is known, which is not zero.",
        [Column("Account", "account", link=link)],
        columns,
        "State",
        size=(24, 8),
    )


def worst_symbols():
    """Where the trouble is."""
    enough = "trading_window_samples"
    few = 'figure="slippage_bps", reference="expected"'
    minimum = latest("trading_threshold", A, 'figure="min_samples"')
    judgeable = f"({latest(enough, AS, few)} >= on (account) group_left () {minimum})"
    slippage = (
        f"{latest('trading_slippage_bps', AS, EXPECTED)} and on (account, symbol) {judgeable}"
    )
    link = board.to(board.EXECUTION, account="Account", symbol="Symbol")
    return [
        drifting(
            "Worst symbols by drift",
            "The ten symbols whose books differ most severely. Quantity is local minus broker; "
            "value is in the account's currency. No data: no book differs, if books are not stale.",
            "topk(10, {})",
            size=(12, 8),
        ),
        grid(
            "Worst symbols by slippage",
            "The ten symbols with the highest mean slippage against the expected price, of those "
            "with enough orders to judge. Positive is worse.",
            [Column("Account", "account"), Column("Symbol", "symbol", link=link)],
            [
                Column("Slippage", f"topk(10, {slippage})", looks.BASIS_POINTS, 1, width=110),
                Column(
                    "Fill ratio",
                    f"{latest('trading_fill_ratio', AS)} and on (account, symbol) "
                    f"topk(10, {slippage})",
                    looks.RATIO,
                    1,
                    width=110,
                ),
                Column(
                    "Orders",
                    f"{latest('trading_window_orders', AS)} and on (account, symbol) "
                    f"topk(10, {slippage})",
                    looks.WHOLE,
                    width=90,
                ),
            ],
            "Slippage",
            size=(12, 8),
        ),
    ]


def history():
    """How it came to this."""
    orders = ("submitted", "filled", "cancelled", "expired", "rejected", "denied")
    return [
        timeline(
            "Trading state",
            "The trading state of each account over time; * holds for all accounts.",
            [(latest("trading_state"), "{{account}}")],
            looks.STATE,
        ),
        drifting_timeline(),
        lines(
            "Fill ratio",
            "Fill ratio of each account's window without user cancels, with the thresholds in "
            "force (the strictest, if those of accounts differ).",
            [(latest("trading_account_fill_ratio_ex_user_cancels", replicas="min"), "{{account}}")],
            looks.RATIO,
            thresholds=Threshold("fill_ratio", ("warning", "critical"), "max"),
            bounds=(None, 1),
        ),
        lines(
            "Slippage against the expected price",
            "Mean slippage of each account's window in basis points, positive is worse, with the "
            "thresholds in force.",
            [(latest("trading_account_slippage_bps", A, EXPECTED), "{{account}}")],
            looks.BASIS_POINTS,
            thresholds=Threshold("slippage_bps", ("warning", "critical")),
            bounds=(0, None),
        ),
        lines(
            "Orders by outcome",
            "Orders submitted a second, and how they ended.",
            [(f"sum({rate(f'trading_orders_{what}_total', AS)})", what) for what in orders],
            looks.PER_SECOND,
        ),
        lines(
            "Rejections by reason",
            "Orders that venue or broker rejected in the time between two points, by reason.",
            [
                (
                    gain(
                        "trading_rejections_by_reason_total",
                        ("account", "reason"),
                        by=("reason",),
                        window="$__rate_interval",
                    )
                    + " > 0",
                    "{{reason}}",
                )
            ],
            looks.COUNT,
            bars=True,
            stacked=True,
        ),
    ]


def make():
    """The dashboard."""
    return board.dashboard(
        board.OVERVIEW,
        "Trading / Overview",
        "Is anything halted, do the books agree, is execution well, and does the exporter know?",
        ("job", "instance", "account", "symbol"),
        [
            ("", [*glance(), *quality(), accounts()]),
            ("Worst symbols", worst_symbols()),
            ("How it came to this", history()),
        ],
    )
