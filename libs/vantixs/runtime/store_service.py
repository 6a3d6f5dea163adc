"""The StoreService of each service: what operators see of its store, and how they accept it."""

from collections.abc import Callable
from typing import Any

from vantixs.api.stores.v1 import stores_pb2, stores_pb2_grpc
from vantixs.runtime.errors import invalid
from vantixs.runtime.grpc_server import Role, caller
from vantixs.runtime.store_guard import StoreGuard

NAME = "vantixs.api.stores.v1.StoreService"
ROLES = {f"/{NAME}/GetStore": Role.VIEWER, f"/{NAME}/AcceptStore": Role.OPERATOR}


class StoreServicer(stores_pb2_grpc.StoreServiceServicer):
    """What operators see of the service's store."""

    def __init__(self, guard: StoreGuard, wake: Callable[[], None] = lambda: None) -> None:
        self._guard = guard
        self._wake = wake

    async def GetStore(self, request: stores_pb2.GetStoreRequest, context: Any) -> Any:
        """The store."""
        return stores_pb2.GetStoreResponse(store=self._guard.message())

    async def AcceptStore(self, request: stores_pb2.AcceptStoreRequest, context: Any) -> Any:
        """Takes it as it is."""
        if request.name != self._guard.name:
            raise invalid("name", f"expected {self._guard.name!r}, was {request.name[:60]!r}")
        await self._guard.accept(request.store_id, request.comment, caller().actor)
        self._wake()
        return stores_pb2.AcceptStoreResponse(store=self._guard.message())
