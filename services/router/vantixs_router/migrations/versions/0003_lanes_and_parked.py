"""Lanes with owners, cursors and epochs; orders and outgoing messages know their lane; signals that wait are parked. Frozen."""

import zlib
from collections.abc import Callable

import sqlalchemy as sa
from alembic import op
from google.protobuf.message import DecodeError
from vantixs.api.common.v1 import order_pb2
from vantixs.api.journal.v1 import journal_pb2

revision = "0003"
down_revision = "0002"
_LANES, _BATCH = 32, 1000


def upgrade() -> None:
    """Adds columns and tables, and fills in the lanes of the rows there are.

    The router fills the table of lanes at its first start, from the consumers of the version before. A router of that version
    that still runs would make them anew and work beside the owner of a lane: the table it begins with gets another name, so
    it fails instead.
    """
    op.rename_table("signals", "signal_runs")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER INDEX signals_pkey RENAME TO signal_runs_pkey")
    epoch = sa.Column("journal_epoch", sa.BigInteger, nullable=False, server_default=sa.text("0"))
    op.add_column("signal_runs", epoch)
    op.create_table(
        "lanes",
        sa.Column("lane", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("cursor", sa.BigInteger, nullable=False),
        sa.Column("journal_epoch", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "replicas",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("expires_ms", sa.BigInteger, nullable=False),
        sa.Column("boot_id", sa.Text, nullable=False),
    )
    op.add_column("orders", sa.Column("lane", sa.Integer, nullable=False, server_default=sa.text("0")))
    unsettled = sa.text("length(position) = 0")
    op.create_index(
        "ix_orders_unsettled", "orders", ["lane", "account_id"], sqlite_where=unsettled, postgresql_where=unsettled
    )
    op.add_column("outbox", sa.Column("lane", sa.Integer, nullable=False, server_default=sa.text("0")))
    op.create_index("ix_outbox_lane_position", "outbox", ["lane", "position"])
    op.create_table(
        "parked",
        sa.Column("signal_id", sa.Text, primary_key=True),
        sa.Column("lane", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("stream_sequence", sa.BigInteger, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("deliver_time", sa.BigInteger, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("superseded", sa.Boolean, nullable=False),
    )
    op.create_index("ix_parked_lane_deliver_time", "parked", ["lane", "deliver_time"])
    _fill_in("orders", "number", "data", _lane_of_order)
    _fill_in("outbox", "position", "payload", _lane_of_message)


def _fill_in(name: str, key: str, content: str, lane_of: Callable[[bytes], int]) -> None:
    """Sets the lane of every row by its content, some rows at a time."""
    table = sa.table(name, sa.column(key), sa.column(content), sa.column("lane"))
    update = sa.update(table).where(table.c[key] == sa.bindparam("row")).values(lane=sa.bindparam("of"))
    connection, last = op.get_bind(), 0
    while True:
        query = sa.select(table.c[key], table.c[content]).where(table.c[key] > last).order_by(table.c[key])
        rows = connection.execute(query.limit(_BATCH)).all()
        if not rows:
            return
        connection.execute(update, [{"row": row[0], "of": lane_of(bytes(row[1]))} for row in rows])
        last = rows[-1][0]


def _lane_of_order(data: bytes) -> int:
    return _lane(order_pb2.Order.FromString(data))


def _lane_of_message(payload: bytes) -> int:
    """The lane of the order a batch tells of; of a batch that tells of none the first lane, as good as any other."""
    try:
        entries = journal_pb2.JournalBatch.FromString(payload).entries
    except DecodeError:
        return 0
    for entry in entries:
        if entry.HasField("order_evaluated"):
            return _lane(entry.order_evaluated.order)
    return 0


def _lane(order: order_pb2.Order) -> int:
    return zlib.crc32(f"{order.account_id}|{order.instrument}".encode()) % _LANES
