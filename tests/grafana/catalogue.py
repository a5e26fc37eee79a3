"""All metrics that a query may use, with their labels.

Those of the exporter are read from the table of docs/metrics.md, which a test keeps equal to the
catalogue. The others are made by Prometheus.
"""

import re
from dataclasses import dataclass

from boards import ROOT

# Labels that Prometheus adds to scraped series.
TARGET = frozenset({"job", "instance"})
PROMETHEUS = {
    "up": TARGET,
    "scrape_duration_seconds": TARGET,
    # The series of an alert has the labels of the rule's expression.
    "ALERTS": TARGET
    | {"alertname", "alertstate", "severity", "account", "symbol", "drift", "component"},
}
TABLE = ROOT / "docs" / "metrics.md"
ROW = re.compile(r"^\| `([a-z_]+)` \| (\w+) \| ([^|]*) \| .* \|$", re.MULTILINE)
NAME = r"\b(?:\w+:[\w:]+|(?:trading|process|scrape)_[a-z_]+|up|ALERTS)\b"
# A recorded series: its name begins with its labels, up to the first colon.
RECORD = re.compile(r"^\s*- record: (\w+):([\w:]+)$", re.MULTILINE)
SELECTOR = re.compile(rf"({NAME})(?:\{{([^}}]*)\}})?")
MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
GROUPING = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")
LEGEND = re.compile(r"\{\{\s*(\w+)\s*\}\}")
FUNCTION = re.compile(r"group_(?:left|right)|without|ignoring")


@dataclass(frozen=True)
class Named:
    """Names in a query that do not exist."""

    metrics: tuple
    labels: tuple


def recorded():
    """The labels of each series that the alert rules record."""
    return {
        f"{level}:{rest}": frozenset(level.split("_"))
        for path in (ROOT / "alerts").glob("*.rules.yml")
        for level, rest in RECORD.findall(path.read_text())
    }


def known(table=None):
    """The labels of each metric by name, including buckets and sums of histograms."""
    text = table or TABLE.read_text()
    families = PROMETHEUS | recorded()
    for name, kind, labels in ROW.findall(text):
        own = TARGET | set(re.findall(r"`(\w+)`", labels))
        families[name] = own
        if kind == "histogram":
            families |= {f"{name}_bucket": own | {"le"}, f"{name}_sum": own, f"{name}_count": own}
    return families


def named(expression, families):
    """The metrics of an expression, as selectors."""
    text = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    return [
        (name, set(MATCHER.findall(matchers or "")))
        for name, matchers in SELECTOR.findall(GROUPING.sub(" ", text))
        if name not in ("by", "on") or name in families
    ]


def unknown(expression, legend, families):
    """Unknown names: metrics that are not in the catalogue, and labels that they do not have."""
    selectors = named(expression, families)
    metrics = sorted({name for name, _ in selectors if name not in families})
    labels = {
        f"{name}.{label}"
        for name, matched in selectors
        for label in matched - families.get(name, matched)
    }
    text = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    grouped = {label.strip() for found in GROUPING.findall(text) for label in found.split(",")}
    grouped |= set(LEGEND.findall(legend))
    every = set().union(*(families.get(name, set()) for name, _ in selectors))
    labels |= {label for label in grouped - {""} if label not in every}
    return Named(tuple(metrics), tuple(sorted(labels)))
