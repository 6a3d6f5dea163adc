"""How every open order of a key stands: the venue is asked, and what is new is booked by risk, stored and told."""

from collections.abc import Callable, Mapping
from datetime import datetime

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.model.decimals import parse_decimal
from vantixs.model.instruments import INSTRUMENTS
from vantixs.runtime.database import Database
from vantixs.runtime.logs import log
from vantixs.runtime.outbox import Outbox

from vantixs_router import store as router_store
from vantixs_router.domain.brackets.state import LegState
from vantixs_router.fence import Fence, write_fenced
from vantixs_router.messages import update_entries
from vantixs_router.orders.answers import has_ended
from vantixs_router.orders.record_answer import RecordAnswer
from vantixs_router.orders.submit_order import SubmitOrder
from vantixs_router.risk_client import RiskClient, asking_risk
from vantixs_router.store import OrderRow
from vantixs_router.venues.port import Answer, Executed
from vantixs_router.working.changes import message_of
from vantixs_router.working.key import Key
from vantixs_router.working.plans import leg_number
from vantixs_router.working.restrictions import restriction_of
from vantixs_router.working.rules import AMENDED, adds_to, exitable_of, is_kept, is_resting_entry
from vantixs_router.working.store import Kept


class FollowOrders:
    """Asks the venue about orders that rest, sends those of new legs, and cancels those that are not wanted any more."""

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
        """Asks the venue how an order stands, and has what is new booked, stored and told; the same row where nothing is."""
        after = row
        if not has_ended(row.order):
            answer = await self._answer(key, row, fence, cancel)
            after = await self._record.record(row, answer, fence, key.lane)
            reason = cancel.get(row.order.order_id)
            if reason and after.order.state == common_pb2.ORDER_STATE_CANCELED and after.order.reason != reason:
                after = after._replace(order=_with_reason(after.order, reason))
        # The fills of an entry that is not counted may have been stored before risk could book them.
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
            router_store.update_order(connection, after)
            if entered:
                name, now_ms = f"{after.order.webhook_id}|{key.name}", int(self._clock().timestamp() * 1000)
                adds = adds_to(parse_decimal(position.quantity), after)
                router_store.count_entry(connection, name, adds=adds, now_ms=now_ms)
            self._outbox.put(connection, message, lane=key.lane)

        await write_fenced(self._database, fence, write)
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
                # After a restart: legs that were placed before may have closed it.
                with asking_risk():
                    position = await self._risk.position(key.account_id, key.instrument)
            exitable = exitable_of(position, row.order)
            return await self._submit.submit(
                row, INSTRUMENTS.current[key.instrument], fence, fresh=False, exitable=exitable
            )
        if row.order.order_id in cancel and row.order.state != common_pb2.ORDER_STATE_IN_DOUBT:
            return await self._submit.cancel(row, fence)
        return await self._submit.query(row, fence)

    async def ask_for_exits(self, key: Key, fence: Fence) -> None:
        """Books what the exits of signals filled that did not come to their end before the lane was taken.

        They go on later. Until then nothing may exit what they have exited.
        """
        lane, account_id, instrument = key.lane, key.account_id, key.instrument
        rows = await self._database.read(lambda c: router_store.read_unsettled(c, lane, account_id, instrument))
        for row in rows:
            if is_kept(row.order) or row.order.effect != order_pb2.ORDER_EFFECT_EXIT:
                continue
            answer = None if has_ended(row.order) else await self._submit.query(row, fence)
            after = await self._record.record(row, answer, fence, lane) if isinstance(answer, Executed) else row
            if after.fills:
                with asking_risk():
                    await self._risk.settle(after.order, after.fills, final=has_ended(after.order))


def unwanted(kept: Kept) -> dict[str, str]:
    """Orders that brackets want cancelled."""
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
    """Orders whose place another one is to take."""
    return {row.order.order_id: AMENDED for row in kept.orders if row.order.replaced_by_order_id}


def not_allowed(kept: Kept, states: Mapping[str, str]) -> dict[str, str]:
    """Entries that rest where trading is restricted."""
    entries = [row.order for row in kept.orders if is_resting_entry(row)]
    reasons = {order.order_id: restriction_of(order, states) for order in entries}
    return {order_id: reason for order_id, reason in reasons.items() if reason}


def _with_reason(order: order_pb2.Order, reason: str) -> order_pb2.Order:
    changed = order_pb2.Order()
    changed.CopyFrom(order)
    changed.reason = reason
    return changed
