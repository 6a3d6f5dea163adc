"""Reservations of risk that no order will use are released."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import sqlalchemy as sa
from vantixs.api.common.v1 import order_pb2
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError, from_rpc_error
from vantixs.runtime.logs import log

from vantixs_router import store
from vantixs_router.orders.answers import has_ended
from vantixs_router.risk_client import RiskClient

RELEASE_EVERY_S, LOOK_EVERY_S = 1.0, 300.0
OLD = timedelta(seconds=60)
CALL_TIMEOUT_S = 5.0


class OpenReservations:
    """What risk holds for orders that have not ended."""

    def __init__(self, channel: Any) -> None:
        self._stub = risk_pb2_grpc.RiskServiceStub(channel)

    async def all(self) -> AsyncIterator[risk_pb2.OpenOrder]:
        """Every open order of every account; of one account at most 1,000.

        Raises:
            ServiceError: risk did not answer.
        """
        token = ""
        try:
            while True:
                request = risk_pb2.ListAccountsRequest(page_size=1000, page_token=token)
                page = await self._stub.ListAccounts(request, timeout=CALL_TIMEOUT_S)
                for account in page.accounts:
                    asked = risk_pb2.GetAccountRequest(account_id=account.account_id)
                    found = await self._stub.GetAccount(asked, timeout=CALL_TIMEOUT_S)
                    for order in found.open_orders:
                        yield order
                token = page.next_page_token
                if not token:
                    return
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None


class ReleaseReservations:
    """Releases orders that were given up, and those of which nothing came: a replica that lost its lane had asked risk."""

    def __init__(
        self, database: Database, risk: RiskClient, reservations: OpenReservations, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._risk = risk
        self._reservations = reservations
        self._clock = clock

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until stopped; where risk does not answer it tries again."""
        rounds_between_looks = int(LOOK_EVERY_S / RELEASE_EVERY_S)
        turn = 0
        while not stopping.is_set():
            try:
                await self.release_given_up()
                if turn % rounds_between_looks == rounds_between_looks - 1:
                    await self.release_unused()
            except ServiceError as error:
                log.warning("release.waiting", reason=error.reason)
            turn += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), RELEASE_EVERY_S)

    async def release_given_up(self) -> None:
        """Has risk release the orders that signals gave up."""
        for order_id in await self._database.read(store.read_releases):
            await self._risk.settle(order_pb2.Order(order_id=order_id), [], final=True)
            await self._forget(order_id)

    async def release_unused(self) -> int:
        """Has risk release old reservations whose signal has ended; returns how many.

        A reservation whose signal goes on is left: risk gives the same answer to whoever asks for that order
        again, and the answer counts on it.
        """
        released = 0
        async for held in self._reservations.all():
            if self._clock() - held.decide_time.ToDatetime(tzinfo=UTC) < OLD:
                continue
            known, row = await self._read(held.order_id)
            if known is None or not known.done or (row and not has_ended(row.order)):
                continue
            order = row.order if row else order_pb2.Order(order_id=held.order_id)
            await self._risk.settle(order, row.fills if row else [], final=True)
            log.warning("reservation.released", order_id=held.order_id, account_id=held.account_id)
            released += 1
        return released

    async def _read(self, order_id: str) -> tuple[store.SignalRow | None, store.OrderRow | None]:
        """The signal and the order that a reservation is for, as far as they are stored."""

        def read(connection: sa.Connection) -> tuple[store.SignalRow | None, store.OrderRow | None]:
            signal_id = order_id.rpartition(".")[0]
            return store.read_signal(connection, signal_id), store.read_order(connection, order_id)

        return await self._database.read(read)

    async def _forget(self, order_id: str) -> None:
        await self._database.write(lambda connection: store.drop_release(connection, order_id))
