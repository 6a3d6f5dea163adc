"""Risk decides about the order of a leg; an approved order is stored before anything is sent."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.model.decimals import parse_decimal
from vantixs.runtime.database import Database

from vantixs_router import store
from vantixs_router.domain.brackets.plan import SettledPlan
from vantixs_router.domain.brackets.step import open_bracket
from vantixs_router.domain.brackets.words import describe_plan
from vantixs_router.domain.intent import Leg
from vantixs_router.fence import write_fenced
from vantixs_router.messages import evaluation_request, make_order
from vantixs_router.orders.submit_order import check_time_left
from vantixs_router.quotes import Quotes
from vantixs_router.risk_client import RiskClient, asking_risk
from vantixs_router.signals.derive import ANY_QUANTITY, check_order, settled_plan
from vantixs_router.signals.outcome import closed_by
from vantixs_router.signals.run import SignalRun
from vantixs_router.store import OrderRow
from vantixs_router.venues.port import Capabilities
from vantixs_router.working.plans import wants_bracket
from vantixs_router.working.rules import expected_price
from vantixs_router.working.store import BracketRow, save_bracket


class DecideLeg:
    """Asks risk, and stores what it approves as SUBMITTED."""

    def __init__(
        self,
        database: Database,
        risk: RiskClient,
        quotes: Quotes,
        capabilities: Capabilities,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._risk = risk
        self._quotes = quotes
        self._capabilities = capabilities
        self._clock = clock

    @property
    def fee_bps(self) -> Decimal:
        """The venue's highest fee, basis points of notional."""
        return self._capabilities.fee_bps

    async def decide(self, run: SignalRun, leg: Leg, assumed: str, intent: str) -> order_pb2.RiskDecision:
        """Risk's decision on the run's next leg. The order is added to the run where risk approved or denied it.

        Args:
            run: the signal.
            leg: what to do.
            assumed: signed position that the leg was derived from, base units.
            intent: the intent in words.

        Raises:
            NotSent: the venue does not take such an order, or its protection does not fit.
            NothingLeft: what the signal sent is used up by the legs before.
            RiskFailed: risk did not decide.
            ServiceError: the database did not answer.
            LeaseLost: another replica owns the lane, or may do so before the order could be sent; then it is not stored.
        """
        check_time_left(run.fence)
        signal, webhook = run.signal, run.webhook
        number, alone = len(run.orders) + 1, "," not in run.plan
        order = make_order(signal, webhook, leg, number, self._clock(), self._capabilities, alone=alone)
        quote = self._quotes.current(run.instrument)
        if run.inputs and number == 1:
            run.inputs.quote.CopyFrom(quote)
        check_order(order, signal, leg, self._capabilities)
        price = expected_price(order, quote)
        protected = leg.entry and price is not None and wants_bracket(signal)
        if protected:
            self._plan(run, order, run.instrument.lot_size * ANY_QUANTITY, price)
        with asking_risk():
            held = await self._risk.held(webhook.account_id)
        request = evaluation_request(
            order,
            signal,
            webhook,
            run.instrument,
            leg,
            assumed=assumed,
            quote=quote,
            marks=self._quotes.marks(held, run.instrument.name),
            capabilities=self._capabilities,
            closed=closed_by(run.orders),
        )
        with asking_risk():
            decision = await self._risk.evaluate(request)
        if decision.verdict == order_pb2.RISK_VERDICT_POSITION_CHANGED:
            return decision
        order.quantity = decision.quantity
        approved = decision.verdict == order_pb2.RISK_VERDICT_APPROVED
        if approved:
            check_time_left(run.fence)
            order.state = common_pb2.ORDER_STATE_SUBMITTED
            bracket: BracketRow | None = None
            if protected:
                settled = self._plan(run, order, parse_decimal(order.quantity), price)
                bracket = BracketRow(order.order_id, run.lane, run.key, open_bracket(settled.plan, self._clock()))
                intent = "; ".join((intent, *describe_plan(settled)))

            def persist(connection: sa.Connection) -> bool:
                # All of it is sent before any answer is waited for.
                sequence, epoch = run.delivery.stream_sequence, run.journal_epoch
                claimed = store.claim_signal(connection, run.signal_id, sequence, run.plan, epoch)
                # What came of the legs before is not asked for again after a crash.
                for row in run.orders:
                    store.update_order(connection, row)
                made = store.insert_order(connection, order, intent, decision, run.lane)
                if bracket:
                    save_bracket(connection, bracket)
                if not claimed():
                    raise LookupError(f"signal {run.signal_id} is another delivery's")
                return made()

            # Where it is there already, whoever stored it may have sent it.
            run.fresh = await write_fenced(self._database, run.fence, persist, run.unclaimed)
            run.note_claimed()
            run.protected |= bracket is not None
        run.orders.append(OrderRow(order, intent, decision, [], order_pb2.Position()))
        return decision

    def _plan(self, run: SignalRun, order: order_pb2.Order, quantity: Decimal, price: Decimal | None) -> SettledPlan:
        return settled_plan(run.signal, run.webhook, order, quantity, price, self._capabilities.fee_bps)
