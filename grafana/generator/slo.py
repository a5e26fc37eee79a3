"""The service level objective of fills: its error budget, and how fast the budget burns."""

from . import board, looks
from .panels import Column, grid, lines, tile
from .query import AS, A, gain, latest, over, rate, select

ENDED = ("filled", "cancelled", "expired", "rejected")
# The objective is the warning level of the fill ratio, which is configured in the exporter only.
PROMISE = 'account!="*", figure="fill_ratio", severity="warning"'
OBJECTIVE = latest("trading_threshold", A, PROMISE)
# The pairs of windows of the alerts, with the factor and the severity of each.
BURNS = (("1h", "5m", 14.4, "critical"), ("6h", "30m", 6, "moderate"), ("3d", "6h", 1, "minor"))
# Upper bound of the alert's threshold (factor times budget), as a share of unfilled orders.
CAP = 0.8
# Fewer orders are not significant.
ORDERS_MIN = 50


def filled(window):
    """Orders filled, by account."""
    return gain("trading_orders_filled_total", AS, by=A, window=window)


def ended(window):
    """Orders that reached the venue and ended, by account."""
    return (
        "("
        + " + ".join(
            gain(f"trading_orders_{what}_total", AS, by=A, window=window) for what in ENDED
        )
        + ")"
    )


def missed(window):
    """Share of the ended orders that were not filled, by account."""
    return f"(1 - {filled(window)} / ({ended(window)} > 0))"


def burn(window):
    """Burn rate by account: 1 uses up exactly the budget."""
    return f"{missed(window)} / on (account) (1 - {OBJECTIVE})"


def left():
    """The remaining share of the budget of the time range, by account."""
    return f"1 - {burn('$__range')}"


def recorded(window):
    """Burn rate over a window by account, from the recording rules."""
    series = f"job_account:trading_orders_unfilled:ratio_increase{window}"
    ratio = over("max", A, f'{series}{{job=~"$job", account=~"$account"}}')
    return f"{ratio} / on (account) (1 - {OBJECTIVE})"


def pair(budget, long, short, factor, severity):
    """The burn rates over the two windows of an alert, with its threshold for both."""
    fires = f"min(clamp_max({factor} * (1 - {OBJECTIVE}), {CAP}) / on (account) (1 - {OBJECTIVE}))"
    return lines(
        f"Burn rate, {long} and {short}",
        budget + f"Its burn rate over the last {long} and the last {short}; 1 uses up exactly the "
        f"budget. If both exceed the dashed line, an alert of severity {severity} fires. No data: "
        "no order ended, or the alert rules, which record these series, are not loaded.",
        [
            (recorded(long), f"{{{{account}}}} {long}"),
            (recorded(short), f"{{{{account}}}} {short}"),
        ],
        looks.PLAIN,
        size=(8, 9),
        bounds=(0, None),
        limits=((fires, f"fires: {severity}", looks.THRESHOLD_COLORS[severity]),),
    )


def make():
    """The dashboard."""
    budget = (
        "The budget is the allowed share of unfilled orders: one minus the warning level of the "
        "fill ratio, as configured for the account. "
    )
    few = f"{ended('$__range')} < {ORDERS_MIN}"
    glance = [
        tile(
            "Budget left, worst account",
            budget + "The remaining share for the orders of the time range. Below zero the "
            f"objective is missed. Accounts with fewer than {ORDERS_MIN} orders are ignored.",
            [(f"min(({left()}) unless on (account) ({few}))", "")],
            unit=looks.RATIO,
            decimals=0,
            steps=((-1e9, looks.RED), (0, looks.ORANGE), (0.25, looks.GREEN)),
            size=(6, 4),
        ),
        tile(
            "Burn rate, last hour, worst account",
            budget + "1 uses up exactly the budget; above 1, it is used up too fast.",
            [(f"max(({burn('1h')}) unless on (account) ({ended('1h')} < {ORDERS_MIN}))", "")],
            unit=looks.PLAIN,
            decimals=1,
            steps=((-1e9, looks.GREEN), (1, looks.ORANGE), (6, looks.RED)),
            size=(6, 4),
        ),
        tile(
            "Orders ended",
            "Orders that reached the venue and ended in the time range, of all accounts.",
            [(f"sum({ended('$__range')})", "")],
            unit=looks.WHOLE,
            decimals=0,
            size=(6, 4),
        ),
        tile(
            "Filled",
            "Share of these orders that were filled completely, all accounts together.",
            [(f"sum({filled('$__range')}) / sum({ended('$__range')})", "")],
            unit=looks.RATIO,
            decimals=1,
            size=(6, 4),
        ),
    ]
    table = grid(
        "Accounts",
        "The objective of each account in the time range, highest burn rate first. " + budget,
        [Column("Account", "account", link=board.to(board.EXECUTION, account="Account"))],
        [
            Column("Burn rate", burn("$__range"), looks.PLAIN, 2),
            Column("Objective", OBJECTIVE, looks.RATIO, 1),
            Column("Filled", f"1 - {missed('$__range')}", looks.RATIO, 1),
            Column("Budget left", left(), looks.RATIO, 0),
            Column("Orders", ended("$__range"), looks.WHOLE, 0),
        ],
        "Burn rate",
        size=(24, 8),
    )
    rates = [pair(budget, *burning) for burning in BURNS]
    fewest = over("max", (), select("trading_threshold", A, 'figure="min_samples"'))
    history = [
        lines(
            "Ended orders",
            "Orders per second that were filled, and that ended otherwise, of all accounts.",
            [
                (f"sum({rate('trading_orders_filled_total', AS)})", "filled"),
                (
                    " + ".join(f"sum({rate(f'trading_orders_{w}_total', AS)})" for w in ENDED[1:]),
                    "not filled",
                ),
            ],
            looks.PER_SECOND,
            stacked=True,
            colors=(("^filled$", looks.GREEN), ("^not filled$", looks.RED)),
        ),
        lines(
            "Orders in the window",
            "Orders in the window of the exporter's fill ratio, and the minimum for a judgement.",
            [
                (latest("trading_account_window_orders"), "{{account}}"),
            ],
            looks.COUNT,
            bounds=(0, None),
            limits=((fewest, "minimum", looks.ORANGE),),
        ),
    ]
    return board.dashboard(
        board.SLO,
        "Trading / Fill objective",
        "The service level objective of fills: the remaining budget, and its burn rate.",
        ("job", "instance", "account"),
        [("", [*glance, table]), ("Burn rates", rates), ("Orders", history)],
        time_from="now-24h",
    )
