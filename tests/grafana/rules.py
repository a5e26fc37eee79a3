"""Rules for dashboard files: each takes a document and yields findings."""

import itertools
import json
import re
import warnings

import boards
import catalogue

warnings.simplefilter("ignore", DeprecationWarning)

from grafana_foundation_sdk.cog.encoder import JSONEncoder  # noqa: E402
from grafana_foundation_sdk.models import units  # noqa: E402
from grafana_foundation_sdk.models.dashboard import Dashboard  # noqa: E402

COLUMNS = 24
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
BUILT_IN = {"datasource", "__rate_interval", "__interval", "__range"}
CHAIN = ["datasource", "job", "instance", "account", "symbol"]
UNITS = {
    value
    for name, value in vars(units).items()
    if not name.startswith("_") and isinstance(value, str)
}
CUSTOM_UNIT = re.compile(r"(suffix|prefix):.+")


def schema(document):
    """The models of the Foundation SDK read and write it without a change."""
    again = json.loads(json.dumps(Dashboard.from_json(document), cls=JSONEncoder))
    if again != document:
        lost = [key for key in document if again.get(key) != document[key]]
        yield f"the schema does not hold what stands in {lost}"


def frame(document):
    """Each dashboard has the required properties."""
    wanted = {"schemaVersion": 39, "editable": False, "tags": ["trading-exporter"]}
    for key, value in wanted.items():
        if document.get(key) != value:
            yield f"{key} is {document.get(key)}"
    for key in ("uid", "title", "description", "links", "refresh"):
        if not document.get(key):
            yield f"no {key}"
    if "__inputs" in document or "__requires" in document:
        yield "it is an export: no __inputs, no __requires"
    if {mark["name"] for mark in document["annotations"]["list"]} != {
        "Halts",
        "Critical alerts",
        "Restarts",
    }:
        yield "not the annotations that each dashboard has"


def panels_are_described(document):
    """Every panel has a title, a description, a unique id, and a text for no data."""
    ids = [panel["id"] for panel in document["panels"]]
    if len(ids) != len(set(ids)):
        yield "two panels have one id"
    titles = [panel["title"] for panel in boards.panels(document)]
    yield from {f"{title}: there are two" for title in titles if titles.count(title) > 1}
    for panel in boards.panels(document):
        title = panel.get("title")
        if not title or len(panel.get("description", "")) < 20:
            yield f"{title}: no title or no description"
        if panel["fieldConfig"]["defaults"].get("noValue") != "no data":
            yield f"{title}: does not say that there is no data"
        first = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [{}])[0]
        if first.get("color") == "green":
            yield f"{title}: what is missing would be green"


def sources(document):
    """Every query uses the selected data source."""
    asking = [
        (panel["title"], part)
        for panel in boards.panels(document)
        for part in (panel, *panel["targets"])
    ]
    asking += [(mark["name"], mark) for mark in document["annotations"]["list"]]
    asking += [(v["name"], v) for v in document["templating"]["list"] if v["type"] == "query"]
    for name, part in asking:
        if part.get("datasource") != DATASOURCE:
            yield f"{name}: the data source is {part.get('datasource')}"


def units_are_known(document):
    """Units are Grafana's or our own suffix. Basis points are not bits per second."""
    for panel in boards.panels(document):
        config = panel["fieldConfig"]
        found = [config["defaults"].get("unit")]
        found += [
            p["value"] for o in config["overrides"] for p in o["properties"] if p["id"] == "unit"
        ]
        for unit in found:
            if unit is None or unit == "bps" or not (unit in UNITS or CUSTOM_UNIT.fullmatch(unit)):
                yield f"{panel['title']}: no such unit: {unit}"


def grid(document):
    """Panels are inside the grid and do not overlap."""
    cells = [(p["title"], p["gridPos"]) for p in document["panels"]]
    for title, at in cells:
        if at["x"] < 0 or at["x"] + at["w"] > COLUMNS or at["w"] < 1 or at["h"] < 1:
            yield f"{title}: outside of the grid: {at}"
    for (one, a), (other, b) in itertools.combinations(cells, 2):
        apart = (
            a["x"] + a["w"] <= b["x"]
            or b["x"] + b["w"] <= a["x"]
            or a["y"] + a["h"] <= b["y"]
            or b["y"] + b["h"] <= a["y"]
        )
        if not apart:
            yield f"{one} and {other} overlap"


def variables(document):
    """All variables exist, visible ones are used, and used ones are declared."""
    declared = boards.variables(document)
    if list(declared)[: len(CHAIN)] != CHAIN:
        yield f"the variables are {list(declared)}"
    text = " ".join(query.expression for query in boards.queries(document))
    used = set(re.findall(r"\$\{?(\w+)", text))
    yield from (f"${name} is not declared" for name in used - set(declared) - BUILT_IN)
    for name, variable in declared.items():
        if variable["type"] == "query" and not (
            variable["multi"] and variable["includeAll"] and variable["allValue"] == ".+"
        ):
            yield f"${name} does not offer several values and all of them"
        if variable.get("hide", 0) == 0 and name not in used | {"datasource"}:
            yield f"${name} is offered and not used"


def catalogued(document, families=None):
    """Queries use existing metrics and labels, and no fixed bucket of a histogram."""
    families = families or catalogue.known()
    for query in boards.queries(document):
        missing = catalogue.unknown(query.expression, query.legend, families)
        for name in (*missing.metrics, *missing.labels):
            yield f"{query.panel} ({query.ref}): not in the catalogue: {name}"
        if "le=" in query.expression:
            yield f"{query.panel} ({query.ref}): rests on a bucket"


RULES = (schema, frame, panels_are_described, sources, units_are_known, grid, variables, catalogued)
