"""A signal that was merely verified is not REPLAYED, and the row says which replay the last one repeats. Frozen.

Rows of signals that replays ran are marked as of an earlier version; the start makes them again from their entries.
"""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Marks the rows."""
    op.execute("UPDATE signals SET view_sequence = 0 WHERE replay_count > 0")
