"""A copy of everything, taken while it runs, and what starts from one.

What it rests on: databases, spools and the end of the journal are of one instant, at which nobody can write. What had left
a spool or an outbox by then is in the journal; what had not is still there; and nothing in the journal tells of anything that
the databases do not know. It is what a machine leaves that loses its power. Consumers are not copied, so the router reads the
journal from its start: every step knows what it did, and repeats nothing. Buckets are taken after that, as they are.
"""

import contextlib
import json
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from nats.aio.client import Client

from vantixs.runtime.backup import postgres_tables, sqlite_files, streams
from vantixs.runtime.database_setup import upgrade_schema
from vantixs.runtime.home import Home, write_atomically
from vantixs.runtime.journal import STREAM
from vantixs.runtime.lifecycle import StartupError
from vantixs.runtime.settings import ServiceSettings
from vantixs.runtime.store_identity import DELETE, SELECT, Identity
from vantixs.runtime.store_messages import store_entry
from vantixs.runtime.store_records import HomeRecords

MANIFEST, FORMAT = "backup.json", 1
SERVICES = ("risk", "router", "audit")
DATABASE_ERRORS = (sqlite3.Error, sa.exc.DatabaseError)
Found = TypeVar("Found")
Taken = TypeVar("Taken")
BUCKETS = ("KV_vantixs-webhooks", "KV_vantixs-quotes", "KV_vantixs-instruments")


def take_databases(
    settings: ServiceSettings, target: Path, at_moment: Callable[[], Found], then: Callable[[Found], Taken]
) -> Taken:
    """Copies databases and spools of a running system into an empty directory; returns what `then` gave.

    `at_moment` is called while nobody can write, which is held up for as long as it takes; `then`, with what it gave, once
    everybody can. The databases are copied after that, as they were at that moment: it may take long, and audit purges
    the journal meanwhile.

    Raises:
        StartupError: the directory is not empty, or a store is missing.
        OSError, sqlite3.Error, sqlalchemy.exc.DatabaseError: something cannot be read or written.
    """
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(target.iterdir()):
        raise StartupError(f"backup {target}: expected an empty directory, found {next(target.iterdir()).name!r}")
    data = settings.home / "data"
    databases = [] if settings.database_url else [data / f"{name}.db" for name in SERVICES]
    files = [*sorted(data.glob("ingress-*.spool")), *databases]
    if missing := [path.name for path in files if not path.is_file()]:
        raise StartupError(f"backup: expected {missing[0]} in {data}, found none")
    held: list[sqlite_files.HeldFiles | postgres_tables.HeldSchemas] = []
    with ExitStack() as ends:
        held.append(ends.enter_context(sqlite_files.held_files(files)))
        if settings.database_url:
            held.append(ends.enter_context(postgres_tables.held_schemas(settings.database_url, SERVICES)))
        found = at_moment()
        for stores in held:
            stores.release()
        taken = then(found)
        for stores in held:
            stores.copy_to(target)
    return taken


async def take_streams(client: Client, extent: streams.Extent, target: Path) -> dict[str, int]:
    """Copies the journal as it was at that extent, and the buckets; returns the messages of each.

    Raises:
        OSError: the broker refuses, messages were purged since, or a file cannot be written.
    """
    await streams.save_journal(client, extent, target)
    messages = {STREAM: extent.messages}
    for stream in BUCKETS:
        # A bucket that nothing was stored in yet is not there.
        with contextlib.suppress(LookupError):
            messages[stream] = await streams.save_stream(client, stream, target)
    return messages


