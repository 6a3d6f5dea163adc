"""What was sent with a signal, opened where it is sealed; each look is an entry."""

import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import signal_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.runtime.database import Database
from vantixs.runtime.errors import not_found
from vantixs.runtime.grpc_server import Caller
from vantixs.runtime.outbox import Outbox
from vantixs.runtime.secret_cipher import PayloadCipher

from vantixs_audit.history_reads import record_payload_read, record_read, request_of
from vantixs_audit.store import lost_entries, not_kept, read_head, recorded
from vantixs_audit.tables import ENTRIES, SIGNALS

MOST_ENTRIES = 1000


class Payloads:
    """Gives payloads to those who ask for them by the signal, with an entry for each time."""

    def __init__(self, database: Database, outbox: Outbox, cipher: PayloadCipher) -> None:
        self._database = database
        self._outbox = outbox
        self._cipher = cipher

    async def get(self, signal_id: str, who: Caller) -> audit_pb2.GetPayloadResponse:
        """The payload, once the entry of the look is on disk.

        Raises:
            ServiceError: NOT_FOUND; FAILED_PRECONDITION ENTRIES_NOT_KEPT where it is no longer kept;
                or as `PayloadCipher.open`, `Database.read` and `record_read`.
        """
        request = await self._database.read(lambda c: _first_request(c, signal_id))
        response = audit_pb2.GetPayloadResponse(
            payload=request.payload,
            payload_sha256=request.payload_sha256,
            sealed=bool(request.sealed_payload),
            content_type=request.content_type,
        )
        if request.sealed_payload:
            response.payload = self._cipher.open(request.sealed_payload, request.payload_sha256)
        await record_payload_read(self._database, self._outbox, who, signal_id)
        return response

    async def record_proof(self, signal_id: str, who: Caller) -> None:
        """Stores the entry that says who was given a signal's proof, which holds its entries with the payload.

        Raises:
            ServiceError: as `record_read`; the proof may not be given then.
        """
        read = journal_pb2.HistoryRead(kind="proof", filter=signal_id, count=1, payloads=True, proofs=True)
        await record_read(self._database, self._outbox, who, read)


def _first_request(connection: sa.Connection, signal_id: str) -> signal_pb2.ReceivedRequest:
    """The request that the signal came with."""
    query = sa.select(ENTRIES).where(ENTRIES.c.signal_id == signal_id).order_by(ENTRIES.c.sequence).limit(MOST_ENTRIES)
    if not signal_id:  # Entries of no signal have none.
        raise not_found("signal", signal_id)
    found = False
    for row in connection.execute(query):
        found = True
        if (request := request_of(recorded(row).entry)) is not None:
            return request
    number = connection.execute(sa.select(SIGNALS.c.number).where(SIGNALS.c.signal_id == signal_id)).scalar()
    if number and lost_entries(read_head(connection), number):
        raise not_kept(signal_id)
    if not found:
        raise not_found("signal", signal_id)
    return signal_pb2.ReceivedRequest()
