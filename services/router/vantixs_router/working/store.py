"""Brackets in the router's database, and the orders that are looked after together, inside a unit of work."""

import json
from typing import Any, NamedTuple

import sqlalchemy as sa
from vantixs.api.common.v1.order_pb2 import Order
from vantixs.runtime.statements import Statement, insert_or_replace, where

from vantixs_router.domain.brackets.encode import from_dict, to_dict
from vantixs_router.domain.brackets.plan import Plan
from vantixs_router.domain.brackets.state import Bracket
from vantixs_router.domain.owner_shares import Shares
from vantixs_router.owner_shares import read_shares
from vantixs_router.store import OPEN_OF_KEY, OrderRow, read_orders, to_order_row
from vantixs_router.tables import BRACKETS, ORDERS
from vantixs_router.working.rules import is_kept

_SAVE = insert_or_replace(BRACKETS)
_OPEN = sa.func.length(ORDERS.c.position) == sa.literal_column("0")
_READ_OPEN = Statement(lambda _: sa.select(ORDERS).where(OPEN_OF_KEY).order_by(ORDERS.c.number))
_NOT_DONE = sa.not_(BRACKETS.c.done)
_IS_PROTECTED = Statement(
    lambda _: sa.select(BRACKETS.c.entry_order_id).where(where(BRACKETS, "entry_order_id"), _NOT_DONE)
)
_READ_BRACKETS = Statement(lambda _: sa.select(BRACKETS).where(where(BRACKETS, "lane", "key"), _NOT_DONE))


class BracketRow(NamedTuple):
    """A bracket as it is stored.

    Attributes:
        entry_order_id: the entry that it protects.
        lane: of its account and instrument.
        key: account and instrument, "paper|BTC/USDT".
        bracket: how it stands.
        reports: how many entries of the journal tell of it.
        done: whether nothing is left of it.
    """

    entry_order_id: str
    lane: int
    key: str
    bracket: Bracket
    reports: int = 0
    done: bool = False


class Kept(NamedTuple):
    """What is looked after of an account and instrument.

    Attributes:
        orders: those that are not booked to their end.
        brackets: those that have not ended.
        of_brackets: the orders of each bracket, by its entry.
        shares: what webhooks own of the position.
    """

    orders: list[OrderRow]
    brackets: list[BracketRow]
    of_brackets: dict[str, list[OrderRow]]
    shares: Shares = ()


def save_bracket(connection: sa.Connection, row: BracketRow) -> None:
    """Writes a bracket."""
    values = row._asdict()
    values["data"] = json.dumps(to_dict(values.pop("bracket")))
    _SAVE.send(connection, **values)


def read_kept(connection: sa.Connection, lane: int, account_id: str, instrument: str) -> Kept:
    """What is looked after of an account and instrument."""
    key = f"{account_id}|{instrument}"
    found = _READ_OPEN.rows(connection, lane=lane, account_id=account_id, instrument=instrument)
    of_key = [row for row in found if is_kept(order := Order.FromString(row.data)) and order.instrument == instrument]
    rows = [to_order_row(connection, row) for row in of_key]
    brackets = [_of_row(row) for row in _READ_BRACKETS.rows(connection, lane=lane, key=key)]
    of_brackets = {}
    for bracket in sorted(brackets, key=lambda row: row.entry_order_id):
        entry = bracket.entry_order_id
        of_signal = read_orders(connection, entry.rpartition(".")[0])
        of_brackets[entry] = [row for row in of_signal if entry in (row.order.order_id, row.order.entry_order_id)]
    return Kept(rows, brackets, of_brackets, read_shares(connection, key))


def read_plan(connection: sa.Connection, entry_order_id: str) -> Plan | None:
    """What protects what an entry fills, as it was planned; None for an order without protection."""
    row = connection.execute(sa.select(BRACKETS).where(BRACKETS.c.entry_order_id == entry_order_id)).first()
    return _of_row(row).bracket.plan if row else None


def is_protected(connection: sa.Connection, entry_order_id: str) -> bool:
    """Whether an order has a bracket that has not ended."""
    return _IS_PROTECTED.first(connection, entry_order_id=entry_order_id) is not None


def read_kept_keys(connection: sa.Connection, lane: int) -> set[tuple[str, str]]:
    """Accounts and instruments of a lane of which anything is looked after."""
    rows = connection.execute(sa.select(ORDERS.c.data).where(ORDERS.c.lane == lane, _OPEN)).scalars()
    orders = [order for data in rows if is_kept(order := Order.FromString(data))]
    keys = {(order.account_id, order.instrument) for order in orders}
    brackets = connection.execute(sa.select(BRACKETS.c.key).where(BRACKETS.c.lane == lane, _NOT_DONE)).scalars()
    for key in brackets:
        account_id, _, instrument = key.partition("|")
        keys.add((account_id, instrument))
    return keys


def _of_row(row: Any) -> BracketRow:
    return BracketRow(
        row.entry_order_id, row.lane, row.key, from_dict(json.loads(row.data)), row.reports, bool(row.done)
    )
