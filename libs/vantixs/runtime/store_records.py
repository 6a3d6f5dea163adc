"""Where the identities of stores are recorded outside of them: a file in the home directory, and a bucket at the broker.

Losing one of the two, or bringing back an older one, is noticed by the other. Where the home and the broker go back
together, everything agrees: that can be noticed only by somebody outside, such as the venue.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nats.js.api import KeyValueConfig, StorageType
from nats.js.errors import BucketNotFoundError, KeyNotFoundError, KeyWrongLastSequenceError, NotFoundError
from nats.js.kv import KeyValue

from vantixs.runtime.home import STORES, write_atomically
from vantixs.runtime.journal import Journal
from vantixs.runtime.logs import log
from vantixs.runtime.store_identity import Identity

BUCKET = "vantixs-stores"


class HomeRecords:
    """`data/stores.json`. A new home has an empty one, so that one which is missing means that it was lost."""

    def __init__(self, data: Path) -> None:
        self._path = data / STORES

    def read(self) -> dict[str, Identity] | None:
        """What is recorded; None where the file is missing or cannot be read."""
        try:
            content = json.loads(self._path.read_text())
            return {name: Identity(**fields) for name, fields in content.items()}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, AttributeError) as error:
            log.error("stores.unreadable", path=str(self._path), detail=str(error))
            return None

    def write(self, name: str, identity: Identity, *, over: bool = False) -> None:
        """Records a store, unless a later state of it is recorded; `over` puts it in place of any other.

        Raises:
            OSError: it could not be written.
        """
        with self._locked():
            known = self.read() or {}
            before = known.get(name)
            if before and not over and before.age >= identity.age:
                return
            self._write(known | {name: identity})

    def _write(self, known: dict[str, Identity]) -> None:
        content = {name: identity._asdict() for name, identity in sorted(known.items())}
        write_atomically(self._path, json.dumps(content, indent=2) + "\n", mode=0o600)
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class BrokerRecords:
    """The bucket `vantixs-stores`, which services of several machines share."""

    def __init__(self, journal: Journal, replicas: int) -> None:
        self._journal = journal
        self._replicas = replicas

    async def read(self, name: str) -> Identity | None:
        """What is recorded of a store; raises what nats-py does where the broker does not answer."""
        try:
            entry = await (await self._open()).get(name)
        except KeyNotFoundError:
            return None
        try:
            return Identity(**json.loads(entry.value or b""))
        except (ValueError, TypeError):
            log.error("stores.unreadable", bucket=BUCKET, store=name)
            return None

    async def write(self, name: str, identity: Identity, *, over: bool = False) -> None:
        """Records a store as `HomeRecords.write` does."""
        bucket = await self._open()
        while True:
            try:
                entry = await bucket.get(name)
                revision, before = entry.revision or 0, entry.value or b"{}"
            except KeyNotFoundError as missing:
                # A key that was deleted has a revision all the same.
                revision, before = (missing.entry.revision if missing.entry else 0) or 0, b"{}"
            if not over and _age(before) >= identity.age:
                return
            try:
                await bucket.update(name, json.dumps(identity._asdict()).encode(), last=revision)
            except KeyWrongLastSequenceError:
                continue
            return

    async def _open(self) -> KeyValue:
        js = self._journal.js
        try:
            return await js.key_value(BUCKET)
        except (BucketNotFoundError, NotFoundError):
            config = KeyValueConfig(
                bucket=BUCKET, history=1, storage=StorageType.FILE, replicas=self._replicas, max_bytes=1 << 20
            )
            return await js.create_key_value(config)


def _age(content: bytes) -> tuple[int, int]:
    try:
        fields = json.loads(content)
        return int(fields["accepted"]), int(fields["epoch"])
    except (ValueError, KeyError, TypeError):
        return -1, -1
