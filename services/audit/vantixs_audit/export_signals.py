"""Exports: the signals that a filter means, page by page, with timelines and proofs where they are asked for."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import sqlalchemy as sa
from google.protobuf import json_format
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.proof.note import Key
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.grpc_server import Caller
from vantixs.runtime.outbox import Outbox
from vantixs.runtime.secret_cipher import PayloadCipher

from vantixs_audit import store
from vantixs_audit.history_reads import need_auditor, open_payload, record_read, without_payload
from vantixs_audit.proof.prove import prove_signal
from vantixs_audit.signal_filter import condition_of
from vantixs_audit.tables import ENTRIES, SIGNALS
from vantixs_audit.views import summary

MOST_AT_ONCE = 4
# One page is in memory at a time. Proofs read a tree's nodes for each entry, and one read should not take seconds.
PAGE, PROVEN_PAGE = 200, 20
MOST_ENTRIES = 1000
# So long a proof waits for a checkpoint that covers the signal.
COVERED_S, LOOK_S = 60.0, 0.5


class Exports:
    """Exports signals, at most four at once."""

    def __init__(self, database: Database, outbox: Outbox, key: Key, cipher: PayloadCipher) -> None:
        self._database = database
        self._outbox = outbox
        self._key = key
        self._cipher = cipher
        self._running = 0

    async def export(
        self, request: audit_pb2.ExportSignalsRequest, who: Caller
    ) -> AsyncIterator[audit_pb2.ExportSignalsResponse]:
        """The signals that are there now, oldest first, each as it is when its page is read; that it was done is an entry.

        Raises:
            ServiceError: PERMISSION_DENIED where payloads or proofs are asked for by another role than those that may;
                RESOURCE_EXHAUSTED where four run; or as `Database.read`, `record_read` and `prove_signal`.
        """
        if request.payloads or request.proofs:
            need_auditor(who, "payloads and proofs of an export")
        if self._running >= MOST_AT_ONCE:
            detail = f"expected at most {MOST_AT_ONCE} exports at once, was one more"
            raise ServiceError(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED", detail)
        self._running += 1
        try:
            last, total = await self._database.read(lambda c: _extent(c, request))
            read = journal_pb2.HistoryRead(
                kind="export",
                filter=json_format.MessageToJson(request.filter, preserving_proto_field_name=True, indent=None),
                count=total,
                payloads=request.payloads or request.proofs,
                proofs=request.proofs,
            )
            await record_read(self._database, self._outbox, who, read)
            number = exported = 0
            while number < last:
                number, page = await self._page(request, number, last)
                for response in page:
                    exported += 1
                    response.exported, response.total = exported, total
                    yield response
        finally:
            self._running -= 1

    async def _page(
        self, request: audit_pb2.ExportSignalsRequest, after: int, last: int
    ) -> tuple[int, list[audit_pb2.ExportSignalsResponse]]:
        deadline = asyncio.get_running_loop().time() + COVERED_S
        while True:
            try:
                found: tuple[int, list[audit_pb2.ExportSignalsResponse]] = await self._database.read(
                    lambda c: self._read_page(c, request, after, last)
                )
            except ServiceError as error:
                if error.reason != "PROOF_NOT_YET" or asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(LOOK_S)
            else:
                return found

    def _read_page(
        self, connection: sa.Connection, request: audit_pb2.ExportSignalsRequest, after: int, last: int
    ) -> tuple[int, list[audit_pb2.ExportSignalsResponse]]:
        store.hold_entries(connection)
        number, size = SIGNALS.c.number, PROVEN_PAGE if request.proofs else PAGE
        query = sa.select(SIGNALS).where(condition_of(request.filter), number > after, number <= last)
        rows = connection.execute(query.order_by(number).limit(size)).all()
        ids = [row.signal_id for row in rows]
        timelines = _timelines(connection, ids) if request.timeline or request.payloads else {}
        page, head = [], store.read_head(connection)
        for row in rows:
            lost = store.lost_entries(head, row.number)
            response = audit_pb2.ExportSignalsResponse(signal=summary(row), entries_not_kept=lost)
            for entry in timelines.get(row.signal_id, ()):
                recorded = store.recorded(entry)
                if not request.payloads:
                    without_payload(recorded.entry)
                elif unreadable := open_payload(recorded.entry, self._cipher):
                    response.payload_unreadable = unreadable
                response.timeline.append(recorded)
            if request.proofs and not lost:
                response.proof.CopyFrom(prove_signal(connection, row.signal_id, self._key))
            page.append(response)
        return (rows[-1].number if len(rows) == size else last), page


def _extent(connection: sa.Connection, request: audit_pb2.ExportSignalsRequest) -> tuple[int, int]:
    """The number of the last signal that is meant, and how many are."""
    query = sa.select(sa.func.max(SIGNALS.c.number), sa.func.count()).where(condition_of(request.filter))
    last, total = connection.execute(query).one()
    return last or 0, total


def _timelines(connection: sa.Connection, ids: Sequence[str]) -> dict[str, list[Any]]:
    """The first 1,000 entries of each signal, in order."""
    entries = ENTRIES
    found: dict[str, list[Any]] = {signal_id: [] for signal_id in ids}
    if not ids:
        return found
    place = sa.func.row_number().over(partition_by=entries.c.signal_id, order_by=entries.c.sequence).label("place")
    numbered = sa.select(entries, place).where(entries.c.signal_id.in_(ids)).subquery()
    query = sa.select(numbered).where(numbered.c.place <= MOST_ENTRIES).order_by(numbered.c.sequence)
    for row in connection.execute(query):
        found[row.signal_id].append(row)
    return found
