"""Audit's tables. A change of them is a revision of `migrations/` too."""

from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator
from vantixs.runtime.columns import Instant
from vantixs.runtime.outbox import outbox_table

METADATA = sa.MetaData()
_HUNDREDTH = Decimal("0.01")


class BasisPoints(TypeDecorator[Decimal]):
    """Basis points with two decimals, stored as whole hundredths so that they sort: `-1.25` is -125."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: sa.Dialect) -> int | None:
        """Returns the hundredths."""
        return None if value is None else int(value.scaleb(2).to_integral_value())

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> Decimal | None:
        """Returns the basis points that stored hundredths stand for."""
        return None if value is None else value * _HUNDREDTH


# Columns of a signal's row: what it is, when it came to which phase, and how long that took. `replay_id` is
# the replay that ran it last, `replay_of` the one that this repeats, `replay_root` the one that it goes back to.
TEXTS = (
    "outcome", "symbol", "action", "mode", "side", "strategy_id", "source_address", "comment", "tag", "first_signal_id",
    "replay_of", "replay_root", "replay_id", "signal_price", "filled_order_id", "filled_quantity", "average_price",
)  # fmt: skip
TIMES = (
    "first_time", "emit_time", "accept_time", "decide_time", "send_time", "fill_time", "end_time", "replay_time",
)  # fmt: skip
LATENCIES = ("receive_latency", "decide_latency", "fill_latency", "latency")
# Columns that are mostly empty: their indexes have only the rows where they are not.
PARTLY_INDEXED = ("original_status", "reason", "strategy_id", "tag", "first_signal_id", "replay_of", "replay_root")
# On PostgreSQL a table for each segment (`history_retention/segments.py`), each with the keys and indexes that SQLite's one has:
# a key over all of them would have to contain the segment. What is recorded is looked up in all of them first.
ENTRIES = sa.Table(
    "entries",
    METADATA,
    sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("stream_sequence", sa.BigInteger, nullable=False),
    sa.Column("event_id", sa.Text, nullable=False),
    sa.Column("signal_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("event_time", Instant, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.Column("leaf_hash", sa.LargeBinary, nullable=True),
    sa.Column("segment", sa.BigInteger, nullable=False, server_default="0"),
    sa.UniqueConstraint("event_id").ddl_if(dialect="sqlite"),
    sa.Index("ix_entries_signal_id", "signal_id").ddl_if(dialect="sqlite"),
    postgresql_partition_by="LIST (segment)",
)
ENTRIES.primary_key.ddl_if(dialect="sqlite")
for _text in (
    "CREATE TABLE entries_0 PARTITION OF entries (PRIMARY KEY (sequence), UNIQUE (event_id)) FOR VALUES IN (0)",
    "CREATE INDEX entries_0_signal_id_idx ON entries_0 (signal_id)",
):
    _made = sa.DDL(_text)  # type: ignore[no-untyped-call]  # SQLAlchemy has no types for it
    sa.event.listen(ENTRIES, "after_create", _made.execute_if(dialect="postgresql"))
# Where history can be cut: a segment begins after that entry, with so many signals before it. Empty until entries are to go.
SEGMENTS = sa.Table(
    "segments",
    METADATA,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("after_sequence", sa.BigInteger, nullable=False),
    sa.Column("after_signals", sa.BigInteger, nullable=False),
    sa.Column("begin_time", Instant, nullable=False),
)
SIGNALS = sa.Table(
    "signals",
    METADATA,
    sa.Column("signal_id", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False, unique=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("original_status", sa.Text, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("webhook_id", sa.Text, nullable=False),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("instrument", sa.Text, nullable=False),
    sa.Column("receive_time", Instant, nullable=True),
    sa.Column("update_time", Instant, nullable=False),
    sa.Column("duplicates", sa.Integer, nullable=False),
    sa.Column("facts", sa.Text, nullable=False),
    # The entry up to which the row is made of its entries. Another one than `sequence` has a row that an earlier version made.
    sa.Column("view_sequence", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("replay_count", sa.Integer, nullable=False, server_default="0"),
    *(sa.Column(name, sa.Text, nullable=False, server_default="") for name in TEXTS),
    *(sa.Column(name, Instant, nullable=True) for name in TIMES),
    *(sa.Column(f"{name}_us", sa.BigInteger, nullable=True) for name in LATENCIES),
    sa.Column("slippage_bps", BasisPoints, nullable=True),
    # The buckets that slippage and latencies are in, for statistics (`domain/histogram.py`).
    sa.Column("measures", sa.Text, nullable=False, server_default=""),
)
# A list is by time of receipt.
_LISTED = (SIGNALS.c.receive_time, SIGNALS.c.number)
for _name in (
    "outcome",
    "stage",
    "webhook_id",
    "account_id",
    "instrument",
    "symbol",
    "action",
    "side",
    "mode",
    "source_address",
):
    sa.Index(f"signals_by_{_name}", SIGNALS.c[_name], *_LISTED)
for _name in PARTLY_INDEXED:
    _given = SIGNALS.c[_name] != sa.literal_column("''")
    sa.Index(f"signals_by_{_name}", SIGNALS.c[_name], *_LISTED, sqlite_where=_given, postgresql_where=_given)
for _name in ("latency_us", "slippage_bps", "emit_time", "end_time"):
    sa.Index(f"signals_by_{_name}", SIGNALS.c[_name], *_LISTED)
sa.Index("signals_by_receive_time", *_LISTED)
# A status is found as outcome, but for REPLAYED: of those that have another outcome beside it.
REPLAYED = SIGNALS.c.original_status != sa.literal_column("''")
sa.Index("signals_replayed", *_LISTED, sqlite_where=REPLAYED, postgresql_where=REPLAYED)
REPEATED = SIGNALS.c.duplicates != sa.literal_column("0")
sa.Index("signals_repeated", SIGNALS.c.duplicates, *_LISTED, sqlite_where=REPEATED, postgresql_where=REPEATED)
_stale = SIGNALS.c.view_sequence != SIGNALS.c.sequence
sa.Index("signals_stale", SIGNALS.c.number, sqlite_where=_stale, postgresql_where=_stale)
# The words of comments and tags, as `comment:breakout`, for filters by text.
SIGNAL_WORDS = sa.Table(
    "signal_words",
    METADATA,
    sa.Column("word", sa.Text, primary_key=True),
    sa.Column("receive_time", Instant, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False, index=True),
)
# One row: how far the journal is recorded, and the head of the chain. `message_hash` is the SHA-256 of the last message
# recorded, empty where none is known; up to `missing_until` an operator accepted what the journal does not have. `tree_edge`
# is the right edge of the tree over the entries (ADR 40). `segment` is the one that is recorded into. Entries up to
# `dropped_sequence`, whose chain ends with `dropped_hash`, are no longer kept; the first `dropped_signals` signals had some.
HEAD = sa.Table(
    "head",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("stream_sequence", sa.BigInteger, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("signals", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("stream_id", sa.Text, nullable=False, server_default=""),
    sa.Column("message_hash", sa.LargeBinary, nullable=True),
    sa.Column("missing_until", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("tree_edge", sa.LargeBinary, nullable=True),
    sa.Column("segment", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("dropped_sequence", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("dropped_signals", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("dropped_hash", sa.LargeBinary, nullable=True),
)
# Nodes of the tree at every eighth level, once they are complete; the leaves are in the entries.
TREE_NODES = sa.Table(
    "tree_nodes",
    METADATA,
    sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
)
# Leaves of entries that are no longer kept: 256 in a row, 32 bytes each, the last row with as many as there are.
TREE_LEAVES = sa.Table(
    "tree_leaves",
    METADATA,
    sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("hashes", sa.LargeBinary, nullable=False),
)
# Of entries that are no longer kept the last change of each configuration, as stored: what is configured now follows from it.
KEPT_CONFIGURATION = sa.Table(
    "kept_configuration",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)
# One row: what the chain was when the tree was begun over it. Entries up to `sequence` have no leaf hash of their own.
TREE_START = sa.Table(
    "tree_start",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.Column("first_bad_sequence", sa.BigInteger, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)
CHECKPOINTS = sa.Table(
    "checkpoints",
    METADATA,
    sa.Column("size", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("create_time", Instant, nullable=False),
)
REPLAYS = sa.Table(
    "replays",
    METADATA,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("replay_id", sa.Text, nullable=False, unique=True),
    sa.Column("request_id", sa.Text, nullable=False, index=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("signal_ids", sa.Text, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)
_WITH_REQUEST = sa.text("request_id != ''")
sa.Index(
    "replays_by_request", REPLAYS.c.request_id, unique=True, sqlite_where=_WITH_REQUEST, postgresql_where=_WITH_REQUEST
)
# The signals of each replay in their order, fixed when it began; `data` is the result.
REPLAY_SIGNALS = sa.Table(
    "replay_signals",
    METADATA,
    sa.Column("replay_id", sa.Text, primary_key=True),
    sa.Column("place", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("signal_id", sa.Text, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=True),
)
# One row: which of several processes records, and until when it surely does.
WRITER = sa.Table(
    "writer",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("expires_ms", sa.BigInteger, nullable=False),
    sa.Column("boot_id", sa.Text, nullable=False),
)
OUTBOX = outbox_table(METADATA)
