"""Versioned configuration in a JetStream KV bucket, watched whole into memory."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from google.protobuf.message import Message as ProtoMessage
from nats.js.api import KeyValueConfig, StorageType
from nats.js.errors import (
    APIError,
    BucketNotFoundError,
    KeyNotFoundError,
    KeyWrongLastSequenceError,
    NotFoundError,
)
from nats.js.kv import KeyValue

from vantixs.model.ids import NAME
from vantixs.runtime.errors import already_exists, invalid, not_found, revision_conflict, unavailable
from vantixs.runtime.journal import LOOK_EVERY_S, TRANSIENT, Journal
from vantixs.runtime.lifecycle import Lifecycle
from vantixs.runtime.logs import log

M = TypeVar("M", bound=ProtoMessage)
_WRONG_LAST_SEQUENCE = 10071


@dataclass(frozen=True, slots=True)
class Versioned(Generic[M]):
    """A value and its revision in the bucket."""

    value: M
    revision: int


class KvTable(Generic[M]):
    """A bucket of protobuf messages. Reads are from memory; each replica learns of changes by watching the bucket.

    If the bucket was lost, or is an older copy, newer values that are known here are put back, also those known
    before (`known`).
    """

    def __init__(
        self,
        journal: Journal,
        bucket: str,
        what: str,
        message_type: type[M],
        *,
        replicas: int = 1,
        max_bytes: int = 256 << 20,
        on_change: Callable[[str, Versioned[M] | None], None] | None = None,
        known: Iterable[tuple[str, Versioned[M]]] = (),
    ) -> None:
        self._journal = journal
        self._bucket = bucket
        self._what = what
        self._type = message_type
        self._replicas = replicas
        self._max_bytes = max_bytes
        self._on_change = on_change
        self._values: dict[str, Versioned[M]] = dict(known)
        self._revisions: dict[str, int] = {key: found.revision for key, found in self._values.items()}
        # A value known before may differ from the bucket's at the same revision: a revocation that was not stored.
        self._unconfirmed = set(self._revisions)
        self._looked = 0.0  # When the bucket was last looked at, by the event loop's clock.
        self.loaded = asyncio.Event()

    def start(self, life: Lifecycle) -> None:
        """Watches the bucket until the service stops."""
        life.spawn(self._watch(life.stopping), name=f"kv-{self._bucket}")

    def get(self, key: str) -> Versioned[M] | None:
        """The value of the key, or None."""
        return self._values.get(key)

    def items(self) -> Mapping[str, Versioned[M]]:
        """All values, by key."""
        return self._values

    async def fetch(self, key: str) -> Versioned[M] | None:
        """The value in the bucket, which the watch may not have delivered yet; None if there is none.

        Raises:
            ServiceError: UNAVAILABLE.
        """
        try:
            entry = await (await self._open()).get(key)
        except KeyNotFoundError:
            return None
        except TRANSIENT as error:
            raise unavailable("JOURNAL_UNAVAILABLE", f"{self._what} {key!r} could not be read") from error
        self._apply(key, self._type.FromString(entry.value or b""), entry.revision or 0)
        return self._values.get(key)

    async def create(self, key: str, value: M) -> int:
        """Stores a value under a new key and returns its revision.

        Raises:
            ServiceError: ALREADY_EXISTS; INVALID_ARGUMENT for a key that is not a lower-case name; UNAVAILABLE.
        """
        if not NAME.fullmatch(key):
            raise invalid(f"{self._what}_id", f"expected 1 to 40 of a-z, 0-9 and '-', a letter first, was {key[:60]!r}")
        try:
            revision = await (await self._open()).create(key, value.SerializeToString())
        except KeyWrongLastSequenceError:
            raise already_exists(self._what, key) from None
        except TRANSIENT as error:
            raise unavailable("JOURNAL_UNAVAILABLE", f"{self._what} {key!r} could not be stored") from error
        self._apply(key, value, revision)
        return revision

    async def update(self, key: str, value: M, revision: int) -> int:
        """Replaces the value that was read at `revision` and returns the new revision.

        Raises:
            ServiceError: ABORTED if `revision` is not the current one; NOT_FOUND; UNAVAILABLE.
        """
        current = self._values.get(key)
        if current is None:
            raise not_found(self._what, key)
        try:
            stored = await (await self._open()).update(key, value.SerializeToString(), last=revision)
        except KeyWrongLastSequenceError:
            if revision == current.revision and await self._lost(key):
                return await self.create(key, value)
            raise revision_conflict(self._what, key, current.revision, revision) from None
        except TRANSIENT as error:
            raise unavailable("JOURNAL_UNAVAILABLE", f"{self._what} {key!r} could not be stored") from error
        self._apply(key, value, stored)
        return stored

    async def put(self, key: str, value: M) -> int:
        """Stores a value whether or not the key exists, and returns its revision; raises as `create` does."""
        if not NAME.fullmatch(key):
            raise invalid(f"{self._what}_id", f"expected 1 to 40 of a-z, 0-9 and '-', a letter first, was {key[:60]!r}")
        try:
            revision = await (await self._open()).put(key, value.SerializeToString())
        except TRANSIENT as error:
            raise unavailable("JOURNAL_UNAVAILABLE", f"{self._what} {key!r} could not be stored") from error
        self._apply(key, value, revision)
        return revision

    async def delete(self, key: str, revision: int) -> None:
        """Removes the value read at `revision`; raises as `update` does."""
        current = self._values.get(key)
        if current is None:
            raise not_found(self._what, key)
        removed = revision + 1  # At least. By the time of the answer, a newer value may be known here, which stays.
        try:
            await (await self._open()).delete(key, last=revision)
        except APIError as error:
            # nats-py has an error type of its own for a wrong revision in `update`, but not in `delete`.
            if error.err_code != _WRONG_LAST_SEQUENCE:
                raise unavailable("JOURNAL_UNAVAILABLE", f"{self._what} {key!r} could not be removed") from error
            if revision != current.revision or not await self._lost(key):
                raise revision_conflict(self._what, key, current.revision, revision) from None
            removed = 0  # Revisions start again.
        except TRANSIENT as error:
            raise unavailable("JOURNAL_UNAVAILABLE", f"{self._what} {key!r} could not be removed") from error
        self._apply(key, None, removed)

    async def remove(self, key: str) -> Versioned[M] | None:
        """Removes the key whatever its value is, and returns the value known here, or None.

        The key is removed from the bucket in any case, because another replica may have stored a value that is not
        known here yet.

        Raises:
            ServiceError: UNAVAILABLE.
        """
        current = self._values.get(key)
        try:
            await (await self._open()).delete(key)
        except (APIError, *TRANSIENT) as error:
            raise unavailable("JOURNAL_UNAVAILABLE", f"{self._what} {key!r} could not be removed") from error
        if current and (known := self._revisions.get(key)):
            self._apply(key, None, max(known, current.revision + 1))
        elif current:  # It is being put back into a bucket whose revisions start again.
            self._unconfirmed.add(key)
            self._apply(key, None, 0)
        return current

    async def _lost(self, key: str) -> bool:
        """Whether the bucket was deleted and made again: it lacks a key known here, and its revisions start again."""
        try:
            await (await self._open()).get(key)
        except KeyNotFoundError as error:
            if error.entry:  # nats-py gives the entry of a key that was removed: that is no lost bucket.
                return False
            self._revisions.pop(key, None)
            self._unconfirmed.add(key)
            return True
        except TRANSIENT as error:
            raise unavailable("JOURNAL_UNAVAILABLE", f"{self._what} {key!r} could not be read") from error
        return False

    async def _open(self) -> KeyValue:
        js = self._journal.js
        try:
            return await js.key_value(self._bucket)
        except (BucketNotFoundError, NotFoundError):
            config = KeyValueConfig(
                bucket=self._bucket,
                history=5,
                storage=StorageType.FILE,
                replicas=self._replicas,
                max_bytes=self._max_bytes,
            )
            return await js.create_key_value(config)

    async def _watch(self, stopping: asyncio.Event) -> None:
        await self._journal.connected()
        while not stopping.is_set():
            # A watcher does not survive every restart of the broker, so each connection gets a new one.
            generation = self._journal.generation
            with contextlib.suppress(*TRANSIENT):
                bucket = await self._open()
                made = await self._restore(bucket)
                watcher = await bucket.watchall()
                try:
                    while generation == self._journal.generation and not stopping.is_set():
                        if not await self._is_there(bucket, made):
                            break
                        await self._take(watcher)
                finally:
                    with contextlib.suppress(*TRANSIENT):
                        await watcher.stop()  # type: ignore[no-untyped-call]  # nats-py has no types here.
                continue
            await asyncio.sleep(0.2)

    async def _is_there(self, bucket: KeyValue, made: datetime | None) -> bool:
        """Whether it is still the bucket that was made at that time; asks once a second.

        A watcher does not notice that its bucket was deleted and made again while the connection stays up.
        """
        now = asyncio.get_running_loop().time()
        if now - self._looked < LOOK_EVERY_S:
            return True
        self._looked = now
        try:
            return (await bucket.status()).stream_info.created == made
        except NotFoundError:
            return False
        except TRANSIENT:
            return True  # A broker that is slow or away says nothing about the bucket.

    async def _take(self, watcher: KeyValue.KeyWatcher) -> None:
        """Takes the next change, if one arrives within half a second."""
        try:
            entry = await watcher.updates(timeout=0.5)  # type: ignore[no-untyped-call]  # nats-py has no types here.
        except TimeoutError:
            return
        if entry is None:
            self.loaded.set()
        elif entry.operation in ("DEL", "PURGE"):
            self._apply(entry.key, None, entry.revision or 0)
        else:
            self._apply(entry.key, self._type.FromString(entry.value or b""), entry.revision or 0)

    async def _restore(self, bucket: KeyValue) -> datetime | None:
        """Puts back what the bucket has lost. Returns when the bucket was made."""
        known = dict(self._revisions)  # Before the question: what is stored while it is answered was not lost.
        info = (await bucket.status()).stream_info
        for key, revision in known.items():
            if revision <= info.state.last_seq or self._revisions.get(key) != revision:
                continue
            del self._revisions[key]
            try:
                if kept := self._values.get(key):
                    await self._put_back(bucket, key, kept, info.state.last_seq)
            except TRANSIENT:
                self._revisions.setdefault(key, revision)  # For the next attempt.
                raise
        return info.created

    async def _put_back(self, bucket: KeyValue, key: str, kept: Versioned[M], last: int) -> None:
        """Stores a lost value, unless the key was stored or removed after `last`: then the watch tells what it is now."""
        try:
            at = (await bucket.get(key)).revision or 0
        except KeyNotFoundError as error:
            at = (error.entry.revision or 0) if error.entry else 0
        if at > last:
            return
        try:
            revision = await bucket.update(key, kept.value.SerializeToString(), last=at)
        except KeyWrongLastSequenceError:
            return
        log.warning("kv.put_back", bucket=self._bucket, key=key, revision_before=kept.revision)
        if self._values.get(key) is kept:
            self._apply(key, kept.value, revision)

    def _apply(self, key: str, value: M | None, revision: int) -> None:
        known = self._revisions.get(key, 0)
        if revision < known or (revision == known and key not in self._unconfirmed):
            return
        self._unconfirmed.discard(key)
        self._revisions[key] = revision
        if value is None:
            self._values.pop(key, None)
        else:
            self._values[key] = Versioned(value, revision)
        if self._on_change:
            self._on_change(key, self._values.get(key))
