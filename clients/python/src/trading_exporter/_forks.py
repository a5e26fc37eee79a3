"""Hooks for objects with threads, called in the child of a fork."""

from __future__ import annotations

import os
import weakref
from typing import Any, Callable

_hooks: list[tuple[weakref.ref[Any], Callable[[Any], None]]] = []


def after_in_child(owner: Any, hook: Callable[[Any], None]) -> None:
    """Calls `hook(owner)` in the child of every later fork, while the owner exists."""
    _hooks[:] = [(ref, known) for ref, known in _hooks if ref() is not None]
    _hooks.append((weakref.ref(owner), hook))


def _run() -> None:
    for ref, hook in list(_hooks):
        owner = ref()
        if owner is not None:
            hook(owner)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_run)
