"""Signals that wait: each is stored as it was delivered, so that its lane goes on."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from vantixs.runtime.columns import Instant
from vantixs.runtime.journal_reader import Delivery
from vantixs.runtime.statements import Statement, insert_ignoring, where

from vantixs_router.tables import PARKED


def delivered_before(parked: sa.FromClause) -> Any:
    """The condition that a parked signal came before another: by time, as sequences begin again after a gap of the journal."""
    time, sequence = sa.bindparam("time", type_=Instant), sa.bindparam("sequence", type_=sa.BigInteger)
    at_once = sa.and_(parked.c.deliver_time == time, parked.c.stream_sequence < sequence)
    return sa.or_(parked.c.deliver_time < time, at_once)


_SUPERSEDE = Statement(
    lambda _: sa.update(PARKED).where(where(PARKED, "lane", "key"), delivered_before(PARKED)).values(superseded=True)
)
_MOVE_PARKED = Statement(
    lambda _: (
        sa.update(PARKED)
        .where(where(PARKED, "signal_id"))
        .values(
            stream_sequence=sa.bindparam("sequence"),
            deliver_time=sa.bindparam("time", type_=Instant),
        )
    )
)
_INSERT_PARKED = insert_ignoring(PARKED)
_DELETE_PARKED = Statement(lambda _: sa.delete(PARKED).where(where(PARKED, "signal_id")))
_DELETE_PARKED_DELIVERY = Statement(
    lambda _: sa.delete(PARKED).where(where(PARKED, "lane", "stream_sequence", "deliver_time"))
)


class Parked(NamedTuple):
    """A signal that waits, as it was delivered.

    Attributes:
        key: account and instrument, "paper|BTC/USDT": what is behind it and of the same key comes after it.
        deliver_time: the delivery's own time.
        why: one sentence for people.
        since: when it was parked first.
        superseded: whether a later exit of the key was carried out since: then it opens nothing any more.
    """

    signal_id: str
    lane: int
    key: str
    stream_sequence: int
    subject: str
    data: bytes
    deliver_time: datetime
    why: str
    since: datetime
    superseded: bool = False

    def delivery(self) -> Delivery:
        """What the lane delivered, to be handled again."""
        return Delivery(self.subject, self.data, self.stream_sequence, self.deliver_time)


def park(connection: sa.Connection, parked: Parked) -> bool:
    """Notes that the signal waits; False where that is noted already."""
    return _INSERT_PARKED.run(connection, **parked._asdict()) == 1


def move_parked(connection: sa.Connection, signal_id: str, delivery: Delivery) -> None:
    """The signal that waits was delivered anew: a gap of the journal was accepted."""
    _MOVE_PARKED.send(connection, signal_id=signal_id, sequence=delivery.stream_sequence, time=delivery.time)


def unpark(connection: sa.Connection, signal_id: str) -> None:
    """The signal does not wait any more."""
    _DELETE_PARKED.send(connection, signal_id=signal_id)


def unpark_delivery(connection: sa.Connection, lane: int, delivery: Delivery) -> None:
    """The delivery does not wait any more: it is no signal, or the repeat of one."""
    _DELETE_PARKED_DELIVERY.send(
        connection, lane=lane, stream_sequence=delivery.stream_sequence, deliver_time=delivery.time
    )


def supersede(connection: sa.Connection, lane: int, key: str, delivery: Delivery) -> None:
    """An exit of the key was carried out: what is parked and came before it opens nothing any more."""
    _SUPERSEDE.send(connection, lane=lane, key=key, time=delivery.time, sequence=delivery.stream_sequence)


def read_parked(connection: sa.Connection, lanes: Collection[int]) -> list[Parked]:
    """The signals of these lanes that wait, in the order in which they were delivered."""
    query = sa.select(PARKED).where(PARKED.c.lane.in_(lanes)).order_by(PARKED.c.deliver_time, PARKED.c.stream_sequence)
    return [Parked(*row) for row in connection.execute(query)]
