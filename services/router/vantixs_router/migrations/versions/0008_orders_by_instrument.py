"""Orders know their instrument, so that what is open of one is read without the account's others. Frozen."""

import sqlalchemy as sa
from alembic import op
from vantixs.api.common.v1 import order_pb2

revision = "0008"
down_revision = "0007"
_BATCH = 1000


def upgrade() -> None:
    """Adds the column at the end and fills it in. One that a router of before makes meanwhile has ""; it is read as well."""
    op.add_column("orders", sa.Column("instrument", sa.Text, nullable=False, server_default=""))
    orders = sa.table("orders", sa.column("number"), sa.column("data"), sa.column("instrument"))
    update = sa.update(orders).where(orders.c.number == sa.bindparam("row")).values(instrument=sa.bindparam("of"))
    connection, last = op.get_bind(), 0
    while True:
        query = sa.select(orders.c.number, orders.c.data).where(orders.c.number > last).order_by(orders.c.number)
        rows = connection.execute(query.limit(_BATCH)).all()
        if not rows:
            break
        of = [{"row": row[0], "of": order_pb2.Order.FromString(bytes(row[1])).instrument} for row in rows]
        connection.execute(update, of)
        last = rows[-1][0]
    op.drop_index("ix_orders_unsettled", "orders")
    unsettled = sa.text("length(position) = 0")
    op.create_index(
        "ix_orders_unsettled",
        "orders",
        ["lane", "account_id", "instrument"],
        sqlite_where=unsettled,
        postgresql_where=unsettled,
    )
