"""The time that leases in a database are counted in: PostgreSQL's own; on SQLite the time since the machine booted."""

import time
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

from vantixs.runtime.statements import Statement

_NOW = Statement(lambda _: sa.select(sa.func.extract("epoch", sa.func.clock_timestamp()).label("now")))


def now_of(connection: sa.Connection) -> float:
    """Seconds, in the time that leases are counted in on this database."""
    if connection.dialect.name == "postgresql":
        # Not the transaction's time: that stands still while it waits for a lock.
        return float(_NOW.rows(connection)[0].now)
    return boot_clock()


def boot_clock() -> float:
    """Seconds since the machine booted, those included in which it was suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def boot_id() -> str:
    """Names this boot of the machine: the boot clock begins again with the next."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def boot_id_of(connection: sa.Connection) -> str:
    """The boot that a lease on this database is of; empty where it does not count from a boot."""
    return "" if connection.dialect.name == "postgresql" else boot_id()
