"""Decides whether a service may use its store: it must be the store that was used last, exist, and be writable.

At the start the identity of the store is compared with the recorded identities. While the service runs, the store's epoch
grows and is recorded, so that an older copy is noticed at the next start. A problem is shown in health (`store`), in the log
and by `vantixs store list`. Then nothing is read or written until the problem is gone or an operator accepts the store.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import grpc

from vantixs.api.stores.v1 import stores_pb2
from vantixs.runtime.database_setup import remedy
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

EVERY_S = 2.0  # Interval of recording the epoch: a copy that is older by less may go unnoticed.
BROKER_S = 3.0  # How long a home without a record of the store waits for the broker, which may have one.
RECORD_LOOKS, RECORD_PAUSE_S = 10, 0.1
CLOSE_S = 2.0  # How long a service that ends waits for its last record: the broker may have ended already.
LONGEST_COMMENT = 500


Change = Callable[[Identity], Identity]


class Guarded(Protocol):
    """The interface of a store, a database or a spool, for its guard."""

    found: Found
    place: str
    file: Path | None  # The store's file; None for PostgreSQL.
    refusal: str  # Why the store may not be used; empty if it may.
    damage: str  # What the database says about damaged contents; empty if nothing is known to be damaged.

    @property
    def commits(self) -> int:
        """The number of commits so far."""
        ...

    async def read_identity(self) -> Identity | None:
        """The identity that the store has now, or None. Works also while the store is refused."""
        ...

    async def write_identity(self, change: Change, message: Message | None = None) -> Identity:
        """Changes the identity, and queues the message for publishing, in one transaction. Returns the new identity.

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
        """Compares the store with its records, then repeats that in the background.

        If the home has records but none of this store, the start waits `BROKER_S` for the broker, which may have one. If the
        home has lost its records, the start waits until the broker answers.

        Raises:
            StartupError: the store cannot be written.
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
                # If the home has no records, the broker's is required, and the broker may be down again by now.
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
                # nats-py sometimes swallows a cancellation: then the journal's watch would keep the process alive.
                life.stopping.set()
                await self._journal.close()
                detail = f"cannot be written: {error.detail}; make it writable, and its directory"
                raise StartupError(f"store {self.name} at {self.store.place}: {detail}") from None
            except OSError as error:
                self._fail(error)
        self._watching = life.spawn(self._run(life.stopping), name="store-guard")

    @property
    def problem(self) -> str:
        """Why the store may not be used, and what to do; empty if it may."""
        return self.store.refusal

    @property
    def restore_ms(self) -> int:
        """When an older store was last accepted or restored, in milliseconds since 1970; 0 for never.

        The store may lack anything that its service did before that time.
        """
        return self._identity.restore_ms

    async def usable(self, stopping: asyncio.Event) -> bool:
        """Returns True once the store may be used, False if the service stops before that."""
        waits = [asyncio.create_task(self._usable.wait()), asyncio.create_task(stopping.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return self._usable.is_set()

    async def when_usable(self, work: Callable[[asyncio.Event], Awaitable[None]], stopping: asyncio.Event) -> None:
        """Runs the work once the store may be used."""
        if await self.usable(stopping):
            await work(stopping)

    def message(self) -> stores_pb2.Store:
        """The store as `vantixs store list` shows it."""
        return stores_pb2.Store(
            name=self.name,
            place=self.store.place,
            found=identity_message(self._identity),
            expected=identity_message(self._expected) if self._expected else None,
            problem=self._health.snapshot()["store"][1],
        )

    async def accept(self, store_id: str, comment: str, operator: str) -> None:
        """Accepts the store as it is in place of the expected one, and records that in history.

        Raises:
            ServiceError: FAILED_PRECONDITION if the store has no problem or cannot be written, ABORTED if `store_id` names
                another store.
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
        """Records the epoch of the last commits, within `CLOSE_S`. Called while the store is still open."""
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
        """Shows that the store fails to read or write.

        The store is not refused for that: each call fails by itself, and succeeds again once the store works.
        """
        if not self._write_problem:
            log.error("store.failing", store=self.name, detail=str(error))
        self._write_problem = f"cannot be read or written: {error}{remedy(str(error))}"
        if not self.problem:
            self._usable.set()
        self._health.set("store", False, f"store {self.name} at {self.store.place}: {self._write_problem}")

    async def _compare(self, *, required: bool = False) -> None:
        """Compares the store with those of its records that can be read.

        Raises:
            ServiceError: UNAVAILABLE, JOURNAL_UNAVAILABLE if the broker's record is required and cannot be read.
        """
        problem = self._file.problem()
        # Records are read before the store: another process of the service may advance the store in between, and records
        # that later. A record that is older than the store is no problem.
        records = await self._records(required=required) if not problem else []
        if not problem:
            found = await self.store.read_identity()
            if found is None or found.store_id != self._identity.store_id or found.age < self._identity.age:
                problem = (
                    f"expected {self._identity.text}, found {found.text if found else 'none'}: changed from outside"
                )
            elif found.age > self._identity.age:
                self._identity = found  # Another process of this service advanced it.
        if not problem:
            now = self.store.found._replace(identity=self._identity)
            # A store that was recorded once is neither new nor adopted from an earlier version.
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
        """Whether a record appears within a second: another process that advances the store records that a moment later."""
        for _ in range(RECORD_LOOKS):
            if any(await self._records()):
                return True
            await asyncio.sleep(RECORD_PAUSE_S)
        return False

    async def _records(self, *, required: bool = False) -> list[Identity | None]:
        """The records of the home and of the broker, each None if there is none. Without an answer of the broker, one record.

        Raises:
            ServiceError: UNAVAILABLE if the broker is required and does not answer.
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
        """Raises the epoch by one, first in the store and then in its records, so that no record is ahead of its store."""
        committed = self.store.commits
        self._identity = await self.store.write_identity(Identity.next)
        # Raising the epoch was one commit. If there were more, they may have come after it, so it is raised once more later.
        self._committed = committed + 1
        self._write_problem = ""
        if self.store.found.adopted and self._identity.epoch == 1:
            log.info("store.adopted", store=self.name, store_id=self._identity.store_id)
        # In a thread, because it waits for the disk and for the lock that the services of the home share.
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
