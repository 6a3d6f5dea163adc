"""Accounts, their books, and what they hold."""

import uuid
from collections.abc import AsyncIterator

from vantixs.api.common.v1 import order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs.client.blocking import Blocking, blocking, iterating
from vantixs.client.calls import Calls


class AsyncAccounts:
    """Accounts of a system."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def list(self) -> AsyncIterator[risk_pb2.Account]:
        """Accounts, by id."""
        async for item in self._calls.pages(risk_pb2.ListAccountsRequest()):
            yield item

    async def get(self, account_id: str) -> risk_pb2.GetAccountResponse:
        """An account with its books: equity, the day, headroom of its limits."""
        response: risk_pb2.GetAccountResponse = await self._calls.ask(risk_pb2.GetAccountRequest(account_id=account_id))
        return response


class AsyncPositions:
    """What accounts hold."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def list(self, account_id: str, *, instrument: str = "") -> AsyncIterator[order_pb2.Position]:
        """Positions of an account that are not flat, by instrument."""
        request = risk_pb2.ListPositionsRequest(account_id=account_id, instrument=instrument)
        async for item in self._calls.pages(request):
            if item.quantity not in ("", "0"):
                yield item

    async def close(self, account_id: str, instrument: str, reason: str, *, request_id: str = "") -> str:
        """Cancels what rests of an instrument and closes the position at the market; the id of the signal that does so.

        `client.signals.wait` waits for its end. The same `request_id`, a UUID, is the same close; empty makes a new one, which
        the error has where no answer came.
        """
        request = router_pb2.ClosePositionRequest(
            request_id=request_id or str(uuid.uuid4()), account_id=account_id, instrument=instrument, reason=reason
        )
        response: router_pb2.ClosePositionResponse = await self._calls.ask(request)
        return response.signal_id


class Accounts(Blocking[AsyncAccounts]):
    """`AsyncAccounts` for programs without an event loop."""

    list = iterating(AsyncAccounts.list)
    get = blocking(AsyncAccounts.get)


class Positions(Blocking[AsyncPositions]):
    """`AsyncPositions` for programs without an event loop."""

    list = iterating(AsyncPositions.list)
    close = blocking(AsyncPositions.close)
