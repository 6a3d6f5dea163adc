"""What is remembered of an account and instrument of which something is looked after."""

import asyncio
from dataclasses import dataclass, field

from vantixs.api.common.v1 import common_pb2

# What this replica books it knows. An operator's adjustment is noticed after this.
ASK_POSITION_S = 5.0


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
        shown: the last quote that came for it, serialized.
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
    shown: bytes = b""

    @property
    def name(self) -> str:
        """As the queues of lanes name it."""
        return f"{self.account_id}|{self.instrument}"
