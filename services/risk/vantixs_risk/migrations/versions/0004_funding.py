"""Funding of perpetuals: up to which time it was booked, and fills of perpetuals by time."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Makes the table and the index. What was held before this revision pays from now on, and nothing for the time before."""
    op.create_table(
        "funded",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("instrument", sa.Text, primary_key=True),
        sa.Column("until_time", sa.BigInteger, nullable=False),
    )
    now_us = time.time_ns() // 1000
    op.execute(
        sa.text(
            "INSERT INTO funded (account_id, instrument, until_time) "
            "SELECT account_id, instrument, CAST(:now AS BIGINT) FROM positions WHERE perpetual"
        ).bindparams(now=now_us)
    )
    op.create_index(
        "ix_fills_perpetual",
        "fills",
        ["account_id", "instrument", "execute_time"],
        sqlite_where=sa.text("instrument LIKE '%:%'"),
        postgresql_where=sa.text("instrument LIKE '%:%'"),
    )
