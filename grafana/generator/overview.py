"""The overview: the state of trading at a glance, and links to the details."""

from . import board, looks
from .drifts import drifting, drifting_timeline
from .panels import Column, Threshold, grid, judged, lines, tile, timeline
from .query import AS, A, age, firing, gain, latest, over, rate, select

HEALTH = latest("trading_system_health")
WORST_HEALTH = f"max({HEALTH})"

# If the rules are loaded, they record series, and no alert means 0. Without these series the number
# of alerts is unknown.
FIRING = (
    f"count({firing(('alertname', 'account', 'symbol', 'drift', 'component'))})"
    ' or 0 * count(job_account:trading_orders_ended:increase5m{job=~"$job"})'
)

EXPECTED = 'reference="expected"'
# All accounts except *, which stands for all of them.
EACH = 'account!="*"'
CHANGED = "trading_state_last_change_timestamp_seconds"
OPENED = ("account", "drift", "severity")


def glance():
    """The first row: tiles with one answer each."""
    state = select("trading_state", A)
    severity = select("trading_position_drift_severity", AS)
    return [
        tile(
            "Trading",
            "The most severe trading state of the accounts shown. HALTED: no new orders until a "
            "person releases the halt. No data: the exporter is not scraped.",
            [(f"max({state})", "")],
            meaning=looks.STATE,
        ),
        tile(
            "Worst drift",
            "The highest severity of the differences between the engine's book and the broker's, "
            "by the thresholds in force. MINOR is reconciled, MODERATE alerts, CRITICAL halts. "
            "Not meaningful while a book is stale: see the next tile.",
            [(f"max({severity})", "")],
            meaning=looks.SEVERITY,
        ),
        tile(
            "Books",
            "STALE: a book of an account is too old or has never arrived, so drift cannot be "
            "judged, whatever the previous tile shows.",
            [(f"max({select('trading_position_drift_stale', A)})", "")],
            meaning=looks.STALE,
            size=(3, 4),
        ),
        tile(
            "System health",
            "The health of all components of the worst account. A silent component is unknown, "
            "never healthy.",
            [(WORST_HEALTH, "")],
            meaning=looks.HEALTH,
            size=(4, 4),
        ),
        tile(
            "Alerts firing",
            "Firing alerts about these exporters and accounts. No data: the alert rules are not "
            "loaded, so no alert can fire, or no order was received yet.",
            [(FIRING, "")],
            steps=((0, looks.GREEN), (1, looks.RED)),
            size=(3, 4),
        ),
        tile(
            "Last event",
            "Time since the last event of the accounts shown. It has no colour, because a market "
            "may be closed; a silent engine shows in System health.",
            [(f"min({age('trading_last_event_timestamp_seconds')})", "")],
            unit=looks.SECONDS,
            decimals=0,
            size=(3, 4),
        ),
        tile(
            "Open drifts",
            "Drifts that are confirmed and not cleared, of all accounts.",
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
    """The second row: four figures of execution quality, coloured by the exporter's judgement."""
    judging = (
        " The colour is the exporter's own anomaly level, by the thresholds in force and with "
        "hysteresis; grey: too few samples in the window."
    )
    return [
        judged(
            "Fill ratio, worst account",
            "Share of an account's ended orders that were filled completely, ignoring orders "
            "without a fill that the user cancelled." + judging,
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
            "Share of an account's ended orders that the venue or the broker rejected." + judging,
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
        "All accounts, halted ones first. For: time in this state; no data if it was never in "
        "another. Orders and Fills: number of samples of the figures. An empty cell is unknown, "
        "not zero.",
        [Column("Account", "account", link=link)],
        columns,
        "State",
        size=(24, 8),
    )


def worst_symbols():
    """The symbols with the worst figures."""
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
            "The ten symbols with the most severe drift. Quantity is local minus broker; value is "
            "in the account's currency. No data: no drift, provided that no book is stale.",
            "topk(10, {})",
            size=(12, 8),
        ),
        grid(
            "Worst symbols by slippage",
            "The ten symbols with the highest mean slippage against the expected price, among "
            "those with enough samples. Positive is worse.",
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
    """Graphs over the time range."""
    orders = ("submitted", "filled", "cancelled", "expired", "rejected", "denied")
    return [
        timeline(
            "Trading state",
            "The trading state of each account over time; * applies to all accounts.",
            [(latest("trading_state"), "{{account}}")],
            looks.STATE,
        ),
        drifting_timeline(),
        lines(
            "Fill ratio",
            "Fill ratio of each account's window without user cancels, with the thresholds in "
            "force (the strictest, if accounts differ).",
            [(latest("trading_account_fill_ratio_ex_user_cancels", replicas="min"), "{{account}}")],
            looks.RATIO,
            thresholds=Threshold("fill_ratio", ("warning", "critical"), "max"),
            bounds=(None, 1),
        ),
        lines(
            "Slippage against the expected price",
            "Mean slippage of each account's window in basis points (positive is worse), with the "
            "thresholds in force.",
            [(latest("trading_account_slippage_bps", A, EXPECTED), "{{account}}")],
            looks.BASIS_POINTS,
            thresholds=Threshold("slippage_bps", ("warning", "critical")),
            bounds=(0, None),
        ),
        lines(
            "Orders by outcome",
            "Orders submitted and ended per second, by outcome.",
            [(f"sum({rate(f'trading_orders_{what}_total', AS)})", what) for what in orders],
            looks.PER_SECOND,
        ),
        lines(
            "Rejections by reason",
            "Orders that the venue or the broker rejected in each interval, by reason.",
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
        "Is anything halted? Do the books agree? Is execution good? Is the data complete?",
        ("job", "instance", "account", "symbol"),
        [
            ("", [*glance(), *quality(), accounts()]),
            ("Worst symbols", worst_symbols()),
            ("History", history()),
        ],
    )
