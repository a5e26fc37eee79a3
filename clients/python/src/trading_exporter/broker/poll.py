"""One question to a broker, which ends in time and never raises.

Input: a source that may raise, hang or talk nonsense. Output: a listing, or why there is none.
Invariants: a call takes no longer than its timeout for the caller; a call that hangs is left to
itself, with its source, and at most three of them exist; the text of an error has no secrets.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable
from typing import Any, Callable, NamedTuple, Optional

from .._values import plain_text
from .listing import Listing, Source

#: Calls that hang, until no further one is made before one of them has ended.
_HUNG_MAX = 3
_TEXT_MAX = 200
#: Shorter secrets are not looked for: they are parts of ordinary words.
_SECRET_MIN = 4


class Answer(NamedTuple):
    """The result of one question."""

    #: When the broker was asked, in Unix nanoseconds.
    asked_ns: int
    seconds: float
    listing: Optional[Listing]
    #: The type of the error; empty with a listing.
    kind: str = ""
    #: Type and text of the error.
    error: str = ""


def error_text(error: BaseException, secrets: Iterable[str]) -> str:
    """Type and short text of an error, without secrets and without the queries of URLs."""
    # A query of a signed request has the signature.
    text = re.sub(r"\?[^\s\"'<>]*", "?...", str(error))
    for secret in secrets:
        if len(secret) >= _SECRET_MIN:
            text = text.replace(secret, "***")
    text = " ".join(text.split())
    if len(text) > _TEXT_MAX:
        text = text[:_TEXT_MAX] + "..."
    return plain_text(f"{type(error).__name__}: {text}" if text else type(error).__name__)


class Poller:
    """Asks the source that `make` returns. A source whose call hangs is replaced by a new one."""

    def __init__(
        self, make: Callable[[], Source], timeout_seconds: float, secrets: Iterable[str] = ()
    ) -> None:
        self._make = make
        self._timeout = timeout_seconds
        self._secrets = tuple(secrets)
        self._source: Optional[Source] = None
        self._hung: list[threading.Thread] = []

    def ask(self) -> Answer:
        """The broker's list now."""
        asked_ns, began = time.time_ns(), time.monotonic()
        self._hung = [thread for thread in self._hung if thread.is_alive()]
        if len(self._hung) >= _HUNG_MAX:
            text = f"Timeout: {len(self._hung)} earlier calls still hang"
            return Answer(asked_ns, 0.0, None, "Timeout", text)
        #: The source and its answer.
        outcome: list[Any] = []
        done = threading.Event()
        # A daemon: a call that hangs does not keep the process.
        thread = threading.Thread(
            target=_call,
            args=(self._make, self._source, outcome, done),
            name="trading-exporter-broker",
            daemon=True,
        )
        thread.start()
        if not done.wait(self._timeout):
            self._hung.append(thread)
            self._source = None
            text = f"Timeout: no answer after {self._timeout:g} s"
            return Answer(asked_ns, self._timeout, None, "Timeout", text)
        seconds, (self._source, result) = time.monotonic() - began, outcome
        if isinstance(result, BaseException):
            text = error_text(result, self._secrets)
            return Answer(asked_ns, seconds, None, type(result).__name__, text)
        return Answer(result.asked_ns, seconds, result)


def _call(
    make: Callable[[], Source],
    source: Optional[Source],
    outcome: list[Any],
    done: threading.Event,
) -> None:
    result: Any
    try:
        source = source or make()
        result = source.fetch()
        if not isinstance(result, Listing):
            raise TypeError(f"the source answered {type(result).__name__}")
    except BaseException as error:
        result = error
    outcome += [source, result]
    done.set()
