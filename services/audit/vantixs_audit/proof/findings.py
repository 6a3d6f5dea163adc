"""What an entry that does not follow from those before it is: altered, missing, inserted, at another place, or a column."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from vantixs.api.audit.v1 import audit_pb2

from vantixs_audit.domain.status import chain_hash

ALTERED = audit_pb2.HISTORY_FAULT_KIND_ALTERED
MISSING = audit_pb2.HISTORY_FAULT_KIND_MISSING
INSERTED = audit_pb2.HISTORY_FAULT_KIND_INSERTED
REORDERED = audit_pb2.HISTORY_FAULT_KIND_REORDERED
TRUNCATED = audit_pb2.HISTORY_FAULT_KIND_TRUNCATED
ROLLED_BACK = audit_pb2.HISTORY_FAULT_KIND_ROLLED_BACK
COLUMN = audit_pb2.HISTORY_FAULT_KIND_COLUMN
VIEW = audit_pb2.HISTORY_FAULT_KIND_VIEW
CHECKPOINT = audit_pb2.HISTORY_FAULT_KIND_CHECKPOINT
TREE = audit_pb2.HISTORY_FAULT_KIND_TREE


class Fault(NamedTuple):
    """The first thing that is wrong; the entry is from `first` to `last`, 0 where it is no entry."""

    kind: "audit_pb2.HistoryFaultKind"
    first: int
    last: int
    detail: str
    signal_id: str = ""

    @property
    def message(self) -> audit_pb2.HistoryFault:
        """For the wire."""
        return audit_pb2.HistoryFault(
            kind=self.kind,
            first_sequence=self.first,
            last_sequence=self.last,
            signal_id=self.signal_id,
            detail=self.detail,
        )


def at(kind: "audit_pb2.HistoryFaultKind", sequence: int, detail: str, signal_id: str = "") -> Fault:
    """Something that is wrong with one entry."""
    return Fault(kind, sequence, sequence, detail, signal_id)


def broken_chain(before: Sequence[bytes], rows: Sequence[Any], *, leaf_holds: bool, all_there: bool) -> Fault:
    """What the first of the rows is, whose hash does not follow from its bytes and the last of the hashes before it.

    `rows` has some that come after it. `all_there` says whether history has as many entries as it says it has.
    """
    row, following = rows[0], rows[1:]
    # One or more entries before it may be new: then it follows from a hash before those.
    for back in range(2, len(before) + 1):
        if chain_hash(before[-back], row.data) == row.hash:
            added = row.sequence - back + 1
            return at(
                INSERTED, added, f"entry {added} was not recorded: entry {row.sequence} follows from what is before"
            )
    expected = chain_hash(before[-1], row.data)
    if following and leaf_holds and chain_hash(expected, following[0].data) == following[0].hash:
        return at(COLUMN, row.sequence, f"the hash of entry {row.sequence} does not follow from its bytes")
    for other in following:
        if chain_hash(before[-1], other.data) == other.hash:
            moved = chain_hash(other.hash, row.data) == row.hash
            if other is following[0] and not moved and _in_order(before[-1], following):
                return at(INSERTED, row.sequence, f"entry {row.sequence} was not recorded")
            detail = f"entry {row.sequence} is at another's place, which is at {other.sequence}"
            return at(REORDERED, row.sequence, detail)
    if leaf_holds and not all_there:
        return at(MISSING, row.sequence, f"entries before the one at {row.sequence} are missing")
    if leaf_holds and row.sequence > 1:
        # Whoever alters an entry can make its own hashes again; then the next one does not follow from it.
        before_it = row.sequence - 1
        detail = f"entry {before_it} or {row.sequence} was altered, or one between them is missing"
        return Fault(ALTERED, before_it, row.sequence, detail)
    return at(ALTERED, row.sequence, f"entry {row.sequence} does not follow from its bytes and those before it")


def _in_order(previous: bytes, rows: Sequence[Any]) -> bool:
    for row in rows[:2]:
        if chain_hash(previous, row.data) != row.hash:
            return False
        previous = row.hash
    return True
