"""The last change of each configuration among entries that history no longer keeps: those stay as stored.

What is configured now follows from them. The entry that says what goes lists which stay, so that one that is removed later is
found as well as one that is altered.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from vantixs.api.journal.v1 import journal_pb2
from vantixs.proof.tree import HASH_BYTES, TILE_LEAVES, leaf_hash
from vantixs.runtime.statements import insert_or_replace

from vantixs_audit.proof.findings import ALTERED, COLUMN, INSERTED, MISSING, Fault, at
from vantixs_audit.proof.nodes import packed_leaves
from vantixs_audit.tables import ENTRIES, KEPT_CONFIGURATION

# So many sequences take at most 600 kB; a message of the journal may have 1 MB.
MOST_LISTED = 100_000
AT_ONCE = 500
_PUT = insert_or_replace(KEPT_CONFIGURATION)


def changes_among(rows: Iterable[Any]) -> dict[str, int]:
    """The sequence of the last change of each configuration among rows of entries, which come in their order; by its name.

    Raises:
        DecodeError: the bytes of one of them are no entry.
    """
    return {_name_of(row.data): row.sequence for row in rows if row.kind == "configuration_changed"}


def kept_now(connection: sa.Connection, dropped_sequence: int) -> dict[str, int]:
    """The sequence of what is kept of each configuration of entries up to that one, by its name."""
    kept = sa.select(KEPT_CONFIGURATION.c.name, KEPT_CONFIGURATION.c.sequence)
    rows = connection.execute(kept.where(KEPT_CONFIGURATION.c.sequence <= dropped_sequence))
    return {row.name: row.sequence for row in rows}


def listed(configuration: Mapping[str, int]) -> journal_pb2.KeptConfiguration | None:
    """What the entry lists of it; None where that is too much for an entry."""
    if len(configuration) > MOST_LISTED:
        return None
    return journal_pb2.KeptConfiguration(sequences=sorted(configuration.values()))


def is_listed(said: journal_pb2.HistoryDropped | None) -> bool:
    """Whether the entry lists what stays; a version before did not, nor is it done where that is too much."""
    return said is not None and said.HasField("kept_configuration")


def keep(connection: sa.Connection, configuration: Mapping[str, int], dropped_sequence: int) -> None:
    """Copies those of its entries that are after `dropped_sequence`, each in place of the change of that name before it."""
    fresh = {sequence: name for name, sequence in configuration.items() if sequence > dropped_sequence}
    sequences = sorted(fresh)
    for start in range(0, len(sequences), AT_ONCE):
        some = ENTRIES.c.sequence.in_(sequences[start : start + AT_ONCE])
        query = sa.select(ENTRIES.c.sequence, ENTRIES.c.data).where(some)
        _PUT.run_all(connection, [{**row._mapping, "name": fresh[row.sequence]} for row in connection.execute(query)])


def find_fault(
    connection: sa.Connection, dropped_sequence: int, said: journal_pb2.HistoryDropped | None
) -> Fault | None:
    """The first row that is not what was kept of entries up to `dropped_sequence`; `said` is what the entry says of the cut.

    Where the entry lists nothing, only rows that are there can be found to be wrong. Rows of entries that are still kept are
    then those that a version before stored ahead of a cut.
    """
    leaf_of = _leaves(connection, dropped_sequence)
    lists, expected = is_listed(said), deque(said.kept_configuration.sequences if said else ())
    for row in connection.execute(sa.select(KEPT_CONFIGURATION).order_by(KEPT_CONFIGURATION.c.sequence)):
        if lists and (not expected or expected[0] > row.sequence):
            return at(
                INSERTED, row.sequence, f"entry {row.sequence}, kept for {row.name}, is not one of those that stayed"
            )
        if lists and (sequence := expected.popleft()) != row.sequence:
            return _missing(sequence)
        if leaf_hash(row.data) != leaf_of(row.sequence):
            return at(ALTERED, row.sequence, f"entry {row.sequence}, kept for {row.name}, is not what was recorded")
        if row.name != (name := _name_of(row.data)):
            return at(COLUMN, row.sequence, f"entry {row.sequence} is kept for {row.name}, its bytes say {name}")
    return _missing(expected[0]) if expected else None


def _missing(sequence: int) -> Fault:
    return at(MISSING, sequence, f"entry {sequence}, the last change of a configuration, was kept and is not there")


def _leaves(connection: sa.Connection, dropped_sequence: int) -> Callable[[int], bytes | None]:
    """Gives an entry's leaf hash, None where it is not there; asked in order, it reads each stored row of hashes once."""

    @lru_cache(maxsize=1)
    def block(position: int) -> bytes:
        return packed_leaves(connection, position, position).get(position, b"")

    def leaf_of(sequence: int) -> bytes | None:
        if sequence > dropped_sequence:
            data = connection.execute(sa.select(ENTRIES.c.data).where(ENTRIES.c.sequence == sequence)).scalar()
            return None if data is None else leaf_hash(data)
        position, inside = divmod(sequence - 1, TILE_LEAVES)
        return block(position)[inside * HASH_BYTES : (inside + 1) * HASH_BYTES]

    return leaf_of


def _name_of(data: bytes) -> str:
    change = journal_pb2.JournalEntry.FromString(data).configuration_changed
    # PostgreSQL's texts have no NUL.
    return f"{change.kind}:{change.id}".replace("\x00", "")
