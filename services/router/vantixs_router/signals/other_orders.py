"""Other orders of a signal's account and instrument: the signal waits for them, cancels them, or hands over its own."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, localcontext

from vantixs.api.common.v1 import common_pb2, order_pb2, signal_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.model.decimals import EXACT, ZERO
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.logs import log

from vantixs_router import store
from vantixs_router.domain.intent import Leg
from vantixs_router.domain.leg_quantity import leg_quantity
from vantixs_router.messages import sent_sizes
from vantixs_router.orders.answers import has_ended
from vantixs_router.orders.record_answer import RecordAnswer
from vantixs_router.orders.settle_order import settle_and_count, settle_order
from vantixs_router.orders.submit_order import SubmitOrder
from vantixs_router.owner_shares import read_shares, sender_of
from vantixs_router.risk_client import RiskClient, RiskFailed, is_final
from vantixs_router.signals.run import SignalRun, WaitsForEarlier
from vantixs_router.working.rules import (
    is_kept,
    is_resting_entry,
    is_resting_exit,
    is_working,
)
from vantixs_router.working.working_orders import WorkingOrders


class OtherOrders:
    """Orders of other signals, and resting orders of this one."""

    def __init__(
        self,
        database: Database,
        risk: RiskClient,
        working: WorkingOrders,
        submit: SubmitOrder,
        record: RecordAnswer,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._risk = risk
        self._working = working
        self._submit = submit
        self._record = record
        self._clock = clock

    async def ask_for_others(self, run: SignalRun) -> None:
        """Books orders of other signals of this key that are not booked yet.

        The venue is asked first about those that are open.
        """
        unknown = []
        for row in run.unsettled:
            after = row
            if not has_ended(row.order):
                answer = await self._submit.query(row, run.fence)
                after = await self._record.record(row, answer, run.fence, run.lane)
            booked = False
            if after.fills or has_ended(after.order):
                try:
                    if run.shares or after.order.owned:
                        now_ms = int(self._clock().timestamp() * 1000)
                        after, run.shares = await settle_and_count(self._risk, self._database, after, run.fence, now_ms)
                    else:
                        await settle_order(self._risk, after)
                    booked = has_ended(after.order)
                except RiskFailed as failure:
                    # Risk will never book this order. That must not keep an exit from closing the position that is certain.
                    if not is_final(failure.error):
                        raise
            if not booked:
                unknown.append(after)
        run.unsettled = unknown

    async def cancel(
        self,
        run: SignalRun,
        reason: str,
        of: Callable[[store.OrderRow], bool],
        rests: Callable[[store.OrderRow], bool] = is_resting_entry,
    ) -> list[store.OrderRow]:
        """Cancels the resting orders for which `rests` and `of` are true, and returns them in their new state.

        Raises:
            RiskFailed, ServiceError, LeaseLost: as `WorkingOrders.look`.
        """
        account_id, instrument = run.webhook.account_id, run.signal.instrument
        rows = await self._working.cancel_resting(
            run.lane, account_id, instrument, run.fence, reason=reason, of=of, rests=rests
        )
        if rows:  # A part that was filled before the cancel counts as an entry of its webhook.
            run.sender, run.shares = await self._database.read(
                lambda c: (store.read_sender(c, run.sender_name), read_shares(c, run.key))
            )
        return rows

    async def replace_entries(self, run: SignalRun) -> None:
        """Cancels the resting entries that a new signal of the webhook replaces."""
        policy, mine = run.webhook.on_new_signal, run.webhook.webhook_id
        if policy != webhook_pb2.ON_NEW_SIGNAL_KEEP:
            everyone = policy == webhook_pb2.ON_NEW_SIGNAL_CANCEL_ALL_ENTRIES
            await self.cancel(run, "REPLACED_BY_NEW_SIGNAL", lambda row: everyone or row.order.webhook_id == mine)

    async def lacks_room(self, run: SignalRun, leg: Leg, position: Decimal) -> bool:
        """Whether resting exits leave less of the position than an exit at the market asks for."""
        if leg.entry or not is_at_market(run.signal):
            return False
        resting = await self._working.resting_exits(run.webhook.account_id, run.signal.instrument, competes_with(run))
        return resting > 0 and asked_of(run.signal, leg, abs(position)) > abs(position) - resting

    async def cancel_exits(self, run: SignalRun) -> None:
        """Cancels resting exits of signals, of all webhooks except those that close only what they own."""
        await self.cancel(run, "REPLACED_BY_NEW_SIGNAL", competes_with(run), is_resting_exit)

    async def look_after(self, run: SignalRun) -> None:
        """Hands resting orders and brackets of the signal to `working/`, which looks at them at once.

        Raises:
            LeaseLost: the next owner of the lane does it.
        """
        rests = any(is_working(row) for row in run.orders)
        moved = any(row.fills for row in run.orders) and self._working.has(run.key)
        if not (rests or run.protected or moved):
            return
        account_id, instrument = run.webhook.account_id, run.signal.instrument
        untold = any(is_working(row) and row.fills for row in run.orders)
        try:
            await self._working.adopt(run.lane, account_id, instrument, run.fence, untold=untold)
        except (RiskFailed, ServiceError) as failure:
            log.warning("working.waiting", key=run.key, detail=str(failure))
            self._working.look_later(run.key)


def is_looked_after(row: store.OrderRow) -> bool:
    """Whether `working/` watches the order. Such an order delays no signal, except an exit that may have been filled."""
    return is_kept(row.order) and row.order.state != common_pb2.ORDER_STATE_IN_DOUBT


def is_at_market(signal: signal_pb2.Signal) -> bool:
    """Whether the signal's exits are to be filled at once; those of a reversal always are."""
    at_market = signal.order_type in (common_pb2.ORDER_TYPE_UNSPECIFIED, common_pb2.ORDER_TYPE_MARKET)
    return at_market or signal.action == common_pb2.ACTION_REVERSE


