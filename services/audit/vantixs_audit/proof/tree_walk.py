"""Walks the entries of history: the chain, the tree over them, and every checkpoint that was signed over it.

Each entry has to be there, with its leaf hash and the chain from its bytes; of those that are no longer kept the leaf hash, and
an entry that says that they went. At the end: where history says that it ends, and checkpoints of a longer one. A page that holds
is found to do so in one loop; of one that does not each entry is looked at.
"""

import hashlib
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from vantixs.proof.note import Checkpoint, Key, NoteError, open_checkpoint
from vantixs.proof.tree import TILE_LEAVES, Tree, leaf_hash

from vantixs_audit import store
from vantixs_audit.domain.status import GENESIS, chain_hash
from vantixs_audit.history_retention import announcement
from vantixs_audit.proof.findings import (
    ALTERED,
    CHECKPOINT,
    COLUMN,
    INSERTED,
    MISSING,
    ROLLED_BACK,
    TREE,
    TRUNCATED,
    Fault,
    at,
    broken_chain,
)
from vantixs_audit.proof.kept_leaves import read_leaves
from vantixs_audit.tables import CHECKPOINTS, ENTRIES, TREE_NODES, TREE_START

# Entries a page, and how many after it are read as well: what is wrong is told by what comes next.
PAGE, CONTEXT = 1000, 64
LEAVES_PAGE = 64 * TILE_LEAVES


