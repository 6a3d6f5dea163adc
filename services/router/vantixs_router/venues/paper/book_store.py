"""Reading and writing the paper venue's orders inside a unit of work."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from vantixs.api.common.v1 import order_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs.runtime.statements import Statement, insert_ignoring, update_rows, where

from vantixs_router.domain.matching.orders import OpenOrder
from vantixs_router.tables import PAPER_ORDERS

_INSERT = insert_ignoring(PAPER_ORDERS)
_UPDATE = update_rows(PAPER_ORDERS, "client_order_id", "open", "ended", "reason", "fills")
_READ = Statement(lambda _: sa.select(PAPER_ORDERS).where(where(PAPER_ORDERS, "client_order_id")))
_READ_OPEN = Statement(
    lambda _: sa.select(PAPER_ORDERS).where(where(PAPER_ORDERS, "key"), PAPER_ORDERS.c.open != sa.literal_column("''"))
)


class PaperOrder(NamedTuple):
    """What the paper venue holds of an order.

    Attributes:
        client_order_id: whose it is.
        key: account and instrument, "paper|BTC/USDT".
        open: how it stands in its book; None once it has ended.
        ended: the name of the state in which it ended; "" while it is open.
        reason: why it ended, where it was not filled.
        fills: all of them.
        group: the entry whose stop and targets share a quantity; "" for an order that is no leg.
        exits: whether it is for no more than the position.
    """

    client_order_id: str
    key: str
    open: OpenOrder | None
    ended: str
    reason: str
    fills: tuple[order_pb2.Fill, ...]
    group: str = ""
    exits: bool = False


def key_of(account_id: str, instrument: str) -> str:
    """The book of an account and instrument, "paper|BTC/USDT"."""
    return f"{account_id}|{instrument}"


def place(connection: sa.Connection, order: PaperOrder, now: datetime) -> Callable[[], PaperOrder]:
    """Stores an order once. What is returned gives what is stored: of a repeat what was made the first time."""
    made = _INSERT.count(connection, **_values(order), client_order_id=order.client_order_id, fill=b"", accept_time=now)

    def answer() -> PaperOrder:
        return order if made() else _of_row(_READ.first(connection, client_order_id=order.client_order_id))

    return answer


def save(connection: sa.Connection, orders: Sequence[PaperOrder]) -> None:
    """Replaces what changed of orders that are there."""
    for order in orders:
        values = _values(order)
        del values["key"]
        _UPDATE.send(connection, client_order_id_is=order.client_order_id, **values)


def read(connection: sa.Connection, client_order_id: str) -> PaperOrder | None:
    """One order; None where it was never placed."""
    row = _READ.first(connection, client_order_id=client_order_id)
    return _of_row(row) if row else None


def read_open(connection: sa.Connection, key: str) -> list[PaperOrder]:
    """The open orders of an account and instrument."""
    return [_of_row(row) for row in _READ_OPEN.rows(connection, key=key)]


def _values(order: PaperOrder) -> dict[str, Any]:
    return {
        "key": order.key,
        "open": json.dumps(order.open.to_dict() | {"group": order.group, "exits": order.exits}) if order.open else "",
        "ended": order.ended,
        "reason": order.reason,
        "fills": router_pb2.GetOrderResponse(fills=order.fills).SerializeToString(),
    }


def _of_row(row: Any) -> PaperOrder:
    # The default of rows of before is a text in SQLite.
    fills = tuple(router_pb2.GetOrderResponse.FromString(bytes(row.fills or b"")).fills)
    if row.fill:  # Of a version in which every order was filled at once.
        fills = (order_pb2.Fill.FromString(bytes(row.fill)),)
    stored = json.loads(row.open) if row.open else {}
    group = stored.pop("group", "")
    exits = stored.pop("exits", bool(group))
    opened = OpenOrder.from_dict(stored) if stored else None
    return PaperOrder(row.client_order_id, row.key, opened, row.ended, row.reason, fills, group, exits)
