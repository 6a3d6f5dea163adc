"""The file of a store, while its service runs: the one that was opened, and no smaller."""

import contextlib
import os
from pathlib import Path
from typing import Protocol


class OnFile(Protocol):
    """What is known of a store's file."""

    file: Path | None  # None: it is no file of its own.
    damage: str  # What the database said of a file that is not whole, else empty.


class StoreFile:
    """Remembers which file it was, and how large."""

    def __init__(self, store: OnFile) -> None:
        self._store = store
        self._file_id: tuple[int, int] | None = None
        self._size = 0

    def remember(self) -> None:
        """Takes the file that is there for the right one, once."""
        if self._store.file is not None and self._file_id is None:
            with contextlib.suppress(OSError):
                found = os.stat(self._store.file)
                self._file_id, self._size = (found.st_dev, found.st_ino), found.st_size

    def problem(self) -> str:
        """Why it is not the file that was opened, empty where it is; none of ours ever shrinks."""
        if self._store.damage:
            return f"it is damaged: {self._store.damage}"
        if self._store.file is None:
            return ""
        self.remember()
        try:
            now = self._store.file.stat()
        except OSError as error:
            return f"expected its file, found none: {error.strerror}"
        if (now.st_dev, now.st_ino) != self._file_id:
            return "expected the file that was opened, found another one"
        if now.st_size < self._size:
            return f"expected a file of {self._size} bytes or more, found {now.st_size}: it was cut"
        self._size = now.st_size
        return ""
