"""What an entry says about its signal, read from its message."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from vantixs.api.common.v1 import common_pb2, order_pb2, signal_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2

from vantixs_audit.domain.status import EntryFacts, Replayed

# What an entry that makes a signal says about it; each is a column. The others of the row follow from later entries.
ORIGIN_COLUMNS = (
    "webhook_id", "account_id", "mode", "symbol", "instrument", "action", "source_address", "comment", "tag", "signal_price",
)  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_NS = 1_000_000_000


def facts_of(entry: journal_pb2.JournalEntry) -> EntryFacts:
    """What an entry says about its signal."""
    kind = entry.WhichOneof("event") or ""
    time = _moment(entry.event_time)
    match kind:
        case "signal_accepted":
            event = entry.signal_accepted
            return _origin(kind, time, event.signal, event.request, event.webhook)
        case "signal_rejected":
            rejected = entry.signal_rejected
            known = signal_pb2.Signal(symbol=rejected.symbol, action=rejected.action)
            return _origin(
                kind,
                time,
                known,
                rejected.request,
                rejected.webhook,
                reason=rejected.reason,
                detail=_text(rejected.detail),
            )
        case "duplicate_suppressed":
            return _seen_duplicate(entry, time)
        case "signal_completed":
            done = entry.signal_completed
            status = _name(common_pb2.SignalStatus, done.status, "SIGNAL_STATUS_") or "UNSPECIFIED"
            return EntryFacts(kind, time, status, _text(done.stage), _text(done.reason), _text(done.detail))
        case "strategy_evaluated":
            return EntryFacts(kind, time, strategy_id=_text(entry.strategy_evaluated.strategy_id))
        case "order_evaluated":
            evaluated = entry.order_evaluated
            decided = evaluated.decision
            decide_time = _time(decided.decide_time) if decided.HasField("decide_time") else None
            return _seen_order(kind, time, evaluated.order, decide_time=decide_time)
        case "order_submitted":
            return _seen_order(kind, time, entry.order_submitted.order)
        case "order_updated":
            return _seen_filled(time, entry.order_updated.order)
        case "replay_finished":
            return EntryFacts(kind, time, replay=_seen_replay(time, entry.replay_finished))
    return EntryFacts(kind, time)


def _seen_duplicate(entry: journal_pb2.JournalEntry, time: datetime) -> EntryFacts:
    """A repeat's own entry makes it a signal; the other is a mark on the first signal."""
    event = entry.duplicate_suppressed
    if entry.signal_id == event.first_signal_id:
        return EntryFacts("duplicate_suppressed", time, repeat=int(event.repeat))
    return _origin(
        "duplicate_suppressed",
        time,
        event.signal,
        event.request,
        event.webhook,
        reason="DUPLICATE_SUPPRESSED" if event.rule == "same_bytes" else "DUPLICATE_SIGNAL",
        detail=f"repeats {_text(event.first_signal_id)} ({_text(event.rule)})",
        repeat_of=_text(event.first_signal_id),
    )


def _origin(
    kind: str,
    time: datetime,
    signal: signal_pb2.Signal | None,
    request: signal_pb2.ReceivedRequest,
    webhook: webhook_pb2.Webhook,
    *,
    reason: str = "",
    detail: str = "",
    repeat_of: str = "",
) -> EntryFacts:
    facts = dict.fromkeys(ORIGIN_COLUMNS, "")
    facts["webhook_id"] = _text(webhook.webhook_id)
    facts["account_id"] = _text(webhook.account_id)
    facts["mode"] = _name(common_pb2.Mode, webhook.mode, "MODE_")
    facts["source_address"] = _text(request.source_address)
    emit_time = None
    if signal is not None:
        facts["symbol"] = _text(signal.symbol)
        facts["instrument"] = _text(signal.instrument)
        facts["action"] = _name(common_pb2.Action, signal.action, "ACTION_")
        facts["comment"] = _text(signal.comment)
        facts["tag"] = _text(signal.tag)
        facts["signal_price"] = _text(signal.price)
        emit_time = _time(signal.emit_time) if signal.HasField("emit_time") else None
    return EntryFacts(
        kind,
        time,
        facts=tuple(facts.items()),
        receive_time=_time(request.receive_time) if request.HasField("receive_time") else None,
        emit_time=emit_time,
        strategy_id=_text(webhook.strategy_id),
        reason=reason,
        detail=detail,
        repeat_of=repeat_of,
    )


def _seen_order(kind: str, time: datetime, order: order_pb2.Order, decide_time: datetime | None = None) -> EntryFacts:
    """An order of the signal; stop and targets are not what the signal asked for, and say no more than that they are."""
    if order.entry_order_id:
        return EntryFacts(kind, time)
    side = _name(common_pb2.Side, order.side, "SIDE_")
    return EntryFacts(kind, time, order_id=_text(order.order_id), side=side, decide_time=decide_time)


def _seen_filled(time: datetime, order: order_pb2.Order) -> EntryFacts:
    """What is filled of an order so far, all of its fills together; it is told after each.

    What stop and targets fill later is not what the signal asked for, and an order without fills says nothing.
    """
    if order.entry_order_id:
        return EntryFacts("order_updated", time)
    sign = "-" if order.side == common_pb2.SIDE_SELL else ""
    return EntryFacts(
        "order_updated",
        time,
        order_id=_text(order.order_id),
        side=_name(common_pb2.Side, order.side, "SIDE_"),
        filled_quantity=sign + _text(order.filled_quantity),
        average_price=_text(order.average_price),
    )


def _seen_replay(time: datetime, event: journal_pb2.ReplayFinished) -> Replayed | None:
    """The replay that ran the signal; None of a VERIFY, which runs nothing: its status stays what it was."""
    if event.mode == journal_pb2.REPLAY_MODE_VERIFY:
        return None
    replay_id = _text(event.replay_id)
    return Replayed(time, replay_id, _text(event.of_replay_id), _text(event.root_replay_id) or replay_id)


def _text(text: str) -> str:
    """PostgreSQL stores no NUL."""
    return text.replace("\x00", "")


@lru_cache(maxsize=1024)
def _name(enum: Any, number: int, prefix: str) -> str:
    """A value's name without the prefix; empty for one that is not given, or that this version does not know."""
    return enum.Name(number).removeprefix(prefix) if number and number in enum.values() else ""


def _time(stamp: Timestamp) -> datetime | None:
    """A time in an entry's content; None where it is none, so that no entry stops history."""
    try:
        return _moment(stamp)
    except (ValueError, OverflowError):
        return None


def _moment(stamp: Timestamp) -> datetime:
    """As `ToDatetime`, which takes four times as long; raises the same."""
    nanos = stamp.nanos
    if not 0 <= nanos < _SECOND_NS:
        raise ValueError(f"expected nanoseconds of a second, was {nanos}")
    return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=nanos // 1000)
