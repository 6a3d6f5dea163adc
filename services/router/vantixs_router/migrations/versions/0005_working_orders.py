"""Orders that rest at the paper venue, and the brackets of positions. Frozen."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Adds them. Paper orders of before were filled at once: nothing of them is open."""
    for column in (
        sa.Column("key", sa.Text, nullable=False, server_default=""),
        sa.Column("open", sa.Text, nullable=False, server_default=""),
        sa.Column("ended", sa.Text, nullable=False, server_default="ORDER_STATE_FILLED"),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("fills", sa.LargeBinary, nullable=False, server_default=""),
    ):
        op.add_column("paper_orders", column)
    is_open, not_done = sa.text("open <> ''"), sa.text("NOT done")
    op.create_index("ix_paper_orders_open", "paper_orders", ["key"], sqlite_where=is_open, postgresql_where=is_open)
    op.create_table(
        "brackets",
        sa.Column("entry_order_id", sa.Text, primary_key=True),
        sa.Column("lane", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("done", sa.Boolean, nullable=False),
        sa.Column("reports", sa.Integer, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_table(
        "sender_states",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("emit_ms", sa.BigInteger, nullable=False),
        sa.Column("adds", sa.Integer, nullable=False),
        sa.Column("entry_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_brackets_open", "brackets", ["lane", "key"], sqlite_where=not_done, postgresql_where=not_done)
