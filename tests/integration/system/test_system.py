"""The whole system on SQLite and PostgreSQL, with one router and with three."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from vantixs.testing.postgres import PostgresServer
from vantixs.testing.promises import check_promises
from vantixs.testing.stack import RunningStack

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "LTCUSDT")


def long(name: str) -> Any:
    return pytest.param(name, marks=pytest.mark.long)


@pytest.fixture(params=["sqlite-1", long("sqlite-3"), long("postgresql-1"), "postgresql-3"])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningStack]:
    database, routers = request.param.split("-")
    settings = {}
    if database == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        settings["VANTIXS_DATABASE_URL"] = server.new_database()
    running = RunningStack(tmp_path / "home", router=int(routers), **settings).start()
    yield running
    assert running.stop() == 0


def test_signals_of_every_kind_end_as_they_should_and_the_books_hold(system: RunningStack) -> None:
    ids, expected = [], {}
    for number in range(60):
        symbol = SYMBOLS[number % len(SYMBOLS)]
        action, status = (("buy", "EXECUTED"), ("buy", "EXECUTED"), ("sell", "EXECUTED"), ("sell", "REJECTED"))[
            number // 6 % 4
        ]
        answer = system.send({"action": action, "symbol": symbol, "idempotency_key": f"n{number}"})
        assert answer.status_code == 202
        ids.append(answer.json()["signal_id"])
        expected[ids[-1]] = f"SIGNAL_STATUS_{status}"
    ended = system.ended(ids)
    assert {i: e["status"] for i, e in ended.items()} == expected
    assert {e.get("reason") for e in ended.values() if e["status"] == "SIGNAL_STATUS_REJECTED"} == {"NOTHING_TO_CLOSE"}
    repeated = system.send({"action": "buy", "symbol": "BTCUSDT", "idempotency_key": "n0"})
    assert (repeated.status_code, repeated.json()["signal_id"]) == (200, ids[0])
    check_promises(system, ids)
    assert len(system.json("order", "list", "--signal", ids[0])["orders"]) == 1
    assert (
        system.json("replay", "start", ids[0], "--mode", "paper", "--comment", "again")["replay"]["results"][0][
            "status"
        ]
        == "SIGNAL_STATUS_EXECUTED"
    )
