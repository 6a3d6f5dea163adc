"""Cancels resting entries where trading is restricted (HALTED or REDUCING).

Risk refuses new entries there. But an entry that was approved before the restriction still rests at the venue, and could be
filled hours later.
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
    """The reason why an entry must not rest any longer; empty if it may.

    Args:
        order: the entry.
        states: HALTED or REDUCING, by the restricted scope, as risk names scopes.
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
    """Whether a scope may include orders of an account in an instrument."""
    kind, _, name = scope.partition(":")
    return {"account": account_id, "instrument": instrument}.get(kind, name) == name


class Restrictions:
    """The restrictions, as risk stated them last.

    They may be a second old, and trading may have been resumed since. So risk is asked again before an entry is
    cancelled. One answer is used for all keys within a second, because a halt affects thousands of keys.
    """

    def __init__(self, risk: RiskClient, monotonic: Callable[[], float]) -> None:
        self._risk = risk
        self._monotonic = monotonic
        self._asking = asyncio.Lock()
        self._asked_s = -EVERY_S
        self.states: Mapping[str, str] = {}

    def hear(self, states: Mapping[str, str]) -> list[str]:
        """Takes new restrictions; returns the scopes whose restriction is new or has changed."""
        new = [scope for scope, state in states.items() if self.states.get(scope) != state]
        self.states = dict(states)
        if new:
            self._asked_s = -EVERY_S  # The last confirmation does not include the new restrictions.
        return new

    async def confirm(self) -> Mapping[str, str]:
        """The restrictions by risk's answer now, or within the last second.

        Without an answer, those that were stated last.
        """
        async with self._asking:
            now = self._monotonic()
            if now - self._asked_s >= EVERY_S:
                self._asked_s = now
                heard = self.states
                with contextlib.suppress(ServiceError):
                    states = await self._risk.restricted()
                    if self.states is heard:  # Otherwise newer restrictions arrived during the call.
                        self.states = states
            return self.states


class WatchRestrictions:
    """Asks risk every second for restrictions and passes them on.

    While risk does not answer, the last ones stay in force.
    """

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
            if not self._failing:  # Logged once, not every second.
                log.warning("restrictions.not_known", reason=error.reason, detail=error.detail)
            self._failing = True
            return
        self._failing = False
        self._tell(states)
