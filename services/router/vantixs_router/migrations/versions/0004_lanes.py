"""Lanes with owners, cursors and epochs. Frozen."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Makes the tables; the router fills them at its first start, from the consumers of the version before.

    A router of that version that still runs would make its consumers anew and work beside the owner of a lane. The table it
    begins with gets another name, so it fails instead.
    """
    op.rename_table("signals", "signal_runs")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER INDEX signals_pkey RENAME TO signal_runs_pkey")
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
