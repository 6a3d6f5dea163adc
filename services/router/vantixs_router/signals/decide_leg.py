"""Risk decides about the order of a leg; an approved order is stored before anything is sent."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2, signal_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.model.decimals import ZERO, parse_decimal
from vantixs.runtime.database import Database

from vantixs_router import store
from vantixs_router.domain.brackets.levels import PlanError
from vantixs_router.domain.brackets.plan import Plan, SettledPlan, settle_plan
from vantixs_router.domain.brackets.step import open_bracket
from vantixs_router.domain.brackets.words import describe_plan
from vantixs_router.domain.intent import Leg
from vantixs_router.fence import write_fenced
from vantixs_router.messages import evaluation_request, make_order
from vantixs_router.orders.submit_order import check_time_left
from vantixs_router.quotes import Quotes
from vantixs_router.risk_client import RiskClient, asking_risk
from vantixs_router.signals.derive import ANY_QUANTITY, NotSent, check_order, settled_plan
from vantixs_router.signals.outcome import closed_by
from vantixs_router.signals.run import SignalRun
from vantixs_router.store import OrderRow
from vantixs_router.venues.port import Capabilities
from vantixs_router.working.plans import wants_bracket
from vantixs_router.working.rules import expected_price
from vantixs_router.working.store import BracketRow, save_bracket


class Asked(NamedTuple):
    """What is asked for where it is not what the signal says: an order that takes another one's place.

    Attributes:
        signal: as it would say it.
        webhook: as it would be.
        plan: what protects what the order fills; None for nothing.
        replaces: the order whose place it takes.
    """

    signal: signal_pb2.Signal
    webhook: webhook_pb2.Webhook
    plan: Plan | None
    replaces: str


class Prepared(NamedTuple):
    """An order before risk has sized it, the quote it is asked about with, and the price it is expected to be filled at.

    `protected` is whether a bracket belongs to it.
    """

    order: order_pb2.Order
    quote: common_pb2.Quote
    price: Decimal | None
    protected: bool


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

    def prepare(self, run: SignalRun, leg: Leg, asked: Asked | None = None) -> Prepared:
        """The order of the run's next leg, with all that can be refused without risk.

        Raises:
            NotSent: the venue does not take such an order, or its protection does not fit.
        """
        signal, webhook = (asked.signal, asked.webhook) if asked else (run.signal, run.webhook)
        number, alone = len(run.orders) + 1, "," not in run.plan
        order = make_order(signal, webhook, leg, number, self._clock(), self._capabilities, alone=alone)
        order.replaces_order_id = asked.replaces if asked else ""
        quote = self._quotes.current(run.instrument)
        if run.inputs and number == 1:
            run.inputs.quote.CopyFrom(quote)
        wanted = bool(asked.plan) if asked else wants_bracket(signal)
        check_order(order, leg, self._capabilities, wanted=wanted)
        price = expected_price(order, quote)
        protected = leg.entry and price is not None and wanted
        if protected:
            self._plan(run, order, run.instrument.lot_size * ANY_QUANTITY, price, asked)
        return Prepared(order, quote, price, protected)

    async def decide(
        self, run: SignalRun, leg: Leg, assumed: str, intent: str, asked: Asked | None = None
    ) -> order_pb2.RiskDecision:
        """Risk's decision on the run's next leg. The order is added to the run where risk approved or denied it.

        Args:
            run: the signal.
            leg: what to do.
            assumed: signed position that the leg was derived from, base units.
            intent: the intent in words.
            asked: what is asked for in place of what the signal says.

        Raises:
            NotSent: the venue does not take such an order, or its protection does not fit.
            NothingLeft: what the signal sent is used up by the legs before.
            RiskFailed: risk did not decide.
            ServiceError: the database did not answer.
            LeaseLost: another replica owns the lane, or may do so before the order could be sent; then it is not stored.
        """
        check_time_left(run.fence)
        signal, webhook = (asked.signal, asked.webhook) if asked else (run.signal, run.webhook)
        order, quote, price, protected = self.prepare(run, leg, asked)
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
            own=run.own,
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
                settled = self._plan(run, order, parse_decimal(order.quantity), price, asked)
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

    def _plan(
        self, run: SignalRun, order: order_pb2.Order, quantity: Decimal, price: Decimal | None, asked: Asked | None
    ) -> SettledPlan:
        if not asked or not asked.plan:
            return settled_plan(run.signal, run.webhook, order, quantity, price, self._capabilities.fee_bps)
        try:
            plan = replace(asked.plan, entry_price=price or ZERO, entry_triggers=bool(order.stop_price))
            return settle_plan(plan, quantity)
        except PlanError as error:
            raise NotSent("PROTECTION_INVALID", str(error)) from None
