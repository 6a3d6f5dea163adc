"""Runs brackets: passes each bracket all events of its orders, and stores its new legs before they are sent."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal, localcontext

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.decimals import EXACT, ZERO, parse_decimal
from vantixs.model.instruments import INSTRUMENTS
from vantixs.runtime.database import Database
from vantixs.runtime.logs import log
from vantixs.runtime.outbox import Outbox

from vantixs_router import store as router_store
from vantixs_router.domain.brackets import events
from vantixs_router.domain.brackets.commands import Report
from vantixs_router.domain.brackets.state import Bracket, Leg, LegState
from vantixs_router.domain.brackets.step import step
from vantixs_router.domain.brackets.words import describe_leg, name_leg
from vantixs_router.domain.owner_shares import Sender, acts_on
from vantixs_router.fence import Fence, write_fenced
from vantixs_router.messages import leg_request, make_entry, order_entries
from vantixs_router.orders.submit_order import check_time_left
from vantixs_router.owner_shares import NO_OWNER, group_of, not_shared
from vantixs_router.quotes import Quotes
from vantixs_router.risk_client import RiskClient, asking_risk
from vantixs_router.signals.outcome import first_failure
from vantixs_router.store import OrderRow
from vantixs_router.venues.port import Venue
from vantixs_router.working import store
from vantixs_router.working.changes import message_of
from vantixs_router.working.key import ASK_POSITION_S, Key
from vantixs_router.working.plans import events_of, leg_number, leg_order
from vantixs_router.working.store import BracketRow, Kept


@dataclass(slots=True)
class _Heard:
    """A bracket as it is stored, as it is now, and its reports."""

    row: BracketRow
    bracket: Bracket
    reports: list[Report] = field(default_factory=list)

    def hear(self, event: events.Event, *, place: bool = False) -> None:
        self.bracket, commands = step(self.bracket, event, place=place)
        self.reports += [command for command in commands if isinstance(command, Report)]


class StepBrackets:
    """Passes events to the brackets of a key, and stores the results."""

    def __init__(
        self,
        *,
        database: Database,
        outbox: Outbox,
        risk: RiskClient,
        venue: Venue,
        quotes: Quotes,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._risk = risk
        self._venue = venue
        self._quotes = quotes
        self._clock = clock

    async def hear(self, key: Key, kept: Kept, position: Decimal, fence: Fence) -> list[bool]:
        """Passes all events to every bracket, the oldest first, which is the first to shrink if the position is too small.

        Legs are placed only after all events: a quantity that another order has taken needs no protection, and risk
        would deny it.
        """
        heard, now = list[_Heard](), self._clock()
        seen = list(key.seen)
        prices = [(parse_decimal(quote.bid), parse_decimal(quote.ask)) for quote in seen]
        for row in kept.brackets:
            one = _Heard(row, row.bracket)
            for event in events_of(row.bracket, kept.of_brackets[row.entry_order_id], now):
                one.hear(event)
            for bid, ask in prices:
                one.hear(events.PriceSeen(now, bid if one.bracket.plan.long else ask))
            heard.append(one)
        for one, taken in lacking(kept, heard, position):
            one.hear(events.OutsideFill(now, f"outside-{one.bracket.revision}", taken))
        results = []
        for one in heard:
            one.hear(events.Tick(now), place=True)
            results.append(await self._store(key, kept, one.row, one.bracket, one.reports, fence))
        del key.seen[: len(seen)]  # If risk or the database did not answer, the events are passed again.
        return results

    async def _store(
        self, key: Key, kept: Kept, row: BracketRow, bracket: Bracket, reports: list[Report], fence: Fence
    ) -> bool:
        """Stores a bracket with the orders of its new legs, which the next round sends.

        Returns whether there is anything to do.
        """
        orders = kept.of_brackets[row.entry_order_id]
        entry = next(r.order for r in orders if not r.order.entry_order_id)
        known = {leg_number(r.order) for r in orders if r.order.entry_order_id}
        made = [await self._decide(entry, leg, fence) for leg in bracket.legs if leg.number not in known]
        if any(
            parse_decimal(order.order.quantity) > parse_decimal(order.decision.quantity or "0")
            for order in made
            if _approved(order)
        ):
            key.asked_s = (
                -ASK_POSITION_S
            )  # The position is smaller than was known here: risk's position counts for the legs.
            return True
        done = bracket.is_finished and not made
        changed = _differs(row.bracket, bracket)
        if not (made or reports or changed or done):
            return False
        after = row._replace(bracket=bracket, reports=row.reports + len(reports), done=done)
        legs = [describe_leg(leg) for leg in bracket.legs]
        entries = [
            make_entry(
                f"{row.entry_order_id}:bracket:{number}",
                entry.signal_id,
                self._clock(),
                f"{row.entry_order_id}:submitted",
                bracket_changed=journal_pb2.BracketChanged(
                    entry_order_id=row.entry_order_id, reason=report.reason.value, detail=report.text, legs=legs
                ),
            )
            for number, report in enumerate(reports, row.reports + 1)
        ]
        entries += [entry for order in made for entry in order_entries(order, f"{row.entry_order_id}:submitted")[:2]]
        message = (
            message_of(f"{row.entry_order_id}:bracket:{after.reports}:{len(bracket.legs)}", entries)
            if entries
            else None
        )

        def write(connection: sa.Connection) -> None:
            store.save_bracket(connection, after)
            for order in made:
                router_store.insert_order(connection, order.order, order.intent, order.decision, key.lane)
            if message:
                self._outbox.put(connection, message, lane=key.lane)

        await write_fenced(self._database, fence, write)
        for report in reports:
            log.info(
                "bracket.changed", entry_order_id=row.entry_order_id, reason=report.reason.value, detail=report.text
            )
        if message:
            await self._outbox.send(message)
        waits = any(leg.state is LegState.CANCELLING for leg in bracket.legs) or bool(bracket.entry_cancel)
        return bool(made) or done or (changed and waits)

    async def _decide(self, entry: order_pb2.Order, leg: Leg, fence: Fence) -> OrderRow:
        """The order of a new leg, as risk recorded it.

        If risk denies it, the bracket gets the event that the leg was rejected.
        """
        check_time_left(fence)
        order = leg_order(entry, leg, self._clock())
        quote = self._quotes.current(INSTRUMENTS.current[order.instrument])
        with asking_risk():
            decision = await self._risk.evaluate(leg_request(order, quote, self._venue.capabilities))
        row = OrderRow(order, name_leg(leg), decision, [], order_pb2.Position())
        order.state = common_pb2.ORDER_STATE_SUBMITTED if _approved(row) else common_pb2.ORDER_STATE_REJECTED
        if not _approved(row):
            order.reason = first_failure(decision)[0]
        return row


def lacking(kept: Kept, heard: list[_Heard], position: Decimal) -> Iterator[tuple[_Heard, Decimal]]:
    """Brackets that exceed what their webhook acts on, and by how much; of those of one side, the oldest first."""
    groups = dict[tuple[Sender, bool], list[_Heard]]()
    uncounted = dict[Sender, Decimal]()
    for one in heard:
        entry = next(row for row in kept.of_brackets[one.row.entry_order_id] if not row.order.entry_order_id)
        sender = group_of(entry.order)
        groups.setdefault((sender, one.bracket.plan.long), []).append(one)
        with localcontext(EXACT):
            uncounted[sender] = uncounted.get(sender, ZERO) + abs(not_shared(entry))
    rest = abs(acts_on(kept.shares, NO_OWNER, position))
    with localcontext(EXACT):
        for (sender, long), group in groups.items():
            acts = acts_on(kept.shares, sender, position)
            room = max(acts if long else -acts, ZERO)
            if sender.owns and (position > 0) is long:
                # An entry whose signal has not ended may be booked already, but is in no share yet.
                room += min(uncounted[sender], rest)
            lacks = sum((one.bracket.held for one in group), ZERO) - room
            for one in group:
                taken = min(lacks, one.bracket.held)
                if taken > 0:
                    lacks -= taken
                    yield one, taken


def _approved(row: OrderRow) -> bool:
    return row.decision.verdict == order_pb2.RISK_VERDICT_APPROVED


def _differs(stored: Bracket, bracket: Bracket) -> bool:
    """Whether the bracket has to be written. A better price that moved no stop is not written: a later price repeats it."""
    return replace(bracket, now=stored.now, best_price=stored.best_price) != stored
