"""A signal of an instrument that this replica has not heard of: ingress knew it, so the bucket is asked before it is given up."""

import time
from collections.abc import Awaitable, Callable

from google.protobuf.message import DecodeError
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.instruments import INSTRUMENTS, is_name
from vantixs.runtime.errors import unavailable
from vantixs.runtime.journal_reader import Delivery

from vantixs_router.fence import Fence
from vantixs_router.lanes.outcome import Outcome

# A node of a cluster that is behind, or an ingress that puts back what a lost bucket held, needs seconds.
GIVE_UP_AFTER_S = 30.0

Handle = Callable[[Delivery, Fence], Awaitable[Outcome]]


class LearnInstrument:
    """Goes before the handling of deliveries."""

    def __init__(
        self,
        handle: Handle,
        find: Callable[[str], Awaitable[bool]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`find(name)` says whether the instrument is known, asking where it is not."""
        self._handle = handle
        self._find = find
        self._monotonic = monotonic
        self._missed_s: dict[str, float] = {}

    async def handle(self, delivery: Delivery, fence: Fence) -> Outcome:
        """Handles the delivery once its instrument is known, or has not been for some time, which dead-letters it.

        Raises:
            ServiceError: UNAVAILABLE, the delivery has to be handled again; and as what comes after raises.
        """
        name = _instrument_of(delivery)
        if name in INSTRUMENTS.current or not is_name(name):
            return await self._handle(delivery, fence)
        if not await self._find(name):
            since_s = self._missed_s.setdefault(name, self._monotonic())
            if self._monotonic() - since_s < GIVE_UP_AFTER_S:
                raise unavailable("INSTRUMENT_NOT_FOUND", f"instrument {name!r} is not known yet")
        self._missed_s.pop(name, None)
        return await self._handle(delivery, fence)


def _instrument_of(delivery: Delivery) -> str:
    try:
        return journal_pb2.JournalBatch.FromString(delivery.data).entries[0].signal_accepted.signal.instrument
    except (DecodeError, IndexError):
        return ""
