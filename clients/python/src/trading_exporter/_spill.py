"""Events on disk while the exporter is away: a bounded queue of lines in one file per process.

Input: lines of JSON with the second at which each was recorded. Output: the same lines, in order,
until they are confirmed. Invariants: at most `bytes_max` on disk, including the files of other
processes; a file belongs to the process that has its lock, so the next process sends the events of
a dead one, once; an incomplete last line is skipped and counted. Only the owner can read the files
and the folder. Deliberately absent: fsync. If the process is killed, nothing that was written is
lost; a power cut may lose the newest lines.

    # sent 00000000000000000034        <- how far the file has been sent, in bytes
    1795357800 {"type":"order_filled",...}
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from typing import NamedTuple, Optional

try:
    import fcntl
except ImportError:  # Windows: no spill, only memory.
    fcntl = None  # type: ignore[assignment]

SUPPORTED = fcntl is not None and hasattr(os, "pwrite")

_HEADER = b"# sent %020d\n"
_HEADER_BYTES = len(_HEADER % 0)
_SUFFIX = ".ndjson"
#: Longest line in bytes.
_LINE_BYTES = 256 * 1024
#: Bytes of one read. A read releases the interpreter lock, but parsing the bytes does not, so the
#: parts are small enough to be parsed in well under a millisecond.
_PIECE_BYTES = 16 * 1024


class Line(NamedTuple):
    """An event, ready to be sent."""

    #: Unix time in seconds at which it was recorded.
    born: int
    #: JSON, without a line break.
    json: bytes


class _File:
    """A locked file, and the position up to which it was sent."""

    def __init__(self, path: str, fd: int, *, own: bool) -> None:
        self.path = path
        self.fd = fd
        self.own = own
        self.sent = _HEADER_BYTES
        self.end = os.fstat(fd).st_size
        self.torn = 0
        #: Lines read ahead from `sent`, with the bytes that each takes.
        self.ahead: list[Line] = []
        self.sizes: list[int] = []
        self.read_to = _HEADER_BYTES

    def begin(self) -> None:
        """Writes the header of a new file, or reads the header of an old one."""
        if self.own:
            os.pwrite(self.fd, _HEADER % _HEADER_BYTES, 0)
            self.end = _HEADER_BYTES
            return
        head = os.pread(self.fd, _HEADER_BYTES, 0)
        if len(head) == _HEADER_BYTES and head.startswith(b"# sent ") and head[7:-1].isdigit():
            self.sent = max(_HEADER_BYTES, min(int(head[7:-1]), self.end))
        self.read_to = self.sent

    def append(self, line: Line) -> int:
        data = b"%d %s\n" % (line.born, line.json)
        try:
            written = os.pwrite(self.fd, data, self.end)
            if written < len(data):
                raise OSError("only a part was written")
        except OSError:
            # An incomplete line would corrupt the next one.
            os.ftruncate(self.fd, self.end)
            raise
        self.end += len(data)
        return len(data)

    def fill(self, count: int) -> None:
        """Reads ahead until there are `count` lines, or the file ends."""
        while len(self.ahead) < count and self.read_to < self.end:
            for size in (_PIECE_BYTES, _LINE_BYTES):
                data = os.pread(self.fd, min(size, self.end - self.read_to), self.read_to)
                whole = data.rfind(b"\n") + 1
                if whole:
                    break
            else:
                # No living process writes lines this long: it is an incomplete end.
                self.torn += 1
                self.end = self.read_to
                return
            for raw in data[:whole].splitlines(keepends=True):
                born, _, text = raw[:-1].partition(b" ")
                if born.isdigit() and text:
                    self.ahead.append(Line(int(born), text))
                    self.sizes.append(len(raw))
                elif self.sizes:
                    self.torn += 1
                    self.sizes[-1] += len(raw)
                else:
                    self.torn += 1
                    self.sent += len(raw)
            self.read_to += whole

    def advance(self, count: int) -> int:
        size = sum(self.sizes[:count])
        del self.ahead[:count], self.sizes[:count]
        self.sent += size
        os.pwrite(self.fd, _HEADER % self.sent, 0)
        return size

    def empty(self) -> bool:
        return not self.ahead and self.read_to >= self.end

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self.path)
        self.release()

    def release(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self.fd)


class Spill:
    """The lines on disk, oldest first."""

    def __init__(self, folder: str, bytes_max: int) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._files: list[_File] = []
        self._own: Optional[_File] = None
        #: Bytes on disk that are still to be sent.
        self.bytes_waiting = 0
        #: Lines that a crash left incomplete.
        self.torn = 0

    def adopt(self) -> int:
        """Takes over the files of dead processes. Returns their number."""
        try:
            names = sorted(os.listdir(self._folder))
        except OSError:
            return 0
        adopted = 0
        for name in names:
            path = os.path.join(self._folder, name)
            if not name.endswith(_SUFFIX) or any(f.path == path for f in self._files):
                continue
            file = _lock(path, os.O_RDWR, own=False)
            if file is None:
                continue
            file.begin()
            if file.end <= file.sent:
                file.remove()
                continue
            self._files.append(file)
            self.bytes_waiting += file.end - file.sent
            adopted += 1
        return adopted

    def append(self, line: Line) -> bool:
        """Appends a line. Returns False if there is no room for it.

        Raises `OSError` if the write fails: then nothing of the line is kept.
        """
        size = len(line.json) + 32
        if self.bytes_waiting + size > self._bytes_max:
            return False
        if self._own is None:
            self._own = self._create()
            self._files.append(self._own)
        elif self._own.end - self._own.sent + size > self._bytes_max:
            return False
        self.bytes_waiting += self._own.append(line)
        return True

    def empty(self) -> bool:
        """Whether no line is waiting on disk."""
        return not self._files or all(file.empty() for file in self._files)

    def head_is_own(self) -> bool:
        """Whether this process recorded the oldest lines."""
        return bool(self._files) and self._files[0].own

    def peek(self, count: int) -> list[Line]:
        """The oldest lines, at most `count`, all from one file."""
        while self._files:
            file = self._files[0]
            before = file.torn
            file.fill(count)
            self.torn += file.torn - before
            if file.ahead:
                return file.ahead[:count]
            if file.own:
                if file.end > _HEADER_BYTES:
                    self._rewind(file)
                return []
            self._files.pop(0).remove()
            self._measure()
        return []

    def advance(self, count: int) -> None:
        """Confirms the oldest `count` lines of the last :meth:`peek`."""
        if not self._files:
            return
        file = self._files[0]
        file.advance(count)
        self._measure()
        if file.empty() and file.own:
            self._rewind(file)

    def close(self) -> None:
        """Releases the files. The next process sends the lines that remain in them."""
        for file in self._files:
            if file.empty():
                file.remove()
            else:
                file.release()
        self._files.clear()
        self._own = None

    def forget(self) -> None:
        """Closes without any change: for the child of a fork, while the parent continues."""
        # Parent and child share the open file and its lock: closing the child's descriptor does
        # not release the parent's lock.
        for file in self._files:
            file.release()
        self._files.clear()
        self._own = None
        self.bytes_waiting = 0

    def _rewind(self, file: _File) -> None:
        """Truncates an own file whose lines were all sent, so that it does not grow forever."""
        os.ftruncate(file.fd, _HEADER_BYTES)
        os.pwrite(file.fd, _HEADER % _HEADER_BYTES, 0)
        file.sent = file.read_to = file.end = _HEADER_BYTES
        self._measure()

    def _measure(self) -> None:
        self.bytes_waiting = sum(file.end - file.sent for file in self._files)

    def _create(self) -> _File:
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        if os.stat(self._folder).st_uid != os.getuid():
            raise PermissionError(f"{self._folder} belongs to another user")
        path = os.path.join(self._folder, f"{os.getpid()}-{secrets.token_hex(8)}{_SUFFIX}")
        file = _lock(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, own=True)
        if file is None:
            raise OSError(f"{path} cannot be locked")
        file.begin()
        return file


def _lock(path: str, flags: int, *, own: bool) -> Optional[_File]:
    """Opens and locks a file. None if another process has locked it, or it is gone."""
    try:
        fd = os.open(path, flags | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError:
        if own:
            raise
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        at_path = os.stat(path, follow_symlinks=False)
        mine = os.fstat(fd)
        same = (at_path.st_ino, at_path.st_dev) == (mine.st_ino, mine.st_dev)
        if same and stat.S_ISREG(mine.st_mode):
            return _File(path, fd, own=own)
    except OSError:
        pass
    os.close(fd)
    return None
