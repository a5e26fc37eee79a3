"""Reads dashboards like Grafana: panels, queries, and substitution of variables."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "grafana" / "dashboards"
# The interval between two points, equal to that of scrapes, and the resulting `$__rate_interval`.
STEP_SECONDS = 2
RATE_SECONDS = 10


@dataclass(frozen=True)
class Query:
    """A query of a panel or an annotation, before substitution of variables."""

    board: str
    panel: str
    ref: str
    expression: str
    legend: str = ""
    instant: bool = False


def load():
    """The dashboards by uid."""
    documents = [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]
    return {document["uid"]: document for document in documents}


def panels(document):
    """All panels except rows, including those in collapsed rows."""
    for panel in document["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def queries(document):
    """Every query of the panels and the annotations."""
    for panel in panels(document):
        for target in panel["targets"]:
            yield Query(
                document["uid"],
                panel["title"],
                target["refId"],
                target["expr"],
                target.get("legendFormat", ""),
                target.get("instant", False),
            )
    for mark in document["annotations"]["list"]:
        yield Query(document["uid"], f"annotation {mark['name']}", "A", mark["expr"])


def variables(document):
    """The variables by name."""
    return {variable["name"]: variable for variable in document["templating"]["list"]}


def chosen(document, choices=None):
    """The value of each variable in a query: the selected one, otherwise the first one."""
    values = {}
    for name, variable in variables(document).items():
        current = variable.get("current", {}).get("value")
        if choices and name in choices:
            values[name] = escaped(choices[name])
        elif current == ["$__all"]:
            values[name] = variable["allValue"]
        else:
            values[name] = current
    return values


def escaped(value):
    """The value of a multi-value variable, as the Prometheus data source escapes it."""
    return re.sub(r"[$^*{}\[\]+?.()|]", r"\\\\\g<0>", value.replace("\\", "\\\\\\\\"))


def put_in(text, values, range_seconds):
    """The query with every variable replaced. Fails for an undeclared variable."""
    known = {
        "__rate_interval": f"{RATE_SECONDS}s",
        "__interval": f"{STEP_SECONDS}s",
        "__range": f"{range_seconds}s",
        **values,
    }
    return re.sub(r"\$\{?(\w+)\}?", lambda found: known[found[1]], text)
