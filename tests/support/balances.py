"""Amounts of an account in risk's tables, and a process that adds to one of them.

    python -m tests.support.balances DATABASE_URL

Adds 1 USDT a hundred times, in units of work of their own.
"""

import asyncio
import sys
from dataclasses import replace
from decimal import Decimal

import sqlalchemy as sa
from vantixs.model.decimals import EXACT
from vantixs.runtime.database import Database
from vantixs.runtime.settings import ServiceSettings
from vantixs.runtime.statements import upsert
from vantixs_risk import store
from vantixs_risk.main import MIGRATIONS


def read(connection: sa.Connection, asset: str) -> Decimal:
    rows = store.READ_BALANCES.rows(connection, account_id="a")
    return next((row.amount for row in rows if row.asset == asset), Decimal(0))


def add(connection: sa.Connection, asset: str, amount: Decimal) -> Decimal:
    found = read(connection, asset)
    upsert(
        store.BALANCES,
        connection,
        {"account_id": "a", "book": "cash", "asset": asset, "amount": EXACT.add(found, amount)},
    )
    return EXACT.add(found, amount)


async def add_ones(database: Database) -> None:
    await asyncio.gather(*(database.write(lambda c: add(c, "USDT", Decimal(1))) for _ in range(100)))


async def main() -> None:
    database = await Database.open(replace(ServiceSettings(), database_url=sys.argv[1]), "risk", MIGRATIONS)
    await add_ones(database)
    await database.close()


if __name__ == "__main__":
    asyncio.run(main())
