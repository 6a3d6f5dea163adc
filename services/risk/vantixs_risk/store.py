"""Risk's tables, and the statements on them.

Tables that grow without bound (orders, fills, transfers) are only looked up by key. Everything else that a decision reads is
in rows whose number does not depend on history. So a decision costs the same after a million fills.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from vantixs.runtime.columns import Amount, Instant
from vantixs.runtime.outbox import outbox_table
from vantixs.runtime.sql_elements import Among, AmongRows
from vantixs.runtime.statements import Statement, insert_ignoring, insert_or_replace, insert_row, where

METADATA = sa.MetaData()
ACCOUNTS = sa.Table(
    "accounts",
    METADATA,
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("scratch_of", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)
# The state of an account in one small row. `stamp` is its version: every change of anything of an account writes one that was
# never used. So a process may keep an account in memory for as long as the version is the one it knows (`account_cache.py`).
STATES = sa.Table(
    "account_states",
    METADATA,
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("stamp", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
)
BALANCES = sa.Table(
    "balances",
    METADATA,
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("book", sa.Text, primary_key=True),
    sa.Column("asset", sa.Text, primary_key=True),
    sa.Column("amount", Amount, nullable=False),
)
POSITIONS = sa.Table(
    "positions",
    METADATA,
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("instrument", sa.Text, primary_key=True),
    sa.Column("base_asset", sa.Text, nullable=False),
    sa.Column("quote_asset", sa.Text, nullable=False),
    sa.Column("perpetual", sa.Boolean, nullable=False),
    sa.Column("quantity", Amount, nullable=False),
    sa.Column("cost", Amount, nullable=False),
    sa.Column("realized_profit", Amount, nullable=False),
    sa.Column("fees", Amount, nullable=False),
)
# Every order that was decided. Those that are `open` have a reservation.
ORDERS = sa.Table(
    "orders",
    METADATA,
    sa.Column("order_id", sa.Text, primary_key=True),
    sa.Column("signal_id", sa.Text, nullable=False),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("webhook_id", sa.Text, nullable=False),
    sa.Column("strategy_id", sa.Text, nullable=False),
    sa.Column("instrument", sa.Text, nullable=False),
    sa.Column("base_asset", sa.Text, nullable=False),
    sa.Column("quote_asset", sa.Text, nullable=False),
    sa.Column("perpetual", sa.Boolean, nullable=False),
    sa.Column("entry", sa.Boolean, nullable=False),
    sa.Column("buy", sa.Boolean, nullable=False),
    sa.Column("approved", sa.Boolean, nullable=False),
    sa.Column("open", sa.Boolean, nullable=False),
    sa.Column("quantity", Amount, nullable=False),
    sa.Column("notional", Amount, nullable=False),
    sa.Column("hold", Amount, nullable=False),
    sa.Column("filled", Amount, nullable=False),
    sa.Column("decide_time", Instant, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    # Which leg of a bracket it is, for example "STOP_LOSS"; empty for any other order.
    sa.Column("leg", sa.Text, nullable=False, server_default=""),
)
_IS_OPEN = ORDERS.c.open.is_(sa.true())
sa.Index("orders_open", ORDERS.c.account_id, ORDERS.c.order_id, sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN)
# An execution id is unique per venue and instrument (Binance numbers trades per symbol), so it is kept per both.
FILLS = sa.Table(
    "fills",
    METADATA,
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("instrument", sa.Text, primary_key=True),
    sa.Column("execution_id", sa.Text, primary_key=True),
    sa.Column("order_id", sa.Text, nullable=False, index=True),
    sa.Column("buy", sa.Boolean, nullable=False),
    sa.Column("quantity", Amount, nullable=False),
    sa.Column("price", Amount, nullable=False),
    sa.Column("fee", Amount, nullable=False),
    sa.Column("fee_asset", sa.Text, nullable=False),
    sa.Column("flag", sa.Text, nullable=False),
    sa.Column("execute_time", Instant, nullable=False),
)
# The position at a funding time is the position now without what was filled since.
_IS_PERPETUAL = FILLS.c.instrument.like(sa.literal_column("'%:%'"))
sa.Index(
    "ix_fills_perpetual",
    FILLS.c.account_id,
    FILLS.c.instrument,
    FILLS.c.execute_time,
    sqlite_where=sa.text("instrument LIKE '%:%'"),
    postgresql_where=sa.text("instrument LIKE '%:%'"),
)
TRANSFERS = sa.Table(
    "transfers",
    METADATA,
    sa.Column("transfer_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("account_id", sa.Text, nullable=False, index=True),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("asset", sa.Text, nullable=False),
    sa.Column("amount", Amount, nullable=False),
)
# Up to which time funding of a perpetual was booked. Booking moves it in the same transaction, so each time is booked once.
FUNDED = sa.Table(
    "funded",
    METADATA,
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("instrument", sa.Text, primary_key=True),
    sa.Column("until_time", Instant, nullable=False),
)
ADJUSTMENTS = sa.Table(
    "adjustments",
    METADATA,
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("request", sa.LargeBinary, nullable=False),
    sa.Column("response", sa.LargeBinary, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("record_time", Instant, nullable=False),
)
SAMPLES = sa.Table(
    "equity_samples",
    METADATA,
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("resolution_s", sa.Integer, primary_key=True),
    sa.Column("bucket", sa.BigInteger, primary_key=True),
    sa.Column("equity", Amount, nullable=False),
    sa.Column("sample_time", Instant, nullable=False),
)
TRADING_STATES = sa.Table(
    "trading_states",
    METADATA,
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("update_time", Instant, nullable=False),
)
# One row, "trading_states", with the version of that table.
STAMPS = sa.Table(
    "stamps",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("stamp", sa.Text, nullable=False),
)
OUTBOX = outbox_table(METADATA)

TRADING = "trading_states"

READ_ACCOUNT = Statement(lambda _: sa.select(ACCOUNTS).where(where(ACCOUNTS, "account_id")))
WRITE_ACCOUNT = insert_or_replace(ACCOUNTS)
READ_STATE = Statement(lambda _: sa.select(STATES).where(where(STATES, "account_id")))
WRITE_STATE = insert_or_replace(STATES)
READ_BALANCES = Statement(lambda _: sa.select(BALANCES).where(where(BALANCES, "account_id")))
WRITE_BALANCE = insert_or_replace(BALANCES)
READ_POSITIONS = Statement(lambda _: sa.select(POSITIONS).where(where(POSITIONS, "account_id")))
WRITE_POSITION = insert_or_replace(POSITIONS)
# Without the decision, which is most of the row and is not needed to settle an order.
READ_ORDERS = Statement(
    lambda _: sa.select(*(c for c in ORDERS.c if c.name != "data")).where(Among(ORDERS.c.order_id, "order_ids"))
)
READ_POSITION = Statement(lambda _: sa.select(POSITIONS).where(where(POSITIONS, "account_id", "instrument")))
READ_OPEN_ORDERS = Statement(lambda _: sa.select(ORDERS).where(where(ORDERS, "account_id"), _IS_OPEN))
# It fails where another process stored the order meanwhile. Then each request is run again and finds it.
INSERT_ORDER = insert_row(ORDERS)
UPDATE_ORDER = Statement(
    lambda _: (
        sa.update(ORDERS)
        .where(ORDERS.c.order_id == sa.bindparam("key", type_=sa.Text))
        .values(filled=sa.bindparam("filled", type_=Amount), open=sa.bindparam("open", type_=sa.Boolean))
    )
)
INSERT_FILL = insert_ignoring(FILLS)
READ_FILLS = Statement(lambda _: sa.select(FILLS).where(AmongRows(list(FILLS.primary_key), "keys")))
READ_FUNDED = Statement(lambda _: sa.select(FUNDED).where(where(FUNDED, "account_id", "instrument")))
WRITE_FUNDED = insert_or_replace(FUNDED)
FIRST_FILL = Statement(
    lambda _: (
        sa.select(FILLS.c.execute_time)
        .where(where(FILLS, "account_id", "instrument"), _IS_PERPETUAL)
        .order_by(FILLS.c.execute_time)
        .limit(1)
    )
)
READ_FILLS_AFTER = Statement(
    lambda _: sa.select(FILLS.c.buy, FILLS.c.quantity, FILLS.c.execute_time).where(
        where(FILLS, "account_id", "instrument"),
        _IS_PERPETUAL,
        FILLS.c.execute_time > sa.bindparam("after", type_=Instant),
    )
)
# Read once at each funding time. It has flat positions as well, as they may have been held at that time.
READ_FUNDING_DUE = Statement(
    lambda _: (
        sa.select(POSITIONS.c.account_id, POSITIONS.c.instrument, ACCOUNTS.c.data)
        .join(ACCOUNTS, ACCOUNTS.c.account_id == POSITIONS.c.account_id)
        .outerjoin(
            FUNDED,
            sa.and_(FUNDED.c.account_id == POSITIONS.c.account_id, FUNDED.c.instrument == POSITIONS.c.instrument),
        )
        .where(
            POSITIONS.c.perpetual.is_(sa.true()),
            ACCOUNTS.c.scratch_of == "",
            sa.or_(FUNDED.c.until_time.is_(None), FUNDED.c.until_time < sa.bindparam("until", type_=Instant)),
        )
        .order_by(POSITIONS.c.account_id, POSITIONS.c.instrument)
    )
)
INSERT_TRANSFER = insert_ignoring(TRANSFERS)
INSERT_ADJUSTMENT = insert_ignoring(ADJUSTMENTS)
READ_ADJUSTMENT = Statement(lambda _: sa.select(ADJUSTMENTS).where(where(ADJUSTMENTS, "request_id")))
WRITE_SAMPLE = insert_or_replace(SAMPLES)
INSERT_SAMPLE = insert_ignoring(SAMPLES)
FORGET_SAMPLES = Statement(
    lambda _: sa.delete(SAMPLES).where(
        where(SAMPLES, "account_id", "resolution_s"),
        SAMPLES.c.bucket < sa.bindparam("before", type_=sa.BigInteger),
    )
)
READ_RESTRICTED = Statement(lambda _: sa.select(TRADING_STATES).where(TRADING_STATES.c.state != "ACTIVE"))
# Flat positions stay in the table, with a quantity of "0" or "0.000". The table does not grow with history.
READ_HELD = Statement(
    lambda _: (
        sa.select(POSITIONS.c.account_id, POSITIONS.c.instrument)
        .join(ACCOUNTS, ACCOUNTS.c.account_id == POSITIONS.c.account_id)
        .where(sa.func.ltrim(sa.cast(POSITIONS.c.quantity, sa.Text), "0.") != "", ACCOUNTS.c.scratch_of == "")
        .order_by(POSITIONS.c.account_id)
    )
)
READ_TRADING_STATE = Statement(lambda _: sa.select(TRADING_STATES).where(where(TRADING_STATES, "scope")))
WRITE_TRADING_STATE = insert_or_replace(TRADING_STATES)
WRITE_STAMP = insert_or_replace(STAMPS)

# How long samples of a resolution are kept, in seconds; None means that they are never deleted.
RESOLUTIONS: dict[int, int | None] = {60: 86_400, 3600: 90 * 86_400, 86_400: None}


def open_orders(connection: sa.Connection, condition: "sa.ColumnElement[bool]", most: int) -> tuple[list[Any], int]:
    """Open orders that meet the condition, by account, at most `most`; and how many there are."""
    query = sa.select(ORDERS).where(_IS_OPEN, condition).order_by(ORDERS.c.account_id, ORDERS.c.order_id)
    count = connection.execute(sa.select(sa.func.count()).select_from(ORDERS).where(_IS_OPEN, condition)).scalar_one()
    return list(connection.execute(query.limit(most))), count


def minute_sample(account_id: str, equity: Any, now: datetime) -> dict[str, Any]:
    """The row of the minute's sample."""
    bucket = int(now.timestamp()) // 60
    return {"account_id": account_id, "resolution_s": 60, "bucket": bucket, "equity": equity, "sample_time": now}


def sample_equity(connection: sa.Connection, account_id: str, equity: Any, now: datetime, minute: int) -> int:
    """Stores the sample of the minute, and the first one of an hour and of a day; deletes old ones. Returns the minute.

    `minute` is that of the last sample. Within the same minute only its sample is replaced.
    """
    second = int(now.timestamp())
    values = {"account_id": account_id, "equity": equity, "sample_time": now}
    WRITE_SAMPLE.send(connection, **minute_sample(account_id, equity, now))
    if second // 60 == minute:
        return minute
    for resolution, kept_s in RESOLUTIONS.items():
        if second // resolution != minute * 60 // resolution:
            INSERT_SAMPLE.send(connection, resolution_s=resolution, bucket=second // resolution, **values)
        if kept_s is not None:
            before = (second - kept_s) // resolution
            FORGET_SAMPLES.send(connection, account_id=account_id, resolution_s=resolution, before=before)
    return second // 60
