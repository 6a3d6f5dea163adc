"""Looks after orders that rest and after brackets, for the lanes that this replica owns.

What is to be done follows from what is stored, each time anew: the venue is asked how every open order stands, what changed is
booked by risk and told, the brackets hear all that is known of their orders, and what they want is stored before it is sent.
So a crash between any two steps is the same as a second look.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
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
    """What rests, and what protects positions. Every call for a key comes while nothing else of that key is on its way."""

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
        """`enqueue(lane, key)` has `look` called once nothing else of the key is on its way."""
        self._database = database
        self._risk = risk
        self._venue = venue
        self._orders = orders
        self._brackets = brackets
        self._clock = clock
        self._enqueue = enqueue
        self._monotonic = monotonic
        self._keys: dict[str, Key] = {}
        self._by_instrument: dict[str, dict[str, None]] = {}
        self._restrictions = Restrictions(risk, monotonic)

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

    async def adopt(self, lane: int, account_id: str, instrument: str, fence: Fence, *, untold: bool = False) -> None:
        """A signal has left something that rests or protects, or changed the position: looks at once.

        Args:
            lane: of the account and instrument.
            account_id: the account.
            instrument: the instrument.
            fence: the lane's.
            untold: whether fills of what rests are stored and not told yet.

        Raises: as `look`.
        """
        await self._venue.follow(account_id, instrument)
        key = self._key(lane, account_id, instrument)
        key.unbooked |= untold
        await self.look(key.name, fence)

    def refused(self, name: str) -> str:
        """Why signals of the key have to wait, in a sentence; "" where they do not."""
        key = self._keys.get(name)
        return key.refused if key else ""

    def restrict(self, states: Mapping[str, str]) -> None:
        """HALTED or REDUCING, by scope: entries that rest there are cancelled, and those that come to rest there as well."""
        new = self._restrictions.hear(states)
        for key in self._keys.values():
            if any(may_concern(scope, key.account_id, key.instrument) for scope in new):
                self._enqueue(key.lane, key.name)

    def look_later(self, name: str) -> None:
        """A look failed: there will be another."""
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
        """Cancels what rests there (`rests`) and fits (`of`); returns it as it is after that.

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
        """What exits of signals that rest there and fit (`of`) would still take of the position, in base units.

        Raises:
            ServiceError: the database did not answer.
        """
        key = self._keys.get(f"{account_id}|{instrument}")
        orders = (await self._read(key)).orders if key else []
        with localcontext(EXACT):
            return sum((remaining_of(row.order) for row in orders if is_resting_exit(row) and of(row)), ZERO)

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
        halted = not_allowed(kept, self._restrictions.states)
        if halted:
            halted = not_allowed(kept, await self._restrictions.confirm())
        # Whoever else wants an order cancelled does not want it replaced: that reason counts.
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


def _hears_prices(row: BracketRow) -> bool:
    """Whether prices alone change what is to be done for a bracket."""
    plan = row.bracket.plan
    return not row.bracket.entry_ended or bool(plan.trailing or plan.stepped or plan.break_even_at)
