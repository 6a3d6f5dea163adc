"""A signal's row: made from what its entries say, and told as a message."""

import json
from datetime import UTC, datetime
from typing import Any

from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.journal.v1 import journal_pb2

from vantixs_audit.domain.status import Seen, View


def view_of(row: Any) -> View:
    """What is known of a signal by its row."""
    return View(
        row.status,
        row.original_status,
        row.stage,
        row.reason,
        row.detail,
        row.receive_time,
        row.update_time,
        row.duplicates,
        tuple(json.loads(row.facts).items()),
    )


def row_of(signal_id: str, number: int, sequence: int, view: View) -> dict[str, Any]:
    """The row of the `number`-th signal, whose last entry has that sequence."""
    facts = dict(view.facts)
    return {
        "signal_id": signal_id,
        "number": number,
        "sequence": sequence,
        "status": view.status or "ACCEPTED",
        "original_status": view.original_status,
        "stage": view.stage,
        "reason": view.reason,
        "detail": view.detail.replace("\x00", ""),
        "webhook_id": facts.get("webhook_id", ""),
        "account_id": facts.get("account_id", ""),
        "instrument": facts.get("instrument", ""),
        "receive_time": view.receive_time,
        "update_time": view.update_time,
        "duplicates": view.duplicates,
        "facts": json.dumps(facts),
    }


def seen_of(entry: journal_pb2.JournalEntry) -> Seen:
    """What an entry says about its signal."""
    kind = entry.WhichOneof("event") or ""
    time = entry.event_time.ToDatetime(tzinfo=UTC)
    match kind:
        case "signal_accepted":
            event = entry.signal_accepted
            facts = {
                "webhook_id": event.webhook.webhook_id,
                "account_id": event.webhook.account_id,
                "mode": common_pb2.Mode.Name(event.webhook.mode),
                "symbol": event.signal.symbol,
                "instrument": event.signal.instrument,
                "action": common_pb2.Action.Name(event.signal.action),
            }
            return Seen(kind, time, facts=tuple(facts.items()))
        case "signal_rejected":
            rejected = entry.signal_rejected
            facts = {
                "webhook_id": rejected.webhook.webhook_id,
                "account_id": rejected.webhook.account_id,
                "mode": common_pb2.Mode.Name(rejected.webhook.mode),
            }
            return Seen(kind, time, reason=rejected.reason, detail=rejected.detail, facts=tuple(facts.items()))
        case "duplicate_suppressed":
            return _seen_duplicate(entry, time)
        case "signal_completed":
            done = entry.signal_completed
            status = common_pb2.SignalStatus.Name(done.status).removeprefix("SIGNAL_STATUS_")
            return Seen(kind, time, status, done.stage, done.reason, done.detail)
        case "order_updated":
            return Seen(kind, time, facts=_filled_facts(entry.order_updated.order))
    return Seen(kind, time)


def _seen_duplicate(entry: journal_pb2.JournalEntry, time: datetime) -> Seen:
    """A repeat's own entry makes it a signal; the other is a mark on the first signal."""
    event = entry.duplicate_suppressed
    if entry.signal_id == event.first_signal_id:
        return Seen("duplicate_suppressed", time, repeat=int(event.repeat))
    facts = {
        "webhook_id": event.webhook.webhook_id,
        "account_id": event.webhook.account_id,
        "mode": common_pb2.Mode.Name(event.webhook.mode),
        "symbol": event.signal.symbol,
        "instrument": event.signal.instrument,
        "action": common_pb2.Action.Name(event.signal.action),
        "first_signal_id": event.first_signal_id,
    }
    reason = "DUPLICATE_SUPPRESSED" if event.rule == "same_bytes" else "DUPLICATE_SIGNAL"
    detail = f"repeats {event.first_signal_id} ({event.rule})"
    first = event.first_signal_id
    return Seen("duplicate_suppressed", time, "REJECTED", "duplicate", reason, detail, tuple(facts.items()), 0, first)


def _filled_facts(order: order_pb2.Order) -> tuple[tuple[str, str], ...]:
    """What is filled of an order so far, all of its fills together; it is told after each.

    What stop and targets fill later is not what the signal asked for, and an order without fills says nothing.
    """
    if order.entry_order_id or not order.average_price:
        return ()
    sign = "" if order.side == common_pb2.SIDE_BUY else "-"
    return (("filled_quantity", sign + order.filled_quantity), ("average_price", order.average_price))


def summary(row: Any) -> audit_pb2.SignalSummary:
    """A signal's row as a message."""
    facts = json.loads(row.facts)
    message = audit_pb2.SignalSummary(
        signal_id=row.signal_id,
        webhook_id=row.webhook_id,
        account_id=row.account_id,
        symbol=facts.get("symbol", ""),
        instrument=row.instrument,
        action=facts.get("action", "ACTION_UNSPECIFIED"),
        mode=facts.get("mode", "MODE_UNSPECIFIED"),
        status=f"SIGNAL_STATUS_{row.status}",
        original_status=f"SIGNAL_STATUS_{row.original_status or 'UNSPECIFIED'}",
        stage=row.stage,
        reason=row.reason,
        detail=row.detail,
        duplicate_count=row.duplicates,
        filled_quantity=facts.get("filled_quantity", ""),
        average_price=facts.get("average_price", ""),
        sequence=row.sequence,
        first_signal_id=facts.get("first_signal_id", ""),
    )
    if row.receive_time:
        message.receive_time.FromDatetime(row.receive_time)
    message.update_time.FromDatetime(row.update_time)
    return message
