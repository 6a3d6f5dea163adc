"""What signals claim, so that what two ingress took is one signal. Frozen."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Adds the table. Signals of before have no claims: their keys are known by the signals' rows."""
    op.create_table(
        "claims",
        sa.Column("claim", sa.LargeBinary, primary_key=True),
        sa.Column("signal_id", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("receive_ms", sa.BigInteger, nullable=False),
        sa.Column("window_ms", sa.BigInteger, nullable=False),
        sa.Column("keep_until_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_claims_keep_until_ms", "claims", ["keep_until_ms"])
