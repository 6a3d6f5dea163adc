"""A signal's line in history, from its entries: what is told after its end changes what is filled, and nothing else."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.runtime.continuity import Mark
from vantixs.runtime.journal_reader import Delivery
from vantixs_audit import store
from vantixs_audit.views import summary

ORDER = order_pb2.Order(
    order_id="s1.1", signal_id="s1", side=common_pb2.SIDE_BUY, quantity="0.5", state=common_pb2.ORDER_STATE_ACCEPTED
)
STOP = order_pb2.Order(
    order_id="s1.1-1",
    signal_id="s1",
    side=common_pb2.SIDE_SELL,
    quantity="0.5",
    entry_order_id="s1.1",
    leg=order_pb2.BRACKET_LEG_STOP_LOSS,
)
WORKING = journal_pb2.SignalCompleted(
    status=common_pb2.SIGNAL_STATUS_EXECUTED, reason="ORDER_WORKING", stage="venue", detail="limit buy of 0.5 at 60000"
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sa.Connection]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'audit.db'}")
    store.METADATA.create_all(engine)
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def changed(order: order_pb2.Order, **fields: Any) -> journal_pb2.OrderUpdated:
    updated = journal_pb2.OrderUpdated(order=order)
    for name, value in fields.items():
        setattr(updated.order, name, value)
    return updated


def record(connection: sa.Connection, *events: Any) -> Any:
    """Records entries of the signal one message at a time, as they come, and returns the signal's line after them."""
    for event in events:
        head = store.read_head(connection)
        number = head.mark.sequence + 1
        name = type(event).__name__
        kind = "".join(("_" if c.isupper() else "") + c.lower() for c in name)[1:]
        entry = journal_pb2.JournalEntry(event_id=f"e{number}", signal_id="s1", **{kind: event})
        entry.event_time.FromSeconds(1000 + number)
        data = journal_pb2.JournalBatch(entries=[entry]).SerializeToString()
        delivery = Delivery("vantixs.journal.v1.event.order", data, number, datetime.now(UTC))
        store.record(connection, [delivery], Mark(0, "stream", number))
    return summary(connection.execute(sa.select(store.SIGNALS)).one())


def ended(connection: sa.Connection) -> Any:
    return record(
        connection,
        journal_pb2.SignalAccepted(),
        journal_pb2.OrderEvaluated(order=ORDER),
        journal_pb2.OrderSubmitted(order=ORDER),
        changed(ORDER),
        WORKING,
    )


def end_of(line: Any) -> tuple[Any, str, str, str]:
    return line.status, line.reason, line.stage, line.detail


def test_order_that_rests_fills_after_the_end_and_the_end_stays(connection: sa.Connection) -> None:
    before = ended(connection)
    assert (before.filled_quantity, before.average_price) == ("", "")
    assert end_of(before) == (common_pb2.SIGNAL_STATUS_EXECUTED, "ORDER_WORKING", "venue", WORKING.detail)
    partly = record(
        connection,
        journal_pb2.FillRecorded(fill=order_pb2.Fill(order_id="s1.1", side=1, quantity="0.2", price="60000")),
        changed(ORDER, state=common_pb2.ORDER_STATE_PARTIALLY_FILLED, filled_quantity="0.2", average_price="60000"),
    )
    assert (partly.filled_quantity, partly.average_price, end_of(partly)) == ("0.2", "60000", end_of(before))
    assert partly.update_time.seconds > before.update_time.seconds
    assert partly.sequence > before.sequence, "whoever watches is told"
    whole = record(
        connection,
        journal_pb2.FillRecorded(fill=order_pb2.Fill(order_id="s1.1", side=1, quantity="0.3", price="59990")),
        changed(ORDER, state=common_pb2.ORDER_STATE_FILLED, filled_quantity="0.5", average_price="59994"),
    )
    assert (whole.filled_quantity, whole.average_price, end_of(whole)) == ("0.5", "59994", end_of(before))


def test_what_a_stop_fills_is_not_what_the_signal_filled(connection: sa.Connection) -> None:
    ended(connection)
    line = record(
        connection,
        changed(ORDER, state=common_pb2.ORDER_STATE_FILLED, filled_quantity="0.5", average_price="60000"),
        journal_pb2.BracketChanged(entry_order_id="s1.1", reason="STOP_PLACED", detail="stop at 58000"),
        journal_pb2.OrderEvaluated(order=STOP),
        journal_pb2.OrderSubmitted(order=STOP),
        journal_pb2.FillRecorded(fill=order_pb2.Fill(order_id="s1.1-1", side=2, quantity="0.5", price="57990")),
        changed(STOP, state=common_pb2.ORDER_STATE_FILLED, filled_quantity="0.5", average_price="57990"),
    )
    assert (line.filled_quantity, line.average_price) == ("0.5", "60000")
    assert end_of(line) == (common_pb2.SIGNAL_STATUS_EXECUTED, "ORDER_WORKING", "venue", WORKING.detail)


def test_canceled_order_that_filled_nothing_leaves_the_line_as_it_was(connection: sa.Connection) -> None:
    before = ended(connection)
    line = record(connection, changed(ORDER, state=common_pb2.ORDER_STATE_CANCELED, reason="ORDER_CANCELED"))
    assert (line.filled_quantity, end_of(line)) == ("", end_of(before))


def test_signal_that_sold_is_negative(connection: sa.Connection) -> None:
    sold = changed(ORDER, side=common_pb2.SIDE_SELL, filled_quantity="0.5", average_price="60000")
    assert record(connection, journal_pb2.SignalAccepted(), sold).filled_quantity == "-0.5"


def test_replayed_signal_stays_replayed_when_its_order_fills(connection: sa.Connection) -> None:
    ended(connection)
    line = record(
        connection,
        journal_pb2.ReplayFinished(replay_id="r1"),
        changed(ORDER, state=common_pb2.ORDER_STATE_FILLED, filled_quantity="0.5", average_price="60000"),
    )
    assert (line.status, line.original_status) == (
        common_pb2.SIGNAL_STATUS_REPLAYED,
        common_pb2.SIGNAL_STATUS_EXECUTED,
    )
    assert line.filled_quantity == "0.5"


def test_bracket_entry_is_stored_under_its_kind_and_read_back(connection: sa.Connection) -> None:
    event = journal_pb2.BracketChanged(
        entry_order_id="s1.1", reason="STOP_MOVED", detail="stop to 60100", legs=["leg 1: stop at 60100 for 0.5 works"]
    )
    record(connection, journal_pb2.SignalAccepted(), event)
    rows = connection.execute(sa.select(store.ENTRIES).order_by(store.ENTRIES.c.sequence)).all()
    assert [row.kind for row in rows] == ["signal_accepted", "bracket_changed"]
    assert store.recorded(rows[1]).entry.bracket_changed == event
