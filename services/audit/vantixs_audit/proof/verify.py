"""Walks the whole history and finds the first thing that is not as it was recorded.

First all entries (`tree_walk`), then what stands beside them and can be made again from them (`row_walk`): a row of a signal may
be wrong because entries after it are gone, and those are what is told.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

import sqlalchemy as sa
from vantixs.proof.note import Checkpoint, Key
from vantixs.runtime.database import Database

from vantixs_audit import store
from vantixs_audit.history_retention import announcement
from vantixs_audit.history_retention.configuration import is_listed
from vantixs_audit.proof.findings import Fault
from vantixs_audit.proof.row_walk import RowWalk
from vantixs_audit.proof.tree_walk import TreeWalk


class Step(NamedTuple):
    """How far it is: entries, and entries whose columns and signals' rows are checked. `done` with the fault, or with None.

    Of entries up to `not_kept` there are leaf hashes only. `unlisted` says, once it is done, whether no entry lists which changes
    of configuration stay of those.
    """

    checked: int
    rows_checked: int
    total: int
    done: bool
    fault: Fault | None
    leaves: bytes
    not_kept: int = 0
    unlisted: bool = False


async def verify_history(database: Database, key: Key, against: Mapping[str, Checkpoint]) -> AsyncIterator[Step]:
    """Walks history page by page, each of a snapshot of its own; what is recorded meanwhile is walked as well.

    `against` are checkpoints from outside the database, by where they are from.

    Raises:
        ServiceError: the database cannot be read.
    """
    walk = Walk(key, against)
    while True:
        step = await database.read(walk.take_page)
        if step.fault and (await database.read(store.read_head)).dropped_sequence != step.not_kept:
            # Entries went while the page was read: PostgreSQL takes a partition away from readers of earlier snapshots too.
            walk.begin_rows_again()
            step = step._replace(done=False, fault=None)
        yield step
        if step.done:
            return
        await asyncio.sleep(0)


class Walk:
    """A walk through history: what was seen so far, and the next page."""

    def __init__(self, key: Key, against: Mapping[str, Checkpoint]) -> None:
        self._entries = TreeWalk(key, against)
        self._rows = RowWalk()

    def begin_rows_again(self) -> None:
        """Forgets which columns and rows were looked at; entries are gone on with."""
        self._rows = RowWalk()

    def take_page(self, connection: sa.Connection) -> Step:
        """Looks at the next page of entries, then of rows, and at the end once both are there."""
        head, done = store.read_head(connection), False
        if not self._entries.is_at_end_of(head):
            fault = self._entries.take_page(connection, head)
            leaves = self._entries.leaves
        elif self._rows.size < self._entries.size:
            fault, leaves = self._rows.take_page(connection, self._entries.size), b""
        else:
            fault, leaves, done = self._rows.end(connection, head), b"", True
        done = done or fault is not None
        dropped = head.dropped_sequence
        unlisted = done and bool(dropped) and not is_listed(announcement.said_of(connection, dropped))
        return Step(self._entries.size, self._rows.size, head.sequence, done, fault, leaves, dropped, unlisted)
