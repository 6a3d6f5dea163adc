"""Leaf hashes of entries that are no longer kept: so the tree, its proofs and its checkpoints go on over all of history."""

from collections.abc import Sequence

import sqlalchemy as sa
from vantixs.proof.tree import HASH_BYTES, TILE_LEAVES, Tree, range_root
from vantixs.runtime.statements import insert_or_replace

from vantixs_audit.proof.nodes import NodesMissing, packed_leaves, reader
from vantixs_audit.tables import TREE_LEAVES

_PUT = insert_or_replace(TREE_LEAVES)


def put_leaves(connection: sa.Connection, start: int, leaves: Sequence[bytes]) -> None:
    """Stores leaves from the index `start` on, where those before it are stored; what is there already is overwritten.

    Raises:
        NodesMissing: not all of those before it are stored.
    """
    position, inside = divmod(start, TILE_LEAVES)
    before = packed_leaves(connection, position, position).get(position, b"")[: inside * HASH_BYTES]
    if len(before) != inside * HASH_BYTES:
        raise NodesMissing(
            f"expected the hashes of {start} leaves, found those up to {position * TILE_LEAVES} and some"
        )
    packed, width = before + b"".join(leaves), TILE_LEAVES * HASH_BYTES
    blocks = [packed[at : at + width] for at in range(0, len(packed), width)]
    rows = [{"position": position + n, "hashes": block} for n, block in enumerate(blocks)]
    _PUT.run_all(connection, rows)


def read_leaves(connection: sa.Connection, start: int, end: int) -> list[bytes]:
    """The leaves from the index `start` up to `end`; those before the first that is not there."""
    first, last = start // TILE_LEAVES, (end - 1) // TILE_LEAVES
    blocks = packed_leaves(connection, first, last)
    found: list[bytes] = []
    for position in range(first, last + 1):
        hashes = blocks.get(position, b"")
        found += [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes) - HASH_BYTES + 1, HASH_BYTES)]
        if len(hashes) != TILE_LEAVES * HASH_BYTES:
            break
    inside = start - first * TILE_LEAVES
    return found[inside : inside + end - start]


def tree_at(connection: sa.Connection, size: int) -> Tree:
    """The tree as it was at that size, from the hashes that are stored.

    Raises:
        NodesMissing: not all of them are there.
    """
    read, edge, start = reader(connection), b"", 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            edge += range_root(read, start, start + (1 << level))
            start += 1 << level
    return Tree(size, edge)
