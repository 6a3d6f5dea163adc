"""Orders and their fills."""

import builtins
from collections.abc import AsyncIterator
from datetime import datetime

from vantixs.api.common.v1 import order_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs.client.blocking import Blocking, blocking, iterating
from vantixs.client.calls import Calls


class AsyncOrders:
    """Orders of a system. Cancelling is said once: where no answer comes, `get` says how the order stands."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def list(
        self, *, account_id: str = "", instrument: str = "", signal_id: str = "", open_only: bool = False
    ) -> AsyncIterator[order_pb2.Order]:
        """Orders for which all of this holds, newest first."""
        request = router_pb2.ListOrdersRequest(
            account_id=account_id, instrument=instrument, signal_id=signal_id, open_only=open_only
        )
        async for item in self._calls.pages(request):
            yield item

    async def get(self, order_id: str) -> router_pb2.GetOrderResponse:
        """An order with its fills."""
        response: router_pb2.GetOrderResponse = await self._calls.ask(router_pb2.GetOrderRequest(order_id=order_id))
        return response

    async def cancel(self, order_id: str) -> order_pb2.Order:
        """Cancels an order that rests; the order as it is after that. NotPossibleNow where it has ended."""
        response: router_pb2.CancelOrderResponse = await self._calls.ask(
            router_pb2.CancelOrderRequest(order_id=order_id)
        )
        return response.order

    async def amend(
        self,
        order_id: str,
        *,
        limit_price: str = "",
        stop_price: str = "",
        quantity: str = "",
        trail_percent: str = "",
        trail_amount: str = "",
        until: datetime | None = None,
        reason: str = "",
        request_id: str = "",
    ) -> router_pb2.AmendOrderResponse:
        """Gives an order that rests other terms: it is cancelled, then what is left of it is placed anew, if risk lets it.

        `quantity` is of the whole order, what is filled of it counted; what is not given stays. The response has the new order,
        or the old one as it is where none was placed within some seconds; `client.signals.wait` of its `signal_id` says why. The
        same `request_id`, a UUID, with the same terms is the same change.
        """
        request = router_pb2.AmendOrderRequest(
            request_id=request_id,
            order_id=order_id,
            limit_price=limit_price,
            stop_price=stop_price,
            quantity=quantity,
            trail_percent=trail_percent,
            trail_amount=trail_amount,
            reason=reason,
        )
        if until is not None:
            request.expire_time.FromDatetime(until)
        response: router_pb2.AmendOrderResponse = await self._calls.ask(request)
        return response

    async def cancel_entries(
        self,
        *,
        account_id: str = "",
        instrument: str = "",
        webhook_id: str = "",
        tag: str = "",
        everything: bool = False,
    ) -> builtins.list[order_pb2.Order]:
        """Cancels every resting entry that fits all that is given, or every one there is; those it was asked for."""
        request = router_pb2.CancelOrdersRequest(
            account_id=account_id, instrument=instrument, webhook_id=webhook_id, tag=tag, all=everything
        )
        response: router_pb2.CancelOrdersResponse = await self._calls.ask(request)
        return builtins.list(response.orders)


class Orders(Blocking[AsyncOrders]):
    """`AsyncOrders` for programs without an event loop."""

    list = iterating(AsyncOrders.list)
    get = blocking(AsyncOrders.get)
    cancel = blocking(AsyncOrders.cancel)
    amend = blocking(AsyncOrders.amend)
    cancel_entries = blocking(AsyncOrders.cancel_entries)
