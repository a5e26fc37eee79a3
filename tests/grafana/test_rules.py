#!/usr/bin/env python3
"""Tests of the rules: each must find a defect that is added to a dashboard."""

import copy
import unittest

import boards
import catalogue
import rules


def panel_of(document):
    """The first panel."""
    return next(boards.panels(document))


def put(path, value):
    """A change: the last key of a path gets another value."""

    def change(document):
        here = document
        for key in path[:-1]:
            here = here[key]
        here[path[-1]] = value

    return change


def in_panel(change):
    """A change of the first panel."""
    return lambda document: change(panel_of(document))


def asked(expression):
    """Another expression in the first query."""
    return in_panel(put(("targets", 0, "expr"), expression))


def hide_variable(document):
    """The account is no longer declared."""
    document["templating"]["list"] = [
        v for v in document["templating"]["list"] if v["name"] != "account"
    ]


BROKEN = (
    (rules.schema, put(("no_such_key",), 1)),
    (rules.schema, in_panel(put(("gridPos", "z"), 1))),
    (rules.frame, put(("schemaVersion",), 40)),
    (rules.frame, put(("editable",), True)),
    (rules.frame, put(("__inputs",), [])),
    (rules.frame, put(("annotations", "list"), [])),
    (rules.panels_are_described, in_panel(put(("description",), ""))),
    (rules.panels_are_described, in_panel(put(("fieldConfig", "defaults", "noValue"), "0"))),
    (
        rules.panels_are_described,
        in_panel(put(("fieldConfig", "defaults", "thresholds", "steps", 0, "color"), "green")),
    ),
    (rules.sources, in_panel(put(("datasource", "uid"), "prometheus"))),
    (rules.units_are_known, in_panel(put(("fieldConfig", "defaults", "unit"), "bps"))),
    (rules.units_are_known, in_panel(put(("fieldConfig", "defaults", "unit"), "furlong"))),
    (rules.grid, in_panel(put(("gridPos", "w"), 9))),
    (rules.grid, in_panel(put(("gridPos", "x"), 22))),
    (rules.variables, hide_variable),
    (rules.variables, put(("templating", "list", 1, "allValue"), ".*")),
    (rules.catalogued, asked('trading_no_such_metric{account=~"$account"}')),
    (rules.catalogued, asked('trading_state{symbol=~"$symbol"}')),
    (rules.catalogued, asked('max by (venue) (trading_state{account=~"$account"})')),
    (rules.catalogued, asked('trading_order_fill_duration_seconds_bucket{le="1.0"}')),
    (rules.catalogued, in_panel(put(("targets", 0, "legendFormat"), "{{symbol}}"))),
)


class Rules(unittest.TestCase):
    """The rules on intact and on broken dashboards."""

    def test_each_rule_finds_what_is_broken(self):
        whole = boards.load()["trading-overview"]
        for rule, change in BROKEN:
            self.assertEqual(list(rule(whole)), [], rule.__name__)
            broken = copy.deepcopy(whole)
            change(broken)
            self.assertTrue(list(rule(broken)), f"{rule.__name__} found nothing")

    def test_no_rule_goes_without_a_case(self):
        self.assertEqual({rule for rule, _ in BROKEN}, set(rules.RULES))


class Catalogue(unittest.TestCase):
    """Reading names out of PromQL."""

    def test_names(self):
        families = {"trading_state": {"account", "job"}, "up": {"job"}}

        def check(expression, metrics=(), labels=(), legend=""):
            found = catalogue.unknown(expression, legend, families)
            self.assertEqual((found.metrics, found.labels), (metrics, labels), expression)

        check('max by (account) (trading_state{job=~"$job"}) == 2')
        check('sum(up{job="a, symbol=b"}) or vector(0)')
        check("trading_stale", metrics=("trading_stale",))
        check('trading_state{symbol="a"}', labels=("trading_state.symbol",))
        check("trading_state and on (symbol) up", labels=("symbol",))
        check("trading_state", labels=("q",), legend="{{account}} {{q}}")
        check("up * on (job) group_left (account) trading_state")

    def test_the_catalogue_of_the_readme(self):
        families = catalogue.known()
        self.assertIn("trading_state", families)
        self.assertIn("le", families["trading_order_ack_duration_seconds_bucket"])
        self.assertGreater(len(families), 100)


class Variables(unittest.TestCase):
    """Putting values into queries as Grafana does."""

    def test_values(self):
        self.assertEqual(
            boards.put_in('a{b=~"$b"}[$__rate_interval] @ ${b}', {"b": ".+"}, 60),
            'a{b=~".+"}[10s] @ .+',
        )
        self.assertEqual(boards.escaped("BTC/USD.P*"), r"BTC/USD\\.P\\*")
        with self.assertRaises(KeyError):
            boards.put_in("$no_such", {}, 60)


if __name__ == "__main__":
    unittest.main()
