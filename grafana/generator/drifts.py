"""Panels about symbols with drift."""

from . import board, looks
from .panels import Column, grid, timeline
from .query import AS, latest, outstanding, over, select

# A symbol has one type of drift at a time.
TYPED = (*AS, "drift")
SEVERITY = "trading_position_drift_severity"
# Any value to the power of 0 is 1: this only adds the label `drift` to the severity.
ONE = f"{latest('trading_position_drift_quantity', TYPED)} ^ 0"
DIFFERING = f"({latest(SEVERITY, AS)} > 0) * on (account, symbol) group_right () ({ONE})"


def drifting(title, description, pick="{}", books=False, size=(24, 9)):
    """A table of symbols with drift. `pick` limits the symbols, `books` adds all three books."""
    chosen = pick.format(DIFFERING)

    def among(metric, labels, where=""):
        return f"{latest(metric, labels, where)} and on (account, symbol) {chosen}"

    def book(name):
        held = among("trading_position_quantity", AS, f'book="{name}"')
        return f"({held}) * on (account, symbol) group_right () ({ONE})"

    columns = [
        Column("Severity", chosen, meaning=looks.SEVERITY, width=110),
        Column("Quantity", among("trading_position_drift_quantity", TYPED), looks.WHOLE, width=95),
        Column("Value", among("trading_position_drift_value", TYPED), looks.WHOLE, 2, width=95),
    ]
    if books:
        columns += [
            Column(name.capitalize(), book(name), looks.WHOLE)
            for name in ("local", "broker", "ledger")
        ]
    link = board.to(board.POSITIONS, account="Account", symbol="Symbol")
    labels = [
        Column("Account", "account"),
        Column("Symbol", "symbol", link=link),
        Column("Type", "drift", width=150),
    ]
    return grid(title, description, labels, columns, "Severity", size)


def drifting_timeline(size=(12, 7)):
    """Severity over time, of symbols with drift."""
    worst = f"max_over_time({select(SEVERITY, AS)}[$__range] @ end())"
    ever = f"({latest(SEVERITY, AS)} and on (account, symbol) {over('max', AS, worst)} > 0)"
    return timeline(
        "Drift by symbol",
        "Severity of up to twelve symbols that had a drift in the time range.",
        [(outstanding(ever, "topk", 12, SEVERITY), "{{account}} {{symbol}}")],
        looks.SEVERITY,
        size,
    )
