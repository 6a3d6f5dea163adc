"""One call to the venue about an order: it is sent where that is right, else asked for."""

import asyncio
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.model.instruments import Instrument
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.logs import log

from vantixs_router.domain.lookup import Lookup
from vantixs_router.fence import Fence, LeaseLost
from vantixs_router.orders.answers import find_fault
from vantixs_router.store import OrderRow
from vantixs_router.venues.port import Answer, NotFound, Rejected, Submission, Unknown, Venue

# A call has to be over, and its answer recorded, before another replica may own the lane.
LEASE_MARGIN_S = 0.5
MOST_LOOKUPS = 10_000
_MAYBE_THERE = (common_pb2.ORDER_STATE_SUBMITTED, common_pb2.ORDER_STATE_IN_DOUBT)


def check_time_left(fence: Fence) -> None:
    """Looks whether the lease lasts for a call to a venue. An order that is stored and not sent is not sent later.

    Raises:
        LeaseLost: another replica may own the lane before such a call is over.
    """
    if fence.remaining_s() <= LEASE_MARGIN_S:
        raise LeaseLost(f"expected more than {LEASE_MARGIN_S:g} s of the lease, was {fence.remaining_s():.2f}")


class SubmitOrder:
    """Sends orders and asks for them. It remembers how long the venue says that it does not know one.

    `monotonic` gives seconds of a clock that is never set.
    """

    def __init__(self, venue: Venue, monotonic: Callable[[], float]) -> None:
        self._venue = venue
        self._monotonic = monotonic
        self._lookups: dict[str, Lookup] = {}

    async def submit(
        self, row: OrderRow, instrument: Instrument, fence: Fence, *, fresh: bool, exitable: Decimal | None = None
    ) -> Answer:
        """Gets the venue's answer on an order that has not ended.

        It is sent where it was just made (`fresh`), or where the venue takes an order once however often it is sent. An order
        that was found stored is only asked for: whoever stored it may have sent it, or be about to. `exitable` is what an exit
        is filled for at most, by a venue that is told.

        Raises:
            LeaseLost: another replica owns the lane, or may do so before the call is over.
            ServiceError: the paper venue could not store the order.
        """
        idempotent = self._venue.capabilities.idempotent_submits
        if fresh or (idempotent and row.order.state in _MAYBE_THERE):
            submission = Submission(row.order, instrument, row.decision.quote, exitable)
            answer = await self._call(row.order, fence, lambda: self._venue.submit(submission, fence))
            if isinstance(answer, NotFound):
                return Unknown("the venue does not know what it was sent")  # Only a query can say that it is not there.
            if fresh or not isinstance(answer, Rejected):
                return answer
            # A venue that refuses what was sent before may refuse it because it has the first one.
        return await self.query(row, fence)

    async def query(self, row: OrderRow, fence: Fence) -> Answer:
        """Asks what became of the order. NotFound once it is certain that it is not there and will not come.

        Raises: as `submit`.
        """
        order, now = row.order, self._monotonic
        answer = await self._call(order, fence, lambda: self._venue.query(order, fence))
        if len(self._lookups) >= MOST_LOOKUPS:
            self._lookups.clear()  # Those of lanes that are another's by now. The others begin anew.
        lookup = self._lookups.get(order.order_id) or Lookup(self._venue.capabilities.lookup_horizon_s)
        if isinstance(answer, Unknown):
            self._lookups[order.order_id] = lookup.unanswered()
            return answer
        if not isinstance(answer, NotFound):
            self._lookups.pop(order.order_id, None)
            return answer
        if order.venue_order_id or row.fills:
            return Unknown("the venue knew the order, and does not know it any more")
        self._lookups[order.order_id] = lookup = lookup.missed(now())
        if lookup.absent:
            del self._lookups[order.order_id]
            return answer
        return Unknown(f"the venue does not know the order so far, for {lookup.missed_s:.1f} s of {lookup.horizon_s:g}")

    async def cancel(self, row: OrderRow, fence: Fence) -> Answer:
        """Has the venue cancel what works of the order. What is not known then is asked for, as after any call.

        Raises: as `submit`.
        """
        order = row.order
        answer = await self._call(order, fence, lambda: self._venue.cancel(order, fence))
        return Unknown("the venue does not know what it was to cancel") if isinstance(answer, NotFound) else answer

    async def _call(
        self, order: order_pb2.Order, fence: Fence, call: Callable[[], Coroutine[Any, Any, Answer]]
    ) -> Answer:
        """The answer, or Unknown where there is none that can be relied on."""
        capabilities = self._venue.capabilities
        timeout_s = min(capabilities.call_timeout_s, fence.remaining_s() - LEASE_MARGIN_S)
        if timeout_s <= 0:
            raise LeaseLost
        try:
            async with asyncio.timeout(timeout_s):
                answer = await call()
        except LeaseLost:
            raise
        except TimeoutError:
            return Unknown(f"the venue did not answer in {timeout_s:g} s")
        except ServiceError as error:
            if capabilities.idempotent_submits:
                raise
            return Unknown(f"{error.reason}: {error.detail}")
        except Exception as error:
            # An adapter that fails has not said what became of the order.
            log.error("venue.failed", order_id=order.order_id, exc_info=error)
            return Unknown(f"the venue's adapter failed: {type(error).__name__}")
        fault = find_fault(order, answer)
        return Unknown(fault) if fault else answer
