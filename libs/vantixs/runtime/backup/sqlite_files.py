"""Copies of SQLite files that are in use, all of one instant."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

LOCK_S = 10.0


class HeldFiles:
    """Files as they are at one moment. Nobody can write to them until `release`; they can be copied after it too."""

    def __init__(self, writers: list[sqlite3.Connection], readers: dict[Path, sqlite3.Connection]) -> None:
        self._writers = writers
        self._readers = readers

    def release(self) -> None:
        """Lets others write. Their logs grow until the files are copied."""
        for writer in self._writers:
            writer.execute("ROLLBACK")

    def copy_to(self, target: Path) -> None:
        """Copies them into the directory."""
        for path, reader in self._readers.items():
            with closing(sqlite3.connect(target / path.name, isolation_level=None)) as copy:
                reader.backup(copy, pages=4096)


@contextmanager
def held_files(files: Sequence[Path]) -> Iterator[HeldFiles]:
    """Holds the files as they all are at one moment: a machine that lost its power then would have left the same.

    Raises:
        sqlite3.Error: a file cannot be read, or somebody holds it for more than 10 s.
    """
    with ExitStack() as ends:
        writers = [ends.enter_context(closing(_open(path))) for path in files]
        readers = {path: ends.enter_context(closing(_open(path))) for path in files}
        for writer in writers:
            writer.execute("BEGIN IMMEDIATE")
        for reader in readers.values():
            reader.execute("BEGIN")
            # A snapshot is taken by the first thing that is read.
            reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield HeldFiles(writers, readers)


def _open(path: Path) -> sqlite3.Connection:
    # Nothing is made where nothing is.
    return sqlite3.connect(f"file:{path}?mode=rw", uri=True, isolation_level=None, timeout=LOCK_S)
