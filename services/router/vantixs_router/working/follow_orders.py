"""Follows every open order of a key: asks the venue, has risk book what is new, stores it and records it in the journal."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, localcontext

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.model.decimals import EXACT, parse_decimal
from vantixs.model.instruments import INSTRUMENTS
from vantixs.runtime.database import Database
from vantixs.runtime.logs import log
from vantixs.runtime.outbox import Outbox

from vantixs_router import store as router_store
from vantixs_router.domain.brackets.state import LegState
from vantixs_router.domain.owner_shares import Sender, acts_on
from vantixs_router.fence import Fence, write_fenced
from vantixs_router.messages import update_entries
from vantixs_router.orders.answers import has_ended
from vantixs_router.orders.record_answer import RecordAnswer
from vantixs_router.orders.settle_order import settle_and_count, settle_order
from vantixs_router.orders.submit_order import SubmitOrder
from vantixs_router.owner_shares import (
    OPERATOR,
    count_fills,
    group_of,
    not_shared,
    read_shares,
    sender_of_order,
    shared,
)
from vantixs_router.risk_client import RiskClient, asking_risk
from vantixs_router.store import OrderRow
from vantixs_router.venues.port import Answer, Executed
from vantixs_router.working.changes import message_of
from vantixs_router.working.key import Key
from vantixs_router.working.plans import leg_number
from vantixs_router.working.restrictions import restriction_of
from vantixs_router.working.rules import (
    AMENDED,
    adds_to,
    exitable_of,
    is_kept,
    is_resting_entry,
    is_resting_exit,
    remaining_of,
)
from vantixs_router.working.store import Kept


class FollowOrders:
    """Asks the venue about resting orders, sends the orders of new legs, and cancels orders that are not wanted any more."""

    def __init__(
        self,
        *,
        database: Database,
        outbox: Outbox,
        risk: RiskClient,
        submit: SubmitOrder,
        record: RecordAnswer,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._risk = risk
        self._submit = submit
        self._record = record
        self._clock = clock

    async def follow(self, key: Key, row: OrderRow, fence: Fence, cancel: dict[str, str]) -> OrderRow:
        """Asks the venue about an order; books, stores and records what is new. Returns the same row if nothing is new."""
        after = row
        if not has_ended(row.order):
            answer = await self._answer(key, row, fence, cancel)
            after = await self._record.record(row, answer, fence, key.lane)
            reason = cancel.get(row.order.order_id)
            if reason and after.order.state == common_pb2.ORDER_STATE_CANCELED and after.order.reason != reason:
                after = after._replace(order=_with_reason(after.order, reason))
        # Fills of an entry that is not counted yet may have been stored before risk could book them.
        all_again, ended = after.enters or (key.unbooked and bool(after.fills)), has_ended(after.order)
        new = after.fills if all_again else after.fills[len(row.fills) :]
        position = order_pb2.Position()
        if ended or new:
            with asking_risk():
                position = await self._risk.settle(after.order, after.fills, final=ended)
        if ended:
            after = after._replace(position=position)
        if after is row and not all_again:
            return row
        entries = update_entries(after, new, position, self._clock())
        message = message_of(f"{after.order.order_id}:{len(after.fills)}:{after.order.state}", entries)

        if entered := after.enters:
            after = after._replace(counted=after.order.filled_quantity)

        def write(connection: sa.Connection) -> None:
            now_ms, held = int(self._clock().timestamp() * 1000), parse_decimal(position.quantity or "0")
            if entered or (position.account_id and not_shared(after)):
                shares = count_fills(connection, key.name, [after], held, now_ms)
                held = acts_on(shares, sender_of_order(after.order), held)
            router_store.update_order(connection, shared(after))
            if entered:
                name = f"{after.order.webhook_id}|{key.name}"
                adds = adds_to(held, after)
                router_store.count_entry(connection, name, adds=adds, now_ms=now_ms)
            self._outbox.put(connection, message, lane=key.lane)

        await write_fenced(self._database, fence, write)
        after = shared(after)
        if ended:
            key.cancel.pop(after.order.order_id, None)
        await self._outbox.send(message)
        state = common_pb2.OrderState.Name(after.order.state).removeprefix("ORDER_STATE_").lower()
        log.info(f"order.{state}", order_id=after.order.order_id, filled=after.order.filled_quantity or "0")
        return after

    async def _answer(self, key: Key, row: OrderRow, fence: Fence, cancel: dict[str, str]) -> Answer:
        if row.order.state == common_pb2.ORDER_STATE_SUBMITTED:
            position = self._risk.known(key.account_id, key.instrument)
            if position is None:
                # After a restart, legs that were placed earlier may have closed the position.
                with asking_risk():
                    position = await self._risk.position(key.account_id, key.instrument)
            shares = await self._database.read(lambda c: read_shares(c, key.name))
            exitable = exitable_of(acts_on(shares, sender_of_order(row.order), position), row.order)
            return await self._submit.submit(
                row, INSTRUMENTS.current[key.instrument], fence, fresh=False, exitable=exitable
            )
        if row.order.order_id in cancel and row.order.state != common_pb2.ORDER_STATE_IN_DOUBT:
            return await self._submit.cancel(row, fence)
        return await self._submit.query(row, fence)

    async def ask_for_exits(self, key: Key, fence: Fence) -> None:
        """Books the fills of exits whose signals had not ended when the lane was taken.

        These signals continue later. Until they are booked, no other exit may be for the same quantity.
        """
        lane, account_id, instrument = key.lane, key.account_id, key.instrument
        rows, shares = await self._database.read(
            lambda c: (router_store.read_unsettled(c, lane, account_id, instrument), read_shares(c, key.name))
        )
        for row in rows:
            if is_kept(row.order) or row.order.effect != order_pb2.ORDER_EFFECT_EXIT:
                continue
            answer = None if has_ended(row.order) else await self._submit.query(row, fence)
            after = await self._record.record(row, answer, fence, lane) if isinstance(answer, Executed) else row
            if after.fills and (shares or after.order.owned):
                now_ms = int(self._clock().timestamp() * 1000)
                await settle_and_count(self._risk, self._database, after, fence, now_ms)
            elif after.fills:
                await settle_order(self._risk, after)


def unwanted(kept: Kept) -> dict[str, str]:
    """Orders that brackets want to cancel."""
    found = {}
    for bracket in kept.brackets:
        for row in kept.of_brackets[bracket.entry_order_id]:
            if not row.order.entry_order_id:
                if bracket.bracket.entry_cancel:
                    found[row.order.order_id] = bracket.bracket.entry_cancel
                continue
            leg = bracket.bracket.leg(leg_number(row.order))
            if leg is not None and leg.state is LegState.CANCELLING:
                found[row.order.order_id] = ""
    return found


def replaced(kept: Kept) -> dict[str, str]:
    """Orders that are to be replaced by another order."""
    return {row.order.order_id: AMENDED for row in kept.orders if row.order.replaced_by_order_id}


def too_large(kept: Kept, position: Decimal) -> dict[str, str]:
    """Resting exits that exceed what their webhook may act on because others own the rest: the newest of each webhook."""
    room, found = dict[Sender, Decimal](), dict[str, str]()
    with localcontext(EXACT):
        for row in kept.orders if kept.shares else ():
            sender = group_of(row.order)
            if not is_resting_exit(row) or sender is OPERATOR:
                continue
            acts = acts_on(kept.shares, sender, position)
            left = room.setdefault(sender, exitable_of(acts, row.order))
            if remaining_of(row.order) > left and acts != position:
                found[row.order.order_id] = "POSITION_REDUCED"
            else:
                room[sender] = left - remaining_of(row.order)
    return found


def not_allowed(kept: Kept, states: Mapping[str, str]) -> dict[str, str]:
    """Resting entries where trading is restricted."""
    entries = [row.order for row in kept.orders if is_resting_entry(row)]
    reasons = {order.order_id: restriction_of(order, states) for order in entries}
    return {order_id: reason for order_id, reason in reasons.items() if reason}


def _with_reason(order: order_pb2.Order, reason: str) -> order_pb2.Order:
    changed = order_pb2.Order()
    changed.CopyFrom(order)
    changed.reason = reason
    return changed
