"""The first schema of audit. Frozen: a later change of the tables is a revision of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Makes every table, on SQLite and PostgreSQL."""
    op.create_table(
        "entries",
        sa.Column("sequence", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("stream_sequence", sa.BigInteger, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False, unique=True),
        sa.Column("signal_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("event_time", sa.BigInteger, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_entries_signal_id", "entries", ["signal_id"])
    op.create_table(
        "signals",
        sa.Column("signal_id", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False, unique=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("original_status", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("webhook_id", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("instrument", sa.Text, nullable=False),
        sa.Column("receive_time", sa.BigInteger, nullable=True),
        sa.Column("update_time", sa.BigInteger, nullable=False),
        sa.Column("duplicates", sa.Integer, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
    )
    op.create_index("signals_account_id", "signals", ["account_id", "number"])
    op.create_index("signals_instrument", "signals", ["instrument", "number"])
    op.create_index("signals_reason", "signals", ["reason", "number"])
    op.create_index("signals_receive_time", "signals", ["receive_time"])
    op.create_index("signals_status", "signals", ["status", "number"])
    op.create_index("signals_webhook_id", "signals", ["webhook_id", "number"])
    op.create_table(
        "head",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("stream_sequence", sa.BigInteger, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("signals", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "replays",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("replay_id", sa.Text, nullable=False, unique=True),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("signal_ids", sa.Text, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_replays_request_id", "replays", ["request_id"])
    op.create_table(
        "outbox",
        sa.Column("position", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("message_id", sa.Text, nullable=False, unique=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
