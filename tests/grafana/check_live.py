#!/usr/bin/env python3
"""Runs every query of every dashboard on a real Prometheus, after real traffic.

A query that fails or returns nothing fails the check. `may_be_empty.py` lists queries that may
return nothing; an entry whose query does return something fails too. The answers are written to a
file, from which the panels are drawn: check_live.py ANSWERS.json
"""

import json
import math
import sys
import tempfile
from pathlib import Path

import boards
from catalogue import LEGEND
from may_be_empty import MAY_BE_EMPTY
from stack import running
from traffic import ACCOUNTS

LABEL_VALUES = "label_values("


def finite(series):
    """Whether a series has a finite number."""
    pairs = series.get("values") or [series["value"]]
    return any(math.isfinite(float(value)) for _, value in pairs)


class Asker:
    """Runs the queries of the dashboards for one time range."""

    def __init__(self, server, began, ended):
        self.server, self.end, self.seconds = server, ended, int(ended - began)
        self.failures, self.empty, self.asked = [], set(), 0

    def ask(self, query, values):
        """The series of a query with these values, without those that have no number."""
        expression = boards.put_in(query.expression, values, self.seconds)
        self.asked += 1
        try:
            if query.instant:
                found = self.server.instant(expression, self.end)
            else:
                found = self.server.range(
                    expression, self.end - self.seconds, self.end, boards.STEP_SECONDS
                )
        except RuntimeError as error:
            self.failures.append(
                f"{query.board}: {query.panel} ({query.ref}): {error}\n  {expression}"
            )
            return []
        return [series for series in found if finite(series)]

    def board(self, document):
        """The answers of a dashboard, by panel title and ref."""
        values, answers = boards.chosen(document), {}
        for query in boards.queries(document):
            series = self.ask(query, values)
            self.look_for_strangers(query, series)
            answers.setdefault(query.panel, {})[query.ref] = series
            if not series and not self.ask_accounts(document, query):
                self.empty.add((query.board, query.panel, query.ref))
        return answers

    def look_for_strangers(self, query, series):
        """Checks that no other job is shown, and that legends use labels that the series have."""
        named = set(LEGEND.findall(query.legend))
        for metric in (one["metric"] for one in series):
            if metric.get("instance") in self.server.strangers:
                self.failures.append(f"{query.board}: {query.panel}: of another job: {metric}")
            if not named <= set(metric):
                self.failures.append(f"{query.board}: {query.panel}: no {named - set(metric)}")

    def ask_accounts(self, document, query):
        """Whether a query about the worst account also works for a single account."""
        return "$account" in query.expression and any(
            self.ask(query, boards.chosen(document, {"account": account.name}))
            for account in ACCOUNTS
        )

    def variables(self, document):
        """Checks that every variable has values."""
        values = boards.chosen(document)
        for name, variable in boards.variables(document).items():
            if variable["type"] != "query":
                continue
            text = boards.put_in(variable["query"]["query"], values, self.seconds)
            selector, _, label = text.removeprefix(LABEL_VALUES).removesuffix(")").rpartition(", ")
            if not self.server.label_values(label, selector):
                self.failures.append(
                    f"{document['uid']}: the variable {name} has no values: {text}"
                )


def main(path):
    """Returns the exit code."""
    documents, answers = boards.load(), {}
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as (server, *times):
        asker = Asker(server, *times)
        for uid, document in documents.items():
            asker.variables(document)
            answers[uid] = asker.board(document)
    if answers["trading-exporter"]["Scraped"]["A"][0]["value"][1] != "1":
        asker.failures.append("Scraped: another job's target counts")
    wrong, allowed = list(asker.failures), set(MAY_BE_EMPTY)
    wrong += [f"no data: {entry}" for entry in sorted(asker.empty - allowed)]
    wrong += [f"answers, strike it off: {entry}" for entry in sorted(allowed - asker.empty)]
    times = {"from": asker.end - asker.seconds, "to": asker.end, "step": boards.STEP_SECONDS}
    told = {**times, "answers": answers}
    Path(path).write_text(json.dumps(told))
    for line in wrong:
        print(line)
    print(f"{asker.asked} queries, {len(asker.empty)} without data, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
