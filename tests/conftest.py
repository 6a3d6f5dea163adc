"""Servers that tests share."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings
from vantixs.runtime import database_setup
from vantixs.testing.migrations import repeat_migrations
from vantixs.testing.nats import NatsServer
from vantixs.testing.postgres import PostgresServer
from vantixs.testing.stack import COMMANDS, RunningStack

# Tests start hundreds of processes: each would compile again whatever has no bytecode on disk, three times the work.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

TESTS = Path(__file__).parent

# Every commit and every message is synced to disk, 5 ms each on a usual one. In memory that takes no time, and what is killed
# has left its writes with the kernel in both. A run leaves a few hundred MB.
SHARED_MEMORY, MEMORY_BYTES = Path("/dev/shm"), 4 << 30
MEMORY = (
    SHARED_MEMORY
    if os.access(SHARED_MEMORY, os.W_OK) and shutil.disk_usage(SHARED_MEMORY).free >= MEMORY_BYTES
    else None  # The usual place for temporary files.
)
if MEMORY:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

# The processes of a system are forks of one that has imported everything: `forked=False` starts them as a user does.
RunningStack.forked = hasattr(os, "pidfd_open")

# Hundreds of tests open a database of their own.
database_setup.upgrade_schema = repeat_migrations

# The machine may be busy: no test asserts a time, so neither does hypothesis.
settings.register_profile("vantixs", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("vantixs")

# Without a configuration structlog shows the local variables of every frame: seconds of work for one traceback.
PLAIN = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], PLAIN])


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes are named by their length: compressed ones hold the time, and every worker has to collect the same names."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mixes the files of different directories: some tests compute and others wait, and workers run them side by side.

    Unit tests come last: they are short, so that all workers end at about the same time.
    """
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    kinds: dict[str, list[Path]] = {}
    for path in files:
        kinds.setdefault(path.relative_to(TESTS).parts[0], []).append(path)
    places = {
        path: (kind == "unit", number / len(paths))
        for kind, paths in kinds.items()
        for number, path in enumerate(paths)
    }
    items[:] = [item for path in sorted(files, key=places.__getitem__) for item in files[path]]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    # Not in pytest's directory, which each run that starts takes away from all users but its own: started by root, the
    # server runs as another one. On disk a new database takes 0.3 s of CPU, in memory 0.04 s.
    with tempfile.TemporaryDirectory(prefix="vantixs-postgres-", dir=MEMORY) as directory:
        # Vacuuming would look at each database again and again, several times a second.
        server = PostgresServer(Path(directory), full_page_writes="off", autovacuum="off", max_wal_size="'128MB'")
        yield server
        server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Both databases, each fresh."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.new_database()
    yield url
    server.drop_database(url)


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path / "nats").start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for the PATH of scripts, in which `vantixs` starts in a few milliseconds."""
    return COMMANDS.put_on_path(tmp_path_factory.mktemp("bin"))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The whole system on SQLite with one router."""
    running = RunningStack(tmp_path_factory.mktemp("stack") / "home").start()
    yield running
    assert running.stop() == 0
