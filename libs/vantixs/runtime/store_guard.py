"""Whether a service may serve its store: it is the one that was served last, its file is there, and it can be written.

At start the store's identity is held against what was recorded of it. While the service runs, its epoch grows and is
recorded, so that an older copy is noticed at the next start. What is found wrong is said in health (`store`), in the log and
by `vantixs store list`; nothing is read or written until it is right again or an operator accepts it.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import grpc

from vantixs.api.stores.v1 import stores_pb2
from vantixs.runtime.errors import ServiceError, invalid, unavailable
from vantixs.runtime.health import Health
from vantixs.runtime.journal import TRANSIENT, Journal, Message
from vantixs.runtime.lifecycle import Lifecycle, StartupError
from vantixs.runtime.logs import log
from vantixs.runtime.settings import ServiceSettings
from vantixs.runtime.store_file import StoreFile
from vantixs.runtime.store_identity import Found, Identity, difference
from vantixs.runtime.store_messages import identity_message, store_entry
from vantixs.runtime.store_records import BrokerRecords, HomeRecords

EVERY_S = 2.0  # An older copy is noticed where the store was written to this long after it was taken, or later.
BROKER_S = 3.0  # What a home that has not seen this store waits for the broker, which may have.
RECORD_LOOKS, RECORD_PAUSE_S = 10, 0.1
CLOSE_S = 2.0  # What the end of a service waits for its last record: the broker may have ended before.
LONGEST_COMMENT = 500


Change = Callable[[Identity], Identity]


class Guarded(Protocol):
    """A store as the guard needs it: a database or a spool."""

    found: Found
    place: str
    file: Path | None  # Where it is a file of its own.
    refusal: str  # Not empty: it serves nothing, and this says why.
    damage: str  # Not empty: what was read of it cannot be, and this is what the database said.

    @property
    def commits(self) -> int:
        """Grows with what is committed."""
        ...

    async def read_identity(self) -> Identity | None:
        """The identity that is there now, however the store is refused; None where there is none."""
        ...

    async def write_identity(self, change: Change, message: Message | None = None) -> Identity:
        """Changes the identity, and has the message published, in one transaction; returns what it is after the commit.

        Raises:
            ServiceError: it was not stored.
        """
        ...


class StoreGuard:
    """The guard of one store."""

    def __init__(self, name: str, store: Guarded, settings: ServiceSettings, journal: Journal, health: Health) -> None:
        self.name = name
        self.store = store
        self._home = HomeRecords(settings.home / "data")
        self._broker = BrokerRecords(journal, settings.journal_replicas)
        self._journal = journal
        self._health = health
        self._expected: Identity | None = None
        self._usable = asyncio.Event()
        self._identity = store.found.identity
        self._committed = 0
        self._recorded_at_broker = False
        self._file = StoreFile(store)
        self._write_problem = ""
        self._watching: asyncio.Task[None] | None = None
        health.set("store", False, "not compared yet")

    async def start(self, life: Lifecycle) -> None:
        """Compares the store with its records, and goes on doing so in the background.

        A home that has no record of the store waits for the broker's; one that lost its records waits as long as it takes.

        Raises:
            StartupError: it cannot be written.
        """
        known = self._home.read()
        if known is None:
            log.warning("store.waiting_for_broker", store=self.name, detail="data/stores.json is missing or unreadable")
        while True:
            if known is None or self.name not in known:
                await self._wait_for_broker(None if known is None else BROKER_S, life.stopping)
                if life.stopping.is_set():
                    return
            try:
                # Where the broker has the only record it is needed, and it may be gone again since it answered.
                await self._compare(required=known is None)
            except ServiceError as error:
                if error.reason != "JOURNAL_UNAVAILABLE":
                    raise
            else:
                break
        if not self.problem:
            try:
                await self._advance()
            except ServiceError as error:
                # nats-py swallows a cancellation now and then: without this the journal's watch goes on, and the process with it.
                life.stopping.set()
                await self._journal.close()
                detail = f"cannot be written: {error.detail}; make it writable, and its directory"
                raise StartupError(f"store {self.name} at {self.store.place}: {detail}") from None
            except OSError as error:
                self._fail(error)
        self._watching = life.spawn(self._run(life.stopping), name="store-guard")

    @property
    def problem(self) -> str:
        """Why the store is not served, and what to do; empty where it is."""
        return self.store.refusal

    @property
    def restore_ms(self) -> int:
        """Until when the store may lack what its service did, in milliseconds since 1970; 0: it lacks nothing."""
        return self._identity.restore_ms

    async def usable(self, stopping: asyncio.Event) -> bool:
        """Returns True once the store is served, False where the service stops before."""
        waits = [asyncio.create_task(self._usable.wait()), asyncio.create_task(stopping.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return self._usable.is_set()

    async def when_usable(self, work: Callable[[asyncio.Event], Awaitable[None]], stopping: asyncio.Event) -> None:
        """Runs the work from the moment the store is served."""
        if await self.usable(stopping):
            await work(stopping)

    def message(self) -> stores_pb2.Store:
        """The store for people."""
        return stores_pb2.Store(
            name=self.name,
            place=self.store.place,
            found=identity_message(self._identity),
            expected=identity_message(self._expected) if self._expected else None,
            problem=self._health.snapshot()["store"][1],
        )

    async def accept(self, store_id: str, comment: str, operator: str) -> None:
        """Takes the store as it is in place of the one that was expected, and has history say so.

        Raises:
            ServiceError: FAILED_PRECONDITION where nothing is wrong with it or it cannot be written, ABORTED where it is another
                store than the one named.
        """
        if len(comment) > LONGEST_COMMENT:
            raise invalid("comment", f"expected at most {LONGEST_COMMENT} characters, was {len(comment)}")
        if not self.problem:
            raise ServiceError(grpc.StatusCode.FAILED_PRECONDITION, "STORE_AS_EXPECTED", f"{self.name} is served")
        if store_id != self._identity.store_id:
            detail = f"{self.name}: expected store_id {self._identity.store_id}, was {store_id[:40]!r}"
            raise ServiceError(grpc.StatusCode.ABORTED, "STORE_CHANGED", detail)
        if self._file.problem():
            raise ServiceError(grpc.StatusCode.FAILED_PRECONDITION, "STORE_NOT_ACCEPTED", self.problem)
        seen = [record for record in await self._records(required=True) if record] or [self._identity]
        expected = max(seen, key=lambda record: record.age)
        identity = self._identity._replace(
            epoch=max(self._identity.epoch, expected.epoch) + 1,
            accepted=max(self._identity.accepted, expected.accepted) + 1,
            replaced=expected.store_id,
            restore_ms=time.time_ns() // 1_000_000,
        )
        detail = self.problem
        message = store_entry(self.name, expected, identity, detail, comment, operator)
        self._identity = await self.store.write_identity(lambda _: identity, message)
        self._home.write(self.name, identity, over=True)
        await self._broker.write(self.name, identity, over=True)
        log.warning("store.accepted", store=self.name, found=identity.text, detail=detail, operator=operator)
        self._judge("")

    async def _run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), EVERY_S)
                return
            await self._look()

    async def close(self) -> None:
        """Records what was committed last, as far as that takes no longer than `CLOSE_S`; the store is still open."""
        with contextlib.suppress(TimeoutError, OSError, ServiceError):
            async with asyncio.timeout(CLOSE_S):
                if self._watching is not None:
                    await asyncio.wait([self._watching])
                if self._usable.is_set() and self._committed != self.store.commits:
                    await self._advance()

    async def _look(self) -> None:
        try:
            await self._compare()
            behind = self._committed != self.store.commits or not self._recorded_at_broker
            if not self.problem and (behind or self._write_problem):
                await self._advance()
                self._judge("")
        except (OSError, ServiceError) as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Says that it cannot be used. What is asked of it answers so by itself, and tries again: no more is refused."""
        if not self._write_problem:
            log.error("store.failing", store=self.name, detail=str(error))
        self._write_problem = f"cannot be read or written: {error}; make it writable, or put a copy of it back"
        if not self.problem:
            self._usable.set()
        self._health.set("store", False, f"store {self.name} at {self.store.place}: {self._write_problem}")

    async def _compare(self, *, required: bool = False) -> None:
        """Holds the store against its records, as far as they can be read.

        Raises:
            ServiceError: UNAVAILABLE, JOURNAL_UNAVAILABLE where the broker's record is required.
        """
        problem = self._file.problem()
        # The records first: another process of this service may go on with the store in between, and records it afterwards.
        records = await self._records(required=required) if not problem else []
        if not problem:
            found = await self.store.read_identity()
            if found is None or found.store_id != self._identity.store_id or found.age < self._identity.age:
                problem = (
                    f"expected {self._identity.text}, found {found.text if found else 'none'}: changed from outside"
                )
            elif found.age > self._identity.age:
                self._identity = found  # Another process of this service went on with it.
        if not problem:
            now = self.store.found._replace(identity=self._identity)
            # Once it was recorded it is neither new nor of another version any more.
            if self._identity.epoch:
                now = Found(self._identity)
            problem = next((text for text in (difference(r, now) for r in records) if text), "")
            expected = [record for record in records if record]
            self._expected = max(expected, key=lambda record: record.age, default=None)
            lost = not expected and len(records) > 1 and self._identity.epoch > 1
            if not problem and lost and not await self._is_recorded():
                problem = (
                    f"expected a record of {self._identity.text}, found none: neither in the home nor at the broker"
                )
        self._judge(problem)

    async def _is_recorded(self) -> bool:
        """Whether there is a record by now: a process that went on with the store records it a moment later."""
        for _ in range(RECORD_LOOKS):
            if any(await self._records()):
                return True
            await asyncio.sleep(RECORD_PAUSE_S)
        return False

    async def _records(self, *, required: bool = False) -> list[Identity | None]:
        """What the home and the broker have recorded, None for nothing; the broker's is missing where it does not answer.

        Raises:
            ServiceError: UNAVAILABLE, where the broker is required.
        """
        records = [(self._home.read() or {}).get(self.name)]
        try:
            if not self._connected():
                raise ConnectionError
            records.append(await self._broker.read(self.name))
        except TRANSIENT:
            if required:
                raise unavailable("JOURNAL_UNAVAILABLE", "the broker, which records stores, does not answer") from None
        return records

    async def _advance(self) -> None:
        """One epoch on, first in the store, then in its records: a record is never ahead of its store."""
        committed = self.store.commits
        self._identity = await self.store.write_identity(Identity.next)
        # This was one commit itself; where there were more, others came after it or not, and it is done once more.
        self._committed = committed + 1
        self._write_problem = ""
        if self.store.found.adopted and self._identity.epoch == 1:
            log.info("store.adopted", store=self.name, store_id=self._identity.store_id)
        # It waits for the disk and for the other services' records.
        await asyncio.to_thread(self._home.write, self.name, self._identity)
        self._recorded_at_broker = False
        if self._connected():
            with contextlib.suppress(*TRANSIENT):
                await self._broker.write(self.name, self._identity)
                self._recorded_at_broker = True
        self._file.remember()

    async def _wait_for_broker(self, timeout_s: float | None, stopping: asyncio.Event) -> None:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not stopping.is_set() and (deadline is None or time.monotonic() < deadline):
            with contextlib.suppress(*TRANSIENT):
                if self._connected():
                    await self._broker.read(self.name)
                    return
            await asyncio.sleep(0.05)

    def _connected(self) -> bool:
        return bool(self._journal.client.is_connected)

    def _judge(self, problem: str) -> None:
        if problem:
            sentence = self._sentence(problem)
            if sentence != self.store.refusal:
                log.error("store.refused", store=self.name, detail=sentence)
            self.store.refusal = sentence
            self._usable.clear()
            self._health.set("store", False, sentence)
            return
        if self.store.refusal:
            log.info("store.served", store=self.name, store_id=self._identity.store_id)
        self.store.refusal = ""
        self._usable.set()
        if not self._write_problem:
            self._health.set("store", True)

    def _sentence(self, problem: str) -> str:
        remedy = f"stop, put the right one back, or run `vantixs store accept {self.name}`"
        if self._file.problem():
            remedy = "stop, put the right one back, and start again"
        return f"store {self.name} at {self.store.place}: {problem}; {remedy}"
