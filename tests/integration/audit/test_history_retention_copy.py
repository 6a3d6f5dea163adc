"""A copy of a PostgreSQL database whose entries are partitioned goes back into an empty one, partition by partition."""

from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa
from vantixs.runtime.backup.postgres_tables import fill_schema, held_schemas
from vantixs.runtime.database import Database
from vantixs.runtime.database_setup import make_engine
from vantixs.testing.postgres import PostgresServer
from vantixs_audit.main import MIGRATIONS
from vantixs_audit.settings import AuditSettings

from tests.support.history_retention_rig import KeptHistory
from tests.support.history_rig import copy_tables


def partitions(connection: sa.Connection) -> list[str]:
    query = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'entries'::regclass ORDER BY 1"
    return list(connection.exec_driver_sql(query).scalars())


async def opened(url: str) -> Database:
    return await Database.open(replace(AuditSettings(), database_url=url), "audit", MIGRATIONS)


async def test_partitions_that_were_made_and_dropped_are_those_of_the_copy(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url, other = postgres.new_database(), postgres.new_database()
    history = KeptHistory(await opened(url), tmp_path)
    await history.days(3)
    assert await history.drop(9.5)
    before = await history.database.read(partitions)
    assert len(before) > 2
    assert "entries_0" not in before
    rows = await history.database.read(copy_tables)
    copy = tmp_path / "copy"
    copy.mkdir()
    with held_schemas(url, ("audit",)) as held:
        held.copy_to(copy)
    await (await opened(other)).close()
    engine = make_engine(other, "audit", write=True)
    with engine.begin() as connection:
        fill_schema(connection, "audit", copy)
    engine.dispose()
    restored = KeptHistory(await opened(other), tmp_path)
    assert await restored.database.read(partitions) == before
    assert await restored.database.read(copy_tables) == rows
    # It goes on as the other one would have.
    await restored.day(10)
    assert await restored.drop(30)
    assert await restored.fault({"witness's checkpoint": restored.seen}) is None
    for each in (history, restored):
        await each.database.close()
