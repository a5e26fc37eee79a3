"""Queries that may answer nothing after the traffic of these tests, each with the reason."""

from boards import ROOT, load

RULES = "no alert rules are loaded: there is no file alerts/*.rules.yml"


def may_be_empty():
    """The reason by (dashboard, panel, query)."""
    allowed = {}
    if not any((ROOT / "alerts").glob("*.rules.yml")):
        allowed[("trading-overview", "Alerts firing", "A")] = RULES
        allowed[("trading-exporter", "Alerts that fire", "A")] = RULES
        allowed |= {(uid, "annotation Critical alerts", "A"): RULES for uid in load()}
    return allowed
