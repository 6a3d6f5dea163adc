"""The last checkpoint that was seen, in a file outside the database: by it an older copy of the database is found."""

from pathlib import Path

from vantixs.proof.note import Checkpoint, Key, NoteError, open_checkpoint
from vantixs.proof.tree import Read, consistency_proof, continues
from vantixs.runtime.home import write_atomically

FILE = "audit.checkpoint"


class NotContinued(Exception):
    """The history does not go on from a checkpoint."""


class Witness:
    """Keeps a checkpoint, and takes a later one only from a history that goes on from it."""

    def __init__(self, path: Path, key: Key) -> None:
        self._path = path
        self._key = key

    def last(self) -> Checkpoint | None:
        """The checkpoint it keeps, None before the first.

        Raises:
            NotContinued: the file is not a checkpoint of this key.
            OSError: it cannot be read.
        """
        try:
            note = self._path.read_text()
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            raise NotContinued(f"{self._path}: expected a checkpoint, was not text") from None
        try:
            return open_checkpoint(note, self._key)
        except NoteError as error:
            raise NotContinued(f"{self._path}: {error}") from None

    def keep(self, note: str) -> None:
        """Keeps a checkpoint, of which it was shown that it goes on from the one before.

        Raises:
            OSError: it cannot be written.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(self._path, note)


def demand_continuity(read: Read, seen: Checkpoint, size: int, root: bytes) -> None:
    """Has the history of that size and root show that it goes on from a checkpoint.

    Raises:
        NotContinued: it is shorter, or it does not.
    """
    if size < seen.size:
        raise NotContinued(f"expected the {seen.size} entries of the last checkpoint, found {size}: an older copy")
    try:
        proof = consistency_proof(read, seen.size, size) if seen.size else []
    except LookupError as error:
        raise NotContinued(str(error)) from None
    if seen.size and not continues(seen.size, seen.root, size, root, proof):
        raise NotContinued(f"the {size} entries do not begin with the {seen.size} of the last checkpoint")
