"""A signal of a PAPER replay that runs again, as after a crash of audit, does what it did."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from vantixs.api.common.v1 import common_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs_router.signals.preview import Preview

from tests.support.router_rig import now, router_on
from tests.support.working_rig import Rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with router_on(f"sqlite:///{tmp_path / 'router.db'}", tmp_path) as made:
        yield Rig(made)


EXECUTED = common_pb2.SIGNAL_STATUS_EXECUTED


@pytest.mark.parametrize("action", ["BUY", "SELL", "CLOSE", "REVERSE", "ADD"])
async def test_signal_of_a_replay_that_runs_again_does_what_it_did(rig: Rig, action: str) -> None:
    quotes: Any = rig.quotes
    none: Any = None
    preview = Preview(rig.router.risk_client, quotes, rig.venue, now, none)

    async def run(delivery: Any) -> tuple[int, str, list[tuple[int, str]]]:
        batch = journal_pb2.JournalBatch.FromString(delivery.data)
        request = router_pb2.PreviewSignalRequest(accepted=batch.entries[0].signal_accepted, replay_id="r1")
        entries = await preview.run(request)
        end = entries[-1].signal_completed
        orders = [
            (e.order_evaluated.order.side, e.order_evaluated.decision.quantity)
            for e in entries
            if e.HasField("order_evaluated")
        ]
        return end.status, end.reason, orders

    if action != "BUY":
        assert (await run(rig.signal("BUY", quantity="1")))[0] == EXECUTED
    delivery = rig.signal(action, quantity="1")
    first = await run(delivery)
    assert first[0] == EXECUTED
    assert await run(delivery) == first
    # The next one finds the position that the first run left.
    after = {"BUY": "0.5", "SELL": "", "CLOSE": "", "REVERSE": "0.5", "ADD": "1"}[action]
    assert [quantity for _, quantity in (await run(rig.signal("CLOSE")))[2]] == ([after] if after else [])


async def test_signal_whose_first_order_alone_was_carried_out_goes_on_with_its_second(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    quotes: Any = rig.quotes
    none: Any = None
    preview = Preview(rig.router.risk_client, quotes, rig.venue, now, none)

    async def run(delivery: Any) -> Any:
        batch = journal_pb2.JournalBatch.FromString(delivery.data)
        request = router_pb2.PreviewSignalRequest(accepted=batch.entries[0].signal_accepted, replay_id="r1")
        return await preview.run(request)

    await run(rig.signal("BUY"))
    reverse = rig.signal("REVERSE")
    settle = rig.router.risk_client.settle

    async def settle_and_end(*args: Any, **given: Any) -> Any:
        await settle(*args, **given)
        raise ConnectionError("the router ends")

    monkeypatch.setattr(rig.router.risk_client, "settle", settle_and_end)
    with pytest.raises(ConnectionError):
        await run(reverse)
    monkeypatch.undo()
    entries = await run(reverse)
    assert entries[-1].signal_completed.status == EXECUTED
    sides = [e.order_evaluated.order.side for e in entries if e.HasField("order_evaluated")]
    assert sides == [common_pb2.SIDE_SELL, common_pb2.SIDE_SELL]
