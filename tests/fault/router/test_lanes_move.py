"""Lanes of a real system move to another router when theirs is frozen or killed, and what wakes up late changes nothing."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from vantixs.testing.postgres import PostgresServer
from vantixs.testing.promises import check_promises
from vantixs.testing.stack import RunningStack, wait_for

from tests.support.sender import Sender

ROUTERS, MOVED_WITHIN_S, LONGER_THAN_LEASE_S = 3, 8.0, 5.0


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    settings = {}
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        settings["VANTIXS_DATABASE_URL"] = server.new_database()
    running = RunningStack(tmp_path_factory.mktemp("lanes") / "home", router=ROUTERS, **settings).start()
    yield running
    assert running.stop() == 0


def owners(stack: RunningStack) -> Counter[str]:
    """How many lanes each router has, by its number."""
    return Counter(number for number, _ in lanes(stack).values())


def lanes(stack: RunningStack) -> dict[int, tuple[str, int]]:
    """Every lane's owner, by its number, and the epoch, which grows with every change of owner."""
    return {
        lane.get("lane", 0): (lane.get("owner", "").partition("-")[0], int(lane["epoch"]))
        for lane in stack.json("lanes")["lanes"]
    }


def have_moved(stack: RunningStack, epochs: dict[int, int]) -> bool:
    """Whether all lanes are owned and these have another owner, which may be the successor of the process before."""
    now = lanes(stack)
    return all(number for number, _ in now.values()) and all(now[lane][1] > epoch for lane, epoch in epochs.items())


def test_lanes_of_a_router_that_freezes_move_within_8_s_and_no_signal_is_lost_or_doubled(shared: RunningStack) -> None:
    wait_for(lambda: sorted(owners(shared).values()) == [10, 11, 11], "the routers to share the lanes")
    sender = Sender(shared, 3)
    try:
        wait_for(lambda: len(sender.accepted) > 20, "signals to flow")
        frozen = shared.pid("router-1")
        epochs = {lane: epoch for lane, (number, epoch) in lanes(shared).items() if number == "1"}
        os.kill(frozen, signal.SIGSTOP)
        started = time.monotonic()
        wait_for(lambda: have_moved(shared, epochs), "its lanes to move")
        moved = time.monotonic() - started
        assert moved < MOVED_WITHIN_S
        wait_for(lambda: time.monotonic() - started > LONGER_THAN_LEASE_S, "more than the lease to pass")
        if (
            shared.pid("router-1") == frozen
        ):  # On SQLite it was ended: stopped in a transaction it would hold up all others.
            os.kill(frozen, signal.SIGCONT)
        before = len(sender.accepted)
        wait_for(lambda: len(sender.accepted) > before + 20, "signals to flow on")
        wait_for(lambda: sorted(owners(shared).values()) == [10, 11, 11], "the routers to share the lanes again")
    finally:
        sender.stop()
    check_promises(shared, sender.accepted)


@pytest.mark.long  # Kills at random moments are in test_kill_loop.py.
def test_lanes_of_a_router_that_is_killed_go_to_its_successor_at_once(shared: RunningStack) -> None:
    wait_for(lambda: sorted(owners(shared).values()) == [10, 11, 11], "the routers to share the lanes")
    sender = Sender(shared, 4)
    try:
        wait_for(lambda: len(sender.accepted) > 20, "signals to flow")
        for number in range(ROUTERS):
            shared.kill(f"router-{number}")
        before = len(sender.accepted)
        wait_for(lambda: len(sender.accepted) > before + 20, "signals to flow on")
    finally:
        sender.stop()
    check_promises(shared, sender.accepted)
