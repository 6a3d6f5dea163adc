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
