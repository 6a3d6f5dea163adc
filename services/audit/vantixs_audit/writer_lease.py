"""Of several audit processes one records, by a lease in their database; all of them answer.

Nothing depends on the lease but that work is done once: what two that both think they have it would record is the same,
for each transaction goes on from the head that it finds. So a lease that ran out needs no fence.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import sqlalchemy as sa
from prometheus_client import Gauge
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.lease_clock import boot_clock, boot_id_of, now_of
from vantixs.runtime.logs import log
from vantixs.runtime.statements import insert_or_replace

from vantixs_audit import store

LEASE_S = 4.0
RECORDS = Gauge("vantixs_audit_records", "1 where this process is the one that records")
_PUT = insert_or_replace(store.WRITER)
Work = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


class WriterLease:
    """Keeps the lease, and runs what its holder does.

    `name` is the process's own, the same after a restart: who starts again in time goes on with its lease at once.
    """

    def __init__(self, database: Database, name: str, lease_s: float = LEASE_S) -> None:
        self._database = database
        self._name = name
        self._lease_s = lease_s
        self._until = 0.0

    @property
    def held(self) -> bool:
        """Whether no other process can have it yet."""
        return boot_clock() < self._until

    async def run(self, works: Sequence[Work], stopping: asyncio.Event) -> None:
        """Runs all of the works while the lease is held, until stopped.

        Raises:
            Exception: what one of them raised.
        """
        while not stopping.is_set():
            await self._renew()
            if self.held:
                await self._work(works, stopping)
            else:
                await _pause(stopping, self._lease_s / 4)
        await self._leave()

    async def _work(self, works: Sequence[Work], stopping: asyncio.Event) -> None:
        log.info("audit.records", name=self._name)
        RECORDS.set(1)
        ended = asyncio.Event()

        async def keep() -> None:
            while self.held and not stopping.is_set():
                await _pause(stopping, self._lease_s / 4)
                if not stopping.is_set():
                    await self._renew()
            ended.set()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keep(), name="lease")
            for work in works:
                tasks.create_task(work(ended))
        RECORDS.set(0)
        if not stopping.is_set():
            log.warning(
                "audit.records_no_more", name=self._name, detail="the lease could not be renewed, or is another's"
            )

    async def _renew(self) -> None:
        before = boot_clock()
        try:
            ours = await self._database.write(self._take, urgent=True)
        except ServiceError as error:
            log.warning("audit.lease_not_renewed", reason=error.reason, detail=error.detail)
            return
        self._until = before + self._lease_s if ours else 0.0

    def _take(self, connection: sa.Connection) -> bool:
        boot, now_ms = boot_id_of(connection), int(now_of(connection) * 1000)
        row = connection.execute(sa.select(store.WRITER)).first()
        if row and row.owner != self._name and row.boot_id == boot and row.expires_ms > now_ms:
            return False
        expires_ms = now_ms + int(self._lease_s * 1000)
        _PUT.send(connection, id=1, owner=self._name, expires_ms=expires_ms, boot_id=boot)
        return True

    async def _leave(self) -> None:
        """Frees it, so that another one need not wait."""
        self._until = 0.0
        ours = sa.delete(store.WRITER).where(store.WRITER.c.owner == self._name)
        with contextlib.suppress(ServiceError):
            await self._database.write(lambda c: c.execute(ours) and None, urgent=True)


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)
