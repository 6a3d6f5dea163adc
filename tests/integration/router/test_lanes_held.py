"""A transaction that never ends, as of a frozen server process, keeps its lanes and nothing else."""

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import vantixs_router
from vantixs.model.ids import LANES
from vantixs.runtime.database import Database
from vantixs.runtime.health import Health
from vantixs.testing.postgres import PostgresServer
from vantixs_router.lanes import table
from vantixs_router.lanes.leases import Leases, Turn
from vantixs_router.settings import RouterSettings

MIGRATIONS = Path(vantixs_router.__file__).parent / "migrations"


async def renewed(leases: Leases, cursors: dict[int, tuple[int, int]] | None = None) -> Turn:
    turns: list[Turn] = []
    await leases.renew(lambda: cursors or {}, turns.append)
    (turn,) = turns
    return turn


async def test_lanes_that_a_transaction_holds_are_left_and_all_others_go_on(
    postgres: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgres.new_database()
    database = await Database.open(replace(RouterSettings(), database_url=url), "router", MIGRATIONS, exclusive=False)
    await database.write(lambda c: table.add_lanes(c, {}, 0))
    leases = Leases(database, Health(), "me", lease_s=4.0)
    with psycopg.connect(url.replace("+psycopg", "")) as frozen:
        frozen.execute("SELECT 1 FROM router.lanes WHERE lane IN (3, 7) FOR SHARE")
        turn = await renewed(leases)
        assert set(turn.owned) == set(range(LANES)) - {3, 7}
        assert turn.held == (3, 7)
        assert "lanes.held" in capsys.readouterr().out
        # One of ours that its own transaction of before holds: the cursor is saved later, the lease is renewed now.
        frozen.execute("SELECT 1 FROM router.lanes WHERE lane = 4 FOR SHARE")
        turn = await renewed(leases, {4: (40, 0), 5: (50, 0)})
        assert 4 in turn.owned
        assert leases.remaining_s() > 0
        rows = {row.lane: row.cursor for row in await database.read(table.read_lanes)}
        assert (rows[4], rows[5]) == (0, 50)
        frozen.rollback()
    turn = await renewed(leases, {4: (40, 0)})
    assert set(turn.owned) == set(range(LANES))
    assert (await database.read(table.read_lanes))[4].cursor == 40
    await database.close()


async def test_lane_that_a_transaction_held_when_it_was_to_be_handed_over_is_handed_over_later(
    postgres: PostgresServer,
) -> None:
    """It was noted as handed over, and if no other replica asked for it again, this replica neither freed nor read it."""
    url = postgres.new_database()
    database = await Database.open(replace(RouterSettings(), database_url=url), "router", MIGRATIONS, exclusive=False)
    await database.write(lambda c: table.add_lanes(c, {}, 0))
    leases = Leases(database, Health(), "me", lease_s=4.0)
    epoch = (await renewed(leases)).owned[4].epoch
    with psycopg.connect(url.replace("+psycopg", "")) as working:
        working.execute("SELECT 1 FROM router.lanes WHERE lane = 4 FOR SHARE")
        leases.give(4, epoch)
        assert (await renewed(leases)).owned[4].epoch == epoch
        working.rollback()
    # No other replica is there any more: it is taken again at once, as a lane that is new here.
    assert (await renewed(leases)).owned[4].epoch == epoch + 1
    assert (await renewed(leases)).owned[4].epoch == epoch + 1
    await database.close()
