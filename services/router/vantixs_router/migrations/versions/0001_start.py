"""The first schema of the router. Frozen: a later change of the tables is a revision of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Makes every table, on SQLite and PostgreSQL."""
    op.create_table(
        "signals",
        sa.Column("signal_id", sa.Text, primary_key=True),
        sa.Column("stream_sequence", sa.BigInteger, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("done", sa.Boolean, nullable=False),
    )
    op.create_table(
        "orders",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("order_id", sa.Text, nullable=False, unique=True),
        sa.Column("signal_id", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("client_order_id", sa.Text, nullable=False, unique=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("intent", sa.Text, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("decision", sa.LargeBinary, nullable=False),
        sa.Column("position", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_orders_account_id", "orders", ["account_id"])
    op.create_index("ix_orders_signal_id", "orders", ["signal_id"])
    op.create_table(
        "fills",
        sa.Column("execution_id", sa.Text, primary_key=True),
        sa.Column("order_id", sa.Text, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_fills_order_id", "fills", ["order_id"])
    op.create_table(
        "paper_orders",
        sa.Column("client_order_id", sa.Text, primary_key=True),
        sa.Column("fill", sa.LargeBinary, nullable=False),
        sa.Column("accept_time", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "releases",
        sa.Column("order_id", sa.Text, primary_key=True),
    )
    op.create_table(
        "outbox",
        sa.Column("position", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("message_id", sa.Text, nullable=False, unique=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
