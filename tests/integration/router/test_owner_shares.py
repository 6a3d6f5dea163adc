"""Webhooks that own what they open, on the paper venue with real databases and a real risk."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal as D
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.api.router.v1 import router_pb2
from vantixs.model.decimals import format_decimal
from vantixs.testing.venue import Fault, NoFence
from vantixs_router import owner_shares
from vantixs_router.domain.owner_shares import fit
from vantixs_router.lanes.outcome import Outcome
from vantixs_router.owner_shares import read_shares
from vantixs_router.signals.preview import Preview
from vantixs_router.working.rules import is_resting_exit

from tests.support.router_rig import EXECUTED, REJECTED, SETTINGS, Stopped, now, router_on
from tests.support.working_rig import Rig

OWNER = webhook_pb2.POSITION_OWNER_WEBHOOK
LIMIT: dict[str, Any] = {"order_type": common_pb2.ORDER_TYPE_LIMIT}
PERCENT = common_pb2.QUANTITY_TYPE_POSITION_PERCENT


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with router_on(f"sqlite:///{tmp_path / 'router.db'}", tmp_path) as made:
        yield Rig(made)


@pytest.fixture
async def rig_on_each(database_url: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with router_on(database_url, tmp_path) as made:
        yield Rig(made)


def by(webhook_id: str, **fields: Any) -> dict[str, Any]:
    """A signal of a webhook that owns what it opens."""
    return {"webhook_webhook_id": webhook_id, "webhook_position_owner": OWNER, **fields}


ANYBODY: dict[str, Any] = {"webhook_webhook_id": "c"}
OPERATOR: dict[str, Any] = {"webhook_webhook_id": ""}


async def owned(rig: Rig) -> dict[str, str]:
    """What webhooks own of what is held, by webhook."""
    stored = await rig.router.database.read(lambda c: read_shares(c, rig.key))
    position = await rig.position()
    shares = fit(stored, position)
    assert abs(sum(share.quantity for share in shares)) <= abs(position)
    return {share.webhook_id: format_decimal(share.quantity) for share in shares}


async def two_owners(rig: Rig, **fields: Any) -> None:
    """Webhook a is long 1, b is long 2."""
    for webhook_id, size in (("a", "1"), ("b", "2")):
        assert (await rig.send("BUY", size=size, **by(webhook_id, **fields))).status == EXECUTED


async def test_exits_close_what_their_webhook_opened(rig_on_each: Rig) -> None:
    rig = rig_on_each
    await two_owners(rig)
    assert await owned(rig) == {"a": "1", "b": "2"}
    assert (await rig.send("CLOSE", **by("b"))).detail == "sold 2 at 100"
    assert await owned(rig) == {"a": "1"}
    end = await rig.send("CLOSE", **by("b"))
    assert (end.status, end.reason) == (REJECTED, "NOTHING_TO_CLOSE")
    assert end.detail == "there is nothing to close; the webhook acts on 0 of the position of 1"
    rig.restart()
    assert (await rig.send("CLOSE", **by("a"))).detail == "sold 1 at 100"
    assert (await owned(rig), await rig.position()) == ({}, D(0))
    await rig.check()


async def test_webhook_that_owns_nothing_closes_what_nobody_owns(rig: Rig) -> None:
    await two_owners(rig)
    end = await rig.send("CLOSE", **ANYBODY)
    assert (end.status, end.reason) == (REJECTED, "NOTHING_TO_CLOSE")
    await rig.send("BUY", size="0.5", **ANYBODY)
    assert (await rig.send("CLOSE", **ANYBODY)).detail == "sold 0.5 at 100"
    assert await owned(rig) == {"a": "1", "b": "2"}


async def test_operator_closes_all_and_nobody_owns_it_when_it_is_opened_again(rig: Rig) -> None:
    await two_owners(rig)
    assert (await rig.send("CLOSE", **OPERATOR)).detail == "sold 3 at 100"
    assert await owned(rig) == {}
    await rig.send("BUY", size="1", **ANYBODY)
    assert (await rig.send("CLOSE", **by("a"))).reason == "NOTHING_TO_CLOSE"
    assert await rig.position() == D(1)


async def test_parts_are_of_what_the_webhook_owns(rig: Rig) -> None:
    await two_owners(rig)
    assert (await rig.send("SELL", quantity="50", quantity_type=PERCENT, **by("a"))).detail == "sold 0.5 at 100"
    # The sender closes 1 of the 4 it holds: a quarter of what the webhook owns.
    sizes = {"quantity": "1", "previous_quantity": "4"}
    assert (await rig.send("SELL", **sizes, **by("b"))).detail == "sold 0.5 at 100"
    assert await owned(rig) == {"a": "0.5", "b": "1.5"}
    end = await rig.send("ADD", size="5", quantity="50", quantity_type=PERCENT, **by("a"))
    assert end.detail == "bought 0.25 at 100"
    end = await rig.send("BUY", size="5", quantity="50", quantity_type=PERCENT, **by("new"))
    assert (end.reason, end.detail) == (
        "NOTHING_TO_OPEN", "a percentage of what the webhook owns is asked for, and it owns nothing",
    )  # fmt: skip


async def test_reversal_closes_its_own_and_opens_only_where_nobody_else_holds_the_other_side(rig: Rig) -> None:
    await two_owners(rig)
    end = await rig.send("REVERSE", size="1", **by("a"))
    assert (end.status, end.reason) == (EXECUTED, "POSITION_OWNED_BY_OTHERS")
    assert end.detail == (
        "closed; not opened: others hold 2 long of the account's position, which the entry would close"
    )
    assert (await owned(rig), await rig.position()) == ({"b": "2"}, D(2))
    assert (await rig.send("REVERSE", size="1", **by("b"))).detail == "sold 2 at 100, then sold 1 at 100"
    assert (await owned(rig), await rig.position()) == ({"b": "-1"}, D(-1))


@pytest.mark.parametrize("sender", [by("new"), ANYBODY], ids=["owner", "anybody"])
async def test_entry_against_what_others_hold_is_refused(rig: Rig, sender: dict[str, Any]) -> None:
    await two_owners(rig)
    end = await rig.send("OPEN_SHORT", size="1", **sender)
    assert (end.status, end.reason) == (REJECTED, "POSITION_OWNED_BY_OTHERS")
    assert (await owned(rig), await rig.position()) == ({"a": "1", "b": "2"}, D(3))


async def test_previous_position_and_adds_are_those_of_the_webhook(rig: Rig) -> None:
    await two_owners(rig)
    refuse: dict[str, Any] = {"webhook_position_policy": webhook_pb2.POSITION_POLICY_REFUSE}
    flat = common_pb2.PositionSide.Value("POSITION_SIDE_FLAT")
    assert (await rig.send("BUY", previous_position=flat, **refuse, **by("a"))).reason == "POSITION_OUT_OF_SYNC"
    end = await rig.send("BUY", size="1", previous_position=flat, webhook_max_adds=1, **refuse, **by("new"))
    assert end.status == EXECUTED
    # The first one opened what the webhook owns, though the account held a long.
    for reason in ("", "MAX_ADDS_REACHED"):
        assert (await rig.send("BUY", size="1", webhook_max_adds=1, **by("new"))).reason == reason
    assert await owned(rig) == {"a": "1", "b": "2", "new": "2"}


async def test_adds_of_entries_that_rest_are_those_of_the_webhook(rig: Rig) -> None:
    keep = {"webhook_on_new_signal": webhook_pb2.ON_NEW_SIGNAL_KEEP, "webhook_max_adds": 1}
    await two_owners(rig)
    await rig.send("BUY", size="1", limit_price="95", **LIMIT, **by("new", **keep))
    await rig.price("94")
    assert await owned(rig) == {"a": "1", "b": "2", "new": "1"}
    assert (await rig.send("BUY", size="1", **by("new", **keep))).status == EXECUTED
    assert (await rig.send("BUY", size="1", **by("new", **keep))).reason == "MAX_ADDS_REACHED"


async def test_bracket_protects_what_its_webhook_owns(rig_on_each: Rig) -> None:
    rig = rig_on_each
    await rig.send("BUY", size="2", stop="80", **by("b"))
    await rig.send("BUY", size="1", stop="90", targets=("110 100",), **by("a"))
    assert await rig.working_ones("s2") == ["sell limit 1 @ 110", "sell stop 1 @ 90"]
    # The legs of the webhook that closes follow, and not those of the oldest bracket.
    await rig.send("SELL", quantity="0.5", **by("a"))
    assert await rig.working_ones("s2") == ["sell limit 0.5 @ 110", "sell stop 0.5 @ 90"]
    assert await rig.working_ones("s1") == ["sell stop 2 @ 80"]
    rig.restart()
    await rig.load()
    await rig.price("89")
    assert (await owned(rig), await rig.position()) == ({"b": "2"}, D(2))
    assert await rig.working_ones("s1") == ["sell stop 2 @ 80"]
    await rig.send("CLOSE", **by("b"))
    await rig.check()


async def test_bracket_of_a_webhook_that_owns_nothing_is_for_what_nobody_owns(rig: Rig) -> None:
    await rig.send("BUY", size="2", **by("b"))
    await rig.send("BUY", size="1", stop="90", **ANYBODY)
    await rig.send("CLOSE", **ANYBODY)
    assert await rig.working_ones("s2") == []
    await rig.price("80")
    assert (await owned(rig), await rig.position()) == ({"b": "2"}, D(2))


async def test_close_cancels_the_exits_of_its_own_webhook_alone(rig: Rig) -> None:
    await two_owners(rig)
    await rig.send("CLOSE", limit_price="110", **LIMIT, **by("a"))
    await rig.send("CLOSE", limit_price="120", **LIMIT, **by("b"))
    assert (await rig.send("CLOSE", **by("a"))).detail == "sold 1 at 100"
    assert await rig.orders("s3") == ["sell limit 1 @ 110 CANCELED"]
    assert await rig.working_ones("s4") == ["sell limit 2 @ 120"]
    await rig.price("121")
    assert (await owned(rig), await rig.position()) == ({}, D(0))
    await rig.check()


async def test_exit_that_rests_for_more_than_is_left_of_its_share_is_cancelled(rig: Rig) -> None:
    await two_owners(rig)
    await rig.send("CLOSE", limit_price="110", **LIMIT, **by("a"))
    await adjust(rig, "-1")  # The oldest share shrinks: nothing of it is left.
    rig.restart()
    await rig.load()
    (row,) = [row for row in await rig.router.orders("s3") if not is_resting_exit(row)]
    assert (row.order.state, row.order.reason) == (common_pb2.ORDER_STATE_CANCELED, "POSITION_REDUCED")
    await rig.price("111")
    assert await rig.position() == D(2)
    assert (await rig.send("CLOSE", **by("b"))).detail == "sold 2 at 111"


async def test_webhook_that_owned_what_it_opened_still_closes_it(rig: Rig) -> None:
    await two_owners(rig)
    await rig.send("BUY", size="0.5", webhook_webhook_id="a")
    assert (await rig.send("CLOSE", webhook_webhook_id="a")).detail == "sold 1.5 at 100"
    assert (await owned(rig), await rig.position()) == ({"b": "2"}, D(2))


@pytest.mark.parametrize("action", ["BUY", "SELL", "REVERSE"])
async def test_killed_after_any_step_the_shares_are_those_of_the_fills(rig_on_each: Rig, action: str) -> None:
    rig = rig_on_each
    after = {"BUY": {"a": "1.5", "b": "2"}, "SELL": {"a": "0.5", "b": "2"}, "REVERSE": {"b": "2"}}[action]
    for number in range(30):
        rig.account = f"p{number}"
        rig.key = f"{rig.account}|{rig.instrument}"
        await rig.router.account(rig.account)
        await two_owners(rig)
        delivery = rig.signal(action, size="0.5", quantity="0.5" if action == "SELL" else "", **by("a"))
        rig.router.steps.count, rig.router.steps.last = 0, number
        killed = False
        try:
            await rig.signals.handle(delivery, NoFence())
        except Stopped:
            killed = True
        rig.restart()
        await rig.load()
        assert await rig.signals.handle(delivery, NoFence()) is Outcome.DONE
        assert await owned(rig) == after
        assert await rig.position() == sum(D(quantity) for quantity in after.values())
        if not killed:
            break
    assert number >= 4


@pytest.mark.parametrize("part", ["entry", "exit"])
async def test_killed_after_any_step_of_a_fill_at_rest_it_counts_once(rig_on_each: Rig, part: str) -> None:
    rig = rig_on_each
    for number in range(30):
        rig.account = f"p{number}"
        rig.key = f"{rig.account}|{rig.instrument}"
        await rig.router.account(rig.account)
        rig.quotes.bid = rig.quotes.ask = "100"
        await two_owners(rig)
        if part == "entry":
            await rig.send("BUY", size="1", limit_price="95", **LIMIT, **by("a"))
        else:
            await rig.send("SELL", quantity="0.5", limit_price="110", **LIMIT, **by("a"))
        rig.router.steps.count, rig.router.steps.last = 0, number
        killed = False
        try:
            await rig.price("94" if part == "entry" else "111")
        except Stopped:
            killed = True
        rig.restart()
        await rig.load()
        await rig.price("94" if part == "entry" else "111")
        assert await owned(rig) == {"a": "2" if part == "entry" else "0.5", "b": "2"}
        if not killed:
            break
    assert number >= 2


async def in_doubt(rig: Rig, **fills: Any) -> Any:
    """An entry of 0.5 of webhook a of which the end is not known, beside 2 of b; its delivery, to be handled again."""
    router = rig.router
    router.settings = replace(SETTINGS, park_after_s=0.0)
    assert await router.handle(rig.signal("BUY", size="2", **by("b"))) is Outcome.DONE
    for name, value in fills.items():
        setattr(router.venue, name, value)
    delivery = rig.signal("BUY", size="0.5", **by("a"))
    assert await router.handle(delivery) is Outcome.PARKED
    return delivery


async def test_what_a_waiting_entry_filled_in_part_is_its_webhooks(rig_on_each: Rig) -> None:
    rig = rig_on_each
    router = rig.router
    delivery = await in_doubt(rig, rests=True, fill_ratios=[D("0.4")])
    assert await owned(rig) == {"b": "2", "a": "0.2"}
    assert await router.handle(rig.signal("CLOSE", **ANYBODY)) is Outcome.DONE
    assert (await router.end("s3")).reason == "NOTHING_TO_CLOSE"
    (row,) = await router.orders("s2")
    router.venue.finish(row.order.client_order_id, D(1), common_pb2.ORDER_STATE_FILLED)
    assert await router.handle(delivery) is Outcome.DONE
    assert await owned(rig) == {"b": "2", "a": "0.5"}
    await router.check_books()


async def test_what_an_entry_in_doubt_filled_is_its_webhooks_once_another_asks_for_it(rig_on_each: Rig) -> None:
    rig = rig_on_each
    router = rig.router
    delivery = await in_doubt(rig, submit_faults=[Fault.LOST])
    assert await owned(rig) == {"b": "2"}
    assert await router.handle(rig.signal("CLOSE", **ANYBODY)) is Outcome.DONE
    assert (await router.end("s3")).reason == "NOTHING_TO_CLOSE"
    assert await owned(rig) == {"b": "2", "a": "0.5"}
    assert await router.handle(rig.signal("CLOSE", **by("b"))) is Outcome.DONE
    assert await router.handle(delivery) is Outcome.DONE
    assert (await owned(rig), await rig.position()) == ({"a": "0.5"}, D("0.5"))
    await router.check_books()


async def test_preview_says_what_the_webhook_would_close(rig: Rig) -> None:
    await two_owners(rig)
    quotes: Any = rig.quotes

    async def shares(key: str) -> Any:
        return await rig.router.database.read(lambda c: read_shares(c, key))

    preview = Preview(rig.router.risk_client, quotes, rig.venue, now, shares)

    async def previewed(action: str, **fields: Any) -> tuple[str, str]:
        """Quantity of the first order, and the reason of the end."""
        batch = journal_pb2.JournalBatch.FromString(rig.signal(action, **fields).data)
        request = router_pb2.PreviewSignalRequest(accepted=batch.entries[0].signal_accepted)
        entries = await preview.run(request)
        made = next((e.order_evaluated.decision.quantity for e in entries if e.HasField("order_evaluated")), "")
        return made, entries[-1].signal_completed.reason

    assert await previewed("CLOSE", **by("a")) == ("1", "")
    assert await previewed("SELL", quantity="25", quantity_type=PERCENT, **by("b")) == ("0.5", "")
    assert await previewed("CLOSE", **ANYBODY) == ("", "NOTHING_TO_CLOSE")
    assert await previewed("REVERSE", **by("a")) == ("1", "POSITION_OWNED_BY_OTHERS")
    assert await previewed("OPEN_SHORT", **ANYBODY) == ("", "POSITION_OWNED_BY_OTHERS")
    assert await previewed("CLOSE", **OPERATOR) == ("3", "")


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_comes_no_webhook_takes_what_another_owns(rig: Rig, seed: int) -> None:
    """Signals at the market and at rest, stops, operators' closes, adjustments and restarts, in any order."""
    draw = random.Random(seed)
    keep = {"webhook_on_new_signal": webhook_pb2.ON_NEW_SIGNAL_KEEP}
    for number in range(40):
        before, held = await owned(rig), await rig.position()
        webhook_id = draw.choice(["a", "b", "c", "d"])
        sender = ANYBODY if webhook_id == "c" else by(webhook_id)
        kind = draw.choice(["market", "market", "market", "rest", "protect", "price", "price", "operator", "adjust"])
        size = draw.choice(["0.2", "0.5", "1"])
        if kind == "market":
            action = draw.choice(["BUY", "SELL", "CLOSE", "OPEN_SHORT", "OPEN_LONG", "REVERSE", "ADD"])
            await rig.send(action, size=size, quantity=draw.choice(["", size]), **sender, **keep)
        elif kind == "rest":
            action, away = draw.choice([("BUY", -2), ("SELL", 2)])
            price = str(int(rig.quotes.bid) + away)
            await rig.send(action, size=size, quantity=size, limit_price=price, **LIMIT, **sender, **keep)
        elif kind == "protect":
            await rig.send("BUY", size=size, stop=str(int(rig.quotes.bid) - 3), **sender, **keep)
        elif kind == "price":
            await rig.price(str(int(rig.quotes.bid) + draw.choice([-3, -1, 1, 3])))
        elif kind == "operator" and draw.random() < 0.4:
            await rig.send("CLOSE", **OPERATOR)
            assert await rig.position() == 0
        elif kind == "adjust" and held:
            await adjust(rig, "-0.1" if held > 0 else "0.1", f"adjustment-{number}")
        if draw.random() < 0.1:
            rig.restart()
            await rig.load()
        after = await owned(rig)
        if kind in ("market", "rest", "protect"):
            others = before.keys() - {webhook_id}
            assert {name: after.get(name) for name in others} == {name: before[name] for name in others}, number


async def test_market_orders_of_a_webhook_that_owns_nothing_ask_for_no_shares(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: Any, **__: Any) -> Any:
        raise AssertionError("the shares were read")

    with monkeypatch.context() as patched:
        for name in ("_READ", "_SAVE", "_DROP"):
            patched.setattr(owner_shares, name, SimpleNamespace(rows=asked, send=asked))
        assert (await rig.send("BUY", size="1", **ANYBODY)).status == EXECUTED
        assert (await rig.send("CLOSE", **ANYBODY)).status == EXECUTED
        with pytest.raises(AssertionError, match="the shares were read"):
            await rig.send("BUY", size="1", **by("a"))


async def adjust(rig: Rig, quantity: str, request_id: str = "adjustment") -> None:
    """An operator corrects the books by a signed quantity."""
    request = risk_pb2.RecordAdjustmentRequest(request_id=request_id, account_id=rig.account, comment="test")
    request.position.instrument, request.position.quantity = rig.instrument, quantity
    await risk_pb2_grpc.RiskServiceStub(rig.router.operator).RecordAdjustment(request, timeout=10)
