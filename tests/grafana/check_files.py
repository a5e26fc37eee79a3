#!/usr/bin/env python3
"""Checks the files in grafana/ with rules.py, and compares them with the generator's output."""

import subprocess
import sys

import boards
import provisioning
import unused
from rules import RULES


def findings():
    """All findings."""
    documents = boards.load()
    if len(documents) != 6:
        yield f"{len(documents)} dashboards of different uid"
    for uid, document in documents.items():
        for rule in RULES:
            yield from (f"{uid}: {rule.__name__}: {finding}" for finding in rule(document))
    yield from provisioning.findings()
    yield from unused.findings()
    generate = subprocess.run(
        [sys.executable, boards.ROOT / "grafana" / "generate.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    if generate.returncode:
        yield generate.stdout + generate.stderr


def main():
    """Returns the exit code."""
    wrong = list(findings())
    for line in wrong:
        print(line)
    print(f"dashboards: {len(RULES)} rules, {len(wrong)} findings")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
