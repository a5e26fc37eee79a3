"""The five kinds of panel: tile, judged tile, lines, timeline, table.

Each function takes a title, a description and queries, and returns a builder with width and height.
All panels show "no data" if there is none.
"""

from dataclasses import dataclass

from grafana_foundation_sdk.builders import common as build_common
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from . import looks, query

DATASOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
NO_DATA = "no data"


@dataclass(frozen=True)
class Threshold:
    """A threshold of the exporter to draw. `strictest` is max if low is bad, otherwise min."""

    figure: str
    severities: tuple
    strictest: str = "min"


def ask(expression, legend="", ref="A", instant=False, columns=False):
    """A query: a line over time, its last value (`instant`), or rows of a table (`columns`)."""
    target = prometheus.Dataquery().datasource(DATASOURCE).expr(expression).ref_id(ref)
    target = target.instant() if instant or columns else target.range()
    if columns:
        return target.format(PromQueryFormat.TABLE)
    return target.legend_format(legend or "__auto")


def numbered(queries, **options):
    """Queries A, B, ... of (expression, legend) pairs."""
    return [
        ask(expression, legend, ref=chr(ord("A") + index), **options)
        for index, (expression, legend) in enumerate(queries)
    ]


def dressed(panel, title, description, unit, size, meaning=None, decimals=None):
    """Sets the properties that all panels have."""
    width, height = size
    panel = panel.title(title).description(description).datasource(DATASOURCE)
    panel = panel.unit(unit).span(width).height(height).no_value(NO_DATA)
    if meaning is not None:
        panel = panel.mappings(looks.mappings(meaning))
    return panel if decimals is None else panel.decimals(decimals)


def tile(
    title,
    description,
    queries,
    unit=looks.PLAIN,
    size=(4, 4),
    meaning=None,
    steps=(),
    decimals=None,
    text=common.BigValueTextMode.VALUE,
):
    """Large values on a background colour, chosen by thresholds or by the meaning of the value."""
    panel = dressed(stat.Panel(), title, description, unit, size, meaning, decimals)
    background = meaning is not None or bool(steps)
    color = (
        common.BigValueColorMode.BACKGROUND_SOLID if background else common.BigValueColorMode.NONE
    )
    panel = panel.color_mode(color).graph_mode(common.BigValueGraphMode.NONE).text_mode(text)
    panel = panel.thresholds(looks.steps(*steps)).color_scheme(thresholds_color())
    return panel.reduce_options(last()).targets(numbered(queries, instant=True))


def judged(
    title,
    description,
    figure,
    metric,
    low_is_bad=False,
    reference="",
    unit=looks.RATIO,
    size=(4, 4),
    decimals=1,
):
    """The worst figure of the accounts shown, coloured by the exporter's own anomaly level.

    Four queries, of which only one returns a value. The thresholds are in the exporter, not here.
    """
    matcher = f'reference="{reference}"' if reference else ""
    worst, samples = ("min" if low_is_bad else "max"), f'figure="{figure}", reference="{reference}"'
    value = query.latest(metric, query.A, matcher, replicas=worst)
    figures = f'figure="{figure}", symbol=""'
    level = query.over("max", (), query.select("trading_anomaly", query.A, figures))
    minimum = query.latest("trading_threshold", query.A, 'figure="min_samples"')
    seen = query.latest("trading_account_window_samples", query.A, samples)
    enough = f"{worst}({value} and on (account) ({seen} >= on (account) {minimum}))"
    queries = {
        "ok": (f"{enough} and on () ({level} == 0)", looks.GREEN),
        "warning": (f"{enough} and on () ({level} == 1)", looks.ORANGE),
        "critical": (f"{enough} and on () ({level} == 2)", looks.RED),
        "few samples": (f"{worst}({value}) unless on () {enough}", looks.GREY),
    }
    panel = tile(
        title,
        description,
        [],
        unit,
        size,
        decimals=decimals,
        text=common.BigValueTextMode.VALUE_AND_NAME,
    )
    panel = panel.color_mode(common.BigValueColorMode.BACKGROUND_SOLID)
    panel = panel.color_scheme(looks.fixed(looks.GREY))
    for ref, (expression, color) in queries.items():
        panel = panel.with_target(ask(expression, ref, ref=ref, instant=True))
        panel = panel.override_by_query(ref, [looks.colored(color)])
    return panel


