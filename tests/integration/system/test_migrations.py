"""Every schema this repository ever wrote comes to today's, on SQLite and PostgreSQL, with its rows."""

import json
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from importlib import import_module
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from vantixs.api.common.v1 import order_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import lane_of
from vantixs.runtime import database_setup
from vantixs.runtime.database import Database
from vantixs.runtime.lifecycle import StartupError
from vantixs.runtime.settings import ServiceSettings
from vantixs.testing.earlier import restore
from vantixs.testing.migrations import run_migrations
from vantixs.testing.postgres import PostgresServer
from vantixs_risk import account_state, store
from vantixs_risk.domain.exact import BOOKS

from tests.support.paths import DATA
from tests.support.schemas import connected, described, rows_of

DUMPS = DATA / "schemas"
SERVICES = ("risk", "router", "audit")
UrlOf = Callable[[str], str]
EARLIER = sorted(path for service in SERVICES for path in (DUMPS / service).glob("*.sql"))
RISK = [path for path in EARLIER if path.parent.name == "risk"]
FIRST_RISK = [path for path in RISK if path.name[:12] in ("0001-29d6b92", "0001-b798c59")]
# That commit booked no fill on PostgreSQL: its database shows the schema only.
EMPTY = DUMPS / "risk" / "0001-29d6b92.postgresql.sql"


@pytest.fixture(autouse=True)
def real_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the migrations are what is tested: no test repeats what another one ran."""
    monkeypatch.setattr(database_setup, "upgrade_schema", run_migrations)


def label(value: object) -> str:
    return f"{value.parent.name}-{value.stem}" if isinstance(value, Path) else str(value)


def metadata_of(service: str) -> sa.MetaData:
    if service == "router":
        import_module("vantixs_router.lanes.table")  # Adds its tables.
    module = "tables" if service == "router" else "store"
    found: sa.MetaData = import_module(f"vantixs_{service}.{module}").METADATA
    return found


async def migrate(url: str, service: str) -> None:
    migrations = Path(str(import_module(f"vantixs_{service}").__file__)).parent / "migrations"
    opened = await Database.open(replace(ServiceSettings(), database_url=url), service, migrations)
    await opened.close()


@dataclass(frozen=True)
class Migrated:
    """A dump's database after the migrations, with its rows before them and what they logged. Tests only read it."""

    url: str
    before: dict[str, list[tuple[Any, ...]]]
    log: str


class Databases:
    """What is migrated once for all tests that read it."""

    def __init__(self, url_of: UrlOf) -> None:
        self._url_of = url_of
        self._fresh: dict[tuple[str, str], dict[str, Any]] = {}
        self._migrated: dict[Path, Migrated] = {}

    async def fresh(self, service: str, dialect: str) -> dict[str, Any]:
        """The schema of a database that was empty."""
        if (service, dialect) not in self._fresh:
            url = self._url_of(dialect)
            await migrate(url, service)
            self._fresh[service, dialect] = described(url, service)
        return self._fresh[service, dialect]

    async def migrated(self, dump: Path) -> Migrated:
        if dump not in self._migrated:
            url, service = self._url_of(dialect_of(dump)), dump.parent.name
            restore(dump, url)
            before = rows_of(url, service)
            with redirect_stdout(StringIO()) as log:
                await migrate(url, service)
            self._migrated[dump] = Migrated(url, before, log.getvalue())
        return self._migrated[dump]


