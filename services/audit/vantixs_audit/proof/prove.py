"""What shows that a signal's entries are in history."""

import grpc
import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.proof.note import Key, NoteError, open_checkpoint
from vantixs.proof.tree import includes, inclusion_proof, leaf_hash
from vantixs.runtime.errors import ServiceError, not_found

from vantixs_audit.proof.nodes import NodesMissing, last_checkpoint, reader
from vantixs_audit.store import ENTRIES, SIGNALS, not_kept

MOST = 1000


def prove_signal(connection: sa.Connection, signal_id: str, key: Key) -> audit_pb2.ProveSignalResponse:
    """The signal's first 1,000 entries with their proofs, which were checked.

    Raises:
        ServiceError: NOT_FOUND; FAILED_PRECONDITION ENTRIES_NOT_KEPT where there are none any more,
            PROOF_NOT_YET until a checkpoint covers the entries, HISTORY_ALTERED
            where they are not those that the checkpoint was signed over.
    """
    if not signal_id:  # Entries of no signal have none.
        raise not_found("signal", signal_id)
    query = sa.select(ENTRIES.c.sequence, ENTRIES.c.data).where(ENTRIES.c.signal_id == signal_id)
    entries = connection.execute(query.order_by(ENTRIES.c.sequence).limit(MOST)).all()
    if not entries:
        if connection.execute(sa.select(SIGNALS.c.number).where(SIGNALS.c.signal_id == signal_id)).first():
            raise not_kept(signal_id)
        raise not_found("signal", signal_id)
    row = last_checkpoint(connection)
    if row is None or row.size < entries[-1].sequence:
        detail = f"expected a checkpoint over entry {entries[-1].sequence}, the last is at {row.size if row else 0}"
        raise ServiceError(grpc.StatusCode.FAILED_PRECONDITION, "PROOF_NOT_YET", f"{detail}: try again in some seconds")
    response = audit_pb2.ProveSignalResponse(checkpoint=row.note)
    try:
        checkpoint = open_checkpoint(row.note, key)
        read = reader(connection)
        for entry in entries:
            hashes = inclusion_proof(read, entry.sequence - 1, checkpoint.size)
            if not includes(leaf_hash(entry.data), entry.sequence - 1, checkpoint.size, hashes, checkpoint.root):
                raise _altered(
                    f"entry {entry.sequence} is not what the checkpoint at {checkpoint.size} was signed over"
                )
            response.entries.add(sequence=entry.sequence, data=entry.data, hashes=hashes)
    except (NoteError, NodesMissing, ValueError) as error:
        raise _altered(str(error)) from None
    return response


def _altered(detail: str) -> ServiceError:
    return ServiceError(grpc.StatusCode.FAILED_PRECONDITION, "HISTORY_ALTERED", f"{detail}: run `vantixs audit verify`")
