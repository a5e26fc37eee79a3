"""The file that fixes names and calls, run as it is; the version."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import trading_exporter
from harness import ROOT, SOON, Exporter

HERE = Path(__file__).parent


def test_the_contract_file_runs_unchanged(shared: Exporter, tmp_path: Path) -> None:
    source = Path(trading_exporter.__file__).parents[1]
    run = subprocess.run(
        [sys.executable, str(HERE / "engine_integration.py")],
        env={
            **os.environ,
            "EXPORTER_URL": shared.url,
            "PYTHONPATH": str(source),
            "XDG_STATE_HOME": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=SOON * 2,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split("\n") == ["OK health", "OK execution", "OK drift", "OK halt", ""]


def test_the_version_is_that_of_the_crate() -> None:
    manifest = (ROOT / "Cargo.toml").read_text()
    crate = re.search(r'^version = "([^"]+)"', manifest, re.MULTILINE)
    assert crate is not None
    assert trading_exporter.__version__ == crate.group(1)
