#!/usr/bin/env python3
"""Writes grafana/dashboards/*.json. With --check, only reports which files are out of date."""

import sys
import warnings
from pathlib import Path

# We generate the classic schema; the library warns that there is a newer one.
warnings.simplefilter("ignore", DeprecationWarning)

from generator import execution, exporter, health, overview, positions, slo  # noqa: E402
from generator.board import to_json  # noqa: E402

FOLDER = Path(__file__).parent / "dashboards"
DASHBOARDS = (overview, execution, positions, health, exporter, slo)


def files():
    """Path and text of each dashboard."""
    return {
        FOLDER / f"{module.__name__.rpartition('.')[2]}.json": to_json(module.make())
        for module in DASHBOARDS
    }


def main(arguments):
    """Writes or compares the files. Returns the exit code."""
    made = files()
    stale = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    stale += sorted(set(FOLDER.glob("*.json")) - set(made))
    if arguments == ["--check"]:
        for path in stale:
            print(f"{path.name} is out of date: run grafana/generate.py")
        return 1 if stale else 0
    FOLDER.mkdir(exist_ok=True)
    for path, text in made.items():
        path.write_text(text)
    for path in set(FOLDER.glob("*.json")) - set(made):
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
