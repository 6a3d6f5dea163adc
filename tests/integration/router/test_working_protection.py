"""Stops and targets of a position: placed with its first fill, moved, kept over crashes, and gone with it."""

import contextlib
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.runtime.errors import ServiceError, unavailable
from vantixs.testing.venue import NoFence
from vantixs_router.lanes.outcome import Outcome

from tests.support.router_rig import EXECUTED, Stopped
from tests.support.working_rig import LIMIT, Rig


async def test_stop_is_placed_with_the_entry_and_closes_the_position(rig: Rig) -> None:
    end = await rig.send("BUY", stop="90")
    assert (end.status, end.reason, end.detail) == (EXECUTED, "", "bought 0.5 at 100")
    assert await rig.working_ones() == ["sell stop 0.5 @ 90"]
    (evaluated,) = [e.order_evaluated for e in await rig.router.journal("s1") if e.event_id == "s1.1:evaluated"]
    assert "stop at 90 for all that is held" in evaluated.intent
    await rig.price("90.1")
    assert await rig.position() == D("0.5")
    await rig.price("89")
    assert await rig.position() == 0
    assert (await rig.orders())[-1] == "sell stop 0.5 @ 90 FILLED"
    await rig.check()


@pytest.mark.parametrize("count", [1, 2, 3, 6])
async def test_ladder_runs_to_its_end_and_the_stop_follows_what_is_left(rig: Rig, count: int) -> None:
    targets = [str(110 + 10 * n) for n in range(count)]
    await rig.send("BUY", size="0.6", stop="90", targets=targets)
    for done, target in enumerate(targets, 1):
        assert len(await rig.working_ones()) == count - done + 2
        await rig.price(str(D(target) + 1))
        left = D("0.6") * (count - done) / count
        assert await rig.position() == left
        stops = [order for order in await rig.working_ones() if " stop " in order]
        assert stops == ([f"sell stop {left.normalize():f} @ 90"] if left else [])
    assert await rig.working_ones() == []
    await rig.check()


async def test_shares_are_as_said_and_a_runner_is_left_to_the_stop(rig_on_each: Rig) -> None:
    rig = rig_on_each
    await rig.send("BUY", size="1", stop="90", targets=["110 50", "120 30"])
    assert await rig.working_ones() == ["sell limit 0.3 @ 120", "sell limit 0.5 @ 110", "sell stop 1 @ 90"]
    await rig.price("121")
    assert await rig.position() == D("0.2")
    await rig.price("89")
    assert await rig.position() == 0
    await rig.check()


async def test_exit_signal_takes_stop_and_targets_with_it(rig: Rig) -> None:
    await rig.send("BUY", size="1", stop="90", targets=["110", "120"])
    end = await rig.send("REDUCE", quantity="0.4")
    assert end.status == EXECUTED
    assert await rig.position() == D("0.6")
    assert [o for o in await rig.working_ones() if "stop" in o] == ["sell stop 0.6 @ 90"]
    targets = [D(o.split()[2]) for o in await rig.working_ones() if "limit" in o]
    assert sum(targets) <= D("0.6")
    await rig.send("CLOSE")
    assert await rig.position() == 0
    assert await rig.working_ones() == []
    await rig.price("80")
    await rig.price("130")
    assert await rig.position() == 0
    await rig.check()


async def test_reversal_leaves_no_leg_of_the_old_side(rig: Rig) -> None:
    await rig.send("BUY", stop="90", targets=["110"])
    await rig.send("REVERSE", stop="115", targets=["85"])
    assert await rig.position() == D("-0.5")
    assert await rig.working_ones() == []
    assert await rig.working_ones("s2") == ["buy limit 0.5 @ 85", "buy stop 0.5 @ 115"]
    await rig.price("84")
    assert await rig.position() == 0
    await rig.check()


async def test_limit_entry_is_protected_from_its_first_fill_on(rig: Rig) -> None:
    await rig.send("BUY", **LIMIT, stop="90", targets=["110"])
    assert await rig.working_ones() == ["buy limit 0.5 @ 95"]
    await rig.price("94")
    assert await rig.working_ones() == ["sell limit 0.5 @ 110", "sell stop 0.5 @ 90"]
    await rig.price("111")
    assert await rig.position() == 0
    await rig.check()


async def test_entry_whose_target_is_reached_first_is_cancelled(rig: Rig) -> None:
    await rig.send("BUY", **LIMIT, stop="90", targets=["110"])
    await rig.price("111")
    (row,) = await rig.router.orders("s1")
    assert (row.order.state, row.order.reason) == (common_pb2.ORDER_STATE_CANCELED, "TARGET_REACHED_BEFORE_ENTRY")
    await rig.check()


