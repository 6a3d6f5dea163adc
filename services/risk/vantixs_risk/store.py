"""Risk's tables, and reading and writing them inside a unit of work."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from vantixs.model.decimals import EXACT, ZERO
from vantixs.runtime.columns import Amount, Instant
from vantixs.runtime.database import upsert
from vantixs.runtime.outbox import outbox_table
from vantixs.runtime.statements import Statement, insert_ignoring, insert_or_replace, where

from vantixs_risk.domain.ledger import CASH, Position, Posting

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
    sa.Column("quantity", Amount, nullable=False),
    sa.Column("average_price", Amount, nullable=False),
    sa.Column("realized_profit", Amount, nullable=False),
    sa.Column("fees", Amount, nullable=False),
)
DECISIONS = sa.Table(
    "decisions",
    METADATA,
    sa.Column("order_id", sa.Text, primary_key=True),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("instrument", sa.Text, nullable=False),
    sa.Column("base_asset", sa.Text, nullable=False),
    sa.Column("quote_asset", sa.Text, nullable=False),
    sa.Column("perpetual", sa.Boolean, nullable=False),
    sa.Column("decide_time", Instant, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)
RESERVATIONS = sa.Table(
    "reservations",
    METADATA,
    sa.Column("order_id", sa.Text, primary_key=True),
    sa.Column("account_id", sa.Text, nullable=False, index=True),
    sa.Column("instrument", sa.Text, nullable=False),
    sa.Column("entry", sa.Boolean, nullable=False),
    sa.Column("quantity", Amount, nullable=False),
    sa.Column("notional", Amount, nullable=False),
    sa.Column("hold", Amount, nullable=False),
)
FILLS = sa.Table(
    "fills",
    METADATA,
    sa.Column("execution_id", sa.Text, primary_key=True),
    sa.Column("order_id", sa.Text, nullable=False, index=True),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("buy", sa.Boolean, nullable=False),
    sa.Column("quantity", Amount, nullable=False),
    sa.Column("price", Amount, nullable=False),
    sa.Column("fee", Amount, nullable=False),
    sa.Column("execute_time", Instant, nullable=False),
)
POSTINGS = sa.Table(
    "postings",
    METADATA,
    sa.Column("posting_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("account_id", sa.Text, nullable=False, index=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("book", sa.Text, nullable=False),
    sa.Column("asset", sa.Text, nullable=False),
    sa.Column("amount", Amount, nullable=False),
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
OUTBOX = outbox_table(METADATA)

_READ_POSITION = Statement(lambda _: sa.select(POSITIONS).where(where(POSITIONS, "account_id", "instrument")))
_WRITE_POSITION = insert_or_replace(POSITIONS)
_READ_BALANCE = Statement(lambda _: sa.select(BALANCES.c.amount).where(where(BALANCES, "account_id", "book", "asset")))
_WRITE_BALANCE = insert_or_replace(BALANCES)
_INSERT_POSTING = insert_ignoring(POSTINGS)
_READ_RESERVATIONS = Statement(lambda _: sa.select(RESERVATIONS).where(where(RESERVATIONS, "account_id")))
_READ_RESERVATION = Statement(lambda _: sa.select(RESERVATIONS).where(where(RESERVATIONS, "order_id")))
_DROP_RESERVATION = Statement(lambda _: sa.delete(RESERVATIONS).where(where(RESERVATIONS, "order_id")))
_RESTRICTED = Statement(
    lambda _: sa.select(TRADING_STATES.c.scope, TRADING_STATES.c.state).where(TRADING_STATES.c.state != "ACTIVE")
)
_INSERT_FILL = insert_ignoring(FILLS)
READ_ACCOUNT = Statement(lambda _: sa.select(ACCOUNTS.c.data).where(where(ACCOUNTS, "account_id")))
READ_DECISION = Statement(lambda _: sa.select(DECISIONS).where(where(DECISIONS, "order_id")))
INSERT_DECISION = insert_ignoring(DECISIONS)
INSERT_RESERVATION = insert_ignoring(RESERVATIONS)


def read_position(connection: sa.Connection, account_id: str, instrument: str) -> Position:
    """The position; flat where there was never a fill."""
    row = _READ_POSITION.first(connection, account_id=account_id, instrument=instrument)
    return Position(row.quantity, row.average_price, row.realized_profit, row.fees) if row else Position()


def write_position(connection: sa.Connection, account_id: str, instrument: str, position: Position) -> None:
    """Replaces the position."""
    values = {
        "account_id": account_id,
        "instrument": instrument,
        "quantity": position.quantity,
        "average_price": position.average_price,
        "realized_profit": position.realized_profit,
        "fees": position.fees,
    }
    _WRITE_POSITION.run(connection, **values)


def post(connection: sa.Connection, account_id: str, source: str, postings: Iterable[Posting]) -> None:
    """Writes postings and moves the balances. `source` says what they come from, for example an execution id."""
    for posting in postings:
        _INSERT_POSTING.run(
            connection,
            account_id=account_id,
            source=source,
            book=posting.book,
            asset=posting.asset,
            amount=posting.amount,
        )
        key = {"account_id": account_id, "book": posting.book, "asset": posting.asset}
        before = read_balance(connection, account_id, posting.book, posting.asset)
        _WRITE_BALANCE.run(connection, **key, amount=EXACT.add(before, posting.amount))


def read_balance(connection: sa.Connection, account_id: str, book: str, asset: str) -> Decimal:
    """The amount of an asset in a book."""
    found = _READ_BALANCE.first(connection, account_id=account_id, book=book, asset=asset)
    return found.amount if found else ZERO


def read_reservations(connection: sa.Connection, account_id: str) -> list[Any]:
    """Open reservations of an account: as many as it has orders on their way."""
    return _READ_RESERVATIONS.rows(connection, account_id=account_id)


def free_funds(connection: sa.Connection, account_id: str, asset: str, held: Decimal) -> Decimal:
    """Cash in the asset less what is held."""
    return EXACT.subtract(read_balance(connection, account_id, CASH, asset), held)


def trading_states(connection: sa.Connection, scopes: Iterable[str]) -> dict[str, str]:
    """State of those scopes that are not ACTIVE."""
    # There are few restricted scopes, so all are read: a list of scopes would make another statement each time.
    asked = set(scopes)
    return {row.scope: row.state for row in _RESTRICTED.rows(connection) if row.scope in asked}


def insert_fill(connection: sa.Connection, values: dict[str, object]) -> bool:
    """Whether the fill is new."""
    return _INSERT_FILL.run(connection, **values) == 1


def lower_reservation(connection: sa.Connection, order_id: str, filled: Decimal) -> None:
    """Takes a fill out of a reservation, in proportion, to 80 digits."""
    row = _READ_RESERVATION.first(connection, order_id=order_id)
    if row is None:
        return
    left = max(EXACT.subtract(row.quantity, filled), ZERO)
    if not left:
        drop_reservation(connection, order_id)
        return
    share = EXACT.divide(left, row.quantity)
    connection.execute(
        sa.update(RESERVATIONS)
        .where(RESERVATIONS.c.order_id == order_id)
        .values(quantity=left, notional=EXACT.multiply(row.notional, share), hold=EXACT.multiply(row.hold, share))
    )


def drop_reservation(connection: sa.Connection, order_id: str) -> None:
    """Releases what an order still holds."""
    _DROP_RESERVATION.run(connection, order_id=order_id)


def set_state(connection: sa.Connection, scope: str, state: str, comment: str, actor: str, now: datetime) -> str:
    """Latches a trading state; returns the one before."""
    before = connection.execute(sa.select(TRADING_STATES.c.state).where(TRADING_STATES.c.scope == scope)).scalar()
    values = {"scope": scope, "state": state, "comment": comment, "actor": actor, "update_time": now}
    upsert(TRADING_STATES, connection, values)
    return before or "ACTIVE"