def finish(settings: ServiceSettings, target: Path, messages: dict[str, int]) -> None:
    """At the end: adds the secrets, and the file that makes it a whole copy."""
    shutil.copytree(settings.home / "secrets", target / "secrets")
    if (settings.home / "settings.toml").is_file():
        shutil.copy(settings.home / "settings.toml", target)
    content = {"format": FORMAT, "time_ms": time.time_ns() // 1_000_000, "postgresql": bool(settings.database_url)}
    write_atomically(target / MANIFEST, json.dumps(content | {"messages": messages}, indent=2) + "\n", mode=0o600)


def check_target(source: Path, home: Path, database_url: str) -> None:
    """Checks that a home can be made from a copy.

    Raises:
        StartupError: no whole copy, one for another kind of database, or a home that is not empty.
    """
    manifest = _manifest(source)
    if manifest["postgresql"] != bool(database_url):
        kind = "PostgreSQL (VANTIXS_DATABASE_URL)" if manifest["postgresql"] else "SQLite, without VANTIXS_DATABASE_URL"
        raise StartupError(f"restore {source}: expected {kind}, as it was taken with")
    if home.exists() and any(home.iterdir()):
        raise StartupError(f"restore to {home}: expected no directory or an empty one")


def remove_content(directory: Path) -> None:
    """Removes all that is in a directory."""
    for path in directory.iterdir() if directory.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def put_files(source: Path, home: Path, database_url: str, nats_url: str, operator: str) -> Home:
    """Makes a home from a copy, its broker aside, marked so that what was sent since is looked up before it is sent again.

    `settings.toml` names the database and the broker that are given, and no addresses: those of the copy may belong to a
    system that still runs.
    """
    made = Home.open(home, create=True)
    shutil.copytree(source / "secrets", made.secrets, dirs_exist_ok=True)
    if (source / "settings.toml").is_file():
        settings = _moved((source / "settings.toml").read_text(), database_url, nats_url)
        write_atomically(made.path / "settings.toml", settings, mode=0o600)
    records = HomeRecords(made.data)
    for path in sorted([*source.glob("*.db"), *source.glob("*.spool")]):
        copied = shutil.copy(path, made.data)
        with closing(sqlite3.connect(copied, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            identity, entry = _marked(path.stem, connection.execute(SELECT).fetchone(), operator)
            connection.execute(DELETE)
            connection.execute(identity.insert)
            table = "outbox" if path.suffix == ".db" else "spool"
            insert = f"INSERT OR IGNORE INTO {table} (message_id, subject, payload) VALUES (?, ?, ?)"  # noqa: S608 - ours
            connection.execute(insert, (entry.message_id, entry.subject, entry.payload))
            connection.execute("COMMIT")
        records.write(path.stem, identity, over=True)
    if database_url:
        _put_schemas(source, database_url, records, operator)
    return made


def _moved(settings: str, database_url: str, nats_url: str) -> str:
    """`settings.toml` without what names other processes; the database and the broker are the given ones, if any."""
    given = {"database_url": database_url, "nats_url": nats_url}
    lines = []
    for line in settings.splitlines():
        name = line.partition("=")[0].strip(" \t\"'")
        if given.get(name):
            lines.append(f"{name} = {json.dumps(given[name])}")
        elif name not in given and not name.endswith("_addresses"):
            lines.append(line)
    return "\n".join(lines) + "\n"


async def put_streams(names: Sequence[str], source: Path, client: Client) -> dict[str, int]:
    """Makes the streams of a copy at a broker that does not have them; returns the messages of each.

    Raises:
        OSError: the broker refuses.
    """
    loaded = {STREAM: await streams.load_journal(client, source)}
    return loaded | {stream: await streams.load_stream(client, stream, source) for stream in names}


def buckets_of(source: Path) -> list[str]:
    """The streams of buckets that are in a copy."""
    return sorted(path.stem for path in source.glob("*.snapshot"))


def _manifest(source: Path) -> dict[str, Any]:
    path = source / MANIFEST
    if not path.is_file():
        raise StartupError(f"restore {source}: expected a whole copy, its {MANIFEST} is missing")
    content: dict[str, Any] = json.loads(path.read_text())
    if content.get("format") != FORMAT:
        raise StartupError(f"restore {source}: expected format {FORMAT}, was {content.get('format')}")
    return content


def _put_schemas(source: Path, url: str, records: HomeRecords, operator: str) -> None:
    """Every service's schema in one transaction. The tables are made at the revision they were copied at."""
    engine = sa.create_engine(url)
    try:
        with engine.begin() as connection:
            for service in SERVICES:
                if sa.inspect(connection).has_table("alembic_version", schema=service):
                    raise StartupError(f"restore: expected a database without the schema {service}, it is there")
                connection.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{service}"')
                connection.exec_driver_sql(f'SET LOCAL search_path TO "{service}"')
                upgrade_schema(connection, _migrations_of(service))
                postgres_tables.fill_schema(connection, service, source)
                identity, entry = _marked(service, connection.exec_driver_sql(SELECT).first(), operator)
                connection.exec_driver_sql(DELETE)
                connection.exec_driver_sql(identity.insert)
                outbox = sa.table("outbox", *(sa.column(name) for name in entry._fields))
                connection.execute(sa.insert(outbox).values(**entry._asdict()))
                records.write(service, identity, over=True)
    finally:
        engine.dispose()


def _marked(name: str, row: Sequence[Any] | None, operator: str) -> tuple[Identity, Any]:
    """The identity after a restore, which counts as accepted, and the entry that says so."""
    if row is None:
        raise StartupError(f"restore: expected an identity in {name}, found none")
    before = Identity(*row)
    now = time.time_ns() // 1_000_000
    after = before._replace(
        epoch=before.epoch + 1, accepted=before.accepted + 1, replaced=before.store_id, restore_ms=now
    )
    return after, store_entry(name, before, after, "restored from a copy", "vantixs restore", operator)


def _migrations_of(service: str) -> Path:
    """Where a service's migrations are, without importing it."""
    (entry,) = entry_points(group="vantixs.services", name=service)
    spec = find_spec(entry.module.partition(".")[0])
    if spec is None or spec.origin is None:
        raise StartupError(f"restore: the service {service} is not installed")
    return Path(spec.origin).parent / "migrations"
