"""What an operator asks for is a signal of its own: it waits for its turn in the account and instrument, and history has it."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import grpc
import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2, signal_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs.model.decimals import ZERO, format_decimal, parse_decimal
from vantixs.model.ids import accepted_subject, keyed_signal_id, lane_of
from vantixs.model.instruments import INSTRUMENTS
from vantixs.runtime import trace
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError, invalid, not_found, unavailable
from vantixs.runtime.journal import Journal

from vantixs_router import store, tables
from vantixs_router.orders.answers import has_ended
from vantixs_router.store import OrderRow
from vantixs_router.working.amended import TermsRefused, change_terms
from vantixs_router.working.rules import is_resting_entry

PUBLISH_S, ENDS_WITHIN_S, LOOK_EVERY_S = 5.0, 5.0, 0.05
MOST_ORDERS = 1000


class OperatorSignals:
    """Cancels orders and closes positions by signals without a webhook."""

    def __init__(
        self,
        database: Database,
        journal: Journal,
        mode_of: Callable[[str], Awaitable["common_pb2.Mode"]],
        clock: Callable[[], datetime],
    ) -> None:
        """`mode_of` gives an account's mode, or raises NOT_FOUND."""
        self._database = database
        self._journal = journal
        self._mode_of = mode_of
        self._clock = clock

    async def cancel_order(self, order_id: str, actor: str) -> order_pb2.Order:
        """Cancels an order that rests; returns it once it has ended, or as it is after some seconds.

        Raises:
            ServiceError: NOT_FOUND; FAILED_PRECONDITION where it has ended, or protects a position.
        """
        row = await self._database.read(lambda c: store.read_order(c, order_id))
        if row is None:
            raise not_found("order", order_id)
        _check_rests(row.order)
        await self._cancel(row.order, actor)
        (after,) = await self._ended([order_id])
        return after

    async def cancel_orders(self, request: router_pb2.CancelOrdersRequest, actor: str) -> list[order_pb2.Order]:
        """Cancels every resting entry that fits.

        Raises:
            ServiceError: INVALID_ARGUMENT where nothing, or all and something, is given.
        """
        given = [request.account_id, request.instrument, request.webhook_id, request.tag]
        if any(given) == request.all:
            raise invalid("all", "expected an account, instrument, webhook or tag, or `all` alone")
        rows = await self._database.read(lambda c: _read_resting(c, request))
        for row in rows:
            await self._cancel(row.order, actor)
        return await self._ended([row.order.order_id for row in rows])

    async def amend_order(self, request: router_pb2.AmendOrderRequest, actor: str) -> router_pb2.AmendOrderResponse:
        """Gives an order that rests other terms; what is there once that has ended, or after some seconds.

        Raises:
            ServiceError: INVALID_ARGUMENT for a term, request_id or reason; NOT_FOUND; FAILED_PRECONDITION where the order has
                ended, or protects a position.
        """
        _check_request_id(request.request_id)
        if len(request.reason) > 200:
            raise invalid("reason", f"expected at most 200 characters, was {len(request.reason)}")
        row = await self._database.read(lambda c: store.read_order(c, request.order_id))
        if row is None:
            raise not_found("order", request.order_id)
        # Other terms are another amendment, also under the same request_id.
        said = request.SerializeToString(deterministic=True).hex()
        accepted = _accepted(keyed_signal_id("operator", f"amend {said}"), row.order, common_pb2.ACTION_AMEND)
        _ask_for(accepted.signal, request)
        signal_id = accepted.signal.signal_id
        if row.order.replaced_by_order_id != f"{signal_id}.1":  # Else the call is repeated.
            _check_rests(row.order)
            name, catalogue = row.order.instrument, INSTRUMENTS.current
            # One that this replica has not heard of yet: what runs the signal checks it as well.
            lot_size = catalogue[name].lot_size if name in catalogue else ZERO
            try:
                change_terms(row.order, accepted.signal, self._clock(), lot_size)
            except TermsRefused as refused:
                raise invalid(refused.field, refused.text) from None
            await self._publish(accepted, actor)
        return await self._amended(row.order.order_id, signal_id)

    async def _amended(self, order_id: str, signal_id: str) -> router_pb2.AmendOrderResponse:
        """The new order once its signal has ended; else the old one as it is."""

        def read(connection: sa.Connection) -> tuple[bool, OrderRow | None]:
            signal = store.read_signal(connection, signal_id)
            made = store.read_order(connection, f"{signal_id}.1")
            return bool(signal and signal.done), made or store.read_order(connection, order_id)

        loop = asyncio.get_running_loop()
        until = loop.time() + ENDS_WITHIN_S
        while True:
            done, row = await self._database.read(read)
            if done or loop.time() > until:
                return router_pb2.AmendOrderResponse(order=row.order if row else None, signal_id=signal_id)
            await asyncio.sleep(LOOK_EVERY_S)

    async def close_position(self, request: router_pb2.ClosePositionRequest, actor: str) -> str:
        """Has the position closed at the market; returns the signal's id, the same for the same request_id.

        Raises:
            ServiceError: NOT_FOUND for an account or instrument, INVALID_ARGUMENT for a request_id or reason.
        """
        _check_request_id(request.request_id)
        if not 1 <= len(request.reason) <= 200:
            raise invalid("reason", f"expected 1 to 200 characters, was {len(request.reason)}")
        if request.instrument not in INSTRUMENTS.current:
            raise not_found("instrument", request.instrument)
        mode = await self._mode_of(request.account_id)
        accepted = _accepted(
            keyed_signal_id("operator", f"{request.account_id} {request.request_id}"),
            order_pb2.Order(account_id=request.account_id, instrument=request.instrument, mode=mode),
            common_pb2.ACTION_CLOSE,
        )
        accepted.signal.comment = request.reason
        return await self._publish(accepted, actor)

    async def _cancel(self, order: order_pb2.Order, actor: str) -> None:
        signal_id = keyed_signal_id("operator", f"cancel {order.order_id} {uuid.uuid4()}")
        accepted = _accepted(signal_id, order, common_pb2.ACTION_CANCEL)
        accepted.signal.order_id = order.order_id
        await self._publish(accepted, actor)

    async def _publish(self, accepted: journal_pb2.SignalAccepted, actor: str) -> str:
        signal, now = accepted.signal, self._clock()
        said = {"action": common_pb2.Action.Name(signal.action).removeprefix("ACTION_").lower(), "by": actor}
        said |= {"order_id": signal.order_id} if signal.order_id else {"reason": signal.comment}
        accepted.request.payload = json.dumps(said).encode()
        accepted.request.receive_time.FromDatetime(now)
        accepted.request.content_type, accepted.request.proof = "application/json", "operator"
        event_id = f"{signal.signal_id}:accepted"
        entry = journal_pb2.JournalEntry(
            event_id=event_id,
            signal_id=signal.signal_id,
            actor=actor,
            trace_parent=trace.current(),
            signal_accepted=accepted,
        )
        entry.event_time.FromDatetime(now)
        subject = accepted_subject(lane_of(accepted.webhook.account_id, signal.instrument))
        content = journal_pb2.JournalBatch(entries=[entry]).SerializeToString()
        try:
            async with asyncio.timeout(PUBLISH_S):
                await self._journal.publish(subject, content, event_id)
        except TimeoutError:
            raise unavailable("JOURNAL_UNAVAILABLE", "what was asked for is not stored: ask again") from None
        return signal.signal_id

    async def _ended(self, order_ids: Sequence[str]) -> list[order_pb2.Order]:
        """The orders once they have ended, or as they are after some seconds: a venue may take longer."""

        def read(connection: sa.Connection) -> list[OrderRow | None]:
            return [store.read_order(connection, order_id) for order_id in order_ids]

        orders: list[order_pb2.Order] = []
        loop = asyncio.get_running_loop()
        until = loop.time() + ENDS_WITHIN_S
        while order_ids:
            orders = [row.order for row in await self._database.read(read) if row]
            if all(has_ended(order) for order in orders) or loop.time() > until:
                break
            await asyncio.sleep(LOOK_EVERY_S)
        return orders


