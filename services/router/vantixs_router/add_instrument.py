"""An operator adds an instrument: stored for every process first, told to history then."""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime

from google.protobuf import json_format
from vantixs.api.common.v1 import common_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import event_subject
from vantixs.runtime import trace
from vantixs.runtime.errors import unavailable
from vantixs.runtime.instruments import Instruments, to_message
from vantixs.runtime.journal import Journal
from vantixs.runtime.logs import log

PUBLISH_S = 5.0


class AddInstrument:
    """Adds instruments to the catalogue."""

    def __init__(self, instruments: Instruments, journal: Journal, clock: Callable[[], datetime]) -> None:
        self._instruments = instruments
        self._journal = journal
        self._clock = clock

    def describe(self, name: str, terms: common_pb2.Instrument) -> common_pb2.Instrument:
        """The terms with the revision they are stored at."""
        terms.revision = self._instruments.revision(name)
        return terms

    async def add(self, asked: common_pb2.Instrument, actor: str) -> common_pb2.Instrument:
        """Adds it for good and returns it as stored; the same call again tells history again what it may lack.

        Raises:
            ServiceError: as `Instruments.add`; UNAVAILABLE where history could not be told.
        """
        added = await self._instruments.add(asked)
        stored = self.describe(added.name, to_message(added))
        if stored.revision:
            await self._tell(stored, actor)
        return stored

    async def _tell(self, stored: common_pb2.Instrument, actor: str) -> None:
        name = stored.instrument
        event_id = f"instrument:{name}:created"
        content = json_format.MessageToDict(stored, preserving_proto_field_name=True)
        content.pop("revision", None)  # Another one where the bucket was lost and is made again.
        entry = journal_pb2.JournalEntry(event_id=event_id, actor=actor, trace_parent=trace.current())
        entry.configuration_changed.kind, entry.configuration_changed.id = "instrument", name
        entry.configuration_changed.revision = stored.revision
        entry.configuration_changed.after_json = json.dumps(content, sort_keys=True)
        entry.event_time.FromDatetime(self._clock())
        batch = journal_pb2.JournalBatch(entries=[entry])
        try:
            async with asyncio.timeout(PUBLISH_S):
                await self._journal.publish(event_subject("configuration"), batch.SerializeToString(), event_id)
        except TimeoutError:
            detail = f"instrument {name} is added, and history was not told: ask again"
            raise unavailable("JOURNAL_UNAVAILABLE", detail) from None
        log.info("instrument.added", instrument=name, revision=stored.revision, actor=actor)
