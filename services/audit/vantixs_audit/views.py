"""A signal's row: made from what its entries say (`entry_facts.py`), and told as a message."""

import json
import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from vantixs.api.audit.v1 import audit_pb2

from vantixs_audit.domain.histogram import pack
from vantixs_audit.domain.status import End, Filled, Origin, Replayed, View, decimal_of, slippage_bps
from vantixs_audit.entry_facts import ORIGIN_COLUMNS
from vantixs_audit.tables import LATENCIES

_WORD = re.compile(r"[^\W_]+")
LONGEST_WORD = 40
_MICROSECOND = timedelta(microseconds=1)
# Columns that an entry changes only where it is the signal's origin from then on.
OF_ORIGIN = (*ORIGIN_COLUMNS, "receive_time", "accept_time", "emit_time", "receive_latency_us")
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
        _between(accept_time, view.decide_time),
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
