"""Queries that may return nothing after the traffic of these tests.

By dashboard, panel and query, each with the reason. Prefer traffic that makes a query return
something.
"""

MAY_BE_EMPTY = {
    ("trading-exporter", "Durability", "relaxed"): "one exporter of the tests is synced, one keeps "
    "its records in memory",
    (
        "trading-exporter",
        "Age of the last snapshot",
        "A",
    ): "the tests end before the first snapshot is due",
}
