"""The first schema of audit."""

from alembic import op
from vantixs_audit.store import METADATA

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes every table. Later migrations change them step by step and this one is then frozen as SQL."""
    METADATA.create_all(op.get_bind(), checkfirst=False)
