"""The example tells its whole story against the real exporter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import trading_exporter
from harness import SOON, Exporter

EXAMPLE = Path(__file__).parents[1] / "examples" / "paper_loop.py"


def test_the_paper_loop_is_halted_and_released(shared: Exporter, tmp_path: Path) -> None:
    source = str(Path(trading_exporter.__file__).parents[1])
    run = subprocess.run(
        [sys.executable, str(EXAMPLE)],
        env={
            **os.environ,
            "EXPORTER_URL": shared.url,
            "PYTHONPATH": source,
            "XDG_STATE_HOME": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=SOON * 2,
    )
    assert run.returncode == 0, run.stderr
    for words in ("50 orders", "reconcile F: 10 -> 11", "halted: ", "released: active", "done"):
        assert words in run.stdout
    assert "dropped_queue_full=0" in run.stdout
