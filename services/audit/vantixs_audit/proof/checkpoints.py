"""Signs how far history is, as long as it goes on from what was signed before. The writer's work."""

import asyncio
import contextlib
import time
from datetime import UTC, datetime

import sqlalchemy as sa
from prometheus_client import Gauge
from vantixs.proof.note import NoteError, Signer, open_checkpoint
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.logs import log

from vantixs_audit import store
from vantixs_audit.proof.nodes import insert_checkpoint, last_checkpoint, reader
from vantixs_audit.proof.witness import NotContinued, Witness, demand_continuity

LOOK_S = 0.5
SIGNED = Gauge("vantixs_audit_checkpoint_sequence", "entries that the last signed checkpoint covers")
REFUSED = Gauge("vantixs_audit_history_refused", "1 while no checkpoint is signed because history was altered")


class Checkpoints:
    """Signs a checkpoint every `entries` entries, and every `seconds` while there are new ones."""

    def __init__(self, database: Database, signer: Signer, witness: Witness, *, entries: int, seconds: float) -> None:
        self._database = database
        self._signer = signer
        self._witness = witness
        self._entries = entries
        self._seconds = seconds
        self._size = 0
        self._time = 0.0
        self._refusal = ""
        self._failure = ""

    async def run(self, stopping: asyncio.Event) -> None:
        """Looks twice a second, and signs what is left at the end, until stopped."""
        await self._tell_of_start()
        while not stopping.is_set():
            await self._attempt(hurry=False)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), LOOK_S)
        await self._attempt(hurry=True)

    async def sign(self) -> int:
        """Signs what history has now; returns how many entries that is.

        Raises:
            NotContinued: history does not go on from what was signed before.
            ServiceError: the database does not answer.
            OSError: the witness cannot read or write its file.
        """
        seen = self._witness.last()

        def read(connection: sa.Connection) -> tuple[int, str]:
            head = store.read_head(connection)
            size, root = head.sequence, head.tree.root
            before = last_checkpoint(connection)
            known = [seen] if seen else []
            if before is not None:
                try:
                    known.append(open_checkpoint(before.note, self._signer.key))
                except NoteError as error:
                    raise NotContinued(f"the stored checkpoint at {before.size}: {error}") from None
            for checkpoint in dict.fromkeys(known):  # Mostly they are one and the same.
                demand_continuity(reader(connection), checkpoint, size, root)
            if before is not None and before.size == size:
                return size, before.note
            return size, self._signer.sign(size, root) if size else ""

        size, note = await self._database.read(read)
        if size and (seen is None or seen.size < size):
            now = datetime.now(UTC)
            await self._database.write(lambda c: insert_checkpoint(c, size, note, now))
            # A process that lost the lease may still sign: its checkpoint does not replace a later one.
            seen = self._witness.last()
            if seen is None or seen.size < size:
                self._witness.keep(note)
        self._size, self._time = size, time.monotonic()
        SIGNED.set(size)
        return size

    async def _attempt(self, *, hurry: bool) -> None:
        try:
            size = (await self._database.read(store.read_head)).sequence
            due = hurry or size - self._size >= self._entries or time.monotonic() - self._time >= self._seconds
            # A history that became shorter is looked at as well.
            if size != self._size and due:
                await self.sign()
                self._note("")
                self._failure = ""
        except NotContinued as error:
            self._note(str(error))
        except (ServiceError, OSError) as error:
            if isinstance(error, ServiceError) and error.reason == "HISTORY_ALTERED":
                self._note(error.detail)
                return
            if str(error) != self._failure:
                log.warning("history.not_signed", error=str(error))
            self._failure = str(error)

    async def _tell_of_start(self) -> None:
        """Says again at every start that the chain was altered before the tree was begun over it."""
        with contextlib.suppress(ServiceError):
            start = await self._database.read(lambda c: c.execute(sa.select(store.TREE_START)).first())
            if start is not None and start.first_bad_sequence:
                log.error("history.altered", first_bad_sequence=start.first_bad_sequence, detail=start.detail)

    def _note(self, refusal: str) -> None:
        REFUSED.set(1 if refusal else 0)
        if refusal and refusal != self._refusal:
            log.error("history.refused", detail=f"{refusal}; see `vantixs audit verify`")
        self._refusal = refusal
