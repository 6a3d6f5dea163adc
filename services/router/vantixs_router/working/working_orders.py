"""Watches resting orders and brackets on the lanes that this replica owns.

One round of work, `look`, starts from what is stored: it asks the venue for the state of every open order, has risk
book what changed, records it, passes it to the brackets, and stores what the brackets want before it is sent. A crash
between any two steps is harmless, because the next round starts from what is stored.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, localcontext

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2
from vantixs.model.decimals import EXACT, ZERO
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.logs import log

from vantixs_router import store as router_store
from vantixs_router.domain.brackets.step import wake_time
from vantixs_router.fence import Fence
from vantixs_router.risk_client import RiskClient, RiskFailed, asking_risk, is_final
from vantixs_router.store import OrderRow
from vantixs_router.venues.port import Venue
from vantixs_router.working import store
from vantixs_router.working.follow_orders import FollowOrders, not_allowed, replaced, too_large, unwanted
from vantixs_router.working.key import ASK_POSITION_S, Key
from vantixs_router.working.restrictions import Restrictions, may_concern
from vantixs_router.working.rules import is_resting_exit, remaining_of
from vantixs_router.working.step_brackets import StepBrackets
from vantixs_router.working.store import BracketRow, Kept

# A look that finds something to do looks again. Each round ends an order or places one, so that this many say of a fault.
MOST_ROUNDS = 50
ASK_AGAIN_S, REFUSED_AGAIN_S = 1.0, 30.0
MOST_QUOTES = 1000  # More than a minute of them: of more the oldest are lost.

Enqueue = Callable[[int, str], bool]


class WorkingOrders:
    """Resting orders and brackets by key (account and instrument).

    Calls for a key must not overlap with other work on that key.
    """

    def __init__(
        self,
        *,
        database: Database,
        risk: RiskClient,
        venue: Venue,
        orders: FollowOrders,
        brackets: StepBrackets,
        clock: Callable[[], datetime],
        enqueue: Enqueue,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args beyond its parts: `enqueue(lane, key)` calls `look` once no other work on the key is in progress."""
        self._database = database
        self._risk = risk
        self._venue = venue
        self._orders = orders
        self._brackets = brackets
        self._clock = clock
        self._enqueue = enqueue
        self._monotonic = monotonic
        self._keys: dict[str, Key] = {}
        self._by_instrument: dict[str, dict[str, Key]] = {}
        self._restrictions = Restrictions(risk, monotonic)

    @property
    def by_instrument(self) -> Mapping[str, Mapping[str, Key]]:
        """The keys that are watched now, by their instrument and name."""
        return self._by_instrument

    async def load(self, lane: int) -> None:
        """Starts to watch what rests on a lane that this replica now owns.

        Raises:
            ServiceError: the database did not answer.
        """
        for account_id, instrument in await self._database.read(lambda c: store.read_kept_keys(c, lane)):
            self._risk.forget(account_id, instrument)
            self._enqueue(lane, self._key(lane, account_id, instrument).name)

    def lose(self, lane: int) -> None:
        """Stops watching a lane that this replica no longer owns."""
        for key in [key for key in self._keys.values() if key.lane == lane]:
            self._forget(key)

    def has(self, name: str) -> bool:
        """Whether the key has resting orders or brackets."""
        return name in self._keys

    async def adopt(self, lane: int, account_id: str, instrument: str, fence: Fence, *, untold: bool = False) -> None:
        """Starts to watch what a signal left behind (a resting order, a bracket, a changed position), and looks at once.

        Args:
            lane: of the account and instrument.
            account_id: the account.
            instrument: the instrument.
            fence: the lane's.
            untold: whether fills of resting orders are stored and not recorded in the journal yet.

        Raises: as `look`.
        """
        key = self._key(lane, account_id, instrument)
        key.unbooked |= untold
        await self.look(key.name, fence)

    def refused(self, name: str) -> str:
        """Why signals of the key have to wait, as a sentence; empty if they need not."""
        key = self._keys.get(name)
        return key.refused if key else ""

    def restrict(self, states: Mapping[str, str]) -> None:
        """Takes the scopes that are HALTED or REDUCING. Resting entries in them are cancelled, also later ones."""
        new = self._restrictions.hear(states)
        for key in self._keys.values():
            if any(may_concern(scope, key.account_id, key.instrument) for scope in new):
                self._enqueue(key.lane, key.name)

    def look_later(self, name: str) -> None:
        """Schedules another look after one that failed."""
        if key := self._keys.get(name):
            self._wake_in(key, ASK_AGAIN_S)

    async def cancel_resting(
        self,
        lane: int,
        account_id: str,
        instrument: str,
        fence: Fence,
        *,
        reason: str,
        of: Callable[[OrderRow], bool],
        rests: Callable[[OrderRow], bool],
    ) -> list[OrderRow]:
        """Cancels the resting orders for which `rests` and `of` are true, and returns them in their new state.

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

    async def resting_exits(self, account_id: str, instrument: str, of: Callable[[OrderRow], bool]) -> Decimal:
        """The quantity that resting exits of signals would still take from the position, in base units.

        `of` selects the exits that are counted.
        """
        key = self._keys.get(f"{account_id}|{instrument}")
        orders = (await self._read(key)).orders if key else []
        with localcontext(EXACT):
            return sum((remaining_of(row.order) for row in orders if is_resting_exit(row) and of(row)), ZERO)

    async def look(self, name: str, fence: Fence) -> None:
        """Brings all orders and brackets of a key up to date, as far as the venue and risk answer.

        Raises:
            RiskFailed, ServiceError: risk or the database did not answer; look again later.
            LeaseLost: another replica owns the lane.
        """
        key = self._keys.get(name)
        if key is None:
            return
        try:
            # Before that the venue sees nothing of the key: its quotes wait until it has been looked at.
            await self._venue.follow(key.account_id, key.instrument)
            await self._look(key, fence)
        except (RiskFailed, ServiceError) as failure:
            # What the venue filled may be stored and not booked, or booked and not told.
            key.behind = key.unbooked = True
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
        """Repeats rounds until one finds nothing to do.

        Raises: as `look`.
        """
        if key.unbooked:
            await self._orders.ask_for_exits(key, fence)
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
        """Passes on a quote, or (with an unset quote) that time has passed. A busy key keeps the quote for later."""
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
        """The position in signed base units. Only adjustments are not booked by this replica, so risk is asked rarely."""
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
        """Makes one round; returns whether there may be more to do."""
        more = False
        halted = not_allowed(kept, self._restrictions.states)
        if halted:
            halted = not_allowed(kept, await self._restrictions.confirm())
        # Of two reasons to cancel an order, a reason other than replacement counts: then the order is not replaced.
        cancel = replaced(kept) | halted | key.cancel | unwanted(kept)
        for row in kept.orders:
            after = await self._orders.follow(key, row, fence, cancel)
            more |= after is not row
        if more:
            return True
        if kept.shares and (large := too_large(kept, await self._position(key)).items() - key.cancel.items()):
            key.cancel |= dict(large)
            return True
        if not kept.brackets:
            return False
        return any(await self._brackets.hear(key, kept, await self._position(key), fence))

    def _wake(self, key: Key, kept: Kept) -> None:
        """Schedules the next look at a bracket with a deadline, or at an order without an answer."""
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
            self._by_instrument.setdefault(instrument, {})[name] = key
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


def _hears_prices(row: BracketRow) -> bool:
    """Whether a bracket has to look at every price."""
    plan = row.bracket.plan
    return not row.bracket.entry_ended or bool(plan.trailing or plan.stepped or plan.break_even_at)
