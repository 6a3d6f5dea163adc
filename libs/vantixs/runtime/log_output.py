"""Where log lines go: standard error, or a file of bounded size that takes its place and rotates.

A line is one write. A line that cannot be written (disk full, pipe closed) is counted and dropped, never raised: what the
process does is worth more than what it says about it.
"""

import asyncio
import contextlib
import errno
import os
import stat
import threading
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import Counter

from vantixs.runtime.settings import SettingsError

LINE_BYTES = 64 << 10  # A longer line is cut.
CHECK_S = 1.0
DROPPED = Counter("vantixs_log_dropped_total", "log lines that could not be written, and were dropped")
_OUTPUT, _ERROR = 1, 2
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_CUT = b" [cut]"


@dataclass(frozen=True, slots=True)
class LogFile:
    """A log file `NAME`, the older ones beside it as `NAME.1` (the latest) to `NAME.<files - 1>`."""

    path: Path
    max_bytes: int
    files: int

    def open(self) -> int:
        """A descriptor that appends to the file, which is made where it is missing.

        Raises:
            SettingsError: it cannot be written as things are set up.
            OSError: there is no space for it now.
        """
        return _open(self.path)

    def make_room(self) -> None:
        """Puts a full file aside, for who starts a process that writes to it before it can rotate.

        Raises:
            SettingsError: its directory cannot be written.
        """
        with contextlib.suppress(OSError):
            if self.path.stat().st_size >= self.max_bytes:
                self.put_aside()

    def put_aside(self) -> None:
        """Gives every file the next number, deletes the oldest, and makes a new file.

        The new one is made first: where that fails, nothing has changed.

        Raises:
            SettingsError: its directory cannot be written.
            OSError: there is no space for a new file now.
        """
        fresh = self.path.with_name(f".{self.path.name}.new")
        os.close(_open(fresh))
        surplus = self.files
        while surplus == self.files or self._numbered(surplus).exists():
            self._numbered(surplus).unlink(missing_ok=True)
            surplus += 1
        for number in range(self.files - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                self._numbered(number - 1).replace(self._numbered(number))
        fresh.replace(self.path)

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}") if number else self.path


class LogOutput:
    """A process's standard error as a stream of whole lines."""

    def __init__(self) -> None:
        # A line may be logged while another is: by a finalizer in the same thread.
        self._lock = threading.RLock()
        self._file: LogFile | None = None
        self._attached = False

    def take(self, file: LogFile) -> None:
        """From now on standard output and error are this file, for libraries too that write there by themselves.

        Raises:
            SettingsError: the file cannot be written as things are set up.
        """
        with self._lock:
            self._file = file
            # Where there is no space now, the next line tries again.
            with contextlib.suppress(OSError):
                self._point_at(file.open())

    def write(self, text: str) -> None:
        """Writes lines that end with a newline, whole or not at all."""
        data = text.encode("utf-8", "backslashreplace")
        if len(data) > LINE_BYTES:
            data = data[: LINE_BYTES - len(_CUT) - 1].decode("utf-8", "ignore").encode() + _CUT + b"\n"
        with self._lock:
            if not (self._has_room() and _append(data)):
                DROPPED.inc()

    def flush(self) -> None:
        """Nothing is held back."""

    def check(self) -> None:
        """Rotates a full file, and opens it again where somebody removed or moved it."""
        with self._lock:
            file = self._file
            if file is None:
                return
            with contextlib.suppress(OSError, SettingsError):
                now = os.fstat(_ERROR)
                if _is_at(now, file.path):
                    if now.st_size < file.max_bytes:
                        return
                    file.put_aside()
                self._point_at(file.open())

    async def watch(self) -> None:
        """Checks every second, for what is not written line by line: libraries write to standard error too."""
        while True:
            await asyncio.sleep(CHECK_S)
            self.check()

    def _has_room(self) -> bool:
        """Whether the file may grow. One that cannot be rotated takes twice its size, then nothing."""
        if self._file is None:
            return True
        try:
            if self._attached and os.fstat(_ERROR).st_size < self._file.max_bytes:
                return True
            self.check()
            return self._attached and os.fstat(_ERROR).st_size < 2 * self._file.max_bytes
        except OSError:
            return False

    def _point_at(self, descriptor: int) -> None:
        try:
            os.dup2(descriptor, _OUTPUT)
            os.dup2(descriptor, _ERROR)
            self._attached = True
        finally:
            os.close(descriptor)


def _open(path: Path) -> int:
    try:
        # A named pipe without a reader would hold up who opens it.
        found = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise
        raise SettingsError(_unwritable(path, error.strerror)) from None
    kind = os.fstat(found).st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISCHR(kind)):
        os.close(found)
        raise SettingsError(_unwritable(path, "Not a regular file"))
    return found


def _is_at(found: os.stat_result, path: Path) -> bool:
    try:
        return os.path.samestat(found, path.stat())
    except OSError:
        return False


def _append(data: bytes) -> bool:
    written = 0
    try:
        while written < len(data):
            written += os.write(_ERROR, data[written:])
    except OSError:
        if written:
            # The disk took a part: half a line would spoil the next. A pipe cannot take it back.
            with contextlib.suppress(OSError):
                os.ftruncate(_ERROR, os.lseek(_ERROR, 0, os.SEEK_CUR) - written)
        return False
    return True


def _unwritable(path: Path, reason: str | None) -> str:
    return (
        f"log file {path}: expected a file that can be appended to, was none ({reason}): move it away, "
        "or give it and its directory to the user who starts this"
    )


output = LogOutput()