def asked_of(signal: signal_pb2.Signal, leg: Leg, held: Decimal) -> Decimal:
    """How much of `held` base units an exit asks for: all of it if its size is not in units or percent."""
    quantity = leg_quantity(sent_sizes(signal), leg, ZERO)
    if quantity is None:
        return held
    if signal.quantity_type in (common_pb2.QUANTITY_TYPE_UNSPECIFIED, common_pb2.QUANTITY_TYPE_UNITS):
        return min(quantity, held)
    if signal.quantity_type == common_pb2.QUANTITY_TYPE_POSITION_PERCENT:
        with localcontext(EXACT):
            return min(held * quantity / 100, held)
    return held


def competes_with(run: SignalRun) -> Callable[[store.OrderRow], bool]:
    """Which exits are for the same part of the position as those of the signal."""
    sender = sender_of(run.webhook)

    def competes(row: store.OrderRow) -> bool:
        own = row.order.webhook_id == sender.webhook_id
        return not sender.webhook_id or own or not (sender.owns or row.order.owned)

    return competes


def fits_cancel(run: SignalRun) -> Callable[[store.OrderRow], bool]:
    """Which orders a CANCEL means: the named one, those of its tag, or all of its webhook and instrument."""
    signal = run.signal

    def fits(row: store.OrderRow) -> bool:
        if signal.order_id:
            return row.order.order_id == signal.order_id
        of_webhook = not run.webhook.webhook_id or row.order.webhook_id == run.webhook.webhook_id
        return of_webhook and (not signal.tag or row.order.tag == signal.tag)

    return fits


def wait_for_earlier(run: SignalRun, legs: tuple[Leg, ...]) -> None:
    """Makes an entry wait for every earlier signal of its key, and an exit for an earlier exit that has not ended.

    An exit does not wait for an entry that has not ended: it closes what is certainly held. It waits for an exit that
    has not ended, because both might close the same position.

    Raises:
        WaitsForEarlier: the signal has to wait.
    """
    enters = any(leg.entry for leg in legs)
    for row in run.unsettled:
        if enters or row.order.effect == order_pb2.ORDER_EFFECT_EXIT:
            raise WaitsForEarlier(
                f"order {row.order.order_id} of an earlier signal: its end is not known, or not booked"
            )
    if enters and run.waits_behind:
        raise WaitsForEarlier(f"{run.waits_behind} earlier signals of {run.key} wait")
