"""What statistics count of a signal, in one column. Frozen.

Rows that are there are made again from their entries before audit serves (`view_sequence`): also those of signals that were
merely verified, which are not REPLAYED any more.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Adds the column, and has every row made again."""
    op.add_column("signals", sa.Column("measures", sa.Text, nullable=False, server_default=""))
    op.execute("UPDATE signals SET view_sequence = 0 WHERE sequence != 0")
