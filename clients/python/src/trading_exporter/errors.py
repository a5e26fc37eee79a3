"""What can go wrong when an engine asks the exporter. Nothing here is raised on the order path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional


class ExporterError(Exception):
    """Everything that this package raises on purpose."""


class ExporterUnavailable(ExporterError):
    """The exporter cannot be reached, or says that it takes nothing now."""


class ExporterRefused(ExporterError):
    """The exporter refused a request: the request or the configuration is wrong.

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
    """Broker positions need a token of their own where tokens are configured."""
