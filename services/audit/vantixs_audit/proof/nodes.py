"""Hashes of the tree as the database has them, and checkpoints as they are stored."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from vantixs.proof.tree import HASH_BYTES, TILE_LEAVES, Read, leaf_hash

from vantixs_audit.tables import CHECKPOINTS, ENTRIES, TREE_LEAVES, TREE_NODES, TREE_START


class NodesMissing(LookupError):
    """A hash of the tree is not there."""


def reader(connection: sa.Connection) -> Read:
    """Reads hashes for proofs. Entries that were there before the tree get their leaf from their bytes; of those that are no
    longer kept it is stored.

    Raises (when called):
        NodesMissing: not all of them are there.
    """

    def read(level: int, position: int, count: int) -> Sequence[bytes]:
        if level:
            query = sa.select(TREE_NODES.c.position, TREE_NODES.c.hash).where(TREE_NODES.c.level == level)
            at, places = TREE_NODES.c.position, (position, position + count - 1)
        else:
            # Bytes are read only where no hash of them is stored: signing reads hundreds of leaves a second.
            data = sa.case((ENTRIES.c.leaf_hash.is_(None), ENTRIES.c.data))
            query = sa.select(ENTRIES.c.sequence, ENTRIES.c.leaf_hash, data.label("data"))
            at, places = ENTRIES.c.sequence, (position + 1, position + count)
        rows = connection.execute(query.where(at.between(*places)).order_by(at)).all()
        if len(rows) != count and not level:
            found = _not_kept(connection, position, count)
            found |= {row.sequence: row.leaf_hash or leaf_hash(row.data) for row in rows}
            sequences = range(places[0], places[1] + 1)
            lacked = _lacked_until(connection)
            if all(sequence in found or sequence <= lacked for sequence in sequences):
                return [found.get(sequence, bytes(HASH_BYTES)) for sequence in sequences]
        if len(rows) != count:
            raise NodesMissing(f"expected {count} hashes of level {level} from {position} on, found {len(rows)}")
        return [row.hash if level else row.leaf_hash or leaf_hash(row.data) for row in rows]

    return read


def packed_leaves(connection: sa.Connection, first: int, last: int) -> dict[int, bytes]:
    """Rows of leaves of entries that are no longer kept, by their position."""
    query = sa.select(TREE_LEAVES).where(TREE_LEAVES.c.position.between(first, last))
    return {row.position: row.hashes for row in connection.execute(query)}


def _not_kept(connection: sa.Connection, index: int, count: int) -> dict[int, bytes]:
    """Leaves of entries that are no longer kept, by sequence; at least those that are asked for."""
    found: dict[int, bytes] = {}
    for position, hashes in packed_leaves(connection, index // TILE_LEAVES, (index + count - 1) // TILE_LEAVES).items():
        for at in range(len(hashes) // HASH_BYTES):
            found[position * TILE_LEAVES + at + 1] = hashes[at * HASH_BYTES : (at + 1) * HASH_BYTES]
    return found


def _lacked_until(connection: sa.Connection) -> int:
    """Up to where entries may have been missing when the tree was begun, whose leaves are zeros; 0 where none was."""
    start = connection.execute(sa.select(TREE_START)).first()
    return start.sequence if start is not None and start.first_bad_sequence else 0


def last_checkpoint(connection: sa.Connection) -> Any:
    """The row of the largest checkpoint, or None."""
    return connection.execute(sa.select(CHECKPOINTS).order_by(CHECKPOINTS.c.size.desc()).limit(1)).first()


def insert_checkpoint(connection: sa.Connection, size: int, note: str, now: datetime) -> None:
    """Stores a checkpoint, in place of another one of that size."""
    connection.execute(sa.delete(CHECKPOINTS).where(CHECKPOINTS.c.size == size))
    connection.execute(sa.insert(CHECKPOINTS).values(size=size, note=note, create_time=now))
