"""Signals, orders and fills in the router's database, read and written inside a unit of work."""

from collections.abc import Callable
from typing import Any, NamedTuple

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.runtime.journal_reader import Delivery
from vantixs.runtime.statements import Statement, insert_ignoring, insert_or_replace, update_rows, where

from vantixs_router.parked_signals import delivered_before, move_parked
from vantixs_router.tables import CLAIMS, FILLS, ORDERS, OWNER_SHARES, PARKED, RELEASES, SENDER_STATES, SIGNALS

# Written as in the index of these rows, so that it is used.
_UNSETTLED = sa.and_(where(ORDERS, "lane", "account_id"), sa.func.length(ORDERS.c.position) == sa.literal_column("0"))
_READ_SIGNAL = Statement(lambda _: sa.select(SIGNALS).where(where(SIGNALS, "signal_id")))
_INSERT_SIGNAL = insert_ignoring(SIGNALS)


def _finish_signal(insert: Any) -> Any:
    """Marks the signal's row as done, or makes it; touches none where it is another delivery's."""
    statement = insert(SIGNALS).values({c.name: sa.bindparam(c.name, type_=c.type) for c in SIGNALS.c})
    mine, done = SIGNALS.c.stream_sequence == statement.excluded.stream_sequence, {"done": statement.excluded.done}
    return statement.on_conflict_do_update(index_elements=["signal_id"], set_=done, where=mine)


_FINISH_SIGNAL = Statement(_finish_signal)
_MOVE_SIGNAL = Statement(
    lambda _: (
        sa.update(SIGNALS)
        .where(
            where(SIGNALS, "signal_id"), SIGNALS.c.stream_sequence == sa.bindparam("before"), sa.not_(SIGNALS.c.done)
        )
        .values(stream_sequence=sa.bindparam("sequence"), journal_epoch=sa.bindparam("epoch"))
    )
)
_READ_SENDER = Statement(lambda _: sa.select(SENDER_STATES).where(where(SENDER_STATES, "name")))
_SAVE_SENDER = insert_or_replace(SENDER_STATES)
_INSERT_ORDER = insert_ignoring(ORDERS)
_UPDATE_ORDER = update_rows(ORDERS, "order_id", "state", "data", "position", "counted", "shared")
_INSERT_FILL = insert_ignoring(FILLS)
_INSERT_RELEASE = insert_ignoring(RELEASES)
_READ_ORDER = Statement(lambda _: sa.select(ORDERS).where(where(ORDERS, "order_id")))
_READ_ORDERS = Statement(lambda _: sa.select(ORDERS).where(where(ORDERS, "signal_id")).order_by(ORDERS.c.order_id))
_FILLS_OF = sa.select(FILLS.c.data).where(where(FILLS, "order_id")).order_by(FILLS.c.execution_id)
_READ_FILLS = Statement(lambda _: _FILLS_OF)
# "" is a row of a router that did not write the instrument yet.
OPEN_OF_KEY = sa.and_(
    _UNSETTLED, ORDERS.c.instrument.in_([sa.bindparam("instrument", type_=sa.Text), sa.literal_column("''")])
)
_READ_UNSETTLED = Statement(lambda _: sa.select(ORDERS).where(OPEN_OF_KEY))
_KEY = sa.select(sa.cast(sa.bindparam("signal_id", type_=sa.Text), sa.Text).label("signal_id")).subquery()
_EARLIER = PARKED.alias("earlier")
_READ_PROGRESS = Statement(
    lambda _: sa.select(
        SIGNALS.c.stream_sequence,
        SIGNALS.c.plan,
        SIGNALS.c.done,
        SIGNALS.c.journal_epoch,
        PARKED.c.superseded,
        sa.select(sa.func.count()).select_from(ORDERS).where(_UNSETTLED).scalar_subquery().label("unsettled"),
        sa.select(sa.func.count())
        .select_from(_EARLIER)
        .where(
            _EARLIER.c.lane == sa.bindparam("lane", type_=sa.Integer),
            _EARLIER.c.key == sa.bindparam("key", type_=sa.Text),
            delivered_before(_EARLIER),
        )
        .scalar_subquery()
        .label("parked_before"),
        sa.select(sa.func.count())
        .select_from(OWNER_SHARES)
        .where(OWNER_SHARES.c.key == sa.bindparam("key", type_=sa.Text))
        .scalar_subquery()
        .label("owners"),
        CLAIMS.c.signal_id.label("claimed_by"),
        CLAIMS.c.fingerprint,
        CLAIMS.c.receive_ms,
        SENDER_STATES.c.emit_ms,
        SENDER_STATES.c.adds,
        SENDER_STATES.c.entry_ms,
    ).select_from(
        _KEY.outerjoin(SIGNALS, SIGNALS.c.signal_id == _KEY.c.signal_id)
        .outerjoin(PARKED, PARKED.c.signal_id == _KEY.c.signal_id)
        .outerjoin(CLAIMS, where(CLAIMS, "claim"))
        .outerjoin(SENDER_STATES, SENDER_STATES.c.name == sa.bindparam("sender", type_=sa.Text))
    )
)


