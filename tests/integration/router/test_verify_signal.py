"""VERIFY: the router and risk derive signals again from their entries, and change nothing."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs.runtime.errors import ServiceError
from vantixs_risk import store as risk_store
from vantixs_router import tables
from vantixs_router.signals.verify import VerifySignals

from tests.support.mixed_signals import Signals, entries_of, limit, run_mixed
from tests.support.router_rig import EXECUTED, Router, router_on


@pytest.fixture
async def router(database_url: str, tmp_path: Path) -> AsyncIterator[Router]:
    async with router_on(database_url, tmp_path) as made:
        yield made


async def verify(router: Router, signals: Signals, **how: Any) -> dict[str, router_pb2.VerifySignalResponse]:
    service = VerifySignals(router.risk_client, router.venue.capabilities)
    told = await entries_of(router)
    return {
        signal_id: await service.run(
            router_pb2.VerifySignalRequest(accepted=accepted, entries=told.get(signal_id, []), **how)
        )
        for signal_id, accepted in signals.items()
    }


async def everything(router: Router) -> list[Any]:
    """Every row of risk and the router, and what the venue was asked."""
    databases = [(router.database, tables.METADATA), (router.risk_database, risk_store.METADATA)]
    rows: list[Any] = [list(router.venue.calls)]
    for database, metadata in databases:
        for table in metadata.sorted_tables:
            found = await database.read(lambda c, t=table: c.execute(sa.select(t)).all())
            rows.append(sorted(map(repr, found)))
    return rows


@pytest.mark.parametrize("count", [150, pytest.param(10_000, marks=pytest.mark.long)])
async def test_recorded_inputs_give_the_same_decisions_and_change_nothing(router: Router, count: int) -> None:
    signals = await run_mixed(router, count, seed=16)
    before = await everything(router)
    found = await verify(router, signals)
    odd = {i: str(r) for i, r in found.items() if r.differences or r.missing}
    assert not odd, "\n".join(map(str, odd.values()))[:4000]
    told = await entries_of(router)
    ends = {i: told[i][-1].signal_completed for i in signals}
    assert {i: (found[i].status, found[i].reason) for i in ends} == {i: (e.status, e.reason) for i, e in ends.items()}
    assert len({e.reason for e in ends.values()}) >= 8, "the signals are of many kinds"
    assert await everything(router) == before


async def test_a_lowered_limit_reports_exactly_the_signals_it_affects(router: Router) -> None:
    signals = await run_mixed(router, 150, seed=5)
    await limit(router, max_order_notional="200", max_open_positions=3)
    found = await verify(router, signals, current=True)
    told = await entries_of(router)

    def notional(order: journal_pb2.OrderEvaluated) -> float:
        return float(order.decision.quantity or 0) * 100

    affected = {
        signal_id
        for signal_id, entries in told.items()
        for e in entries
        if e.HasField("order_evaluated")
        and e.order_evaluated.order.effect == 1
        and e.order_evaluated.decision.verdict == 1
        and notional(e.order_evaluated) > 200
    }
    assert affected
    assert {i for i, r in found.items() if r.differences} == affected
    assert not any(r.missing for r in found.values())
    for signal_id in affected:
        told_check = [d for d in found[signal_id].differences if d.input == "ORDER_NOTIONAL_ABOVE_MAXIMUM"]
        assert told_check[0].before.startswith("pass, limit 2000")
        assert told_check[0].after.startswith("fail, limit 200")


async def test_a_webhook_that_was_changed_since_is_told_by_the_field_it_changes(router: Router) -> None:
    delivery = router.signal("BUY")
    await router.handle(delivery)
    accepted = journal_pb2.JournalBatch.FromString(delivery.data).entries[0].signal_accepted
    webhook = webhook_pb2.Webhook()
    webhook.CopyFrom(accepted.webhook)
    webhook.sizing.value = "0.25"
    (response,) = (await verify(router, {"s1": accepted}, current=True, webhook=webhook)).values()
    told = {(d.decision, d.input): (d.before, d.after) for d in response.differences}
    assert told["risk on order 1", "quantity"] == ("0.5", "0.25")
    assert "0.25" in told["order 1: request", "sizing"][1]


async def test_what_was_not_recorded_is_missing_and_never_equal(router: Router) -> None:
    delivery = router.signal("BUY")
    await router.handle(delivery)
    accepted = journal_pb2.JournalBatch.FromString(delivery.data).entries[0].signal_accepted
    service = VerifySignals(router.risk_client, router.venue.capabilities)
    entries = (await entries_of(router))["s1"]

    async def missing(edit: Any) -> list[str]:
        request = router_pb2.VerifySignalRequest(accepted=accepted, entries=entries)
        edit(request.entries)
        response = await service.run(request)
        assert not response.status
        assert not response.differences
        return list(response.missing)

    assert await missing(lambda e: e[-1].signal_completed.ClearField("inputs")) == [
        "the router's inputs: none were told"
    ]
    assert await missing(lambda e: e[0].order_evaluated.decision.ClearField("inputs")) == ["risk's inputs on order 1"]
    assert await missing(lambda e: e.pop()) == ["the signal's end: it is still running"]
    assert await missing(lambda e: e.pop(0)) == ["risk's decision on order 1"]


async def test_a_quantity_of_more_decimals_than_are_used_is_verified(router: Router) -> None:
    delivery = router.signal("BUY")
    batch = journal_pb2.JournalBatch.FromString(delivery.data)
    accepted = batch.entries[0].signal_accepted
    accepted.signal.quantity = "0.1234567901234567912"
    await router.handle(replace(delivery, data=batch.SerializeToString()))
    (response,) = (await verify(router, {"s1": accepted})).values()
    assert (response.status, list(response.differences), list(response.missing)) == (EXECUTED, [], [])


async def test_a_number_that_is_none_is_refused_and_logged_with_its_traceback(
    router: Router, capsys: pytest.CaptureFixture[str]
) -> None:
    delivery = router.signal("BUY")
    await router.handle(delivery)
    accepted = journal_pb2.JournalBatch.FromString(delivery.data).entries[0].signal_accepted
    entries = (await entries_of(router))["s1"]
    entries[-1].signal_completed.inputs.position_quantity = "a"
    service = VerifySignals(router.risk_client, router.venue.capabilities)
    with pytest.raises(ServiceError) as refused:
        await service.run(router_pb2.VerifySignalRequest(accepted=accepted, entries=entries))
    assert [v.field for v in refused.value.violations] == ["entries"]
    logged = capsys.readouterr().out
    assert "verify.entries_refused" in logged
    assert "Traceback" in logged
