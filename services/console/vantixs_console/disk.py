"""How much of the disk a new journal may take."""

import os

from vantixs.runtime.home import Home
from vantixs.runtime.lifecycle import StartupError

FLOOR_BYTES = 250_000_000  # Less would be used up by trying it: 64 MB of it are the spool's reserve.
SHARE = 4  # History takes about as much as the journal, and what is left is not ours alone.
LEAST_BYTES, MOST_BYTES = 64 << 20, 8 << 30


def first_journal_bytes(home: Home) -> int:
    """The limit of a journal made now: a quarter of what is free, from 64 MiB to 8 GiB.

    Raises:
        StartupError: this is the first start, and too little is free.
    """
    found = os.statvfs(home.data)
    free = found.f_bavail * found.f_frsize
    if free < FLOOR_BYTES and not (home.data / "nats").exists():
        raise StartupError(
            f"home {home.path}: expected at least {FLOOR_BYTES // 1_000_000} MB free on its disk for a first start, "
            f"was {free // 1_000_000} MB"
        )
    return min(MOST_BYTES, max(LEAST_BYTES, free // SHARE))
