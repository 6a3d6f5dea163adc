"""What the router has seen of the journal. Frozen."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Makes the table, empty: an earlier version kept no mark."""
    op.create_table(
        "journal_mark",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("stream_id", sa.Text, nullable=False),
        sa.Column("stream_sequence", sa.BigInteger, nullable=False),
    )
