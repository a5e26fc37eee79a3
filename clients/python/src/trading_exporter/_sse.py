"""An incremental parser of server-sent events.

The format is that of <https://html.spec.whatwg.org/multipage/server-sent-events.html>, as far as an
exporter sends it: lines end with LF or CRLF. Invariant: memory is bounded; a message longer than
that is an error.
"""

from __future__ import annotations

from typing import NamedTuple

#: Bytes of one message.
MESSAGE_BYTES_MAX = 1024 * 1024


class Message(NamedTuple):
    """An event of a stream, not a comment."""

    event: str
    data: str
    #: The value for `Last-Event-ID` after this message.
    last_id: str


class Parser:
    """Parses bytes into messages."""

    def __init__(self, last_id: str = "") -> None:
        self._last_id = last_id
        self._rest = b""
        self._event = ""
        self._data: list[str] = []
        self._id: str | None = None

    def feed(self, data: bytes) -> list[Message]:
        """Parses more bytes. Returns the messages that they complete.

        Raises `ValueError` if one is too long or is not UTF-8.
        """
        self._rest += data
        messages: list[Message] = []
        *lines, self._rest = self._rest.split(b"\n")
        for raw in lines:
            line = raw.rstrip(b"\r").decode()
            if line:
                self._take(line)
            elif (message := self._finish()) is not None:
                messages.append(message)
        if len(self._rest) + sum(map(len, self._data)) > MESSAGE_BYTES_MAX:
            raise ValueError("a message of the stream is too long")
        return messages

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value

    def _finish(self) -> Message | None:
        if self._id is not None:
            self._last_id = self._id
        event, data, self._event, self._data, self._id = self._event, self._data, "", [], None
        text = "\n".join(data)
        return Message(event or "message", text, self._last_id) if data else None