class SignalRow(NamedTuple):
    """How far a signal is. `plan` is the intent's legs, so that a crash between two of them changes nothing."""

    stream_sequence: int
    plan: str
    done: bool
    journal_epoch: int = 0


class SenderState(NamedTuple):
    """What a webhook's signals for an account and instrument have done so far.

    Attributes:
        emit_ms: when the newest one that was handled was sent by its own word, ms since 1970; 0 where none said it.
        adds: entries that added to the position there is.
        entry_ms: when the last entry was carried out, ms since 1970; 0 for never.
    """

    emit_ms: int = 0
    adds: int = 0
    entry_ms: int = 0


class Progress(NamedTuple):
    """What is stored of a signal before it is worked on.

    Attributes:
        signal: its row, or None for a new signal.
        parked: whether it is parked.
        superseded: whether it is parked, and a later exit of its key was carried out since.
        unsettled: orders of its account and lane of which risk has not booked the end, its own counted.
        parked_before: earlier signals of its key that are parked.
        held: who claimed the same before: signal, fingerprint, when ingress received it; None where nobody did.
        sender: what its webhook's signals have done so far.
        owners: how many webhooks own something of the position of its account and instrument.
    """

    signal: SignalRow | None
    parked: bool
    superseded: bool
    unsettled: int
    parked_before: int
    held: tuple[str, bytes, int] | None = None
    sender: SenderState = SenderState()
    owners: int = 0


class OrderRow(NamedTuple):
    """An order, what was decided and what came of it; `position` is after its fills, once booked. Others as in the table."""

    order: order_pb2.Order
    intent: str
    decision: order_pb2.RiskDecision
    fills: list[order_pb2.Fill]
    position: order_pb2.Position
    counted: str = ""
    shared: str = ""

    @property
    def enters(self) -> bool:
        """Whether it is an entry that was filled, and is not counted yet."""
        return bool(self.fills) and not self.counted and self.order.effect == order_pb2.ORDER_EFFECT_ENTRY

    @property
    def settled(self) -> bool:
        """Whether it has ended and risk has booked all of it."""
        return bool(self.position.account_id)


def read_signal(connection: sa.Connection, signal_id: str) -> SignalRow | None:
    """The signal's row, or None for a new signal."""
    row = _READ_SIGNAL.first(connection, signal_id=signal_id)
    return SignalRow(row.stream_sequence, row.plan, bool(row.done), row.journal_epoch) if row else None


def read_progress(
    connection: sa.Connection,
    signal_id: str,
    lane: int,
    account_id: str,
    key: str,
    delivery: Delivery,
    claim: bytes = b"",
    sender: str = "",
) -> Progress:
    """What is stored of the signal and of what came before it, in one round trip."""
    row = _READ_PROGRESS.first(
        connection,
        signal_id=signal_id,
        lane=lane,
        account_id=account_id,
        key=key,
        time=delivery.time,
        sequence=delivery.stream_sequence,
        claim=claim,
        sender=sender,
    )
    signal = None
    if row.stream_sequence is not None:
        signal = SignalRow(row.stream_sequence, row.plan, bool(row.done), row.journal_epoch)
    held = None if row.claimed_by is None else (row.claimed_by, bytes(row.fingerprint), row.receive_ms)
    state = SenderState() if row.emit_ms is None else SenderState(row.emit_ms, row.adds, row.entry_ms)
    parked = row.superseded is not None
    return Progress(signal, parked, bool(row.superseded), row.unsettled, row.parked_before, held, state, row.owners)


def claim_signal(
    connection: sa.Connection, signal_id: str, stream_sequence: int, plan: str, journal_epoch: int = 0
) -> Callable[[], bool]:
    """Makes the signal's row. What is returned gives False where it is done, another delivery's, or under another plan.

    Another plan is that of a replica which took over while this one was frozen, and may have gone on with it.
    """
    row = SignalRow(stream_sequence, plan, done=False, journal_epoch=journal_epoch)
    made = _INSERT_SIGNAL.count(connection, signal_id=signal_id, **row._asdict())

    def answer() -> bool:
        if made():
            return True
        stored = read_signal(connection, signal_id)
        return stored is not None and stored._replace(journal_epoch=journal_epoch) == row

    return answer


def move_signal(connection: sa.Connection, signal_id: str, before: int, delivery: Delivery, journal_epoch: int) -> None:
    """The journal delivers the signal again from another stream, before it is done: the row is that delivery's now.

    Raises:
        LookupError: it is done, or another delivery's by now.
    """
    sequence = delivery.stream_sequence
    if not _MOVE_SIGNAL.run(connection, signal_id=signal_id, before=before, sequence=sequence, epoch=journal_epoch):
        raise LookupError(f"signal {signal_id} is done, or another delivery's")
    move_parked(connection, signal_id, delivery)


