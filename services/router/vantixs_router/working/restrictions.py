"""Where trading is restricted, no entry goes on resting: what halts orders and what cancels them are the same states.

Risk refuses new entries there by itself. One that was approved before rests at the venue, and would be filled hours later.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from vantixs.api.common.v1 import order_pb2
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.logs import log

from vantixs_router.risk_client import RiskClient

EVERY_S = 1.0


def restriction_of(order: order_pb2.Order, states: Mapping[str, str]) -> str:
    """The reason why an entry may not go on resting; "" where it may.

    Args:
        order: the entry.
        states: HALTED or REDUCING, by the scope that is restricted, as risk names scopes.
    """
    scopes = (
        "global",
        f"account:{order.account_id}",
        f"webhook:{order.webhook_id}",
        f"instrument:{order.instrument}",
    )
    held = {states[scope] for scope in scopes if scope in states}
    return next((f"TRADING_{state}" for state in ("HALTED", "REDUCING") if state in held), "")


def may_concern(scope: str, account_id: str, instrument: str) -> bool:
    """Whether a scope may have orders of an account in an instrument."""
    kind, _, name = scope.partition(":")
    return {"account": account_id, "instrument": instrument}.get(kind, name) == name


class Restrictions:
    """What is restricted, as risk said last.

    What was heard may be a second old, and trading resumed meanwhile: before an entry is cancelled risk is asked again. One
    answer is for all keys that look within a second, for a halt concerns thousands of them.
    """

    def __init__(self, risk: RiskClient, monotonic: Callable[[], float]) -> None:
        self._risk = risk
        self._monotonic = monotonic
        self._asking = asyncio.Lock()
        self._asked_s = -EVERY_S
        self.states: Mapping[str, str] = {}

    def hear(self, states: Mapping[str, str]) -> list[str]:
        """Takes what was told; the scopes that were not restricted like this before."""
        new = [scope for scope, state in states.items() if self.states.get(scope) != state]
        self.states = dict(states)
        if new:
            self._asked_s = -EVERY_S  # What was answered before says nothing of them.
        return new

    async def confirm(self) -> Mapping[str, str]:
        """As risk says now, or said within the last second. Where it does not answer, what was told last counts."""
        async with self._asking:
            now = self._monotonic()
            if now - self._asked_s >= EVERY_S:
                self._asked_s = now
                heard = self.states
                with contextlib.suppress(ServiceError):
                    states = await self._risk.restricted()
                    if self.states is heard:  # Else something newer was told meanwhile.
                        self.states = states
            return self.states


class WatchRestrictions:
    """Tells what is restricted, asked of risk every second. While risk does not answer, what was told last stays in force."""

    def __init__(self, risk: RiskClient, tell: Callable[[Mapping[str, str]], None], every_s: float = EVERY_S) -> None:
        self._risk = risk
        self._tell = tell
        self._every_s = every_s
        self._failing = False

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until stopped."""
        while not stopping.is_set():
            await self.look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), self._every_s)

    async def look(self) -> None:
        """Asks once."""
        try:
            states = await self._risk.restricted()
        except ServiceError as error:
            if not self._failing:  # Once, not every second.
                log.warning("restrictions.not_known", reason=error.reason, detail=error.detail)
            self._failing = True
            return
        self._failing = False
        self._tell(states)