def _read_resting(connection: sa.Connection, request: router_pb2.CancelOrdersRequest) -> list[OrderRow]:
    query = sa.select(tables.ORDERS).where(sa.func.length(tables.ORDERS.c.position) == sa.literal_column("0"))
    if request.account_id:
        query = query.where(tables.ORDERS.c.account_id == request.account_id)
    rows = [store.to_order_row(connection, row) for row in connection.execute(query)]
    wanted = {name: getattr(request, name) for name in ("instrument", "webhook_id", "tag") if getattr(request, name)}
    fits = [
        row
        for row in rows
        if is_resting_entry(row) and all(getattr(row.order, name) == value for name, value in wanted.items())
    ]
    return fits[:MOST_ORDERS]


def _accepted(signal_id: str, order: order_pb2.Order, action: "common_pb2.Action") -> journal_pb2.SignalAccepted:
    accepted = journal_pb2.SignalAccepted(reduces=True)
    accepted.signal.signal_id, accepted.signal.action = signal_id, action
    accepted.signal.symbol = accepted.signal.instrument = order.instrument
    accepted.webhook.account_id, accepted.webhook.mode = order.account_id, order.mode
    accepted.webhook.routing_mode = common_pb2.ROUTING_MODE_DIRECT
    accepted.webhook.on_new_signal = webhook_pb2.ON_NEW_SIGNAL_KEEP
    return accepted


def _check_request_id(request_id: str) -> None:
    try:
        uuid.UUID(request_id)
    except ValueError:
        raise invalid("request_id", f"expected a UUID, was {request_id[:60]!r}") from None


def _check_rests(order: order_pb2.Order) -> None:
    if order.entry_order_id:
        detail = f"order {order.order_id} protects the position of {order.entry_order_id}: close the position"
        raise _precondition("ORDER_IS_BRACKET_LEG", detail)
    if has_ended(order):
        state = common_pb2.OrderState.Name(order.state).removeprefix("ORDER_STATE_").lower()
        by = f", replaced by {order.replaced_by_order_id}" if order.replaced_by_order_id else ""
        raise _precondition("ORDER_HAS_ENDED", f"order {order.order_id} is {state}{by}")


def _ask_for(signal: signal_pb2.Signal, request: router_pb2.AmendOrderRequest) -> None:
    """Puts the terms that are asked for into the signal.

    Raises:
        ServiceError: INVALID_ARGUMENT for one that is no number above 0.
    """
    signal.order_id, signal.comment = request.order_id, request.reason
    for field in ("limit_price", "stop_price", "quantity", "trail_percent", "trail_amount"):
        if not (text := getattr(request, field)):
            continue
        try:
            value = parse_decimal(text)
        except ValueError:
            raise invalid(field, f"expected a number, was {text[:40]!r}") from None
        if value <= 0 or (field == "trail_percent" and value >= 100):
            raise invalid(field, f"expected above 0{' and below 100' * (field == 'trail_percent')}, was {text[:40]}")
        setattr(signal, field, format_decimal(value))
    if request.HasField("expire_time"):
        signal.order_expire_time.CopyFrom(request.expire_time)


def _precondition(reason: str, detail: str) -> ServiceError:
    return ServiceError(grpc.StatusCode.FAILED_PRECONDITION, reason, detail)
