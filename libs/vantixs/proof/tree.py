"""A Merkle tree over entries that are only ever appended: RFC 6962 section 2.1, kept as its right edge.

Source: RFC 6962 (hashes, proofs), RFC 9162 section 2.1 (checking proofs), C2SP tlog-tiles (every eighth level is stored).
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
TILE_LEVELS = 8
TILE_LEAVES = 1 << TILE_LEVELS
# Gives so many stored hashes of a level, which is a multiple of 8, from a position on. Level 0 are the leaves.
Read = Callable[[int, int, int], Sequence[bytes]]


def leaf_hash(stored: bytes) -> bytes:
    """The leaf of an entry's bytes as they are stored."""
    return hashlib.sha256(b"\x00" + stored).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two neighbours."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Node(NamedTuple):
    """The root of a complete subtree of `2 ** level` leaves, the `position`-th of that level, from 0."""

    level: int
    position: int
    hash: bytes


class Tree:
    """The right edge of a tree: the roots of its complete subtrees, the largest first. Appending needs no more of it.

    `made` has the nodes of stored levels that became complete since it was last emptied.
    """

    def __init__(self, size: int = 0, edge: bytes = b"") -> None:
        """Takes up a tree where `edge_bytes` left it.

        Raises:
            ValueError: the edge is not one of a tree of that size.
        """
        if len(edge) != HASH_BYTES * size.bit_count():
            raise ValueError(f"expected {size.bit_count()} hashes for {size} leaves, was {len(edge)} bytes")
        self.size = size
        self.made: list[Node] = []
        self._edge = [edge[at : at + HASH_BYTES] for at in range(0, len(edge), HASH_BYTES)]

    def append(self, leaf: bytes) -> None:
        """Appends the hash of a leaf."""
        self._append(0, leaf)

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Appends the hashes of leaves; many at once take half the time of as many `append`."""
        sha256, at = hashlib.sha256, 0
        while at < len(leaves):
            if self.size % TILE_LEAVES or len(leaves) - at < TILE_LEAVES:
                self.append(leaves[at])
                at += 1
                continue
            hashes = list(leaves[at : at + TILE_LEAVES])
            at += TILE_LEAVES
            while len(hashes) > 1:
                pairs = zip(hashes[::2], hashes[1::2], strict=True)
                hashes = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
            self.made.append(Node(TILE_LEVELS, self.size >> TILE_LEVELS, hashes[0]))
            self._append(TILE_LEVELS, hashes[0])

    def _append(self, level: int, node: bytes) -> None:
        """Appends the root of a complete subtree of that level, where the tree is a multiple of its size."""
        remaining, added = self.size >> level, 1 << level
        while remaining & 1:
            node = node_hash(self._edge.pop(), node)
            remaining >>= 1
            level += 1
            if level % TILE_LEVELS == 0:
                self.made.append(Node(level, remaining, node))
        self._edge.append(node)
        self.size += added

    @property
    def root(self) -> bytes:
        """The root of all leaves so far."""
        if not self._edge:
            return EMPTY_ROOT
        root = self._edge[-1]
        for left in reversed(self._edge[:-1]):
            root = node_hash(left, root)
        return root

    @property
    def edge_bytes(self) -> bytes:
        """What is kept of the tree: 32 bytes for every bit that is set in its size."""
        return b"".join(self._edge)


def range_root(read: Read, start: int, end: int) -> bytes:
    """The root of the leaves from `start` up to `end`, of which there is one at least; `start` is where a subtree begins."""
    size = end - start
    if size & (size - 1):
        split = start + _split(size)
        return node_hash(range_root(read, start, split), range_root(read, split, end))
    level = size.bit_length() - 1
    stored = level - level % TILE_LEVELS
    hashes = list(read(stored, start >> stored, 1 << (level - stored)))
    while len(hashes) > 1:
        hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
    return hashes[0]


def inclusion_proof(read: Read, index: int, size: int) -> list[bytes]:
    """What shows that the leaf of that index, from 0, is in the tree of that size.

    Raises:
        ValueError: it is not.
    """
    if not 0 <= index < size:
        raise ValueError(f"expected an index below {size}, was {index}")
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        split = start + _split(end - start)
        if index < split:
            proof.append(range_root(read, split, end))
            end = split
        else:
            proof.append(range_root(read, start, split))
            start = split
    return proof[::-1]


def consistency_proof(read: Read, first: int, second: int) -> list[bytes]:
    """What shows that the tree of `first` leaves is the beginning of the one of `second` leaves. Empty for equal sizes.

    Raises:
        ValueError: the first is empty or larger.
    """
    if not 0 < first <= second:
        raise ValueError(f"expected a size from 1 to {second}, was {first}")
    proof: list[bytes] = []
    start, end = 0, second
    while first != end:
        split = start + _split(end - start)
        if first <= split:
            proof.append(range_root(read, split, end))
            end = split
        else:
            proof.append(range_root(read, start, split))
            start = split
    if start:
        proof.append(range_root(read, start, end))
    # Else the whole first tree is a subtree of the second: who asks has its root.
    return proof[::-1]


def includes(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof shows that the leaf is in the tree of that root; RFC 9162 section 2.1.3.2."""
    if not 0 <= index < size:
        return False
    first, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0 or len(sibling) != HASH_BYTES:
            return False
        if first & 1 or first == last:
            found = node_hash(sibling, found)
            while not first & 1 and first:
                first >>= 1
                last >>= 1
        else:
            found = node_hash(found, sibling)
        first >>= 1
        last >>= 1
    return last == 0 and found == root


def continues(first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that the first tree is the beginning of the second; RFC 9162 section 2.1.4.2."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    hashes = [*proof] if first & (first - 1) else [first_root, *proof]
    if not hashes or any(len(one) != HASH_BYTES for one in hashes):
        return False
    one, other = first - 1, second - 1
    while one & 1:
        one >>= 1
        other >>= 1
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if other == 0:
            return False
        if one & 1 or one == other:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not one & 1 and one:
                one >>= 1
                other >>= 1
        else:
            new = node_hash(new, sibling)
        one >>= 1
        other >>= 1
    return other == 0 and old == first_root and new == second_root


def _split(size: int) -> int:
    """The largest power of two below a size of at least 2."""
    return 1 << (size - 1).bit_length() - 1
