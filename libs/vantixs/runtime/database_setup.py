"""Connects to a service's database, and migrates its file and schema to what the program knows."""

import asyncio
import contextlib
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from vantixs.runtime.grpc_server import Server
from vantixs.runtime.lifecycle import Lifecycle, StartupError, Stopped
from vantixs.runtime.logs import log
from vantixs.runtime.pipeline import send
from vantixs.runtime.settings import ServiceSettings
from vantixs.runtime.statements import Statement
from vantixs.runtime.store_identity import CREATE, SELECT, Found, Identity, make_identity

CHECKED_BYTES = 1 << 30
# temp_store: an INSERT of many rows keeps its undo data in memory; the default is a file.
# wal_autocheckpoint: at this many pages (16 MB) the log is copied into the database, which costs two more syncs.
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "busy_timeout=5000",
    "foreign_keys=ON",
    "temp_store=MEMORY",
    "wal_autocheckpoint=4000",
)
_KEY = sa.bindparam("key", type_=sa.BigInteger)
# Held until the transaction ends. Every writer of a schema holds the schema's lock, shared if it locks single rows.
ADVISORY_LOCK = Statement(lambda _: sa.select(sa.func.pg_advisory_xact_lock(_KEY)))
SHARED_LOCK = Statement(lambda _: sa.select(sa.func.pg_advisory_xact_lock_shared(_KEY)))
# A process that is stopped inside a transaction holds its locks. The server ends that transaction, so others can continue.
_WRITER_LIMITS = "-cidle_in_transaction_session_timeout=2s -clock_timeout=5s -cstatement_timeout=30s"
# A reader waits for a lock only while the tables themselves are changed.
_READER_LIMITS = "-cidle_in_transaction_session_timeout=60s -clock_timeout=5s -cstatement_timeout=60s"
# A migration has no time limit, and other replicas wait for it.
_NO_LIMITS = (
    "SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
)
# Errors of a server that will accept connections later. Errors of a wrong set-up have other texts.
_NOT_YET = ("starting up", "shutting down", "recovery", "not yet accepting", "too many", "remaining connection slots")
RETRY_S = 0.5
# A server that cannot be reached is an error within seconds. tcp_user_timeout is in ms, the others are in seconds.
_CONNECTION_LIMITS = {
    "connect_timeout": 3,
    "keepalives_idle": 3,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 6000,
}


