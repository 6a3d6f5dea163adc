"""Entries in segments, which go as a whole once they are older than history is kept. Frozen.

On PostgreSQL the table that is there becomes the first partition of a new one, with its keys and indexes: it is read once, for
the check that all of it is of segment 0, and nothing is copied.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TO_PARTITION = (
    "ALTER TABLE entries RENAME TO entries_0",
    "ALTER INDEX entries_pkey RENAME TO entries_0_pkey",
    "ALTER INDEX entries_event_id_key RENAME TO entries_0_event_id_key",
    "ALTER INDEX ix_entries_signal_id RENAME TO entries_0_signal_id_idx",
    "ALTER TABLE entries_0 ADD CONSTRAINT entries_0_segment CHECK (segment = 0)",
    "CREATE TABLE entries (LIKE entries_0 INCLUDING DEFAULTS) PARTITION BY LIST (segment)",
    "ALTER TABLE entries ATTACH PARTITION entries_0 FOR VALUES IN (0)",
    "ALTER TABLE entries_0 DROP CONSTRAINT entries_0_segment",
)


def upgrade() -> None:
    """Adds columns and tables; every entry that is there is of segment 0."""
    op.add_column("entries", sa.Column("segment", sa.BigInteger, nullable=False, server_default="0"))
    if op.get_bind().dialect.name == "postgresql":
        for statement in _TO_PARTITION:
            op.execute(statement)
    for name in ("segment", "dropped_sequence", "dropped_signals"):
        op.add_column("head", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("head", sa.Column("dropped_hash", sa.LargeBinary, nullable=True))
    op.create_table(
        "segments",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("after_sequence", sa.BigInteger, nullable=False),
        sa.Column("after_signals", sa.BigInteger, nullable=False),
        sa.Column("begin_time", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "tree_leaves",
        sa.Column("position", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "kept_configuration",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
