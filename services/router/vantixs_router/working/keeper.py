"""Looks after orders that rest and after brackets, for the lanes that this replica owns.

What is to be done follows from what is stored, each time anew: the venue is asked how every open order stands, what changed is
booked by risk and told, the brackets hear all that is known of their orders, and what they want is stored before it is sent.
So a crash between any two steps is the same as a second look.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal, localcontext

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.decimals import EXACT, ZERO, parse_decimal
from vantixs.model.ids import event_subject
from vantixs.model.instruments import CATALOGUE
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.journal import Message
from vantixs.runtime.logs import log
from vantixs.runtime.outbox import Outbox

from vantixs_router import store as router_store
from vantixs_router.domain.brackets import events
from vantixs_router.domain.brackets.commands import Report
from vantixs_router.domain.brackets.state import Bracket, Leg, LegState
from vantixs_router.domain.brackets.step import step, wake_time
from vantixs_router.domain.brackets.words import describe_leg, name_leg
from vantixs_router.fence import Fence, write_fenced
from vantixs_router.messages import leg_request, make_entry, order_entries, update_entries
from vantixs_router.orders.answers import has_ended
from vantixs_router.orders.record_answer import RecordAnswer
from vantixs_router.orders.submit_order import SubmitOrder, check_time_left
from vantixs_router.quotes import Quotes
from vantixs_router.risk_client import RiskClient, RiskFailed, asking_risk, is_final
from vantixs_router.signals.outcome import first_failure
from vantixs_router.store import OrderRow
from vantixs_router.venues.port import Answer, Executed, Venue
from vantixs_router.working import store
from vantixs_router.working.plans import events_of, leg_number, leg_order
from vantixs_router.working.rules import adds_to, exitable_of, is_kept, is_resting_entry
from vantixs_router.working.store import BracketRow, Kept

# A look that finds something to do looks again. Each round ends an order or places one, so that this many say of a fault.
MOST_ROUNDS = 50
ASK_AGAIN_S, REFUSED_AGAIN_S = 1.0, 30.0
# What this replica books it knows. An operator's adjustment is noticed after this.
ASK_POSITION_S = 5.0
MOST_QUOTES = 1000  # More than a minute of them: of more the oldest are lost.

Enqueue = Callable[[int, str], bool]


@dataclass(slots=True, eq=False)
class Key:
    """An account and instrument of which something is looked after.

    Attributes:
        quotes: came while something of the key was on its way; the venue has not seen them.
        seen: what brackets have not heard.
        prices: whether a bracket has to hear prices.
        behind: the venue may have filled what risk has not booked: it sees no quote before that is over.
        unbooked: nothing is known of what risk has booked: it is told all once.
        asked_s: when risk was asked for the position last, seconds of a clock that is never set.
        refused: why nothing may be sent; "" where something may.
        cancel: entries that are to be cancelled, by order id, and why.
    """

    lane: int
    account_id: str
    instrument: str
    quotes: list[common_pb2.Quote] = field(default_factory=list)
    seen: list[common_pb2.Quote] = field(default_factory=list)
    prices: bool = False
    behind: bool = True
    unbooked: bool = True
    asked_s: float = -ASK_POSITION_S
    cancel: dict[str, str] = field(default_factory=dict)
    waking: asyncio.TimerHandle | None = None
    refused: str = ""

    @property
    def name(self) -> str:
        """As the queues of lanes name it."""
        return f"{self.account_id}|{self.instrument}"


class WorkingOrders:
    """What rests, and what protects positions. Every call for a key comes while nothing else of that key is on its way."""

    def __init__(
        self,
        *,
        database: Database,
        outbox: Outbox,
        risk: RiskClient,
        venue: Venue,
        quotes: Quotes,
        submit: SubmitOrder,
        record: RecordAnswer,
        clock: Callable[[], datetime],
        enqueue: Enqueue,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`enqueue(lane, key)` has `look` called once nothing else of the key is on its way."""
        self._database = database
        self._outbox = outbox
        self._risk = risk
        self._venue = venue
        self._quotes = quotes
        self._submit = submit
        self._record = record
        self._clock = clock
        self._enqueue = enqueue
        self._monotonic = monotonic
        self._keys: dict[str, Key] = {}
        self._by_instrument: dict[str, dict[str, None]] = {}

    @property
    def by_instrument(self) -> Mapping[str, Collection[str]]:
        """What is looked after now: names of keys by their instrument."""
        return self._by_instrument

    async def load(self, lane: int) -> None:
        """A lane is ours: what rests there is looked after from now on.

        Raises:
            ServiceError: the database did not answer.
        """
        for account_id, instrument in await self._database.read(lambda c: store.read_kept_keys(c, lane)):
            await self._venue.follow(account_id, instrument)
            key = self._key(lane, account_id, instrument)
            self._enqueue(lane, key.name)

    def lose(self, lane: int) -> None:
        """A lane is not ours any more."""
        for key in [key for key in self._keys.values() if key.lane == lane]:
            self._forget(key)

    def has(self, name: str) -> bool:
        """Whether anything of the key is looked after."""
        return name in self._keys

    async def adopt(self, lane: int, account_id: str, instrument: str, fence: Fence) -> None:
        """A signal has left something that rests or protects, or changed the position: looks at once.

        Raises: as `look`.
        """
        await self._venue.follow(account_id, instrument)
        key = self._key(lane, account_id, instrument)
        key.unbooked = (
            True  # What the signal's order filled before it rested is told here, also where others rest already.
        )
        await self.look(key.name, fence)

    def refused(self, name: str) -> str:
        """Why signals of the key have to wait, in a sentence; "" where they do not."""
        key = self._keys.get(name)
        return key.refused if key else ""

    def look_later(self, name: str) -> None:
        """A look failed: there will be another."""
        if key := self._keys.get(name):
            self._wake_in(key, ASK_AGAIN_S)

    async def cancel_entries(
        self,
        lane: int,
        account_id: str,
        instrument: str,
        fence: Fence,
        *,
        reason: str,
        of: Callable[[OrderRow], bool],
        rests: Callable[[OrderRow], bool] = is_resting_entry,
    ) -> list[OrderRow]:
        """Cancels the entries, or what else `rests` names, that rest there and fit; returns them as they are after it.

        Raises: as `look`.
        """
        key = self._keys.get(f"{account_id}|{instrument}")
        if key is None:
            return []
        kept = await self._read(key)
        named = [row.order.order_id for row in kept.orders if rests(row) and of(row)]
        if not named:
            return []
        key.cancel |= dict.fromkeys(named, reason)
        await self.look(key.name, fence)

        def read(connection: sa.Connection) -> list[OrderRow | None]:
            return [router_store.read_order(connection, order_id) for order_id in named]

        return [row for row in await self._database.read(read) if row]

    async def look(self, name: str, fence: Fence) -> None:
        """Brings everything of a key to where it should be, as far as venue and risk answer.

        Raises:
            RiskFailed, ServiceError: risk or the database did not answer; to be looked at again.
            LeaseLost: the lane is another's.
        """
        key = self._keys.get(name)
        if key is None:
            return
        try:
            await self._look(key, fence)
        except (RiskFailed, ServiceError) as failure:
            # What the venue filled may be stored and not booked, or booked and not told.
            key.unbooked = True
            if isinstance(failure, ServiceError) or not is_final(failure.error):
                raise
            # It is not known what is held: nothing of the key is sent until risk books it, and others are not held up.
            key.refused = f"risk does not book what an order of {name} filled: {failure.error.detail}"
            log.error("working.refused", key=name, reason=failure.error.reason, detail=failure.error.detail)
            self._wake_in(key, REFUSED_AGAIN_S)
        else:
            key.refused = ""

    async def _look(self, key: Key, fence: Fence) -> None:
        if key.behind or not key.quotes:
            await self._settle(key, fence)
        while key.quotes and not key.behind and key.name in self._keys:
            # What one fills is booked before the next is seen: two exits may be for the same position.
            if self._venue_sees(key, key.quotes.pop(0)) or not key.quotes:
                await self._settle(key, fence)

    async def _settle(self, key: Key, fence: Fence) -> None:
        """Looks until nothing is left to do.

        Raises: as `look`.
        """
        if key.unbooked:
            await self._ask_for_exits(key, fence)
        for _ in range(MOST_ROUNDS):
            kept = await self._read(key)
            if not kept.orders and not kept.brackets:
                self._forget(key)
                return
            if not await self._look_once(key, kept, fence):
                await self._position(key)
                key.behind = key.unbooked = False
                self._wake(key, kept)
                return
        log.error("working.not_settled", key=key.name, rounds=MOST_ROUNDS)
        self._wake_in(key, ASK_AGAIN_S)

    def sees(self, name: str, quote: common_pb2.Quote, *, busy: bool) -> None:
        """A quote came, or time passed (an unset one). While something of the key is on its way it is kept until that is over."""
        key = self._keys.get(name)
        if key is None:
            return
        if busy or key.behind:
            key.quotes.append(quote)
            del key.quotes[:-MOST_QUOTES]
            self._enqueue(key.lane, name)
        elif self._venue_sees(key, quote) or (key.prices and quote.bid):
            self._enqueue(key.lane, name)

    def _venue_sees(self, key: Key, quote: common_pb2.Quote) -> bool:
        if key.prices and quote.bid:
            key.seen.append(quote)
            del key.seen[:-MOST_QUOTES]
        position = self._risk.known(key.account_id, key.instrument)
        if happened := self._venue.see(key.account_id, key.instrument, quote, position):
            key.behind = True
        return happened

    async def _position(self, key: Key) -> Decimal:
        """The position in signed base units. All of it but adjustments is booked by this replica, which remembers it."""
        now = self._monotonic()
        known = self._risk.known(key.account_id, key.instrument)
        if known is not None and now - key.asked_s < ASK_POSITION_S:
            return known
        with asking_risk():
            position = await self._risk.position(key.account_id, key.instrument)
        key.asked_s = now
        return position

    async def _read(self, key: Key) -> Kept:
        lane, account_id, instrument = key.lane, key.account_id, key.instrument
        return await self._database.read(lambda c: store.read_kept(c, lane, account_id, instrument))

    async def _look_once(self, key: Key, kept: Kept, fence: Fence) -> bool:
        """One round; whether there may be more to do."""
        more = False
        cancel = key.cancel | self._unwanted(kept)
        for row in kept.orders:
            after = await self._look_at_order(key, row, fence, cancel)
            more |= after is not row
        if more:
            return True
        if not kept.brackets:
            return False
        return any(await self._hear(key, kept, await self._position(key), fence))

    async def _ask_for_exits(self, key: Key, fence: Fence) -> None:
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

    def _unwanted(self, kept: Kept) -> dict[str, str]:
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

    async def _look_at_order(self, key: Key, row: OrderRow, fence: Fence, cancel: dict[str, str]) -> OrderRow:
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
        message = _message(f"{after.order.order_id}:{len(after.fills)}:{after.order.state}", entries)
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
            known = self._risk.known(key.account_id, key.instrument)
            exitable = exitable_of(known, row.order) if known is not None else None
            return await self._submit.submit(row, CATALOGUE[key.instrument], fence, fresh=False, exitable=exitable)
        if row.order.order_id in cancel and row.order.state != common_pb2.ORDER_STATE_IN_DOUBT:
            return await self._submit.cancel(row, fence)
        return await self._submit.query(row, fence)

    async def _hear(self, key: Key, kept: Kept, position: Decimal, fence: Fence) -> list[bool]:
        """Every bracket hears what is known, the oldest first: for what the position lacks it is the first to shrink."""
        stepped = []
        seen = list(key.seen)
        prices = [(parse_decimal(quote.bid), parse_decimal(quote.ask)) for quote in seen]
        for row in kept.brackets:
            bracket, reports = row.bracket, list[Report]()
            now = self._clock()
            heard = [*events_of(bracket, kept.of_brackets[row.entry_order_id], now)]
            heard += [events.PriceSeen(now, bid if bracket.plan.long else ask) for bid, ask in prices]
            for event in (*heard, events.Tick(now)):
                bracket, commands = step(bracket, event)
                reports += [command for command in commands if isinstance(command, Report)]
            stepped.append((row, bracket, reports))
        results = []
        with localcontext(EXACT):
            held = {long: sum((b.held for _, b, _ in stepped if b.plan.long is long), ZERO) for long in (True, False)}
            lacks = {long: held[long] - max(position if long else -position, ZERO) for long in (True, False)}
        for row, heard_all, reports in stepped:
            after, long = heard_all, heard_all.plan.long
            if lacks[long] > 0 and after.held:
                taken = min(lacks[long], after.held)
                lacks[long] -= taken
                outside = events.OutsideFill(self._clock(), f"outside-{after.revision}", taken)
                after, commands = step(after, outside)
                reports += [command for command in commands if isinstance(command, Report)]
            results.append(await self._store(key, kept, row, after, reports, fence))
        del key.seen[: len(seen)]  # Where risk or the database did not answer they are heard again.
        return results

    async def _store(
        self, key: Key, kept: Kept, row: BracketRow, bracket: Bracket, reports: list[Report], fence: Fence
    ) -> bool:
        """Stores a bracket with the orders of its new legs, which are sent in the next round; whether anything is to be done."""
        orders = kept.of_brackets[row.entry_order_id]
        entry = next(r.order for r in orders if not r.order.entry_order_id)
        known = {leg_number(r.order) for r in orders if r.order.entry_order_id}
        made = [await self._decide(entry, leg, fence) for leg in bracket.legs if leg.number not in known]
        if any(
            parse_decimal(order.order.quantity) > parse_decimal(order.decision.quantity or "0")
            for order in made
            if _approved(order)
        ):
            key.asked_s = -ASK_POSITION_S  # Less is held than was known here: the legs are for what risk has.
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
            _message(f"{row.entry_order_id}:bracket:{after.reports}:{len(bracket.legs)}", entries) if entries else None
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
        """The order of a new leg, as risk recorded it. One that risk does not take is rejected, and the bracket hears that."""
        check_time_left(fence)
        order = leg_order(entry, leg, self._clock())
        quote = self._quotes.current(CATALOGUE[order.instrument])
        with asking_risk():
            decision = await self._risk.evaluate(leg_request(order, quote, self._venue.capabilities))
        row = OrderRow(order, name_leg(leg), decision, [], order_pb2.Position())
        order.state = common_pb2.ORDER_STATE_SUBMITTED if _approved(row) else common_pb2.ORDER_STATE_REJECTED
        if not _approved(row):
            order.reason = first_failure(decision)[0]
        return row

    def _wake(self, key: Key, kept: Kept) -> None:
        """Looks again when a bracket or an order without an answer has to be looked at, whatever else happens."""
        key.prices = any(_hears_prices(row) for row in kept.brackets)
        times = [time for row in kept.brackets if (time := wake_time(row.bracket))]
        waits = [(time - self._clock()).total_seconds() for time in times]
        unanswered = (common_pb2.ORDER_STATE_SUBMITTED, common_pb2.ORDER_STATE_IN_DOUBT)
        if any(row.order.state in unanswered for row in kept.orders):
            waits.append(ASK_AGAIN_S)
        if waits:
            self._wake_in(key, max(min(waits), 0.05))

    def _wake_in(self, key: Key, seconds: float) -> None:
        if key.waking:
            key.waking.cancel()
        loop = asyncio.get_running_loop()
        key.waking = loop.call_later(seconds, self._enqueue, key.lane, key.name)

    def _key(self, lane: int, account_id: str, instrument: str) -> Key:
        name = f"{account_id}|{instrument}"
        key = self._keys.get(name)
        if key is None:
            key = self._keys[name] = Key(lane, account_id, instrument)
            self._by_instrument.setdefault(instrument, {})[name] = None
        return key

    def _forget(self, key: Key) -> None:
        if key.waking:
            key.waking.cancel()
        self._keys.pop(key.name, None)
        names = self._by_instrument.get(key.instrument, {})
        names.pop(key.name, None)
        if not names:
            self._by_instrument.pop(key.instrument, None)
        self._venue.leave(key.account_id, key.instrument)


def _approved(row: OrderRow) -> bool:
    return row.decision.verdict == order_pb2.RISK_VERDICT_APPROVED


def _hears_prices(row: BracketRow) -> bool:
    """Whether prices alone change what is to be done for a bracket."""
    plan = row.bracket.plan
    return not row.bracket.entry_ended or bool(plan.trailing or plan.stepped or plan.break_even_at)


def _differs(stored: Bracket, bracket: Bracket) -> bool:
    """Whether anything is to be written. A better price that moved no stop is seen again by the one that does."""
    return replace(bracket, now=stored.now, best_price=stored.best_price) != stored


def _with_reason(order: order_pb2.Order, reason: str) -> order_pb2.Order:
    changed = order_pb2.Order()
    changed.CopyFrom(order)
    changed.reason = reason
    return changed


def _message(message_id: str, entries: Sequence[journal_pb2.JournalEntry]) -> Message:
    content = journal_pb2.JournalBatch(entries=entries).SerializeToString()
    return Message(event_subject("signal"), content, message_id)
