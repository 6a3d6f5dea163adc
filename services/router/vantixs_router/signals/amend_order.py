"""Gives a resting order new terms: cancels the order and, once that is confirmed, places the rest as a new order.

old order marked with the new one's id -> cancelled -> booked to its end -> risk decides about the new one -> stored -> sent

The mark is stored first, and `working/` cancels marked orders. After a crash between two steps, the next step
follows. The new order is never sent while the old one may still be open. Its id is derived from the signal's id, so
there is only one new order.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.model.decimals import format_decimal
from vantixs.runtime.database import Database

from vantixs_router import store
from vantixs_router.domain.brackets.plan import Plan
from vantixs_router.domain.intent import Leg
from vantixs_router.domain.plan import encode_plan
from vantixs_router.fence import write_fenced
from vantixs_router.orders.answers import has_ended
from vantixs_router.risk_client import RiskClient, asking_risk
from vantixs_router.signals.decide_leg import Asked, DecideLeg
from vantixs_router.signals.derive import NotSent
from vantixs_router.signals.other_orders import wait_for_earlier
from vantixs_router.signals.outcome import EXECUTED, FAILED, REJECTED, SignalOutcome, first_failure, name_ending
from vantixs_router.signals.run import OutcomeUnknown, SignalRun, WaitsForEarlier
from vantixs_router.store import OrderRow
from vantixs_router.working import store as working_store
from vantixs_router.working.amended import TermsRefused, as_signal, change_terms, left_of
from vantixs_router.working.rules import AMENDED, describe_order, is_resting_order
from vantixs_router.working.working_orders import WorkingOrders


class AmendOrder:
    """Runs an amendment until the new order is stored. The new order is then sent like any other order."""

    def __init__(
        self,
        database: Database,
        risk: RiskClient,
        working: WorkingOrders,
        decide: DecideLeg,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._risk = risk
        self._working = working
        self._decide = decide
        self._clock = clock

    async def run(self, run: SignalRun) -> SignalOutcome | None:
        """Returns None once the new order is stored, otherwise why there is no new order.

        Raises:
            WaitsForEarlier: an earlier signal of the account and instrument has not ended; nothing was cancelled.
            OutcomeUnknown: it is not known whether the old order is cancelled.
            RiskFailed, ServiceError, LeaseLost: as `RunLegs.run`.
        """
        row, plan = await self._read(run)
        if row is None:
            text = f"order {run.signal.order_id} is none of {run.key}"
            return SignalOutcome(REJECTED, "intent", "ORDER_NOT_FOUND", text)
        entry = row.order.effect == order_pb2.ORDER_EFFECT_ENTRY
        leg = Leg(buy=row.order.side == common_pb2.SIDE_BUY, entry=entry)
        # The order itself may be in doubt; the code below waits for that.
        run.unsettled = [other for other in run.unsettled if other.order.order_id != row.order.order_id]
        wait_for_earlier(run, (leg,))
        if text := self._working.refused(run.key):
            raise WaitsForEarlier(text)
        if row.order.replaced_by_order_id != run.next_order_id:
            if refused := self._refusal(run, row, leg, plan):
                return refused
            row = await self._mark(run, row)
        named = row.order.order_id
        await self._working.adopt(run.lane, run.webhook.account_id, run.instrument.name, run.fence)
        row = await self._read_order(named)
        was = describe_order(row.order)
        if not has_ended(row.order):
            raise OutcomeUnknown(f"order {named}: its cancel is not confirmed")
        if row.order.reason != AMENDED:
            why = name_ending(row.order) + (f" ({row.order.reason})" if row.order.reason else "")
            return SignalOutcome(FAILED, "venue", "ORDER_HAS_ENDED", f"{was}: {why} meanwhile, and is not replaced")
        if run.superseded and entry:
            text = "a later exit of the account in the instrument was carried out meanwhile"
            return SignalOutcome(FAILED, "freshness", "SIGNAL_SUPERSEDED", f"{was}: cancelled, not replaced: {text}")
        return await self._place(run, row, leg, plan, was)

    async def _place(
        self, run: SignalRun, row: OrderRow, leg: Leg, plan: Plan | None, was: str
    ) -> SignalOutcome | None:
        try:
            changed = change_terms(row.order, run.signal, self._clock(), run.instrument.lot_size)
        except TermsRefused as refused:
            # Less than a lot is left of the new quantity by now, or the new expiry has passed.
            return SignalOutcome(
                EXECUTED, "venue", AMENDED, f"{was}: cancelled, and nothing is left to place: {refused}"
            )
        asked = _ask_for(run, row, changed, left_of(changed, row.order), plan)
        run.plan = encode_plan((leg,))
        while True:
            position = format_decimal(await self._position(run))
            try:
                decision = await self._decide.decide(run, leg, position, f"replaces {row.order.order_id}", asked)
            except NotSent as refused:
                run.plan = ""
                text = f"{was}: cancelled, not replaced: {refused.detail}"
                return SignalOutcome(FAILED, "intent", refused.reason, text)
            if decision.verdict == order_pb2.RISK_VERDICT_APPROVED:
                return None
            if decision.verdict == order_pb2.RISK_VERDICT_DENIED:
                run.plan = ""
                reason, detail = first_failure(decision)
                return SignalOutcome(FAILED, "risk", reason, f"{was}: cancelled, not replaced: {detail}")

    def _refusal(self, run: SignalRun, row: OrderRow, leg: Leg, plan: Plan | None) -> SignalOutcome | None:
        """Why the order keeps its terms."""
        order = row.order
        if order.entry_order_id:
            text = f"order {order.order_id} protects the position of {order.entry_order_id}"
            return SignalOutcome(REJECTED, "intent", "ORDER_IS_BRACKET_LEG", text)
        if has_ended(order) or order.replaced_by_order_id:
            said = f"is replaced by {order.replaced_by_order_id}" if order.replaced_by_order_id else name_ending(order)
            return SignalOutcome(REJECTED, "intent", "ORDER_HAS_ENDED", f"order {order.order_id}: {said}")
        if not is_resting_order(row):
            text = f"order {order.order_id} is {name_ending(order)}: it is not known how it stands, ask again later"
            return SignalOutcome(REJECTED, "intent", "VENUE_OUTCOME_UNKNOWN", text)
        try:
            changed = change_terms(order, run.signal, self._clock(), run.instrument.lot_size)
            self._decide.prepare(run, leg, _ask_for(run, row, changed, left_of(changed, order), plan))
        except TermsRefused as refused:
            return SignalOutcome(REJECTED, "intent", "ORDER_TERMS_INVALID", str(refused))
        except NotSent as refused:
            return SignalOutcome(REJECTED, "intent", refused.reason, refused.detail)
        return None

    async def _mark(self, run: SignalRun, row: OrderRow) -> OrderRow:
        """Stores the id of the order that replaces it. From then on the order is cancelled, even if this process ends."""
        order = order_pb2.Order()
        order.CopyFrom(row.order)
        order.replaced_by_order_id = run.next_order_id
        marked = row._replace(order=order)
        await write_fenced(self._database, run.fence, lambda c: store.update_order(c, marked))
        return marked

    async def _read(self, run: SignalRun) -> tuple[OrderRow | None, Plan | None]:
        """The order, if it belongs to the account and instrument, and the bracket that protects its fills."""
        named = run.signal.order_id

        def read(connection: sa.Connection) -> tuple[OrderRow | None, Plan | None]:
            return store.read_order(connection, named), working_store.read_plan(connection, named)

        row, plan = await self._database.read(read)
        mine = row and (row.order.account_id, row.order.instrument) == (run.webhook.account_id, run.instrument.name)
        return (row, plan) if mine else (None, None)

    async def _read_order(self, order_id: str) -> OrderRow:
        row = await self._database.read(lambda c: store.read_order(c, order_id))
        if row is None:
            raise LookupError(f"order {order_id} was there a moment ago")
        return row

    async def _position(self, run: SignalRun) -> Decimal:
        with asking_risk():
            return await self._risk.position(run.webhook.account_id, run.signal.instrument)


def _ask_for(run: SignalRun, row: OrderRow, changed: order_pb2.Order, quantity: Decimal, plan: Plan | None) -> Asked:
    accepted = as_signal(changed, quantity, run.signal_id)
    return Asked(accepted.signal, accepted.webhook, plan, row.order.order_id)
