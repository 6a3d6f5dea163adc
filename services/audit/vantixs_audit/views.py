"""A signal's row: made from what its entries say, and told as a message."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2, order_pb2, signal_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2

from vantixs_audit.domain.histogram import pack
from vantixs_audit.domain.status import End, EntryFacts, Filled, Origin, Replayed, View, decimal_of, slippage_bps
from vantixs_audit.tables import LATENCIES

_WORD = re.compile(r"[^\W_]+")
LONGEST_WORD = 40
_MICROSECOND = timedelta(microseconds=1)
# What an entry that makes a signal says about it; each is a column. The others of the row follow from later entries.
ORIGIN_COLUMNS = (
    "webhook_id", "account_id", "mode", "symbol", "instrument", "action", "source_address", "comment", "tag", "signal_price",
)  # fmt: skip
# Columns that an entry changes only where it is the signal's origin from then on.
OF_ORIGIN = (*ORIGIN_COLUMNS, "receive_time", "accept_time", "emit_time", "receive_latency_us", "accept_latency_us")
_NOTHING = dict.fromkeys(ORIGIN_COLUMNS, "")
_LATENCIES = tuple(f"{name}_us" for name in LATENCIES)
_STAGE_OF_RANK = ("ingress", "ingress", "duplicate")


def view_of(row: Any) -> View:
    """What is known of a signal by its row."""
    state = json.loads(row.facts)
    ended, rank = state["ended"], state["rank"]
    told = ("", "") if ended else (row.reason, row.detail)
    origin = None
    if rank is not None:
        facts = tuple(sorted((name, getattr(row, name)) for name in ORIGIN_COLUMNS))
        received = row.receive_time if state["received"] else None
        origin = Origin(rank, row.accept_time, _STAGE_OF_RANK[rank], told[0], told[1], facts, received, row.emit_time)
    filled = None
    if row.filled_order_id:
        size = abs(decimal_of(row.filled_quantity) or Decimal(0))
        filled = Filled(row.filled_order_id, size, row.filled_quantity, row.average_price)
    return View(
        origin=origin,
        end=End(row.end_time, row.outcome, row.stage, row.reason, row.detail) if ended else None,
        progress=state["progress"],
        update_time=row.update_time,
        first_time=row.first_time,
        duplicates_told=state["told"],
        last_repeat=state["repeat"],
        first_signal_id=row.first_signal_id,
        strategy_id=row.strategy_id,
        side=row.side,
        filled=filled,
        decide_time=row.decide_time,
        send_time=row.send_time,
        fill_time=row.fill_time,
        replay_count=row.replay_count,
        replay=Replayed(row.replay_time, row.replay_id, row.replay_of, row.replay_root) if row.replay_time else None,
    )


def row_of(signal_id: str, number: int, sequence: int, view: View) -> dict[str, Any]:
    """The row of the `number`-th signal, whose last entry has that sequence. Latencies are whole microseconds."""
    origin, filled, replay = view.origin, view.filled, view.replay
    facts = {**_NOTHING, **dict(origin.facts)} if origin else _NOTHING
    (reason, detail), outcome, replayed = view.why, view.outcome, view.replay_count
    quantity, price = (filled.quantity, filled.average_price) if filled else ("", "")
    slippage = slippage_bps(facts["signal_price"], quantity, price)
    receive_time, end_time = view.receive_time, view.end_time
    accept_time = origin.time if origin else None
    emit_time = origin.emit_time if origin else None
    latencies = (
        _between(emit_time, receive_time),
        _between(receive_time, accept_time),
        _between(accept_time, view.decide_time),
        _between(view.decide_time, view.send_time),
        _between(view.send_time, view.fill_time),
        _between(receive_time, end_time),
    )
    return {
        "signal_id": signal_id,
        "number": number,
        "sequence": sequence,
        "status": "REPLAYED" if replayed else outcome,
        "original_status": outcome if replayed else "",
        "stage": view.stage,
        "reason": reason,
        "detail": detail,
        "receive_time": receive_time,
        "update_time": view.update_time,
        "duplicates": view.duplicates,
        "facts": _state_of(view),
        "view_sequence": sequence,
        "outcome": outcome,
        **facts,
        "side": view.side,
        "strategy_id": view.strategy_id,
        "first_signal_id": view.first_signal_id,
        "replay_count": replayed,
        "replay_id": replay.replay_id if replay else "",
        "replay_of": replay.replay_of if replay else "",
        "replay_root": replay.replay_root if replay else "",
        "first_time": view.first_time,
        "emit_time": emit_time,
        "accept_time": accept_time,
        "decide_time": view.decide_time,
        "send_time": view.send_time,
        "fill_time": view.fill_time,
        "end_time": end_time,
        "replay_time": replay.time if replay else None,
        **dict(zip(_LATENCIES, latencies, strict=True)),
        "filled_order_id": filled.order_id if filled else "",
        "filled_quantity": quantity,
        "average_price": price,
        "slippage_bps": slippage,
        "measures": pack((None if slippage is None else int(slippage.scaleb(2)), *latencies)),
    }


def _state_of(view: View) -> str:
    """What no column has, in JSON. It is written as `json.dumps` writes it, which takes ten times as long."""
    origin = view.origin
    rank = "null" if origin is None else origin.rank
    received = "true" if origin and origin.receive_time else "false"
    ended = "true" if view.end else "false"
    return (
        f'{{"rank": {rank}, "received": {received}, "ended": {ended}, "progress": {view.progress}, '
        f'"told": {view.duplicates_told}, "repeat": {view.last_repeat}}}'
    )


def words_of(text: str) -> list[str]:
    """The words of a text, each once, in small letters: what filters by text find; the first 40 characters of a word."""
    return list(dict.fromkeys(word[:LONGEST_WORD] for word in _WORD.findall(text.lower())))


def word_rows(number: int, view: View) -> list[dict[str, Any]]:
    """Rows of the words of a signal's comment and tag."""
    if view.origin is None:
        return []
    return [
        {"word": f"{name}:{word}", "receive_time": view.receive_time, "number": number}
        for name, text in view.origin.facts
        if text and name in ("comment", "tag")
        for word in words_of(text)
    ]


