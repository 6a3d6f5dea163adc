"""The router's tables."""

import sqlalchemy as sa
from vantixs.runtime.columns import Instant
from vantixs.runtime.outbox import mark_table, outbox_table

METADATA = sa.MetaData()
SIGNALS = sa.Table(
    "signal_runs",
    METADATA,
    sa.Column("signal_id", sa.Text, primary_key=True),
    sa.Column("stream_sequence", sa.BigInteger, nullable=False),
    sa.Column("plan", sa.Text, nullable=False),
    sa.Column("done", sa.Boolean, nullable=False),
    # How many gaps of the journal were accepted when the row was made: after one more its sequence is another stream's.
    sa.Column("journal_epoch", sa.BigInteger, nullable=False, server_default=sa.text("0")),
)
ORDERS = sa.Table(
    "orders",
    METADATA,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("order_id", sa.Text, nullable=False, unique=True),
    sa.Column("signal_id", sa.Text, nullable=False, index=True),
    sa.Column("account_id", sa.Text, nullable=False, index=True),
    sa.Column("client_order_id", sa.Text, nullable=False, unique=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("intent", sa.Text, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column("decision", sa.LargeBinary, nullable=False),
    sa.Column("position", sa.LargeBinary, nullable=False),
    sa.Column("lane", sa.Integer, nullable=False, server_default=sa.text("0")),
    # What was filled of an entry when it was counted in its webhook's sender state, base units; "" before that.
    sa.Column("counted", sa.Text, nullable=False, server_default=""),
    # By what the position moved through those of its fills that count in `owner_shares`, signed base units; "" for none.
    sa.Column("shared", sa.Text, nullable=False, server_default=""),
    sa.Index(
        "ix_orders_unsettled",
        "lane",
        "account_id",
        sqlite_where=sa.text("length(position) = 0"),
        postgresql_where=sa.text("length(position) = 0"),
    ),
)
FILLS = sa.Table(
    "fills",
    METADATA,
    sa.Column("execution_id", sa.Text, primary_key=True),
    sa.Column("order_id", sa.Text, nullable=False, index=True),
    sa.Column("data", sa.LargeBinary, nullable=False),
)
# The paper venue's own book. It stands in for a venue that is elsewhere: only `venues/paper/` touches it.
PAPER_ORDERS = sa.Table(
    "paper_orders",
    METADATA,
    sa.Column("client_order_id", sa.Text, primary_key=True),
    # The fill of an order that was filled at once.
    sa.Column("fill", sa.LargeBinary, nullable=False),
    sa.Column("accept_time", Instant, nullable=False),
    sa.Column("key", sa.Text, nullable=False, server_default=""),
    # How it stands in its book, while it is open.
    sa.Column("open", sa.Text, nullable=False, server_default=""),
    # The name of the state in which it ended, "" while it is open.
    sa.Column("ended", sa.Text, nullable=False, server_default="ORDER_STATE_FILLED"),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    # What was filled of an order that rested, as a message of fills.
    sa.Column("fills", sa.LargeBinary, nullable=False, server_default=""),
    sa.Index("ix_paper_orders_open", "key", sqlite_where=sa.text("open <> ''"), postgresql_where=sa.text("open <> ''")),
)
# What protects positions, by the entry that opened them: see `brackets/`.
BRACKETS = sa.Table(
    "brackets",
    METADATA,
    sa.Column("entry_order_id", sa.Text, primary_key=True),
    sa.Column("lane", sa.Integer, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("done", sa.Boolean, nullable=False),
    # How many times history was told of it.
    sa.Column("reports", sa.Integer, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Index("ix_brackets_open", "lane", "key", sqlite_where=sa.text("NOT done"), postgresql_where=sa.text("NOT done")),
)
# Orders that were given up while risk may still hold a reservation for them.
RELEASES = sa.Table("releases", METADATA, sa.Column("order_id", sa.Text, primary_key=True))
# Signals that wait for something outside, such as a venue that does not answer: their lane goes on without them.
PARKED = sa.Table(
    "parked",
    METADATA,
    sa.Column("signal_id", sa.Text, primary_key=True),
    sa.Column("lane", sa.Integer, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("stream_sequence", sa.BigInteger, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column("deliver_time", Instant, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("since", Instant, nullable=False),
    sa.Column("superseded", sa.Boolean, nullable=False),
    sa.Index("ix_parked_lane_deliver_time", "lane", "deliver_time"),
)
# What signals have claimed, so that a repeat which another ingress took is found: see `claims.py`.
CLAIMS = sa.Table(
    "claims",
    METADATA,
    sa.Column("claim", sa.LargeBinary, primary_key=True),
    sa.Column("signal_id", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.LargeBinary, nullable=False),
    sa.Column("receive_ms", sa.BigInteger, nullable=False),
    sa.Column("window_ms", sa.BigInteger, nullable=False),
    sa.Column("keep_until_ms", sa.BigInteger, nullable=False),
    sa.Index("ix_claims_keep_until_ms", "keep_until_ms"),
)
# What a webhook's signals for an account and instrument have done so far.
SENDER_STATES = sa.Table(
    "sender_states",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("emit_ms", sa.BigInteger, nullable=False),
    sa.Column("adds", sa.Integer, nullable=False),
    sa.Column("entry_ms", sa.BigInteger, nullable=False),
)
# What webhooks own of the position of an account and instrument: see `owner_shares.py`.
OWNER_SHARES = sa.Table(
    "owner_shares",
    METADATA,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("webhook_id", sa.Text, primary_key=True),
    # Signed, base units, never 0.
    sa.Column("quantity", sa.Text, nullable=False),
    sa.Column("since_ms", sa.BigInteger, nullable=False),
)
OUTBOX = outbox_table(METADATA, lanes=True)
JOURNAL_MARK = mark_table(METADATA)
