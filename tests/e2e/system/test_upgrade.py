"""A home that an earlier commit left is upgraded by starting it, and goes on trading with what it had."""

import os
import sqlite3
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from vantixs.testing.earlier import dumps, restore
from vantixs.testing.postgres import PostgresServer
from vantixs.testing.stack import COMMANDS, RunningStack

from tests.support.paths import DATA
from tests.support.started import run_vantixs

DUMPS = DATA / "schemas"
SERVICES = ("risk", "router", "audit")
# The journal of those homes is not kept with the dumps, so audit has seen nothing of the new one.
FORGET_JOURNAL = "UPDATE {schema}head SET stream_sequence = 0"


def initialised(home: Path) -> Path:
    """Makes a home; returns the directory of its data."""
    COMMANDS.run(["init", "--home", str(home)], os.environ).check_returncode()
    (home / "data").mkdir(exist_ok=True)
    return home / "data"


def dump_of(service: str, commit: str, dialect: str) -> Path:
    """The commit's dump, or the newest before it: a service whose tables did not change has one.

    All these commits had the first revision of every service.
    """
    known = [path for path in dumps(DUMPS, service, dialect) if path.name.startswith("0001-")]
    return next((path for path in known if commit in path.name), known[-1])


@pytest.mark.parametrize(
    ("commit", "spool", "dialect"),
    [
        pytest.param("29d6b92", "0-b798c59", "sqlite", marks=pytest.mark.long),
        ("b798c59", "1-8668779", "postgresql"),
        ("ed9e0e8", "1-371544f", "sqlite"),
    ],
)
def test_home_of_an_earlier_commit_trades_on(
    commit: str, spool: str, dialect: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    data = initialised(tmp_path / "home")
    settings = {}
    if dialect == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        settings["VANTIXS_DATABASE_URL"] = server.new_database()
    for service in SERVICES:
        restore(
            dump_of(service, commit, dialect), settings.get("VANTIXS_DATABASE_URL") or f"sqlite:///{data / service}.db"
        )
    restore(DUMPS / "ingress" / f"{spool}.sql", f"sqlite:///{data / 'ingress-0.spool'}")
    spooled = sqlite3.connect(data / "ingress-0.spool")
    waiting = [message_id.partition(":")[0] for (message_id,) in spooled.execute("SELECT message_id FROM spool")]
    spooled.close()
    assert len(waiting) == 2
    if dialect == "postgresql":
        url = settings["VANTIXS_DATABASE_URL"].replace("+psycopg", "", 1)
        with psycopg.connect(url) as connection:
            connection.execute(FORGET_JOURNAL.format(schema="audit.").encode())
    else:
        audit = sqlite3.connect(data / "audit.db")
        audit.execute(FORGET_JOURNAL.format(schema=""))
        audit.commit()
        audit.close()
    stack = RunningStack(tmp_path / "home", **settings)
    with ExitStack() as ends:
        ends.callback(stack.start().stop)
        log = (tmp_path / "home" / "logs" / "risk.log").read_text()
        assert "database.migrated" in log
        before = stack.json("account", "show", "paper")
        held = {position["instrument"]: position["quantity"] for position in before["positions"]}
        assert set(held) == {"BTC/USDT", "SOL/USDT:USDT"}
        assert "spool.migrated" in (tmp_path / "home" / "logs" / "ingress.log").read_text()
        signal_id = stack.send({"action": "buy", "symbol": "BTCUSDT", "comment": "after the upgrade"}).json()[
            "signal_id"
        ]
        closing = stack.send({"action": "close", "symbol": "SOLUSDT.P", "comment": "after the upgrade"}).json()[
            "signal_id"
        ]
        ended = stack.ended([signal_id, closing])
        assert {signal["status"] for signal in ended.values()} == {"SIGNAL_STATUS_EXECUTED"}
        after = {p["instrument"]: p["quantity"] for p in stack.json("account", "show", "paper")["positions"]}
        assert set(after) == {"BTC/USDT"}
        assert float(after["BTC/USDT"]) > float(held["BTC/USDT"])
        # What waited in the spool since before the upgrade comes to its end as well.
        stack.ended(waiting)
    assert stack.stop() == 0


@pytest.mark.parametrize("service", SERVICES)
def test_service_does_not_start_on_a_database_newer_than_it_knows(service: str, tmp_path: Path) -> None:
    newer = sqlite3.connect(initialised(tmp_path) / f"{service}.db")
    newer.executescript("CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('9999');")
    newer.close()
    environ = {k: v for k, v in os.environ.items() if not k.startswith("VANTIXS_")} | {"VANTIXS_HOME": str(tmp_path)}
    done = run_vantixs(["serve", service], environ)
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line]
    assert line.startswith(f"vantixs {service}: database of {service}: expected version 0")
    assert line.endswith("or older, was 9999")