def _between(begin: datetime | None, end: datetime | None) -> int | None:
    return None if begin is None or end is None else (end - begin) // _MICROSECOND


def facts_of(entry: journal_pb2.JournalEntry) -> EntryFacts:
    """What an entry says about its signal."""
    kind = entry.WhichOneof("event") or ""
    time = entry.event_time.ToDatetime(tzinfo=UTC)
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
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def summary(row: Any) -> audit_pb2.SignalSummary:
    """A signal's row as a message."""
    message = audit_pb2.SignalSummary(
        signal_id=row.signal_id,
        webhook_id=row.webhook_id,
        account_id=row.account_id,
        symbol=row.symbol,
        instrument=row.instrument,
        action=f"ACTION_{row.action or 'UNSPECIFIED'}",
        mode=f"MODE_{row.mode or 'UNSPECIFIED'}",
        status=f"SIGNAL_STATUS_{row.status}",
        original_status=f"SIGNAL_STATUS_{row.original_status or 'UNSPECIFIED'}",
        stage=row.stage,
        reason=row.reason,
        detail=row.detail,
        duplicate_count=row.duplicates,
        filled_quantity=row.filled_quantity,
        average_price=row.average_price,
        sequence=row.sequence,
        first_signal_id=row.first_signal_id,
        outcome=f"SIGNAL_STATUS_{row.outcome}",
        side=f"SIDE_{row.side or 'UNSPECIFIED'}",
        strategy_id=row.strategy_id,
        source_address=row.source_address,
        comment=row.comment,
        tag=row.tag,
        signal_price=row.signal_price,
        slippage_bps="" if row.slippage_bps is None else format(row.slippage_bps, "f"),
        replay_count=row.replay_count,
        replay_id=row.replay_id,
        replay_of=row.replay_of,
        replay_root=row.replay_root,
    )
    for name in _TOLD_TIMES:
        if (time := getattr(row, name)) is not None:
            getattr(message, name).FromDatetime(time)
    if row.latency_us is not None:
        message.latency.FromMicroseconds(row.latency_us)
    return message


_TOLD_TIMES = (
    "receive_time", "update_time", "emit_time", "accept_time", "decide_time", "send_time", "fill_time", "end_time",
)  # fmt: skip