async def test_stop_goes_to_break_even_after_a_target(rig: Rig) -> None:
    await rig.send("BUY", stop="90", targets=["110 50", "120 50"], break_even_after_target=1)
    await rig.price("111")
    assert [o for o in await rig.working_ones() if "stop" in o] == ["sell stop 0.25 @ 100"]
    told = [e.bracket_changed.reason for e in await rig.router.journal("s1") if e.HasField("bracket_changed")]
    assert "STOP_MOVED" in told
    await rig.price("99.9")
    assert await rig.position() == 0
    await rig.check()


async def test_stop_trails_the_best_price_and_a_restart_keeps_it(rig: Rig) -> None:
    await rig.send("BUY", trail="5")
    assert await rig.working_ones() == ["sell stop 0.5 @ 95"]
    await rig.price("108")
    assert await rig.working_ones() == ["sell stop 0.5 @ 103"]
    rig.restart()
    await rig.load()
    await rig.price("104")
    assert await rig.working_ones() == ["sell stop 0.5 @ 103"]
    await rig.price("102")
    assert await rig.position() == 0
    await rig.check()


async def test_two_entries_have_a_bracket_each(rig: Rig) -> None:
    keep = webhook_pb2.ON_NEW_SIGNAL_KEEP
    await rig.send("BUY", stop="90", webhook_on_new_signal=keep)
    await rig.send("ADD", stop="95", webhook_on_new_signal=keep)
    assert await rig.working_ones("s1") == ["sell stop 0.5 @ 90"]
    assert await rig.working_ones("s2") == ["sell stop 0.5 @ 95"]
    await rig.price("94")
    assert await rig.position() == D("0.5")
    assert await rig.working_ones("s1") == ["sell stop 0.5 @ 90"]
    await rig.price("89")
    assert await rig.position() == 0
    await rig.check()


async def test_protection_is_there_after_a_crash_at_any_step(rig_on_each: Rig) -> None:
    """The process is killed after each commit and each word of risk, of an entry with stop and targets and its first target."""
    rig = rig_on_each
    router = rig.router
    for number in range(1, 60):
        delivery = rig.signal("BUY", size="0.6", stop="90", targets=["110 50", "120 50"])
        signal_id = f"s{router.sequence}"
        killed = False
        router.steps.count, router.steps.last = 0, number
        try:
            await rig.signals.handle(delivery, NoFence())
            await rig.price("111")
        except Stopped:
            killed = True
        rig.restart()
        await rig.load()
        assert await rig.signals.handle(delivery, NoFence()) is Outcome.DONE
        await rig.price("111")
        assert await rig.position() == D("0.3"), number
        working = await rig.working_ones(signal_id)
        assert working == ["sell limit 0.3 @ 120", "sell stop 0.3 @ 90"], (number, await rig.orders(signal_id))
        await rig.price("89")
        assert await rig.position() == 0, number
        await rig.check()
        await rig.price("100")
        if not killed:
            assert number > 15
            return
    raise AssertionError("more steps than are thought of")


async def test_protection_is_there_although_the_answer_to_a_commit_was_lost(rig: Rig) -> None:
    """The process goes on, and handles the signal again as a new try: what the try before left is watched all the same."""
    router = rig.router
    router.steps.error_takes = timedelta()
    for number in range(1, 60):
        delivery = rig.signal("BUY", size="0.6", stop="90", targets=["110 50", "120 50"])
        signal_id = f"s{router.sequence}"
        router.steps.writes, router.steps.write_errors = 0, {number: unavailable("DATABASE_UNAVAILABLE", "no answer")}
        for _ in range(5):
            with contextlib.suppress(ServiceError):
                if await rig.signals.handle(delivery, NoFence()) is Outcome.DONE:
                    break
        unused = bool(router.steps.write_errors)
        router.steps.write_errors = {}
        assert rig.working.has(rig.key), number
        await rig.working.look(rig.key, NoFence())
        working = await rig.working_ones(signal_id)
        assert working == ["sell limit 0.3 @ 110", "sell limit 0.3 @ 120", "sell stop 0.6 @ 90"], number
        await rig.price("89")
        assert await rig.position() == 0, number
        await rig.check()
        await rig.price("100")
        if unused:
            assert number > 5
            return
    raise AssertionError("more writes than are thought of")


async def test_protection_is_there_after_an_entry_that_waited(rig: Rig) -> None:
    """Risk decided and the venue filled, and risk did not book it for so long that the signal was parked."""
    rig.settings = replace(rig.settings, park_after_s=0.0)
    rig.restart()
    rig.router.steps.settle_errors = [unavailable("RISK_UNAVAILABLE", "no answer")]
    delivery = rig.signal("BUY", stop="90")
    assert await rig.signals.handle(delivery, NoFence()) is Outcome.PARKED
    assert await rig.signals.handle(delivery, NoFence()) is Outcome.DONE
    assert await rig.position() == D("0.5")
    assert await rig.working_ones() == ["sell stop 0.5 @ 90"]
    await rig.price("89")
    assert await rig.position() == 0
    await rig.check()