class TreeWalk:
    """How far the entries are checked. `leaves` are the hashes of those of the last page."""

    def __init__(self, key: Key, against: Mapping[str, Checkpoint]) -> None:
        self._key = key
        self._against = dict(against)
        self._tree = Tree()
        self._hashes = deque([GENESIS], maxlen=CONTEXT)
        self._held = 0  # The largest checkpoint that was found to hold.
        self._leaves = bytearray()
        self._ended_at = -1

    @property
    def size(self) -> int:
        """How many entries were found as they were recorded."""
        return self._tree.size

    @property
    def leaves(self) -> bytes:
        """The leaf hashes of the last page, 32 bytes each."""
        return bytes(self._leaves)

    def is_at_end_of(self, head: store.Head) -> bool:
        """Whether all of that history is checked, its end too."""
        return self._ended_at == head.sequence

    def take_page(self, connection: sa.Connection, head: store.Head) -> Fault | None:
        """Looks at the next entries, and at the end of history where there are none after them."""
        self._leaves = bytearray()
        if self._tree.size < head.dropped_sequence:
            return self._take_leaves(connection, head)
        query = sa.select(ENTRIES.c.sequence, ENTRIES.c.data, ENTRIES.c.hash, ENTRIES.c.leaf_hash)
        query = query.where(ENTRIES.c.sequence > self._tree.size).order_by(ENTRIES.c.sequence)
        rows = connection.execute(query.limit(PAGE + CONTEXT)).all()
        if fault := self._page(connection, head, rows):
            return fault
        if len(rows) <= PAGE:
            if fault := self._end(connection, head):
                return fault
            self._ended_at = head.sequence
        return None

    def _take_leaves(self, connection: sa.Connection, head: store.Head) -> Fault | None:
        """Looks at the next leaves of entries that are no longer kept, and at what says so after the last of them."""
        start = self._tree.size
        end = min(start + LEAVES_PAGE, head.dropped_sequence)
        leaves = read_leaves(connection, start, end)
        checkpoints = self._checkpoints(connection, start, end)
        for stop in [*sorted(checkpoints), end]:
            part = leaves[self._tree.size - start : stop - start]
            self._tree.extend(part)
            self._leaves += b"".join(part)
            if self._tree.size < stop:
                missing = self._tree.size + 1
                return Fault(
                    MISSING, missing, end, f"the leaf hash of entry {missing}, which is no longer kept, is missing"
                )
            for name, checkpoint in checkpoints.get(stop, ()):
                if fault := self._hold(name, checkpoint):
                    return fault
        if end == head.dropped_sequence:
            self._hashes = deque([head.dropped_hash], maxlen=CONTEXT)
            if fault := self._said(connection, head):
                return fault
        return self._nodes(connection)

    def _said(self, connection: sa.Connection, head: store.Head) -> Fault | None:
        """Whether an entry says that those before it went: of that entry the walk finds whether it is as it was recorded."""
        found, size = announcement.find(connection, head.dropped_sequence), self._tree.size
        if found is None:
            return Fault(MISSING, 1, size, f"entries 1 to {size} are not there, and no entry says that they went")
        sequence, said = found
        if (said.last_sequence, said.root, said.signals) != (size, self._tree.root, head.dropped_signals):
            return Fault(ALTERED, 1, size, f"entries 1 to {size} are not those that went by what entry {sequence} says")
        return None

    def _page(self, connection: sa.Connection, head: store.Head, rows: Sequence[Any]) -> Fault | None:
        if not rows:
            return None
        begun = connection.execute(sa.select(TREE_START.c.sequence)).scalar() or 0
        page = rows[:PAGE]
        checkpoints = self._checkpoints(connection, self._tree.size, page[-1].sequence)
        stops = [size for size in checkpoints if size <= head.sequence]
        done = 0
        for stop in [*sorted(stops), min(page[-1].sequence, head.sequence)]:
            part = page[done : stop - page[0].sequence + 1]
            if not self._holds(part, begun):
                return self._look_at_each(connection, head, rows, done, begun, checkpoints)
            done += len(part)
            told = checkpoints.get(stop, ()) if part else ()
            if fault := self._checkpoints_hold(connection, head, rows[done:], begun, told):
                return fault
        if done < len(page) and (fault := self._look_at_each(connection, head, rows, done, begun, checkpoints)):
            return fault
        return self._nodes(connection)

    def _holds(self, rows: Sequence[Any], begun: int) -> bool:
        """Whether all of the rows come next, one after the other, with the hashes that their bytes give; takes them where so."""
        sha256, expected, previous = hashlib.sha256, self._tree.size, self._hashes[-1]
        leaves, hashes = [], []
        for sequence, data, stored, stored_leaf in rows:
            expected += 1
            leaf = sha256(b"\x00" + data).digest()
            previous = sha256(previous + data).digest()
            if sequence != expected or stored != previous:
                return False
            if stored_leaf != leaf and (stored_leaf is not None or sequence > begun):
                return False
            leaves.append(leaf)
            hashes.append(previous)
        self._tree.extend(leaves)
        self._hashes.extend(hashes[-CONTEXT:])
        self._leaves += b"".join(leaves)
        return True

    def _look_at_each(
        self,
        connection: sa.Connection,
        head: store.Head,
        rows: Sequence[Any],
        done: int,
        begun: int,
        checkpoints: dict[int, list[tuple[str, Checkpoint | str]]],
    ) -> Fault | None:
        """What is wrong with the first row of the page that is not as it was recorded; those before it are taken."""
        for number in range(done, min(PAGE, len(rows))):
            sequence, following = rows[number].sequence, rows[number + 1 :]
            if sequence > head.sequence:
                if self._tree.size < head.sequence:
                    return None
                return at(INSERTED, sequence, f"entry {sequence} is after the end of history, {head.sequence}")
            if sequence <= self._tree.size:
                return at(INSERTED, sequence, f"entry {sequence} is there twice")
            if sequence != self._tree.size + 1:
                missing, last = self._tree.size + 1, sequence - 1
                return Fault(MISSING, missing, last, f"entries {missing} to {last} are not there")
            if fault := self._entry(connection, head, rows[number:], begun):
                return fault
            if fault := self._checkpoints_hold(connection, head, following, begun, checkpoints.get(sequence, ())):
                return fault
        return None

    def _checkpoints_hold(
        self,
        connection: sa.Connection,
        head: store.Head,
        following: Sequence[Any],
        begun: int,
        checkpoints: Sequence[tuple[str, Checkpoint | str]],
    ) -> Fault | None:
        for name, checkpoint in checkpoints:
            if fault := self._hold(name, checkpoint):
                # The checkpoint says that something before it is wrong; the chain may say what.
                return (self._entry(connection, head, following, begun) if following else None) or fault
        return None

    def _entry(self, connection: sa.Connection, head: store.Head, rows: Any, begun: int) -> Fault | None:
        row = rows[0]
        leaf, chained = leaf_hash(row.data), chain_hash(self._hashes[-1], row.data)
        leaf_holds = row.leaf_hash == leaf or (row.leaf_hash is None and row.sequence <= begun)
        if row.hash != chained:
            last = connection.execute(sa.select(sa.func.max(ENTRIES.c.sequence))).scalar() or 0
            fault = broken_chain(self._hashes, rows, leaf_holds=leaf_holds, all_there=last >= head.sequence)
            return fault
        if not leaf_holds:
            return at(COLUMN, row.sequence, f"the leaf hash of entry {row.sequence} does not follow from its bytes")
        self._hashes.append(chained)
        self._tree.append(leaf)
        self._leaves += leaf
        return None

    def _checkpoints(
        self, connection: sa.Connection, after: int, until: int
    ) -> dict[int, list[tuple[str, Checkpoint | str]]]:
        """Those of a range of sizes, by size; in place of one that is not signed, why."""
        found: dict[int, list[tuple[str, Checkpoint | str]]] = {}
        query = sa.select(CHECKPOINTS).where(CHECKPOINTS.c.size > after, CHECKPOINTS.c.size <= until)
        for row in connection.execute(query.order_by(CHECKPOINTS.c.size)):
            found.setdefault(row.size, []).append(("", self._open(row)))
        for name, checkpoint in self._against.items():
            if after < checkpoint.size <= until:
                found.setdefault(checkpoint.size, []).append((name, checkpoint))
        return found

    def _open(self, row: Any) -> Checkpoint | str:
        try:
            checkpoint = open_checkpoint(row.note, self._key)
        except NoteError as error:
            return str(error)
        return checkpoint if checkpoint.size == row.size else f"it is of {checkpoint.size} entries"

    def _hold(self, name: str, checkpoint: Checkpoint | str) -> Fault | None:
        size = self._tree.size
        if isinstance(checkpoint, str):
            return at(CHECKPOINT, size, f"the stored checkpoint at {size}: {checkpoint}")
        if checkpoint.root != self._tree.root:
            kind = ROLLED_BACK if name else ALTERED
            first = self._held + 1
            of = f"the {name}" if name else "the stored checkpoint"
            detail = f"entries {first} to {size} are not those that {of} at {size} was signed over"
            return Fault(kind, first, size, detail)
        self._held = size
        return None

    def _nodes(self, connection: sa.Connection) -> Fault | None:
        made, self._tree.made = self._tree.made, []
        for node in made:
            query = sa.select(TREE_NODES.c.hash).where(
                TREE_NODES.c.level == node.level, TREE_NODES.c.position == node.position
            )
            if connection.execute(query).scalar() != node.hash:
                last = (node.position + 1) << node.level
                detail = f"the stored hash over the {1 << node.level} entries up to {last} does not follow from them"
                return at(TREE, last, detail)
        return None

    def _end(self, connection: sa.Connection, head: store.Head) -> Fault | None:
        size = self._tree.size
        if size < head.sequence:
            return Fault(TRUNCATED, size + 1, head.sequence, f"entries {size + 1} to {head.sequence} are not there")
        for row in connection.execute(
            sa.select(CHECKPOINTS).where(CHECKPOINTS.c.size > size).order_by(CHECKPOINTS.c.size).limit(1)
        ):
            checkpoint = self._open(row)
            if isinstance(checkpoint, str):
                return at(CHECKPOINT, row.size, f"the stored checkpoint at {row.size}: {checkpoint}")
            detail = f"history ends at {size}, and a checkpoint was signed at {row.size}"
            return Fault(TRUNCATED, size + 1, row.size, detail)
        for name, outside in self._against.items():
            if outside.size > size:
                detail = f"history ends at {size}, and the {name} is at {outside.size}: an older copy"
                if size > self._held:
                    # An older copy that went on with other entries looks the same.
                    detail += f", of which no checkpoint shows entries {self._held + 1} to {size}"
                return Fault(ROLLED_BACK, self._held + 1, outside.size, detail)
        if head.hash != self._hashes[-1]:
            return at(TREE, size, "the hash at which history says that it ends is not that of its last entry")
        if head.tree_edge != self._tree.edge_bytes:
            return at(TREE, size, "what is kept of the tree does not follow from the entries")
        return None
