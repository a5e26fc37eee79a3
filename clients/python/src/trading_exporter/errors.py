"""Exceptions of calls to the exporter. None of them is raised on the order path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional


class ExporterError(Exception):
    """Base class of the exceptions of this package."""


class ExporterUnavailable(ExporterError):
    """The exporter cannot be reached, or is temporarily unavailable."""


class ExporterRefused(ExporterError):
    """The exporter rejected a request: the request or the configuration is wrong.

    `status` is the HTTP status, `code` the stable code of the problem (`unknown_account` ...),
    `problem` the whole answer: a `stale_epoch` carries the current epochs.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        field: Optional[str] = None,
        problem: Optional[Mapping[str, Any]] = None,
    ) -> None:
        super().__init__(f"{code} ({status}): {detail}" if detail else f"{code} ({status})")
        self.status = status
        self.code = code
        self.detail = detail
        self.field = field
        self.problem: Mapping[str, Any] = problem or {}


class BrokerTokenMissing(ExporterError):
    """Broker positions need their own token if tokens are configured."""
