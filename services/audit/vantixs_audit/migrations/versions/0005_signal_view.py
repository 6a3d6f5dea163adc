"""What filters, order and statistics of signals go by. Frozen.

Rows that are there keep what they have; audit makes them again from their entries before it serves (`view_sequence`).
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
_TEXTS = (
    "outcome", "symbol", "action", "mode", "side", "strategy_id", "source_address", "comment", "tag", "first_signal_id",
    "replay_of", "replay_root", "replay_id", "signal_price", "filled_order_id", "filled_quantity", "average_price",
)  # fmt: skip
_TIMES = (
    "first_time", "emit_time", "accept_time", "decide_time", "send_time", "fill_time", "end_time", "replay_time",
)  # fmt: skip
_LATENCIES = (
    "receive_latency_us", "accept_latency_us", "decide_latency_us", "send_latency_us", "fill_latency_us", "latency_us",
)  # fmt: skip
_WHOLE = (
    "status", "outcome", "stage", "webhook_id", "account_id", "instrument", "action", "side", "mode", "source_address",
    "latency_us", "slippage_bps", "emit_time",
)  # fmt: skip
_PARTIAL = ("original_status", "reason", "strategy_id", "tag", "first_signal_id", "replay_of", "replay_root")


def upgrade() -> None:
    """Adds columns, and indexes in the order of lists in place of those in the order of recording."""
    op.add_column("signals", sa.Column("view_sequence", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("signals", sa.Column("replay_count", sa.Integer, nullable=False, server_default="0"))
    for name in _TEXTS:
        op.add_column("signals", sa.Column(name, sa.Text, nullable=False, server_default=""))
    for name in (*_TIMES, *_LATENCIES):
        op.add_column("signals", sa.Column(name, sa.BigInteger, nullable=True))
    op.add_column("signals", sa.Column("slippage_bps", sa.BigInteger, nullable=True))
    for name in ("status", "webhook_id", "account_id", "instrument", "reason", "receive_time"):
        op.drop_index(f"signals_{name}", "signals")
    listed = ["receive_time", "number"]
    for name in _WHOLE:
        op.create_index(f"signals_by_{name}", "signals", [name, *listed])
    for name in _PARTIAL:
        given = sa.text(f"{name} != ''")
        op.create_index(f"signals_by_{name}", "signals", [name, *listed], sqlite_where=given, postgresql_where=given)
    op.create_index("signals_by_receive_time", "signals", listed)
    stale = sa.text("view_sequence != sequence")
    op.create_index("signals_stale", "signals", ["number"], sqlite_where=stale, postgresql_where=stale)
    op.create_table(
        "signal_words",
        sa.Column("word", sa.Text, primary_key=True),
        sa.Column("receive_time", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    )
    op.create_index("ix_signal_words_number", "signal_words", ["number"])
