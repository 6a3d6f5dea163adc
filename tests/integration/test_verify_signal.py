"""VERIFY: the router and risk derive signals again from their entries, and change nothing."""

import random
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.api.router.v1 import router_pb2
from vantixs.runtime.journal_reader import Delivery
from vantixs.testing.venue import Fault, NoFence
from vantixs_risk import store as risk_store
from vantixs_router import tables
from vantixs_router.signals.verify import VerifySignals

sys.path.insert(0, str(Path(__file__).parent))

from router_rig import BTC, PERPETUAL, Router, now, router_on

ACTIONS = ("BUY", "BUY", "BUY", "SELL", "CLOSE", "REVERSE", "ADD", "REDUCE", "OPEN_SHORT", "CANCEL")
TOLD = ("order_evaluated", "order_updated", "signal_completed")
Signals = dict[str, journal_pb2.SignalAccepted]


@pytest.fixture
async def router(database_url: str, tmp_path: Path) -> AsyncIterator[Router]:
    async with router_on(database_url, tmp_path) as made:
        yield made


def changed(delivery: Delivery, edit: Any) -> tuple[Delivery, journal_pb2.SignalAccepted]:
    batch = journal_pb2.JournalBatch.FromString(delivery.data)
    edit(batch.entries[0].signal_accepted)
    return replace(delivery, data=batch.SerializeToString()), batch.entries[0].signal_accepted


async def run_mixed(router: Router, count: int, seed: int) -> Signals:
    """Runs signals of all kinds: sizes, policies, paces, too late, too old, refused by risk or by the venue."""
    chance = random.Random(seed)
    await limit(router, max_order_notional="2000", max_open_positions=3)
    process, signals = router.process(), {}
    for _ in range(count):
        delivery = router.signal(chance.choice(ACTIONS), instrument=chance.choice((BTC, PERPETUAL, "ETH/USDT")))

        def edit(accepted: journal_pb2.SignalAccepted) -> None:
            signal, webhook = accepted.signal, accepted.webhook
            webhook.sizing.value = chance.choice(("0.5", "3", "10", "30", "0.0000001"))
            webhook.sell_opens_short = chance.random() < 0.3
            webhook.position_policy = chance.choice(webhook_pb2.PositionPolicy.values())
            webhook.max_adds = chance.choice((0, 0, 1))
            webhook.add_spacing_s = chance.choice((0, 0, 60))
            if chance.random() < 0.3:
                signal.quantity, signal.quantity_type = chance.choice(("1", "7")), common_pb2.QUANTITY_TYPE_UNITS
            if chance.random() < 0.2:
                signal.previous_position = chance.choice(common_pb2.PositionSide.values())
            if chance.random() < 0.1:
                signal.expire_time.FromDatetime(now() + timedelta(seconds=chance.choice((-1, 60))))
            if chance.random() < 0.2:
                signal.emit_time.FromDatetime(now() - timedelta(seconds=chance.choice((0, 5))))
            if chance.random() < 0.1:
                signal.order_type, signal.limit_price = common_pb2.ORDER_TYPE_LIMIT, "90"
            if chance.random() < 0.1:
                signal.stop_loss.percent = "2"
            if chance.random() < 0.05:
                webhook.routing_mode = common_pb2.ROUTING_MODE_STRATEGY

        delivery, accepted = changed(delivery, edit)
        if chance.random() < 0.05:
            router.venue.submit_faults.append(Fault.REJECTED)
        await process.handle(delivery, NoFence())
        router.venue.submit_faults.clear()
        signals[accepted.signal.signal_id] = accepted
    return signals


async def limit(router: Router, **limits: Any) -> None:
    stub = risk_pb2_grpc.RiskServiceStub(router.operator)
    account = (await stub.GetAccount(risk_pb2.GetAccountRequest(account_id="a"), timeout=5)).account
    account.limits.CopyFrom(risk_pb2.Limits(**limits))
    await stub.UpdateAccount(risk_pb2.UpdateAccountRequest(account=account), timeout=5)


async def entries_of(router: Router) -> dict[str, list[journal_pb2.JournalEntry]]:
    """What each signal's entries tell, of those that VERIFY reads."""
    rows = await router.database.read(
        lambda c: c.execute(sa.select(tables.OUTBOX).order_by(tables.OUTBOX.c.position)).all()
    )
    found: dict[str, dict[str, journal_pb2.JournalEntry]] = {}
    for entry in (e for row in rows for e in journal_pb2.JournalBatch.FromString(row.payload).entries):
        if entry.WhichOneof("event") in TOLD:
            found.setdefault(entry.signal_id, {}).setdefault(entry.event_id, entry)
    return {signal_id: list(entries.values()) for signal_id, entries in found.items()}


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
