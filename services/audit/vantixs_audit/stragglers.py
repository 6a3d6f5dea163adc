"""Signals that were accepted and have no end within a limit: something holds them, or they were lost."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from prometheus_client import Gauge
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.health import Health
from vantixs.runtime.logs import log

from vantixs_audit.tables import SIGNALS

EVERY_S = 5.0
MOST, MOST_SHOWN = 1000, 100
COUNT = Gauge("vantixs_audit_stragglers", "signals that were accepted and have no end within the limit, at most 1000")


def select_stragglers(limit_s: float, now: datetime) -> "sa.Select[tuple[object, ...]]":
    """Rows of them, oldest first, at most 1,000. An order that rests is no straggler: its signal has ended."""
    received = SIGNALS.c.receive_time
    late = sa.and_(SIGNALS.c.outcome == "ACCEPTED", received < now - timedelta(seconds=limit_s))
    return sa.select(SIGNALS).where(late).order_by(received, SIGNALS.c.number).limit(MOST)


def count_stragglers(connection: sa.Connection, limit_s: float, now: datetime) -> int:
    """How many there are, 1,000 where there are more."""
    found = select_stragglers(limit_s, now).subquery()
    return connection.execute(sa.select(sa.func.count()).select_from(found)).scalar() or 0


class Stragglers:
    """Keeps the metric and the state `signals`, without which audit is ready all the same."""

    def __init__(self, database: Database, health: Health, limit_s: float) -> None:
        self._database = database
        self._health = health
        self._limit_s = limit_s
        health.tolerate("signals")

    async def run(self, stopping: asyncio.Event) -> None:
        """Looks every few seconds until stopped."""
        before = 0
        while not stopping.is_set():
            try:
                found = await self.look(datetime.now(UTC))
            except ServiceError as error:
                log.debug("signals.not_counted", reason=error.reason)
            else:
                if found and not before:
                    log.warning("signals.without_end", count=found, limit_s=self._limit_s)
                before = found
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), EVERY_S)

    async def look(self, now: datetime) -> int:
        """Counts them once.

        Raises:
            ServiceError: as `Database.read`.
        """
        found = await self._database.read(lambda c: count_stragglers(c, self._limit_s, now))
        COUNT.set(found)
        detail = f"{found} accepted signals have no end after {self._limit_s:g} s: see `vantixs statistics`"
        self._health.set("signals", not found, detail if found else "")
        return found
