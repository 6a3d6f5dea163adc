"""Orders know what of them was counted as an entry of their webhook."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Adds the column at the end. An entry that rests partly filled over the upgrade is counted once more."""
    op.add_column("orders", sa.Column("counted", sa.Text, nullable=False, server_default=""))
