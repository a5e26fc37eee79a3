"""Reads an exposition with the reference parsers and prints its samples as JSON.

usage: exposition_samples.py text|openmetrics < EXPOSITION

One list for each sample: name, labels, value as a float's text, order id of the exemplar or null.
Fails where the parser does: the OpenMetrics one is strict.
"""

import json
import sys

from prometheus_client import openmetrics, parser
from prometheus_client.openmetrics import parser as _  # noqa: F401 (makes openmetrics.parser)


def main() -> None:
    parsers = {
        "text": parser.text_string_to_metric_families,
        "openmetrics": openmetrics.parser.text_string_to_metric_families,
    }
    families = parsers[sys.argv[1]](sys.stdin.buffer.read().decode("utf-8"))
    samples = [
        [
            sample.name,
            sample.labels,
            repr(float(sample.value)),
            sample.exemplar.labels["order_id"] if sample.exemplar else None,
        ]
        for family in families
        for sample in family.samples
    ]
    json.dump(samples, sys.stdout)


main()
