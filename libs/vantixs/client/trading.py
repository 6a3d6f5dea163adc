"""Trading states: stopping, and letting go on."""

from vantixs.api.common.v1 import common_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.client.blocking import Blocking, blocking
from vantixs.client.calls import Calls


class AsyncTrading:
    """What may be done in a scope: "global", "account:ID", "webhook:ID", "strategy:ID" or "instrument:NAME"."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def halt(self, comment: str, *, scope: str = "global") -> risk_pb2.SetTradingStateResponse:
        """Stops all trading in a scope until it is resumed. Said again while risk is away: a halt may be said twice."""
        return await self._set(scope, common_pb2.TRADING_STATE_HALTED, comment)

    async def reduce(self, comment: str, *, scope: str = "global") -> risk_pb2.SetTradingStateResponse:
        """Lets only exits pass. Said once: where no answer comes, read `status` before saying it again."""
        return await self._set(scope, common_pb2.TRADING_STATE_REDUCING, comment)

    async def resume(self, comment: str, *, scope: str = "global") -> risk_pb2.SetTradingStateResponse:
        """Lets trading go on. Said once, for somebody may have stopped it in between: read `status` where no answer comes."""
        return await self._set(scope, common_pb2.TRADING_STATE_ACTIVE, comment)

    async def status(self, *, scope: str = "global") -> risk_pb2.GetTradingStateResponse:
        """The state of the scope, and every scope that is not ACTIVE."""
        response: risk_pb2.GetTradingStateResponse = await self._calls.ask(risk_pb2.GetTradingStateRequest(scope=scope))
        return response

    async def _set(self, scope: str, state: common_pb2.TradingState, comment: str) -> risk_pb2.SetTradingStateResponse:
        request = risk_pb2.SetTradingStateRequest(scope=scope, state=state, comment=comment)
        response: risk_pb2.SetTradingStateResponse = await self._calls.ask(request)
        return response


class Trading(Blocking[AsyncTrading]):
    """`AsyncTrading` for programs without an event loop."""

    halt = blocking(AsyncTrading.halt)
    reduce = blocking(AsyncTrading.reduce)
    resume = blocking(AsyncTrading.resume)
    status = blocking(AsyncTrading.status)
