"""Signals of all kinds on a rig's router, and what their entries tell."""

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.runtime.journal_reader import Delivery
from vantixs.testing.venue import Fault, NoFence
from vantixs_router import tables

from tests.support.router_rig import BTC, PERPETUAL, Router, now

ACTIONS = ("BUY", "BUY", "BUY", "SELL", "CLOSE", "REVERSE", "ADD", "REDUCE", "OPEN_SHORT", "CANCEL")
TOLD = ("order_evaluated", "order_updated", "signal_completed")
LIMITS: dict[str, Any] = {"max_order_notional": "2000", "max_open_positions": 3}
Signals = dict[str, journal_pb2.SignalAccepted]


def changed(delivery: Delivery, edit: Any) -> tuple[Delivery, journal_pb2.SignalAccepted]:
    batch = journal_pb2.JournalBatch.FromString(delivery.data)
    edit(batch.entries[0].signal_accepted)
    return replace(delivery, data=batch.SerializeToString()), batch.entries[0].signal_accepted


async def run_mixed(router: Router, count: int, seed: int) -> Signals:
    """Runs signals of all kinds: sizes, policies, paces, too late, too old, refused by risk or by the venue."""
    chance = random.Random(seed)
    await limit(router, **LIMITS)
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
