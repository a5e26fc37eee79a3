"""Tables of execution quality: by symbol, by strategy, by venue."""

from . import board, looks
from .panels import Column, grid
from .query import AS, latest, reversed_total

# The reference price of slippage is chosen by a variable.
REFERENCE = 'reference="$reference"'


def symbols():
    """All figures of each symbol, in one table."""
    figures = (
        ("Orders", "trading_window_orders", looks.WHOLE, None),
        ("Filled", "trading_fill_ratio", looks.RATIO, 1),
        ("Not by user", "trading_fill_ratio_ex_user_cancels", looks.RATIO, 1),
        ("Touched", "trading_touch_ratio", looks.RATIO, 1),
        ("By quantity", "trading_quantity_fill_ratio", looks.RATIO, 1),
        ("Rejected", "trading_rejection_ratio", looks.RATIO, 1),
        ("Slippage", "trading_slippage_bps", looks.BASIS_POINTS, 1),
        ("Ack", "trading_ack_time_seconds_mean", looks.SECONDS, 2),
        ("Fill", "trading_fill_time_seconds_mean", looks.SECONDS, 2),
        ("Fills", "trading_window_fills", looks.WHOLE, None),
        ("Open", "trading_orders_open", looks.WHOLE, None),
        ("Quantity", "trading_filled_quantity_total", looks.WHOLE, 0),
        ("Of ordered", "trading_ordered_quantity_total", looks.WHOLE, 0),
    )
    columns = [
        Column(
            title,
            expression(metric, REFERENCE if unit == looks.BASIS_POINTS else ""),
            unit,
            decimals,
            width=100 if len(title) > 7 else 84,
        )
        for title, metric, unit, decimals in figures
    ]
    link = board.to(board.POSITIONS, account="Account", symbol="Symbol")
    return [
        grid(
            "Symbols",
            "The window of each symbol. Not by user: the fill ratio ignoring orders without a fill "
            "that the user cancelled. Touched: share of orders with any fill. By quantity: share "
            "of the ordered quantity. Quantity and Of ordered: units filled and units ordered "
            "since the exporter began to count. An empty cell: no sample.",
            [
                Column("Account", "account", width=120),
                Column("Symbol", "symbol", width=240, link=link),
            ],
            columns,
            "Orders",
            size=(24, 10),
        )
    ]


def expression(metric, where):
    """The latest value. The filled quantity is minus reversals by busts and corrections."""
    value = latest(metric, AS, where)
    if metric != "trading_filled_quantity_total":
        return value
    return f"{value} - {latest(reversed_total(metric), AS, where)}"


def breakdowns():
    """Tables by strategy and by venue."""
    return [breakdown("strategy"), breakdown("venue")]


def breakdown(by):
    """The window's figures by strategy or venue."""
    labels = ("account", by)
    figures = (
        ("Orders", "window_orders", looks.WHOLE, None),
        ("Filled", "fill_ratio", looks.RATIO, 1),
        ("Not by user", "fill_ratio_ex_user_cancels", looks.RATIO, 1),
        ("Touched", "touch_ratio", looks.RATIO, 1),
        ("Rejected", "rejection_ratio", looks.RATIO, 1),
    )
    columns = [
        Column(title, latest(f"trading_{metric}_by_{by}", labels), unit, decimals, width=92)
        for title, metric, unit, decimals in figures
    ]
    return grid(
        f"By {by}",
        f"The window of each {by}. No data: the breakdown is disabled (breakdowns.{by}).",
        [Column("Account", "account", width=120), Column(by.capitalize(), by, width=170)],
        columns,
        "Orders",
        size=(12, 8),
    )