def make_engine(url: str, service: str, *, write: bool) -> sa.Engine:
    """An engine for the writer, or for the readers, of a service's database."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "postgresql":
        # What is written is looked up by key. A plan that was made while a table was small reads all of it when it is large.
        # Where there is no other way a scan then looks so costly that it would be compiled first, for a tenth of a second.
        limits = f"-cenable_seqscan=off -cjit=off {_WRITER_LIMITS}" if write else _READER_LIMITS
        options = f"-csearch_path={service} {limits}"
        postgres = sa.create_engine(
            parsed,
            pool_size=1 if write else 2,
            isolation_level="AUTOCOMMIT",
            connect_args={"options": options, "application_name": f"vantixs-{service}", **_CONNECTION_LIMITS},
        )
        start = "BEGIN ISOLATION LEVEL READ COMMITTED" if write else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

        @sa.event.listens_for(postgres, "begin")
        def begin_here(connection: sa.Connection) -> None:
            # BEGIN is sent as a statement of its own: in a pipeline the driver would wait for the BEGIN that it sends by itself.
            send(connection, start)

        return postgres
    engine = sa.create_engine(
        parsed, pool_size=1 if write else 2, connect_args={"timeout": 5, "check_same_thread": False}
    )

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        # SQLAlchemy's own BEGIN below needs the driver not to begin transactions by itself.
        connection.isolation_level = None
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def lock_number(service: str) -> int:
    """The number of the advisory lock for a schema, or a part of it. Writers hold it until their transaction ends."""
    return zlib.crc32(f"vantixs-{service}".encode())


def migrate(engine: sa.Engine, service: str, migrations: Path) -> Found:
    """Checks the file, upgrades the schema, and says which store it is."""
    revisions = sorted(p.stem.split("_")[0] for p in (migrations / "versions").glob("[0-9]*.py"))
    postgres = engine.dialect.name == "postgresql"
    with engine.begin() as connection:
        if postgres:
            connection.exec_driver_sql(_NO_LIMITS)
            ADVISORY_LOCK.send(connection, key=lock_number(service))
            connection.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{service}"')
        else:
            check_file(connection.exec_driver_sql)
        there = sa.inspect(connection).has_table("alembic_version", schema=service if postgres else None)
        at = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() if there else None
        if at is not None and at not in revisions:
            raise StartupError(f"database of {service}: expected version {revisions[-1]} or older, was {at}")
        if at != revisions[-1]:
            upgrade_schema(connection, migrations)
        connection.exec_driver_sql(CREATE)
        identity = read_identity(connection)
        if identity is None:
            found = Found(make_identity(), new=at is None, adopted=at is not None)
            connection.exec_driver_sql(found.identity.insert)
        else:
            found = Found(identity)
    if at != revisions[-1]:
        log.info("database.migrated", from_revision=at or "none", to_revision=revisions[-1])
    return found


async def migrate_when_there(
    engine: sa.Engine, service: str, migrations: Path, settings: ServiceSettings, life: Lifecycle
) -> Found:
    """Like `migrate`, but waits until the database's server can be reached, because services start in any order.

    Health is down during the wait, and can be queried at the service's address.

    Raises:
        Stopped: the service was asked to stop during the wait.
    """
    waiting: Server | None = None
    try:
        while True:
            try:
                return await asyncio.to_thread(migrate, engine, service, migrations)
            except sa.exc.DBAPIError as error:
                if not _is_away(error):
                    raise
                detail = str(error.orig).splitlines()[0]
            life.health.set("database", False, detail)
            if waiting is None:
                log.warning("database.waiting", detail=detail)
                waiting = Server(settings, life.health, roles={})
                await waiting.start()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(life.stopping.wait(), RETRY_S)
            if life.stopping.is_set():
                raise Stopped
    finally:
        if waiting is not None:
            await waiting.stop(0)


def _is_away(error: sa.exc.DBAPIError) -> bool:
    """Whether a PostgreSQL server cannot be reached or does not accept connections yet, which is no fault of the settings."""
    words = str(error.orig)
    if "psycopg" not in type(error.orig).__module__ or not isinstance(error, sa.exc.OperationalError):
        return False
    return "FATAL" not in words or any(word in words for word in _NOT_YET)


def check_file(execute: Callable[[str], Any]) -> None:
    """Checks the structure of an SQLite file. The contents of its rows have no checksums.

    It reads the whole file. Of a file of many gigabytes it checks only the schema, which takes no time.

    Raises:
        DatabaseError: the file is damaged; or the driver's own error, if the driver notices first.
    """
    pages = int(execute("PRAGMA page_count").fetchone()[0]) * int(execute("PRAGMA page_size").fetchone()[0])
    if pages > CHECKED_BYTES:
        return
    found = str(execute("PRAGMA quick_check(1)").fetchone()[0])
    if found != "ok":
        raise sqlite3.DatabaseError(f"the file is damaged: {' '.join(found.split())[:200]}")


def upgrade_schema(connection: sa.Connection, migrations: Path) -> None:
    """Creates a service's tables, or migrates them to the newest revision, in the connection's transaction."""
    # Alembic takes a fifth of a second to import, so it is imported only if there is something to do.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("version_locations", str(migrations / "versions"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def is_damage(detail: str) -> bool:
    """Whether SQLite reports a damaged file."""
    return any(words in detail for words in ("malformed", "not a database", "file is damaged"))


def remedy(detail: str) -> str:
    """What an operator can do about a database that cannot be opened."""
    if is_damage(detail):
        return "; put a copy of it back (docs/operations.md, Stores), or move it away to start without it"
    if "readonly" in detail or "read-only" in detail.lower():
        return "; make it writable, and its directory"
    return ""


def read_identity(connection: sa.Connection) -> Identity | None:
    """The identity of the store; None if it was never written."""
    row = connection.exec_driver_sql(SELECT).first()
    return Identity(*row) if row else None
