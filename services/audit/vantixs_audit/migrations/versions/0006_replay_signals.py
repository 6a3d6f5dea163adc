"""Signals of replays each in a row, so that a replay of many costs the same for each. Frozen.

Replays of before keep their ids and results where they are: those that run go on in rows.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Adds the table, and makes a request id that of one replay."""
    signals = op.create_table(
        "replay_signals",
        sa.Column("replay_id", sa.Text, primary_key=True),
        sa.Column("place", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("signal_id", sa.Text, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=True),
    )
    connection = op.get_bind()
    replays = sa.table("replays", sa.column("replay_id"), sa.column("signal_ids"), sa.column("request_id"))
    for row in connection.execute(sa.select(replays)).all():
        rows = [
            {"replay_id": row.replay_id, "place": place, "signal_id": signal_id, "data": None}
            for place, signal_id in enumerate(json.loads(row.signal_ids))
        ]
        if rows:
            connection.execute(sa.insert(signals), rows)
    # Two replays of one request were possible where two processes took it at once: the later ones lose their request.
    connection.execute(
        sa.text(
            "UPDATE replays SET request_id = '' WHERE EXISTS (SELECT 1 FROM replays AS first WHERE "
            "first.request_id = replays.request_id AND first.number < replays.number)"
        )
    )
    given = sa.text("request_id != ''")
    op.create_index(
        "replays_by_request", "replays", ["request_id"], unique=True, sqlite_where=given, postgresql_where=given
    )
