"""RouterService: decode, call one function, encode. Strategies, credentials and live orders are not built yet."""

from typing import Any

import sqlalchemy as sa
from vantixs.api.common.v1 import order_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs.runtime.database import Database
from vantixs.runtime.errors import not_found
from vantixs.runtime.grpc_server import Role, caller
from vantixs.runtime.paging import page_of

from vantixs_router import store, tables
from vantixs_router.lanes import table
from vantixs_router.market_server import MarketData, MarketServicer
from vantixs_router.operator_signals import OperatorSignals
from vantixs_router.orders.answers import has_ended
from vantixs_router.signals.preview import Preview
from vantixs_router.signals.verify import VerifySignals

NAME = "vantixs.api.router.v1.RouterService"
_VIEWER = (
    "GetOrder ListOrders GetStrategy ListStrategies ListCredentials ListInstruments CheckLiveReadiness ListPushedQuotes "
    "ListLanes GetQuote ListQuotes ListBars"
)
_OPERATOR = (
    "CancelOrder CancelOrders AmendOrder ClosePosition CreateStrategy UpdateStrategy DeleteStrategy CreateCredential "
    "VerifyCredential DeleteCredential CreateInstrument PublishQuote PublishQuotes ClearQuote EnableLive"
)
ROLES = {
    f"/{NAME}/{method}": role
    for role, methods in {
        Role.VIEWER: _VIEWER,
        Role.OPERATOR: _OPERATOR,
        Role.SERVICE: "PreviewSignal VerifySignal",
    }.items()
    for method in methods.split()
}


class RouterServicer(MarketServicer):
    """All that the router answers."""

    def __init__(
        self, database: Database, operator: OperatorSignals, preview: Preview, verify: VerifySignals, market: MarketData
    ) -> None:
        super().__init__(market)
        self._database = database
        self._operator = operator
        self._preview = preview
        self._verify = verify

    async def PreviewSignal(self, request: router_pb2.PreviewSignalRequest, context: Any) -> Any:
        """What the signal would do."""
        return router_pb2.PreviewSignalResponse(entries=await self._preview.run(request))

    async def VerifySignal(self, request: router_pb2.VerifySignalRequest, context: Any) -> Any:
        """What of the signal's decisions differs."""
        return await self._verify.run(request)

    async def GetOrder(self, request: router_pb2.GetOrderRequest, context: Any) -> Any:
        """An order and its fills."""

        def read(connection: sa.Connection) -> store.OrderRow | None:
            row = connection.execute(
                sa.select(tables.ORDERS).where(tables.ORDERS.c.order_id == request.order_id)
            ).first()
            return store.to_order_row(connection, row) if row else None

        row = await self._database.read(read)
        if row is None:
            raise not_found("order", request.order_id)
        return router_pb2.GetOrderResponse(order=row.order, fills=row.fills)

    async def ListOrders(self, request: router_pb2.ListOrdersRequest, context: Any) -> Any:
        """Orders, newest first."""

        def read(connection: sa.Connection) -> router_pb2.ListOrdersResponse:
            query = sa.select(tables.ORDERS)
            if request.signal_id:
                query = query.where(tables.ORDERS.c.signal_id == request.signal_id)
            if request.account_id:
                query = query.where(tables.ORDERS.c.account_id == request.account_id)
            if request.open_only:
                query = query.where(sa.func.length(tables.ORDERS.c.position) == sa.literal_column("0"))
            rows, following = page_of(connection, query, tables.ORDERS.c.number, request, descending=True)
            orders = [
                order for row in rows if _is_asked_for(order := store.to_order_row(connection, row).order, request)
            ]
            return router_pb2.ListOrdersResponse(orders=orders, next_page_token=following)

        return await self._database.read(read)

    async def CancelOrder(self, request: router_pb2.CancelOrderRequest, context: Any) -> Any:
        """Cancels an order that rests."""
        order = await self._operator.cancel_order(request.order_id, caller().actor)
        return router_pb2.CancelOrderResponse(order=order)

    async def CancelOrders(self, request: router_pb2.CancelOrdersRequest, context: Any) -> Any:
        """Cancels every resting entry that fits."""
        orders = await self._operator.cancel_orders(request, caller().actor)
        return router_pb2.CancelOrdersResponse(orders=orders)

    async def AmendOrder(self, request: router_pb2.AmendOrderRequest, context: Any) -> Any:
        """Gives an order that rests other terms."""
        return await self._operator.amend_order(request, caller().actor)

    async def ClosePosition(self, request: router_pb2.ClosePositionRequest, context: Any) -> Any:
        """Closes a position at the market."""
        signal_id = await self._operator.close_position(request, caller().actor)
        return router_pb2.ClosePositionResponse(signal_id=signal_id)

    async def ListLanes(self, request: router_pb2.ListLanesRequest, context: Any) -> Any:
        """Every lane: who runs it, and how far it is."""

        def read(connection: sa.Connection) -> router_pb2.ListLanesResponse:
            rows, parked = table.read_lanes(connection), table.count_parked(connection)
            lanes = [
                router_pb2.Lane(
                    lane=r.lane, owner=r.owner, epoch=r.epoch, cursor=r.cursor, parked=parked.get(r.lane, 0)
                )
                for r in rows
            ]
            epoch = min((row.journal_epoch for row in rows), default=0)
            return router_pb2.ListLanesResponse(lanes=lanes, journal_epoch=epoch)

        return await self._database.read(read)


def _is_asked_for(order: order_pb2.Order, request: router_pb2.ListOrdersRequest) -> bool:
    """What the rows' columns do not say. A page may have fewer orders than were asked for, and more pages after it."""
    if request.open_only and has_ended(order):
        return False
    return not request.instrument or order.instrument == request.instrument
