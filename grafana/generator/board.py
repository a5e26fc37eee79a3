"""The frame of a dashboard: variables, annotations, links, the grid, and its JSON."""

import json

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from . import query
from .panels import DATASOURCE

TAG = "trading-exporter"
# The version of Grafana 11. Newer servers migrate it, older ones can read it.
SCHEMA_VERSION = 39

OVERVIEW, EXECUTION, POSITIONS, HEALTH, EXPORTER, SLO = (
    f"trading-{name}"
    for name in ("overview", "execution", "positions", "health", "exporter", "slo")
)


ALERT = ("alertname", "account", "symbol")


def to(uid, **fields):
    """A link from a table row to another dashboard, with cells of the row as variables."""
    chosen = "".join(
        f"&var-{name}=${{__data.fields.{title}:percentencode}}" for name, title in fields.items()
    )
    return f"/d/{uid}?${{__url_time_range}}&${{datasource:queryparam}}{chosen}"


def dashboard(uid, title, description, shown, rows, extra=(), time_from="now-3h"):
    """A dashboard: rows of (title, panels). `shown` names the visible variables.

    The other variables exist but are hidden, so that links keep the user's choices.
    """
    board = (
        build.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .time(time_from, "now")
        .refresh("10s")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .variables([*variables(shown), *extra])
        .annotations(annotations())
        .links([siblings()])
    )
    for row_title, panels in rows:
        if row_title:
            board = board.with_row(build.Row(row_title))
        for panel in panels:
            board = board.with_panel(panel)
    resource = board.build()
    resource.schema_version = SCHEMA_VERSION
    for number, panel in enumerate(resource.panels, start=1):
        panel.id_val = number
    return resource


def variables(shown):
    """The data source, then job, instance, account and symbol, each limited by those before it."""
    source = build.DatasourceVariable("datasource").label("Data source").type("prometheus")
    return [
        source,
        chained("job", "trading_exporter_build_info", "", shown),
        chained("instance", "trading_exporter_build_info", 'job=~"$job"', shown),
        chained("account", "trading_state", query.EXPORTER, shown),
        chained("symbol", "trading_fills_total", query.ACCOUNT, shown),
    ]


def chained(name, metric, matchers, shown):
    """A variable with the values of a label, limited by the variables before it."""
    selector = f"{metric}{{{matchers}}}" if matchers else metric
    text = f"label_values({selector}, {name})"
    asked = {"query": text, "refId": f"variable_{name}", "qryType": 1}
    return (
        build.QueryVariable(name)
        .label(name.capitalize())
        .hide(model.VariableHide.DONT_HIDE if name in shown else model.VariableHide.HIDE_VARIABLE)
        .datasource(DATASOURCE)
        .query(asked)
        .definition(text)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def annotations():
    """Halts while they are in force, the start of critical alerts, and restarts of the exporter.

    Halts of all accounts are one region, and alerts are marked only at their start, because many
    regions would cover the graphs.
    """
    halted = f"max({query.select('trading_state', query.A)}) == 2"
    alerts = query.firing(ALERT, ', severity="critical"')
    started = query.own(query.select("process_start_time_seconds", query.I))
    started = f"{query.over('max', query.I, started)} * 1000"
    return [
        mark("Halts", "red", halted, "Halted", "An account shown here is halted."),
        mark(
            "Critical alerts",
            "orange",
            f"{alerts} unless {earlier(alerts)}",
            "{{alertname}}",
            "{{account}} {{symbol}}",
        ),
        mark("Restarts", "purple", started, "Exporter started", "{{instance}}", at_value=True),
    ]


def earlier(alerts):
    """Shifts the selection of alerts one step into the past."""
    return alerts.replace('"critical"}', '"critical"} offset $__interval')


def mark(name, color, expression, title, text, at_value=False):
    """An annotation from a query. With `at_value`, the value is the time in milliseconds."""
    return (
        build.AnnotationQuery()
        .name(name)
        .datasource(DATASOURCE)
        .enable(True)
        .hide(False)
        .icon_color(color)
        .expr(expression)
        .title_format(title)
        .text_format(text)
        .step("10s")
        .use_value_for_time(at_value)
    )


def siblings():
    """Links to the other dashboards, which keep the time range and the variables."""
    return (
        build.DashboardLink("Trading")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(False)
        .include_vars(True)
        .keep_time(True)
    )


def to_json(resource):
    """The JSON text of a dashboard."""
    return json.dumps(resource, cls=JSONEncoder, indent=1, ensure_ascii=False) + "\n"
