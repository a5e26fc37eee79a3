"""Fixtures of all tests."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import Exporter
from trading_exporter import Client

_numbers = itertools.count()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """One running exporter for all tests with their own accounts."""
    exporter = Exporter(tmp_path_factory.mktemp("exporter")).start()
    yield exporter
    exporter.kill()


@pytest.fixture
def account() -> str:
    """An account that no other test has."""
    return f"test-{next(_numbers)}"


@pytest.fixture
def make(tmp_path: Path, account: str) -> Iterator[Callable[..., Client]]:
    """Makes clients that are closed after the test. Their spill is in the folder of the test."""
    clients: list[Client] = []

    def new(url: str, **options: Any) -> Client:
        options.setdefault("account", account)
        options.setdefault("spill_folder", str(tmp_path / "spill"))
        options.setdefault("retry_seconds_max", 0.2)
        clients.append(Client(url, **options))
        return clients[-1]

    yield new
    for client in clients:
        client.close(0.5)


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[Callable[..., Exporter]]:
    """Makes separate exporters, which are not started yet."""
    made: list[Exporter] = []

    def new(config: str | None = None, *extra: str) -> Exporter:
        made.append(Exporter(tmp_path, config, *extra))
        return made[-1]

    yield new
    for one in made:
        one.kill()
