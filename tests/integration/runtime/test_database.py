"""The shared writer, on SQLite and PostgreSQL."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from vantixs.runtime.columns import Amount
from vantixs.runtime.database import Database
from vantixs.runtime.database_reader import BATCH
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.lifecycle import StartupError
from vantixs.runtime.settings import ServiceSettings
from vantixs.runtime.statements import insert_ignore
from vantixs_risk import order_lookup, store
from vantixs_risk.main import MIGRATIONS
from vantixs_risk.order_lookup import OrderLookup, look_up_orders

from tests.support.balances import add, add_ones, read
from tests.support.started import start_module

SETTINGS = ServiceSettings()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(replace(SETTINGS, database_url=database_url), "risk", MIGRATIONS)
    yield opened
    await opened.close()


async def test_units_of_work_do_not_lose_each_others_updates(database: Database) -> None:
    results = await asyncio.gather(*(database.write(lambda c: add(c, "USDT", Decimal("0.1"))) for _ in range(200)))
    assert sorted(results) == [Decimal(n) / 10 for n in range(1, 201)]
    assert await database.read(lambda c: read(c, "USDT")) == Decimal(20)


async def test_failing_unit_rolls_back_alone(database: Database) -> None:
    def fail(connection: sa.Connection) -> None:
        add(connection, "BTC", Decimal(1))
        raise LookupError("no")

    work = [database.write(lambda c: add(c, "USDT", Decimal(1))), database.write(fail), database.write(lambda c: add(c, "USDT", Decimal(1)))]  # fmt: skip
    results = await asyncio.gather(*work, return_exceptions=True)
    assert [results[0], results[2]] == [Decimal(1), Decimal(2)]
    assert isinstance(results[1], LookupError)
    assert await database.read(lambda c: read(c, "BTC")) == 0


async def test_what_waits_for_the_same_is_run_together(database: Database) -> None:
    calls: list[int] = []

    def run(connection: sa.Connection, amounts: Sequence[Decimal]) -> list[Decimal]:
        calls.append(len(amounts))
        return [add(connection, "USDT", amount) for amount in amounts]

    amounts = [Decimal(n) for n in range(1, 101)]
    results = await asyncio.gather(*(database.write_batched(run, amount) for amount in amounts))
    # Each got its own result.
    assert results == [sum(amounts[: n + 1]) for n in range(100)]
    assert sum(calls) == 100
    assert len(calls) < 10


async def test_more_than_a_batch_at_once_is_shared_out(database: Database) -> None:
    calls: list[int] = []

    def run(connection: sa.Connection, amounts: Sequence[int]) -> list[Decimal]:
        calls.append(len(amounts))
        return [add(connection, "USDT", Decimal(amount)) for amount in amounts]

    await asyncio.gather(*(database.write_batched(run, 1) for _ in range(2000)))
    assert sum(calls) == 2000
    assert max(calls) < 2 * BATCH


async def test_what_fails_among_others_fails_alone(database: Database) -> None:
    def run(connection: sa.Connection, amounts: Sequence[int]) -> list[Decimal]:
        stored = [add(connection, "USDT", Decimal(amount)) for amount in amounts]
        if 13 in amounts:
            raise LookupError("unlucky")
        return stored

    results = await asyncio.gather(*(database.write_batched(run, n) for n in range(20)), return_exceptions=True)
    assert [n for n, result in enumerate(results) if isinstance(result, LookupError)] == [13]
    assert await database.read(lambda c: read(c, "USDT")) == sum(range(20)) - 13


async def test_an_exception_as_a_result_is_raised_and_rolls_nothing_back(database: Database) -> None:
    calls: list[int] = []

    def run(connection: sa.Connection, amounts: Sequence[int]) -> list[Decimal | Exception]:
        calls.append(len(amounts))
        return [LookupError("odd") if n % 2 else add(connection, "USDT", Decimal(n)) for n in amounts]

    results = await asyncio.gather(*(database.write_batched(run, n) for n in range(20)), return_exceptions=True)
    assert [isinstance(result, LookupError) for result in results] == [False, True] * 10
    assert await database.read(lambda c: read(c, "USDT")) == sum(range(0, 20, 2))
    assert sum(calls) == 20, "run again"


async def test_what_comes_while_a_batch_is_written_shares_the_next_one_and_one_alone_waits_for_nobody(
    database: Database,
) -> None:
    calls: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def run(connection: sa.Connection, amounts: Sequence[int]) -> list[Decimal]:
        calls.append(len(amounts))
        begun.set()
        assert go_on.wait(30)
        return [add(connection, "USDT", Decimal(amount)) for amount in amounts]

    first = asyncio.create_task(database.write_batched(run, 1))
    await asyncio.to_thread(begun.wait, 30)
    others = [asyncio.create_task(database.write_batched(run, 1)) for _ in range(30)]
    while len(database._writes._units._waiting) < 30:
        await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(first, *others)
    assert calls == [1, 30]
    await database.write_batched(run, 1)
    assert calls == [1, 30, 1]


async def test_after_closing_writes_are_refused(database_url: str) -> None:
    opened = await Database.open(replace(SETTINGS, database_url=database_url), "risk", MIGRATIONS)
    await opened.close()
    with pytest.raises(ServiceError, match="stopping"):
        await opened.write(lambda c: add(c, "USDT", Decimal(1)))


async def test_what_gathers_while_it_is_closed_is_written(database_url: str) -> None:
    opened = await Database.open(replace(SETTINGS, database_url=database_url), "risk", MIGRATIONS)
    written = asyncio.ensure_future(opened.write(lambda c: add(c, "USDT", Decimal(1))))
    await asyncio.sleep(0)
    await opened.close()
    assert await written == 1


async def test_many_rows_are_inserted_as_one_by_one(database: Database) -> None:
    def insert(connection: sa.Connection, first: int, count: int) -> None:
        rows = [
            {"account_id": "a", "book": "cash", "asset": f"A{n}", "amount": Decimal(n)}
            for n in range(first, first + count)
        ]
        store.WRITE_BALANCE.run_all(connection, rows)

    first = 0
    for count in (0, 1, 2, 3, 45, 600):
        await database.write(lambda c, f=first, n=count: insert(c, f, n))
        first += count
    # Again, over what is there.
    await database.write(lambda c: insert(c, 0, 7))
    rows = await database.read(lambda c: store.READ_BALANCES.rows(c, account_id="a"))
    assert {row.asset: row.amount for row in rows} == {f"A{n}": Decimal(n) for n in range(first)}


async def test_lookup_has_the_accounts_that_were_named(database: Database) -> None:
    states = [{"account_id": f"a-{n}", "stamp": f"f00-{n}", "data": "{}"} for n in range(9)]
    await database.write(lambda c: store.WRITE_STATE.run_all(c, states))
    nothing = await database.read(lambda c: look_up_orders(c, []))
    assert nothing == OrderLookup({}, {}, None, {})
    await database.write(lambda c: store.WRITE_STAMP.run(c, name=store.TRADING, stamp="f00-99"))
    lookup = await database.read(lambda c: look_up_orders(c, ["a-1", "a-5", "a-1", "other"], ["no-order"]))
    assert lookup == OrderLookup({}, {"a-1": "f00-1", "a-5": "f00-5"}, "f00-99", {})


async def test_versions_and_orders_are_looked_up_by_key(database: Database) -> None:
    """Also by a plan that was made while the tables were nearly empty: it is kept while they grow."""
    names = [f"name-{n}" for n in range(10)]

    def explain(connection: sa.Connection) -> list[str]:
        compiled = order_lookup._LOOK_UP._compiled(connection)
        if connection.dialect.name == "postgresql":
            for table in ("orders", "account_states"):
                connection.exec_driver_sql(f"ANALYZE {table}")
        values = compiled._parameters({"account_ids": names, "order_ids": names})
        how = "EXPLAIN" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        rows = connection.exec_driver_sql(f"{how} {compiled._sql}", values)
        return [str(row[-1]) for row in rows]

    states = [{"account_id": name, "stamp": "f00-1", "data": "{}"} for name in names]
    await database.write(lambda c: store.WRITE_STATE.run_all(c, states))
    plan = await database.write(explain)
    lines = [line for line in plan if any(name in line for name in ("orders", "account_states"))]
    assert lines
    # SQLite says SCAN, PostgreSQL says Seq Scan; json_each is the list of keys.
    assert [line for line in lines if line.startswith("SCAN") or "Seq Scan" in line] == [], plan


async def test_insert_ignore_says_whether_the_row_is_new(database: Database) -> None:
    row = {"scope": "global", "state": "HALTED", "comment": "", "actor": "", "update_time": datetime.now(UTC)}
    assert await database.write(lambda c: insert_ignore(store.TRADING_STATES, c, row)) is True
    assert await database.write(lambda c: insert_ignore(store.TRADING_STATES, c, row)) is False


async def test_amounts_and_times_come_back_exactly(database: Database) -> None:
    amount, time = Decimal("12345678901234567890.123456789012345678"), datetime(2026, 11, 24, 1, 2, 3, 456789, UTC)
    await database.write(lambda c: add(c, "X", amount))
    row = {"scope": "global", "state": "HALTED", "comment": "", "actor": "", "update_time": time}
    await database.write(lambda c: store.WRITE_TRADING_STATE.run(c, **row))
    assert await database.read(lambda c: read(c, "X")) == amount
    assert await database.read(lambda c: c.execute(sa.select(store.TRADING_STATES.c.update_time)).scalar()) == time


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_amount_that_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="finite"):
        Amount().process_bind_param(Decimal(value), None)  # type: ignore[arg-type]


async def test_two_processes_lose_nothing(database: Database, database_url: str, tmp_path: Path) -> None:
    output = tmp_path / "others.out"
    others = [start_module("tests.support.balances", [database_url], output) for _ in range(2)]
    await add_ones(database)
    for other in others:
        assert await asyncio.to_thread(other.wait, 60) == 0, output.read_text()
    assert await database.read(lambda c: read(c, "USDT")) == 300


async def test_opening_again_keeps_what_is_there_and_a_newer_schema_is_refused(
    database: Database, database_url: str
) -> None:
    settings = replace(SETTINGS, database_url=database_url)
    await database.write(lambda c: add(c, "USDT", Decimal(7)))
    again = await Database.open(settings, "risk", MIGRATIONS)
    assert await again.read(lambda c: read(c, "USDT")) == 7
    await again.write(lambda c: c.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'").rowcount)
    await again.close()
    with pytest.raises(StartupError, match="9999"):
        await Database.open(settings, "risk", MIGRATIONS)


async def test_file_that_is_no_database_is_a_startup_error(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("not a database, but long enough to be read as one" * 20)
    with pytest.raises(StartupError, match="not a database"):
        await Database.open(replace(SETTINGS, database_url=f"sqlite:///{tmp_path / 'x.db'}"), "risk", MIGRATIONS)
