"""Queries that may answer nothing after the traffic of these tests.

By dashboard, panel and query, each with the reason. Traffic that makes them answer is better than a
line here.
"""

MAY_BE_EMPTY = {
    ("trading-exporter", "Durability", "relaxed"): "one exporter of the tests is synced, one keeps "
    "its records in memory",
    (
        "trading-exporter",
        "Since the last snapshot",
        "A",
    ): "the tests are over before the first snapshot is due",
}