def lines(
    title,
    description,
    queries,
    unit=looks.COUNT,
    size=(12, 8),
    thresholds=None,
    stacked=False,
    bars=False,
    bounds=(None, None),
    decimals=None,
    legend="bottom",
    colors=(),
    steps=False,
    limits=(),
    symlog=False,
):
    """Lines, stacked areas or bars over time. Thresholds and limits are dashed lines."""
    panel = dressed(timeseries.Panel(), title, description, unit, size, decimals=decimals)
    panel = (
        panel.targets(numbered(queries))
        .legend(legend_of(legend))
        .tooltip(
            build_common.VizTooltipOptions()
            .mode(common.TooltipDisplayMode.MULTI)
            .sort(common.SortOrder.DESCENDING)
        )
    )
    style = common.GraphDrawStyle.BARS if bars else common.GraphDrawStyle.LINE
    panel = (
        panel.draw_style(style).line_width(0 if bars else 2).show_points(common.VisibilityMode.AUTO)
    )
    panel = panel.fill_opacity(80 if bars else 35 if stacked else 0).span_nulls(False)
    if stacked:
        panel = panel.stacking(build_common.StackingConfig().mode(common.StackingMode.NORMAL))
    if steps:
        panel = panel.line_interpolation(common.LineInterpolation.STEP_AFTER)
    if symlog:
        panel = panel.scale_distribution(
            build_common.ScaleDistributionConfig()
            .type(common.ScaleDistribution.SYMLOG)
            .log(10)
            .linear_threshold(1)
        )
    low, high = bounds
    panel = panel if low is None else panel.axis_soft_min(low)
    panel = panel if high is None else panel.axis_soft_max(high)
    for pattern, color in colors:
        panel = panel.override_by_regexp(f"/{pattern}/", [looks.colored(color)])
    return with_limits(panel, [*drawn(thresholds), *limits])


def drawn(thresholds):
    """The lines of a `Threshold`, from the exporter's series `trading_threshold`."""
    for severity in thresholds.severities if thresholds else ():
        expression = query.threshold(thresholds.figure, severity, thresholds.strictest)
        name = severity or "stale"
        yield expression, f"threshold: {name}", looks.THRESHOLD_COLORS[name]


def with_limits(panel, limits):
    """Adds dashed lines of (query, name, colour)."""
    for index, (expression, name, color) in enumerate(limits):
        ref = f"limit_{index}"
        panel = panel.with_target(ask(expression, name, ref=ref))
        panel = panel.override_by_query(ref, looks.dashed(color))
    return panel


def timeline(title, description, queries, meaning, size=(12, 7)):
    """The value of a code over time, as one bar for each series."""
    panel = dressed(statetimeline.Panel(), title, description, looks.PLAIN, size, meaning)
    panel = panel.targets(numbered(queries)).legend(legend_of(None))
    panel = panel.color_scheme(thresholds_color()).thresholds(looks.steps())
    panel = panel.merge_values(True).show_value(common.VisibilityMode.AUTO)
    return panel.fill_opacity(85).line_width(0).row_height(0.85)


@dataclass(frozen=True)
class Column:
    """A column of a table: its source and its format. `query` is empty for a label."""

    title: str
    query: str = ""
    unit: str = looks.PLAIN
    decimals: int | None = None
    meaning: dict | None = None
    width: int | None = None
    link: str = ""


def grid(title, description, labels, columns, sort, size=(24, 8), hide=()):
    """A table: labels first, then one column for each query, rows sorted by `sort`, worst first."""
    panel = dressed(table.Panel(), title, description, looks.PLAIN, size)
    panel = (
        panel.sort_by([build_common.TableSortByFieldState().display_name(sort).desc(True)])
        .cell_height(common.TableCellHeight.SM)
        .show_header(True)
        .filterable(True)
    )
    panel = panel.color_scheme(looks.fixed("text")).thresholds(looks.steps())
    order, renamed = {"Time": 0}, {}
    for label in labels:
        order[label.query], renamed[label.query] = len(order), label.title
        panel = panel.override_by_name(label.title, properties(label))
    for index, column in enumerate(columns):
        ref = chr(ord("A") + index)
        panel = panel.with_target(ask(column.query, ref=ref, columns=True))
        # A single query keeps the plain name.
        name = f"Value #{ref}" if len(columns) > 1 else "Value"
        order[name], renamed[name] = len(order), column.title
        panel = panel.override_by_name(column.title, properties(column))
    excluded = dict.fromkeys(("Time", *hide), True)
    panel = panel.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    return panel.with_transformation(
        model.DataTransformerConfig(
            id_val="organize",
            options={"excludeByName": excluded, "indexByName": order, "renameByName": renamed},
        )
    )


def properties(column):
    """The overrides of a column."""
    pairs = {"unit": column.unit}
    if column.decimals is not None:
        pairs["decimals"] = column.decimals
    if column.width is not None:
        pairs["custom.width"] = column.width
    if column.meaning is not None:
        pairs["mappings"] = looks.mappings(column.meaning)
        pairs["custom.cellOptions"] = common.TableColoredBackgroundCellOptions(
            mode=common.TableCellBackgroundDisplayMode.BASIC
        )
        pairs["color"] = {"mode": "thresholds"}
    if column.link:
        pairs["links"] = [{"title": "Show more", "url": column.link}]
    return [model.DynamicConfigValue(id_val=key, value=value) for key, value in pairs.items()]


def last():
    """The last value of each series."""
    return build_common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)


def thresholds_color():
    """Colours from thresholds; a value mapping goes before them."""
    return build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS)


def legend_of(place):
    """A legend with last values below or beside the panel, or none."""
    legend = build_common.VizLegendOptions().show_legend(place is not None)
    if place == "right":
        legend = legend.display_mode(common.LegendDisplayMode.TABLE)
        legend = legend.placement(common.LegendPlacement.RIGHT)
    else:
        legend = legend.display_mode(common.LegendDisplayMode.LIST)
        legend = legend.placement(common.LegendPlacement.BOTTOM)
    return legend.calcs(["lastNotNull"] if place == "right" else [])
