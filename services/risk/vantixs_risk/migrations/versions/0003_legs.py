"""Orders know which leg of a bracket they are: legs take nothing of a position away from other exits."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds the column at the end; no order before this revision is a leg."""
    op.add_column("orders", sa.Column("leg", sa.Text, nullable=False, server_default=""))
