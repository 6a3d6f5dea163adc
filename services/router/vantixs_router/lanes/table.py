"""The tables of lanes and of the replicas that share them, and their statements.

A lane's row has its owner, an epoch that grows with each owner, and the cursor: the journal sequence up to which all
signals of the lane have ended. A replica's row says until when its lease lasts. Times are PostgreSQL's own; on
SQLite, where all replicas are on one machine, they count from the machine's boot.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import sqlalchemy as sa
from vantixs.model.ids import LANES
from vantixs.runtime.database_setup import ADVISORY_LOCK, lock_number
from vantixs.runtime.statements import Statement, insert_ignoring, insert_or_replace, where

from vantixs_router.fence import LeaseLost
from vantixs_router.tables import METADATA, PARKED

NOBODY = ""
LANE_TABLE = sa.Table(
    "lanes",
    METADATA,
    sa.Column("lane", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("cursor", sa.BigInteger, nullable=False),
    # How many gaps of the journal were accepted when the cursor was set. After another one, sequences count in a new stream.
    sa.Column("journal_epoch", sa.BigInteger, nullable=False),
)
REPLICAS = sa.Table(
    "replicas",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("expires_ms", sa.BigInteger, nullable=False),
    sa.Column("boot_id", sa.Text, nullable=False),
)
_LANES = Statement(lambda _: sa.select(LANE_TABLE).order_by(LANE_TABLE.c.lane))
_ADD_LANE = insert_ignoring(LANE_TABLE)
_HELD = sa.select(LANE_TABLE.c.lane, LANE_TABLE.c.epoch)
# Lanes are locked in their order, so that two transactions never wait for each other.
_HOLD = Statement(
    lambda _: _HELD.where(where(LANE_TABLE, "lane")).with_for_update(read=True),
    many=lambda given: (
        _HELD.where(LANE_TABLE.c.lane.in_(sa.select(given.c.lane)))
        .order_by(LANE_TABLE.c.lane)
        .with_for_update(read=True, of=LANE_TABLE)
    ),
    key="lane",
)
_TAKE = Statement(
    lambda _: (
        sa.update(LANE_TABLE)
        .where(where(LANE_TABLE, "lane"), LANE_TABLE.c.epoch == sa.bindparam("before"))
        .values(owner=sa.bindparam("taker"), epoch=LANE_TABLE.c.epoch + 1)
    )
)
_GIVE = Statement(
    lambda _: sa.update(LANE_TABLE).where(where(LANE_TABLE, "lane", "epoch")).values(owner=sa.bindparam("nobody"))
)
_SAVE = Statement(
    lambda _: (
        sa.update(LANE_TABLE)
        .where(
            where(LANE_TABLE, "lane", "epoch"),
            sa.or_(
                LANE_TABLE.c.journal_epoch < sa.bindparam("journal"),
                sa.and_(
                    LANE_TABLE.c.journal_epoch == sa.bindparam("journal"), LANE_TABLE.c.cursor < sa.bindparam("passed")
                ),
            ),
        )
        .values(cursor=sa.bindparam("passed"), journal_epoch=sa.bindparam("journal"))
    )
)
_FREE = Statement(
    lambda _: (
        sa.select(LANE_TABLE.c.lane)
        .where(where(LANE_TABLE, "owner"))
        .order_by(LANE_TABLE.c.lane)
        .with_for_update(key_share=True, skip_locked=True)
    )
)
_TURNS = lock_number("router-turns")
_REPLICAS = Statement(lambda _: sa.select(REPLICAS))
_RENEW = insert_or_replace(REPLICAS)
_FORGET = Statement(
    lambda _: sa.delete(REPLICAS).where(REPLICAS.c.expires_ms < sa.bindparam("before_ms", type_=sa.BigInteger))
)
_LEAVE = Statement(lambda _: sa.delete(REPLICAS).where(where(REPLICAS, "name", "run_id")))
_COUNT_PARKED = Statement(lambda _: sa.select(PARKED.c.lane, sa.func.count().label("count")).group_by(PARKED.c.lane))


class LaneRow(NamedTuple):
    """A lane as it is stored."""

    lane: int
    owner: str
    epoch: int
    cursor: int
    journal_epoch: int


def lock_turns(connection: sa.Connection) -> None:
    """Waits until no other replica takes or frees lanes, and prevents that until the transaction ends."""
    if connection.dialect.name == "postgresql":
        ADVISORY_LOCK.send(connection, key=_TURNS)


def read_lanes(connection: sa.Connection) -> list[LaneRow]:
    """All lanes; none before the first start."""
    return [LaneRow(*row) for row in _LANES.rows(connection)]


def free_lanes(connection: sa.Connection, owner: str) -> set[int]:
    """The lanes of an owner on which no transaction works at this moment. They are locked until the transaction ends.

    A transaction of a lane's work ends within moments, or is stuck: a frozen process may hold it for ever. A replica
    that waited for it could not renew its own lease.
    """
    return {row.lane for row in _FREE.rows(connection, owner=owner)}


def add_lanes(connection: sa.Connection, cursors: Mapping[int, int], journal_epoch: int) -> None:
    """Creates the rows of lanes that have none, with these cursors."""
    for lane in range(LANES):
        cursor = cursors.get(lane, 0)
        _ADD_LANE.send(connection, lane=lane, owner=NOBODY, epoch=0, cursor=cursor, journal_epoch=journal_epoch)


def hold_lane(connection: sa.Connection, lane: int, epoch: int) -> Callable[[], None]:
    """Locks the lane's row until the transaction ends, so that no other replica takes the lane before that.

    Returns a function that waits for the result.

    Raises:
        LeaseLost: from the returned function; the lane has another epoch.
    """
    rows = _HOLD.ask(connection, lane=lane)

    def answer() -> None:
        found = rows()
        if not found or found[0].epoch != epoch:
            raise LeaseLost(f"lane {lane}: expected epoch {epoch}, was {found and found[0].epoch}")

    return answer


def take_lane(connection: sa.Connection, row: LaneRow, me: str) -> LaneRow:
    """Makes this replica the lane's owner."""
    _TAKE.send(connection, lane=row.lane, before=row.epoch, taker=me)
    return row._replace(owner=me, epoch=row.epoch + 1)


