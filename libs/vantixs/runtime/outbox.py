"""Transactional outbox: journal messages that are committed together with the change of state that they record.

The process that committed a message may publish it at once (`send`). `run` publishes the messages that were left behind by a
crash or an outage. Published rows are deleted in bulk.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence
from typing import Any

import sqlalchemy as sa

from vantixs.runtime.continuity import NOTHING_SEEN, Mark
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.journal import Journal, Message
from vantixs.runtime.sql_elements import Among
from vantixs.runtime.statements import Statement, insert_ignoring

SWEEP_S = 0.5
AT_ONCE = 500


def outbox_table(metadata: sa.MetaData, *, lanes: bool = False) -> sa.Table:
    """The table of an outbox. It is the same in every service; with `lanes` each row names its lane."""
    table = sa.Table(
        "outbox",
        metadata,
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("message_id", sa.Text, nullable=False, unique=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
    if lanes:
        table.append_column(sa.Column("lane", sa.Integer, nullable=False, server_default=sa.text("0")))
        sa.Index("ix_outbox_lane_position", table.c.lane, table.c.position)
    return table


def mark_table(metadata: sa.MetaData) -> sa.Table:
    """The table of one row that says how far the service has seen the journal."""
    return sa.Table(
        "journal_mark",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("stream_id", sa.Text, nullable=False),
        sa.Column("stream_sequence", sa.BigInteger, nullable=False),
    )


def read_mark(connection: sa.Connection, table: sa.Table) -> Mark:
    """How far the service has seen the journal."""
    row = connection.execute(sa.select(table)).first()
    return Mark(row.epoch, row.stream_id, row.stream_sequence) if row else NOTHING_SEEN


def _raise_mark(table: sa.Table) -> Statement:
    """Moves the mark forward and never back, because several processes may move it."""

    def make(insert: Any) -> Any:
        statement = insert(table).values({c.name: sa.bindparam(c.name, type_=c.type) for c in table.c})
        there, new = table.c, statement.excluded
        later = sa.or_(
            there.epoch < new.epoch,
            sa.and_(there.epoch == new.epoch, there.stream_sequence < new.stream_sequence),
            there.stream_id == "",
        )
        changed = {c.name: new[c.name] for c in table.c if c.name != "id"}
        return statement.on_conflict_do_update(index_elements=["id"], set_=changed, where=later)

    return Statement(make)


class Outbox:
    """Messages that are committed and not yet known to be published.

    Published messages are deleted in the same transaction that moves the mark in `marks` (if given), so that a journal which
    loses them later is noticed. `lanes` returns the lanes whose messages this process publishes; without it, it publishes all.
    """

    def __init__(
        self,
        table: sa.Table,
        database: Database,
        journal: Journal,
        marks: sa.Table | None = None,
        lanes: Callable[[], Collection[int]] | None = None,
    ) -> None:
        self._table = table
        self._lanes = lanes
        self._delete = Statement(lambda _: sa.delete(table).where(Among(table.c.message_id, "ids")))
        self._insert = insert_ignoring(table)
        self._raise_mark = None if marks is None else _raise_mark(marks)
        self._database = database
        self._journal = journal
        self._published: set[str] = set()
        self._sending: set[str] = set()
        self._wake = asyncio.Event()

    def put(self, connection: sa.Connection, message: Message, *, lane: int = 0) -> None:
        """Adds a message in the caller's transaction. A message whose id is stored already changes nothing.

        `lane` is used only if the table has lanes.
        """
        values = message._asdict()
        if "lane" in self._table.c:
            values["lane"] = lane
        self._insert.send(connection, **values)

    async def send(self, message: Message) -> None:
        """Publishes a committed message now; returns once it is in the journal."""
        self._sending.add(message.message_id)
        try:
            await self._journal.publish(*message)
            self._published.add(message.message_id)
        finally:
            self._sending.discard(message.message_id)

    async def send_left(self, message_id: str) -> None:
        """Publishes a message of an earlier process if it is still in the outbox; returns once the journal has it.

        Must be called before finished work is acknowledged. The process that did the work may have died between its commit and
        its publish, and then later messages would be published before this one.
        """
        rows = await self._database.read(
            lambda c: c.execute(sa.select(self._table).where(self._table.c.message_id == message_id)).all()
        )
        for row in rows:
            await self.send(Message(row.subject, row.payload, row.message_id))

    async def send_lane(self, lane: int) -> None:
        """Publishes, in order, what other processes committed for a lane and left unpublished; returns when that is stored."""
        while True:
            await self._forget()
            rows = await self._database.read(lambda c: self._oldest(c, (lane,)))
            if not rows:
                return
            await self._publish([row for row in rows if row.message_id not in self._published])

    def wake(self) -> None:
        """Makes `run` look for messages at once."""
        self._wake.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Publishes messages that were left behind, in order, until stopped."""
        await self._journal.connected()
        while not stopping.is_set():
            with contextlib.suppress(ServiceError):
                await self._sweep()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), SWEEP_S)
            self._wake.clear()
        with contextlib.suppress(ServiceError):
            await self._forget()

    async def _sweep(self) -> None:
        await self._forget()
        lanes = None if self._lanes is None else tuple(self._lanes())
        rows = await self._database.read(lambda c: self._oldest(c, lanes))
        # A message that `send` of this process is publishing now is skipped.
        await self._publish([row for row in rows if row.message_id not in self._published | self._sending])
        await self._forget()

    async def _publish(self, rows: Sequence[Any]) -> None:
        ids = {row.message_id for row in rows}
        self._sending |= ids
        try:
            await self._journal.publish_batch([Message(row.subject, row.payload, row.message_id) for row in rows])
            self._published |= ids
        finally:
            self._sending -= ids

    def _oldest(self, connection: sa.Connection, lanes: Sequence[int] | None) -> list[Any]:
        query = sa.select(self._table).order_by(self._table.c.position).limit(AT_ONCE)
        if lanes is not None:
            query = query.where(self._table.c.lane.in_(lanes))
        return list(connection.execute(query))

    async def _forget(self) -> None:
        while ids := list(self._published)[:AT_ONCE]:
            mark = self._journal.mark

            def remove(connection: sa.Connection, ids: list[str] = ids, mark: Mark = mark) -> None:
                self._delete.send(connection, ids=ids)
                if self._raise_mark is not None:
                    self._raise_mark.send(
                        connection, id=1, epoch=mark.epoch, stream_id=mark.stream, stream_sequence=mark.sequence
                    )

            await self._database.write(remove, in_pipeline=True)
            self._published.difference_update(ids)
