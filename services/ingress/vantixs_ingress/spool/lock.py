"""One owner for a spool: a lock of the operating system, which ends with the process that holds it.

Two processes on one spool would both number their messages from where each of them last was, and the first one could
store nothing any more.
"""

import fcntl
import os
from pathlib import Path

from vantixs.runtime.lifecycle import StartupError
from vantixs.runtime.retry import Pauses, retry

PAUSES = Pauses(0.05, 0.05)


class SpoolInUse(StartupError):
    """Another process has the spool; the text says which."""


class SpoolLock:
    """The lock on `<spool>.lock`, taken at once or not at all; the file stays there, as removing it would let two
    processes lock two files of one name.

    Raises:
        SpoolInUse: another process has it.
        StartupError: its file system has no locks.
    """

    def __init__(self, spool: Path, instance: str) -> None:
        self._file = os.open(spool.with_name(f"{spool.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # The owner writes its name after it has the lock, so for a moment there may be none.
            owner = os.pread(self._file, 200, 0).decode(errors="replace").strip() or "another process"
            os.close(self._file)
            raise SpoolInUse(f"spool {spool} is in use by {owner}") from None
        except OSError as error:
            raise StartupError(f"spool {spool}: cannot be locked: {error.strerror}") from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"pid {os.getpid()} (ingress instance {instance})\n".encode(), 0)

    def release(self) -> None:
        """Releases the lock."""
        os.close(self._file)


async def own_spool(spool: Path, instance: str, wait_s: float) -> SpoolLock:
    """Takes the lock, waiting `wait_s` seconds for an owner that is about to end, as at a restart.

    Raises:
        SpoolInUse: it did not end.
    """

    async def take() -> SpoolLock:
        return SpoolLock(spool, instance)

    return await retry(take, lambda error: isinstance(error, SpoolInUse), PAUSES, limit_s=wait_s)
