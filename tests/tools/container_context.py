#!/usr/bin/env python3
"""Copy the files that deploy/Dockerfile.dockerignore lets into the build context to a directory.

Usage: container_context.py DIRECTORY

Understands the part of the format that the file uses: `*` leaves everything out, and each later
`!path` lets a file or a whole directory in again. Any other line is an error, so that this never
copies something else than a container build would.
"""

import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
IGNORE = ROOT / "deploy" / "Dockerfile.dockerignore"


def allowed(text):
    """The paths that the file lets in."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    if not lines or lines[0] != "*":
        raise SystemExit(f"{IGNORE}: the first pattern must be *")
    for line in lines[1:]:
        path = line.removeprefix("!")
        if path == line or any(c in path for c in "*?[") or path.startswith("/"):
            raise SystemExit(f"{IGNORE}: cannot interpret `{line}`")
        yield path


def main():
    """Copy the tracked files below the allowed paths."""
    (target,) = sys.argv[1:]
    tracked = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    paths = list(allowed(IGNORE.read_text()))
    for path in paths:
        if not (ROOT / path).exists():
            raise SystemExit(f"{IGNORE}: there is no {path}")
    listed = subprocess.run([*tracked, "--", *paths], check=True, capture_output=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        to = pathlib.Path(target, name)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, to)


if __name__ == "__main__":
    main()
