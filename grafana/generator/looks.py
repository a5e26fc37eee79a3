"""Colours, units, and what the codes of the exporter's gauges are called.

Grey is for what is not known. The base colour of every threshold list is grey too, for Grafana
gives it to a missing value: nothing that is missing may look well.
"""

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import units

GREY, GREEN, YELLOW, ORANGE, RED, DARK_RED, BLUE = (
    "#7b8087",
    "green",
    "yellow",
    "orange",
    "red",
    "dark-red",
    "blue",
)

RATIO = units.PercentUnit
SECONDS = units.Seconds
BYTES = units.BytesIEC
COUNT = units.Short
# In full, with separators of thousands: for tables and tiles.
WHOLE = units.LocaleFormat
PLAIN = units.NoUnit
PER_SECOND = "suffix:/s"
# Grafana's own "bps" is bits per second.
BASIS_POINTS = "suffix:bp"

# What a value of a gauge means: text and colour.
STATE = {0: ("ACTIVE", GREEN), 1: ("REDUCING", ORANGE), 2: ("HALTED", DARK_RED)}
SEVERITY = {0: ("none", GREEN), 1: ("MINOR", YELLOW), 2: ("MODERATE", ORANGE), 3: ("CRITICAL", RED)}
LEVEL = {0: ("none", GREEN), 1: ("WARNING", ORANGE), 2: ("CRITICAL", RED)}
HEALTH = {
    0: ("healthy", GREEN),
    1: ("DEGRADED", ORANGE),
    2: ("unknown", GREY),
    3: ("UNHEALTHY", RED),
}
MISSING = {0: ("there", GREEN), 1: ("MISSING", ORANGE)}
STALE = {0: ("fresh", GREEN), 1: ("STALE", ORANGE)}
UP = {0: ("DOWN", RED), 1: ("up", GREEN)}
BREAKER = {0: ("tried", GREEN), 1: ("LEFT ALONE", RED)}
SUCCESS = {0: ("FAILED", RED), 1: ("ok", GREEN)}

# How the thresholds of the exporter are drawn, by their severity.
THRESHOLD_COLORS = {
    "minor": YELLOW,
    "moderate": ORANGE,
    "warning": ORANGE,
    "critical": RED,
    "stale": ORANGE,
}


def mappings(meaning):
    """Value mappings of one of the tables above. A missing value is a grey "no data"."""
    options = {
        str(code): model.ValueMappingResult(text=text, color=color, index=index)
        for index, (code, (text, color)) in enumerate(meaning.items())
    }
    return [
        model.ValueMap(options=options),
        model.SpecialValueMap(
            options=model.DashboardSpecialValueMapOptions(
                match=model.SpecialValueMatch.NULL_AND_NAN,
                result=model.ValueMappingResult(text="no data", color=GREY, index=len(options)),
            )
        ),
    ]


def steps(*pairs):
    """Thresholds: a colour from each value on. Below the first, and without a value, grey."""
    listed = [model.Threshold(value=None, color=GREY)]
    listed += [model.Threshold(value=value, color=color) for value, color in pairs]
    return build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(listed)


def fixed(color):
    """A fixed colour for all series."""
    return build.FieldColor().mode(model.FieldColorModeId.FIXED).fixed_color(color)


def colored(color):
    """An override with a fixed colour."""
    return model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": color})


def dashed(color):
    """Overrides for a threshold: a dashed line in its colour, without an area."""
    return [
        colored(color),
        model.DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [8, 6]}),
        model.DynamicConfigValue(id_val="custom.lineWidth", value=1),
        model.DynamicConfigValue(id_val="custom.fillOpacity", value=0),
        model.DynamicConfigValue(id_val="custom.showPoints", value="never"),
        model.DynamicConfigValue(
            id_val="custom.stacking", value={"mode": "none", "group": "threshold"}
        ),
    ]
