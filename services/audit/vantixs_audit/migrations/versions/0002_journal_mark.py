"""What history has seen of the journal: stream, accepted gaps, the last message. Frozen."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds columns to the head; what is not known of an earlier journal is empty."""
    op.add_column("head", sa.Column("epoch", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("head", sa.Column("stream_id", sa.Text, nullable=False, server_default=""))
    op.add_column("head", sa.Column("message_hash", sa.LargeBinary, nullable=True))
    op.add_column("head", sa.Column("missing_until", sa.BigInteger, nullable=False, server_default="0"))
