"""Without what no reader asks for: two latencies that the record cannot measure, and an index by status. Frozen.

Replayed signals have an index of their own, as any other status is found as outcome; and so have those with
repeats, symbols and times of end.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0007"


def upgrade() -> None:
    """Takes both latencies out of the packed measures too: the second and the fourth of six after slippage."""
    op.execute(
        "UPDATE signals SET measures = substr(measures, 1, 4) || substr(measures, 7, 2) || substr(measures, 11, 4)"
        " WHERE measures != ''"
    )
    for name in ("accept_latency_us", "send_latency_us"):
        op.drop_column("signals", name)
    op.drop_index("signals_by_status", "signals")
    replayed, repeated, listed = (
        sa.text("original_status != ''"),
        sa.text("duplicates != 0"),
        ["receive_time", "number"],
    )
    op.create_index("signals_replayed", "signals", listed, sqlite_where=replayed, postgresql_where=replayed)
    for name in ("symbol", "end_time"):
        op.create_index(f"signals_by_{name}", "signals", [name, *listed])
    op.create_index(
        "signals_repeated", "signals", ["duplicates", *listed], sqlite_where=repeated, postgresql_where=repeated
    )
