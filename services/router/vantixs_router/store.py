"""The router's tables, and reading and writing them inside a unit of work."""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.runtime.columns import Instant
from vantixs.runtime.outbox import mark_table, outbox_table
from vantixs.runtime.statements import Statement, insert_ignoring, where

METADATA = sa.MetaData()
SIGNALS = sa.Table(
    "signals",
    METADATA,
    sa.Column("signal_id", sa.Text, primary_key=True),
    sa.Column("stream_sequence", sa.BigInteger, nullable=False),
    sa.Column("plan", sa.Text, nullable=False),
    sa.Column("done", sa.Boolean, nullable=False),
)
ORDERS = sa.Table(
    "orders",
    METADATA,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("order_id", sa.Text, nullable=False, unique=True),
    sa.Column("signal_id", sa.Text, nullable=False, index=True),
    sa.Column("account_id", sa.Text, nullable=False, index=True),
    sa.Column("client_order_id", sa.Text, nullable=False, unique=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("intent", sa.Text, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column("decision", sa.LargeBinary, nullable=False),
    sa.Column("position", sa.LargeBinary, nullable=False),
)
FILLS = sa.Table(
    "fills",
    METADATA,
    sa.Column("execution_id", sa.Text, primary_key=True),
    sa.Column("order_id", sa.Text, nullable=False, index=True),
    sa.Column("data", sa.LargeBinary, nullable=False),
)
# The paper venue's own book. It stands in for a venue that is elsewhere: only `venue.py` touches it.
PAPER_ORDERS = sa.Table(
    "paper_orders",
    METADATA,
    sa.Column("client_order_id", sa.Text, primary_key=True),
    sa.Column("fill", sa.LargeBinary, nullable=False),
    sa.Column("accept_time", Instant, nullable=False),
)
# Orders that were given up while risk may still hold a reservation for them.
RELEASES = sa.Table("releases", METADATA, sa.Column("order_id", sa.Text, primary_key=True))
OUTBOX = outbox_table(METADATA)
JOURNAL_MARK = mark_table(METADATA)

_READ_SIGNAL = Statement(lambda _: sa.select(SIGNALS).where(where(SIGNALS, "signal_id")))
_INSERT_SIGNAL = insert_ignoring(SIGNALS)
_FINISH_SIGNAL = Statement(lambda _: sa.update(SIGNALS).where(where(SIGNALS, "signal_id")).values(done=True))
_INSERT_ORDER = insert_ignoring(ORDERS)
_UPDATE_ORDER = Statement(
    lambda _: (
        sa.update(ORDERS)
        .where(ORDERS.c.order_id == sa.bindparam("key"))
        .values(state=sa.bindparam("state"), data=sa.bindparam("data"), position=sa.bindparam("position"))
    )
)
_INSERT_FILL = insert_ignoring(FILLS)
_INSERT_PAPER_ORDER = insert_ignoring(PAPER_ORDERS)
_READ_PAPER_ORDER = Statement(lambda _: sa.select(PAPER_ORDERS.c.fill).where(where(PAPER_ORDERS, "client_order_id")))
_INSERT_RELEASE = insert_ignoring(RELEASES)


class SignalRow(NamedTuple):
    """How far a signal is. `plan` is the intent's legs, so that a crash between two of them changes nothing."""

    stream_sequence: int
    plan: str
    done: bool


class OrderRow(NamedTuple):
    """An order with what was decided and what came of it."""

    order: order_pb2.Order
    intent: str
    decision: order_pb2.RiskDecision
    fills: list[order_pb2.Fill]
    position: order_pb2.Position


def read_signal(connection: sa.Connection, signal_id: str) -> SignalRow | None:
    """The signal's row, or None for a new signal."""
    row = _READ_SIGNAL.first(connection, signal_id=signal_id)
    return SignalRow(row.stream_sequence, row.plan, bool(row.done)) if row else None


def claim_signal(connection: sa.Connection, signal_id: str, stream_sequence: int, plan: str) -> bool:
    """Makes the signal's row; False where it is done, another delivery's, or under another plan.

    Another plan is that of a replica which took over while this one was frozen, and may have gone on with it.
    """
    values = {"signal_id": signal_id, "stream_sequence": stream_sequence, "plan": plan, "done": False}
    if _INSERT_SIGNAL.run(connection, **values):
        return True
    row = read_signal(connection, signal_id)
    return row is not None and row == SignalRow(stream_sequence, plan, done=False)


def finish_signal(connection: sa.Connection, signal_id: str) -> None:
    """Marks the signal as done."""
    _FINISH_SIGNAL.run(connection, signal_id=signal_id)


def read_orders(connection: sa.Connection, signal_id: str) -> list[OrderRow]:
    """A signal's orders, by leg."""
    rows = connection.execute(
        sa.select(ORDERS).where(ORDERS.c.signal_id == signal_id).order_by(ORDERS.c.order_id)
    ).all()
    return [to_order_row(connection, row) for row in rows]


def to_order_row(connection: sa.Connection, row: "sa.Row[tuple[object, ...]]") -> OrderRow:
    """An order's row with its fills."""
    fills = connection.execute(
        sa.select(FILLS.c.data).where(FILLS.c.order_id == row.order_id).order_by(FILLS.c.execution_id)
    )
    return OrderRow(
        order_pb2.Order.FromString(row.data),
        row.intent,
        order_pb2.RiskDecision.FromString(row.decision),
        [order_pb2.Fill.FromString(data) for (data,) in fills],
        order_pb2.Position.FromString(row.position),
    )


def insert_order(
    connection: sa.Connection, order: order_pb2.Order, intent: str, decision: order_pb2.RiskDecision
) -> bool:
    """Persists an order before it is sent; False where it is there already."""
    values = {
        "order_id": order.order_id,
        "signal_id": order.signal_id,
        "account_id": order.account_id,
        "client_order_id": order.client_order_id,
        "state": common_pb2.OrderState.Name(order.state),
        "intent": intent,
        "data": order.SerializeToString(),
        "decision": decision.SerializeToString(),
        "position": b"",
    }
    return _INSERT_ORDER.run(connection, **values) == 1


def update_order(connection: sa.Connection, row: OrderRow) -> None:
    """Replaces what changed about an order, and adds its fills."""
    _UPDATE_ORDER.run(
        connection,
        key=row.order.order_id,
        state=common_pb2.OrderState.Name(row.order.state),
        data=row.order.SerializeToString(),
        position=row.position.SerializeToString(),
    )
    for fill in row.fills:
        values = {"execution_id": fill.execution_id, "order_id": fill.order_id, "data": fill.SerializeToString()}
        _INSERT_FILL.run(connection, **values)


def place_paper_order(connection: sa.Connection, client_order_id: str, fill: bytes, now: datetime) -> bytes:
    """Fills a paper order once; a repeat gets the fill that was made the first time."""
    values = {"client_order_id": client_order_id, "fill": fill, "accept_time": now}
    if _INSERT_PAPER_ORDER.run(connection, **values):
        return fill
    return bytes(_READ_PAPER_ORDER.first(connection, client_order_id=client_order_id).fill)


def read_paper_order(connection: sa.Connection, client_order_id: str) -> bytes | None:
    """The fill of a paper order, or None where it was never placed."""
    row = _READ_PAPER_ORDER.first(connection, client_order_id=client_order_id)
    return bytes(row.fill) if row else None


def add_release(connection: sa.Connection, order_id: str) -> None:
    """Notes that risk has to release the order, whenever it can be reached."""
    _INSERT_RELEASE.run(connection, order_id=order_id)


def read_releases(connection: sa.Connection) -> list[str]:
    """Some orders that risk has to release."""
    return list(connection.execute(sa.select(RELEASES.c.order_id).limit(100)).scalars())


def drop_release(connection: sa.Connection, order_id: str) -> None:
    """The order is released."""
    connection.execute(sa.delete(RELEASES).where(RELEASES.c.order_id == order_id))
