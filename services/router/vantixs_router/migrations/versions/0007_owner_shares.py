"""Webhooks may own what their entries open."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Adds the table and the column at the end. Nobody owns anything before."""
    op.add_column("orders", sa.Column("shared", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "owner_shares",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("webhook_id", sa.Text, primary_key=True),
        sa.Column("quantity", sa.Text, nullable=False),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
    )
