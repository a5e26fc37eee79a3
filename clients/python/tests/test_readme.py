"""The Python examples in the documents run unchanged."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import trading_exporter
from harness import ROOT, SOON, Exporter

#: Repetitions: without the wait for the permit, the example sometimes did nothing.
RUNS = 8


def example(page: Path, after: str) -> str:
    """The first Python example after these words of a page."""
    _, text = page.read_text().split(after, 1)
    return text.split("```python\n", 1)[1].split("```", 1)[0]


@pytest.mark.parametrize(
    ("page", "after"),
    [
        ("README.md", "## From Python in five lines"),
        ("clients/python/README.md", "# trading-exporter for Python"),
        ("docs/engines/own-engine.md", "## Orders"),
    ],
)
def test_the_first_example_sends_an_order_each_time(
    shared: Exporter, account: str, tmp_path: Path, page: str, after: str
) -> None:
    code = example(ROOT / page, after)
    for run in range(RUNS):
        name = f"{account}-{run}"
        text = code.replace("http://127.0.0.1:10471", shared.url).replace('"paper"', f'"{name}"')
        assert shared.url in text
        assert name in text
        source = str(Path(trading_exporter.__file__).parents[1])
        ran = subprocess.run(
            [sys.executable, "-c", text],
            env={**os.environ, "PYTHONPATH": source, "XDG_STATE_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=SOON,
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        assert shared.counters(name)["submitted"] == 1, "the process delivered it before it ended"


PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/**/*.md"),
    ROOT / "clients" / "python" / "README.md",
]


def test_every_example_compiles_and_its_imports_exist() -> None:
    seen = 0
    for page in PAGES:
        for block in page.read_text().split("```python\n")[1:]:
            code = block.split("```", 1)[0]
            # The example may be the body of a coroutine.
            tree = compile(
                code, page.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST
            )
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom) and node.module == "trading_exporter":
                    missing = [n.name for n in node.names if n.name not in trading_exporter.__all__]
                    assert not missing, (page.name, missing)
                    seen += 1
    assert seen >= 8