def give_lane(connection: sa.Connection, lane: int, epoch: int) -> None:
    """Removes the lane's owner, if this replica still owns it."""
    _GIVE.send(connection, lane=lane, epoch=epoch, nobody=NOBODY)


def save_cursor(connection: sa.Connection, lane: int, epoch: int, cursor: int, journal_epoch: int) -> None:
    """Moves the cursor if this replica still owns the lane. It never moves back, unless it counts in another stream."""
    _SAVE.send(connection, lane=lane, epoch=epoch, passed=cursor, journal=journal_epoch)


def renew(connection: sa.Connection, me: str, run_id: str, expires: float, boot: str) -> None:
    """Says that this replica is there until then."""
    _RENEW.send(connection, name=me, run_id=run_id, expires_ms=int(expires * 1000), boot_id=boot)


def run_of(connection: sa.Connection, me: str) -> str:
    """The process that a replica's row belongs to; empty if there is none."""
    return next((row.run_id for row in _REPLICAS.rows(connection) if row.name == me), "")


def forget_replicas(connection: sa.Connection, before: float) -> None:
    """Removes the rows of replicas whose lease ended before a time."""
    _FORGET.send(connection, before_ms=int(before * 1000))


def leave(connection: sa.Connection, me: str, run_id: str) -> None:
    """Says that this replica is gone."""
    _LEAVE.send(connection, name=me, run_id=run_id)


def live_replicas(connection: sa.Connection, now: float, boot: str) -> set[str]:
    """The replicas whose lease has not run out, since the machine's last boot."""
    return {row.name for row in _REPLICAS.rows(connection) if row.expires_ms > now * 1000 and row.boot_id == boot}


def count_parked(connection: sa.Connection) -> dict[int, int]:
    """How many deliveries wait, by lane."""
    return {row.lane: row.count for row in _COUNT_PARKED.rows(connection)}
