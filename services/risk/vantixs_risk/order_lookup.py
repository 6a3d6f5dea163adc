"""What every decision reads first, in one statement: versions of accounts, and what was decided of orders before."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa
from vantixs.runtime.sql_elements import Among, Lines
from vantixs.runtime.statements import Statement

from vantixs_risk.store import ORDERS, STAMPS, STATES, TRADING


class OrderLookup(NamedTuple):
    """What is committed of some accounts and orders.

    Attributes:
        recorded: the RiskDecision in bytes of each order that was decided, by order id.
        versions: the version of each account that exists, by account id (column `stamp`).
        trading_version: the version of the trading states; None before the first change.
        about: account and instrument of each order that was decided, for example "paper BTC/USDT". An order that was given
            up before it was evaluated has none.
    """

    recorded: dict[str, bytes]
    versions: dict[str, str]
    trading_version: str | None
    about: dict[str, str]


_ABOUT = ORDERS.c.account_id + " " + ORDERS.c.instrument


def _statement(_: Any) -> sa.CompoundSelect[Any]:
    versions = Lines(STATES.c.account_id + " " + STATES.c.stamp)
    no_data = sa.cast(sa.null(), sa.LargeBinary)
    trading = sa.select(STAMPS.c.stamp).where(STAMPS.c.name == TRADING).scalar_subquery()
    return sa.union_all(
        sa.select(trading.label("name"), versions.label("versions"), no_data.label("data"))
        .select_from(STATES)
        .where(Among(STATES.c.account_id, "account_ids")),
        sa.select(ORDERS.c.order_id, _ABOUT, ORDERS.c.data).where(Among(ORDERS.c.order_id, "order_ids")),
    )


_LOOK_UP = Statement(_statement)


def look_up_orders(connection: sa.Connection, account_ids: Iterable[str], order_ids: Iterable[str] = ()) -> OrderLookup:
    """Reads the versions of accounts, and what was recorded of orders, in one statement."""
    # The first row of the union is the only one without data; the database may return it at any place.
    first, *orders = sorted(
        _LOOK_UP.rows(connection, account_ids=list(account_ids), order_ids=list(order_ids)),
        key=lambda row: row.data is not None,
    )
    versions = dict(line.split(" ") for line in first.versions.split("\n")) if first.versions else {}
    about = {row.name: row.versions for row in orders if row.versions.strip()}
    return OrderLookup({row.name: bytes(row.data) for row in orders}, versions, first.name, about)