@pytest.fixture(scope="module")
def url_of(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> UrlOf:
    """Makes an empty database of a dialect."""
    directory, numbers = tmp_path_factory.mktemp("databases"), count()

    def make(dialect: str) -> str:
        if dialect == "sqlite":
            return f"sqlite:///{directory / str(next(numbers))}.db"
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.new_database()

    return make


@pytest.fixture(scope="module")
def databases(url_of: UrlOf) -> Databases:
    return Databases(url_of)


def dialect_of(dump: Path) -> str:
    return dump.suffixes[-2].removeprefix(".")


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
@pytest.mark.parametrize("service", SERVICES)
async def test_migrations_make_what_the_metadata_says(service: str, dialect: str, url_of: UrlOf) -> None:
    migrated, made = url_of(dialect), url_of(dialect)
    await migrate(migrated, service)
    with connected(made, service) as connection:
        if dialect == "postgresql":
            connection.exec_driver_sql(f"CREATE SCHEMA {service}")
        metadata_of(service).create_all(connection)
    assert described(migrated, service) == described(made, service)
    assert described(made, service)


@pytest.mark.parametrize("dump", EARLIER, ids=label)
async def test_database_of_an_earlier_commit_comes_to_todays_schema(dump: Path, databases: Databases) -> None:
    service = dump.parent.name
    migrated = await databases.migrated(dump)
    earlier, before = migrated.url, dict(migrated.before)
    assert "database.migrated" in migrated.log
    assert described(earlier, service) == await databases.fresh(service, dialect_of(dump))
    after = rows_of(earlier, service)
    if dump in FIRST_RISK:
        # What the first tables held is elsewhere: see the tests of the first books below.
        before = {name: before[name] for name in ("accounts", "trading_states")}
    before.pop("account_states", None)
    if service == "router" and "signals" in before:
        before["signal_runs"] = before.pop("signals")  # So that a router of that version cannot go on beside a new one.
    # Columns that a later revision added stand at the end.
    width = {name: len(rows[0]) if rows else 0 for name, rows in before.items()}
    assert {name: [row[: width[name]] for row in after[name]] for name in before} == before
    assert any(before.values())
    # And nothing is done a second time.
    await migrate(earlier, service)
    assert rows_of(earlier, service) == after


@pytest.mark.parametrize("dump", [path for path in FIRST_RISK if path != EMPTY], ids=label)
async def test_first_books_keep_every_order_fill_entry_and_balance(dump: Path, databases: Databases) -> None:
    migrated = await databases.migrated(dump)
    url, before = migrated.url, migrated.before
    with connected(url, "risk") as connection:
        after = {
            name: connection.execute(sa.select(table)).mappings().all() for name, table in store.METADATA.tables.items()
        }
    assert {row["order_id"] for row in after["orders"]} == {row[0] for row in before["decisions"]}
    assert {row["order_id"] for row in after["orders"] if row["open"]} == {row[0] for row in before["reservations"]}
    assert {row["execution_id"] for row in after["fills"]} == {row[0] for row in before["fills"]}
    perpetuals = sum(row["perpetual"] and row["quantity"] != 0 for row in after["positions"])
    assert perpetuals
    assert len(after["transfers"]) == len(before["postings"]) // 2 + perpetuals
    kept = {(row["account_id"], row["book"], row["asset"], format(row["amount"], "f")) for row in after["balances"]}
    assert {tuple(row) for row in before["balances"]} <= kept
    # The transfers of an account add up to its balances. A scratch account's books were copied, without their transfers.
    sums: dict[tuple[str, str, str], Decimal] = {}
    scratch = {row["account_id"] for row in after["accounts"] if row["scratch_of"]}
    with localcontext(BOOKS):
        for row in after["transfers"]:
            for book, amount in ((row["source"], -row["amount"]), (row["target"], row["amount"])):
                key = (row["account_id"], book, row["asset"])
                sums[key] = sums.get(key, Decimal(0)) + amount
    balances = {(r["account_id"], r["book"], r["asset"]): r["amount"] for r in after["balances"]}
    assert {k: v for k, v in sums.items() if k[0] not in scratch} == {
        k: v for k, v in balances.items() if k[0] not in scratch
    }


@pytest.mark.parametrize("dump", [path for path in RISK if path != EMPTY], ids=label)
async def test_accounts_of_an_earlier_commit_are_read_and_their_equity_adds_up(
    dump: Path, databases: Databases
) -> None:
    url = (await databases.migrated(dump)).url
    with connected(url, "risk") as connection:
        accounts = {
            row.account_id: account_state.load(connection, row.account_id)
            for row in connection.execute(sa.select(store.ACCOUNTS))
        }
    assert {"paper", "second"} <= set(accounts)
    for name, account in accounts.items():
        positions = [held.position for held in account.holdings.values()]
        with localcontext(BOOKS):
            expected = Decimal(account.message.balance) + sum(p.realized_profit - p.fees for p in positions)
            expected += account.valuation().unrealized_profit
            assert name not in ("paper", "second") or account.valuation().equity == expected
            assert account.equity_history.peak >= account.valuation().equity
    paper = accounts["paper"]
    held = {name for name, holding in paper.holdings.items() if holding.position.quantity}
    assert held == {"BTC/USDT", "SOL/USDT:USDT"}
    assert paper.holdings["ETH/USDT"].position.cost == 0
    orders = accounts["second"].orders
    assert set(orders) == {"open-buy.1", "open-sell.1", "open-partly.1"}
    assert [orders[name].buy for name in ("open-buy.1", "open-sell.1", "open-partly.1")] == [True, False, True]
    partly = orders["open-partly.1"]
    assert partly.filled == Decimal("0.001")
    assert partly.entry
    assert partly.leaves == partly.quantity - Decimal("0.001")
    # 300 USDT of it was asked for, and a thousandth was filled: about 236 are still held, with fee and buffer.
    assert Decimal(230) < partly.notional_left < partly.reserved_funds_left < Decimal(245)


@pytest.mark.parametrize("damage", ["posting_id = 2", "posting_id in (2, 3)"])
@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
async def test_books_that_do_not_add_up_are_left_as_they_were(damage: str, dialect: str, url_of: UrlOf) -> None:
    url = url_of(dialect)
    restore(DUMPS / "risk" / f"0001-b798c59.{dialect}.sql", url)
    with connected(url, "risk") as connection:
        connection.exec_driver_sql(f"DELETE FROM postings WHERE {damage}")
    before, schema = rows_of(url, "risk"), described(url, "risk")
    with pytest.raises(StartupError, match="expected postings in pairs"):
        await migrate(url, "risk")
    assert (rows_of(url, "risk"), described(url, "risk")) == (before, schema)


async def test_entries_of_account_states_become_what_was_asked_and_approved(url_of: UrlOf) -> None:
    url = url_of("sqlite")
    restore(DUMPS / "risk" / "0001-ed9e0e8.sqlite.sql", url)
    with connected(url, "risk") as connection:
        query = sa.text("SELECT data FROM account_states WHERE account_id = 'second'")
        entries = json.loads(connection.execute(query).scalar_one())["entries"]
    assert len(entries) == 3
    await migrate(url, "risk")
    with connected(url, "risk") as connection:
        activity = account_state.load(connection, "second").activity
    assert [e.key for e in activity.requested] == [what for what, _, _ in entries]
    assert [e.key for e in activity.approved] == [what for what, _, approved in entries if approved]


def test_there_is_a_dump_of_every_revision_but_the_last_on_both_databases() -> None:
    for service in SERVICES:
        versions = Path(str(import_module(f"vantixs_{service}").__file__)).parent / "migrations" / "versions"
        revisions = sorted(path.name.split("_")[0] for path in versions.glob("[0-9]*.py"))
        for dialect in ("sqlite", "postgresql"):
            dumped = {path.name.split("-")[0] for path in (DUMPS / service).glob(f"*.{dialect}.sql")}
            assert set(revisions[:-1]) <= dumped, f"{service}: add a dump of the revision before the new one"


def test_the_first_revision_is_not_made_of_the_program_s_tables() -> None:
    for service in SERVICES:
        for path in (Path(str(import_module(f"vantixs_{service}").__file__)).parent / "migrations").rglob("*.py"):
            assert "METADATA" not in path.read_text(), path


@pytest.mark.parametrize(
    "dump", [path for path in EARLIER if path.parent.name == "router" and path.name < "0003"], ids=label
)
async def test_orders_and_messages_of_an_earlier_router_know_their_lane(dump: Path, url_of: UrlOf) -> None:
    url = url_of(dialect_of(dump))
    restore(dump, url)
    with connected(url, "router") as connection:
        (payload,) = connection.execute(sa.text("SELECT data FROM orders LIMIT 1")).scalars()
        order = order_pb2.Order.FromString(payload)
        entry = journal_pb2.JournalEntry(event_id="e", order_evaluated=journal_pb2.OrderEvaluated(order=order))
        waiting = {"e": journal_pb2.JournalBatch(entries=[entry]).SerializeToString(), "f": b"", "g": b"\xff"}
        insert = sa.text("INSERT INTO outbox (message_id, subject, payload) VALUES (:name, 'x', :payload)")
        for name, content in waiting.items():
            connection.execute(insert, {"name": name, "payload": content})
    await migrate(url, "router")
    with connected(url, "router") as connection:
        orders = connection.execute(sa.text("SELECT data, lane FROM orders")).all()
        messages = {row[0]: row[1] for row in connection.execute(sa.text("SELECT message_id, lane FROM outbox"))}
    assert orders
    for data, lane in orders:
        order = order_pb2.Order.FromString(data)
        assert lane == lane_of(order.account_id, order.instrument)
    assert len({lane for _, lane in orders}) > 1
    order = order_pb2.Order.FromString(payload)
    assert {name: messages[name] for name in waiting} == {
        "e": lane_of(order.account_id, order.instrument), "f": 0, "g": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "dump", [path for path in EARLIER if path.parent.name == "router" and path.name.startswith("0007")], ids=label
)
async def test_orders_of_an_earlier_router_know_their_instrument(dump: Path, databases: Databases) -> None:
    url = (await databases.migrated(dump)).url
    with connected(url, "router") as connection:
        orders = connection.execute(sa.text("SELECT data, instrument FROM orders")).all()
    assert len({instrument for _, instrument in orders}) > 1
    assert all(order_pb2.Order.FromString(data).instrument == instrument for data, instrument in orders)
