"""A Merkle tree over the entries, begun over the chain that is there. Frozen.

The chain is walked once. One that was altered is not made good: what is wrong with it is recorded, and stays visible in
the entries themselves. A place without an entry gets a leaf of zeros, so that places and sequences go on together.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_PAGE = 1000


def upgrade() -> None:
    """Adds columns and tables, and takes the chain over."""
    op.add_column("entries", sa.Column("leaf_hash", sa.LargeBinary, nullable=True))
    op.add_column("head", sa.Column("tree_edge", sa.LargeBinary, nullable=True))
    nodes = op.create_table(
        "tree_nodes",
        sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    start = op.create_table(
        "tree_start",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("first_bad_sequence", sa.BigInteger, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_table(
        "checkpoints",
        sa.Column("size", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
    )
    connection = op.get_bind()
    head = connection.execute(sa.text("SELECT sequence, hash FROM head")).first()
    walk = _Walk(*(head or (0, bytes(32))))
    for row in _entries(connection, walk.last):
        walk.take(row.sequence, bytes(row.data), bytes(row.hash))
        if len(walk.made) >= _PAGE:
            connection.execute(sa.insert(nodes), walk.made)
            walk.made = []
    walk.finish()
    if walk.made:
        connection.execute(sa.insert(nodes), walk.made)
    connection.execute(
        sa.insert(start).values(
            id=1, sequence=walk.last, hash=walk.end, first_bad_sequence=walk.bad, detail=walk.detail
        )
    )
    changed = sa.text("UPDATE head SET tree_edge = :edge").bindparams(sa.bindparam("edge", type_=sa.LargeBinary))
    connection.execute(changed, {"edge": b"".join(walk.edge)})


def _entries(connection: sa.Connection, last: int) -> Iterator[Any]:
    query = sa.text(
        "SELECT sequence, data, hash FROM entries WHERE sequence > :after AND sequence <= :last ORDER BY sequence LIMIT :most"
    )
    after = 0
    while rows := connection.execute(query, {"after": after, "last": last, "most": _PAGE}).all():
        yield from rows
        after = rows[-1].sequence


class _Walk:
    """The chain as it is checked, and the tree as it grows."""

    def __init__(self, last: int, end: bytes) -> None:
        self.last, self.end = last, bytes(end)
        self.bad, self.detail = 0, ""
        self.edge: list[bytes] = []
        self.made: list[dict[str, object]] = []
        self._size = 0
        self._chained = bytes(32)

    def take(self, sequence: int, data: bytes, found: bytes) -> None:
        """Appends an entry."""
        self._skip_to(sequence)
        if hashlib.sha256(self._chained + data).digest() != found:
            self._note(sequence, f"entry {sequence} does not follow from those before it")
        self._chained = found
        self._append(hashlib.sha256(b"\x00" + data).digest())

    def finish(self) -> None:
        """Holds the end against the head."""
        self._skip_to(self.last + 1)
        if self._chained != self.end:
            self._note(self.last, f"entry {self.last} is not the end that was recorded")

    def _skip_to(self, sequence: int) -> None:
        while self._size + 1 < sequence:
            self._note(self._size + 1, f"entry {self._size + 1} is missing")
            self._append(bytes(32))

    def _note(self, sequence: int, detail: str) -> None:
        if not self.bad:
            self.bad, self.detail = sequence, detail

    def _append(self, leaf: bytes) -> None:
        remaining, level = self._size, 0
        while remaining & 1:
            leaf = hashlib.sha256(b"\x01" + self.edge.pop() + leaf).digest()
            remaining, level = remaining >> 1, level + 1
            if level % 8 == 0:
                self.made.append({"level": level, "position": remaining, "hash": leaf})
        self.edge.append(leaf)
        self._size += 1