def finish_signal(
    connection: sa.Connection, signal_id: str, stream_sequence: int, plan: str, journal_epoch: int = 0
) -> Callable[[], None]:
    """Marks the signal as done; one that was never claimed gets its row.

    Raises:
        LookupError: by what is returned; the signal is another delivery's, which came by another lane.
    """
    row = SignalRow(stream_sequence, plan, done=True, journal_epoch=journal_epoch)
    touched = _FINISH_SIGNAL.count(connection, signal_id=signal_id, **row._asdict())

    def answer() -> None:
        if not touched():
            raise LookupError(f"signal {signal_id} is another delivery's")

    return answer


def read_sender(connection: sa.Connection, name: str) -> SenderState:
    """What a webhook's signals for an account and instrument have done so far."""
    row = _READ_SENDER.first(connection, name=name)
    return SenderState(row.emit_ms, row.adds, row.entry_ms) if row else SenderState()


def count_entry(connection: sa.Connection, name: str, *, adds: bool, now_ms: int) -> None:
    """An entry that rested was filled: it added to the position there was, or opened one."""
    state = read_sender(connection, name)
    save_sender(connection, name, state._replace(adds=state.adds + 1 if adds else 0, entry_ms=now_ms))


def save_sender(connection: sa.Connection, name: str, state: SenderState) -> None:
    """Replaces what a webhook's signals for an account and instrument have done so far."""
    _SAVE_SENDER.send(connection, name=name, **state._asdict())


def read_orders(connection: sa.Connection, signal_id: str) -> list[OrderRow]:
    """A signal's orders, by leg."""
    return [to_order_row(connection, row) for row in _READ_ORDERS.rows(connection, signal_id=signal_id)]


def to_order_row(connection: sa.Connection, row: Any) -> OrderRow:
    """An order's row with its fills."""
    fills = _READ_FILLS.rows(connection, order_id=row.order_id)
    return OrderRow(
        order_pb2.Order.FromString(row.data),
        row.intent,
        order_pb2.RiskDecision.FromString(row.decision),
        [order_pb2.Fill.FromString(fill.data) for fill in fills],
        order_pb2.Position.FromString(row.position),
        row.counted,
        row.shared,
    )


def read_order(connection: sa.Connection, order_id: str) -> OrderRow | None:
    """One order, or None."""
    row = _READ_ORDER.first(connection, order_id=order_id)
    return to_order_row(connection, row) if row else None


def read_unsettled(connection: sa.Connection, lane: int, account_id: str, instrument: str) -> list[OrderRow]:
    """The account's approved orders in the instrument of which risk has not booked the end, oldest first."""
    found = _READ_UNSETTLED.rows(connection, lane=lane, account_id=account_id, instrument=instrument)
    rows = [to_order_row(connection, row) for row in found]
    approved = order_pb2.RISK_VERDICT_APPROVED
    of_key = [row for row in rows if row.order.instrument == instrument and row.decision.verdict == approved]
    return sorted(of_key, key=lambda row: row.order.create_time.ToNanoseconds())


def insert_order(
    connection: sa.Connection, order: order_pb2.Order, intent: str, decision: order_pb2.RiskDecision, lane: int
) -> Callable[[], bool]:
    """Persists an order before it is sent. What is returned gives whether it was not there before."""
    values = {
        "order_id": order.order_id,
        "signal_id": order.signal_id,
        "account_id": order.account_id,
        "instrument": order.instrument,
        "client_order_id": order.client_order_id,
        "state": common_pb2.OrderState.Name(order.state),
        "intent": intent,
        "data": order.SerializeToString(),
        "decision": decision.SerializeToString(),
        "position": b"",
        "lane": lane,
        "counted": "",
        "shared": "",
    }
    made = _INSERT_ORDER.count(connection, **values)
    return lambda: made() == 1


def update_order(connection: sa.Connection, row: OrderRow) -> None:
    """Replaces what changed about an order, and adds its fills."""
    _UPDATE_ORDER.send(
        connection,
        order_id_is=row.order.order_id,
        state=common_pb2.OrderState.Name(row.order.state),
        data=row.order.SerializeToString(),
        position=row.position.SerializeToString(),
        counted=row.counted,
        shared=row.shared,
    )
    for fill in row.fills:
        values = {"execution_id": fill.execution_id, "order_id": fill.order_id, "data": fill.SerializeToString()}
        _INSERT_FILL.send(connection, **values)


def add_release(connection: sa.Connection, order_id: str) -> None:
    """Notes that risk has to release the order, whenever it can be reached."""
    _INSERT_RELEASE.send(connection, order_id=order_id)


def read_releases(connection: sa.Connection) -> list[str]:
    """Some orders that risk has to release."""
    return list(connection.execute(sa.select(RELEASES.c.order_id).limit(100)).scalars())


def drop_release(connection: sa.Connection, order_id: str) -> None:
    """The order is released."""
    connection.execute(sa.delete(RELEASES).where(RELEASES.c.order_id == order_id))
