"""Journal entries as text for people."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from google.protobuf import json_format
from vantixs.api.common.v1 import common_pb2, order_pb2, signal_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2

from vantixs_console.check_words import check_lines
from vantixs_console.order_words import describe_order, filled_of, role_of, state_of


class Step(NamedTuple):
    """One line of a timeline, with its details."""

    time: str
    title: str
    text: str
    details: list[tuple[str, str]]


_PREFIXES = (
    "SIGNAL_STATUS_",
    "ACTION_",
    "MODE_",
    "ORDER_STATE_",
    "SIDE_",
    "POSITION_SIDE_",
    "RISK_VERDICT_",
    "REPLAY_MODE_",
    "SIZING_METHOD_",
    "QUANTITY_TYPE_",
    "ORDER_TYPE_",
    "TIME_IN_FORCE_",
)
_SEALED = "sealed: `vantixs signals payload` shows it (role AUDITOR)"


def short_name(name: str) -> str:
    """An enum value without its prefix: "EXECUTED" for "SIGNAL_STATUS_EXECUTED"."""
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name


def describe_timeline(entries: Iterable[journal_pb2.JournalEntry]) -> list[Step]:
    """A signal's entries as text, in the order of their times.

    An entry never comes before its cause, even if the clocks of the machines disagree. Equal times keep the recorded order.
    """
    recorded = list(entries)
    at: dict[str, int] = {}
    for entry in recorded:
        at[entry.event_id] = max(entry.event_time.ToNanoseconds(), at.get(entry.cause_event_id, 0))
    return [describe_entry(entry) for entry in sorted(recorded, key=lambda entry: at[entry.event_id])]


def describe_entry(entry: journal_pb2.JournalEntry) -> Step:
    """An entry as text; details without a text are left out."""
    kind = entry.WhichOneof("event") or "unknown"
    title, text, details = _DESCRIBERS.get(kind, _any)(getattr(entry, kind, None), kind)
    time = entry.event_time.ToDatetime().isoformat(timespec="microseconds") + "Z"
    shown = [(name, value.rstrip()) for name, value in details if value.strip()]
    return Step(time, title, text, shown)


_Told = tuple[str, str, list[tuple[str, str]]]


def _accepted(event: journal_pb2.SignalAccepted, _: str) -> _Told:
    signal = event.signal
    details = _origin(event.request, event.webhook)
    if signal.HasField("expire_time"):
        details.append(("expires", signal.expire_time.ToJsonString()))
    details.append(("sender's id", signal.sender_reference))
    details += [(f"warning {warning.field}", f"{warning.reason}: {warning.detail}") for warning in event.warnings]
    action = short_name(common_pb2.Action.Name(signal.action))
    return "accepted", f"{action} {signal.instrument} (sent as {signal.symbol})", details


def _origin(request: signal_pb2.ReceivedRequest, webhook: webhook_pb2.Webhook) -> list[tuple[str, str]]:
    """What was sent, by whom, and the webhook as it was at that time."""
    payload = _SEALED if request.sealed_payload else request.payload.decode("utf-8", "replace")
    details = [("payload", payload), ("sender", _sender(request))]
    if webhook.webhook_id:
        mode = short_name(common_pb2.Mode.Name(webhook.mode))
        sizing = webhook.sizing
        method = short_name(common_pb2.SizingMethod.Name(sizing.method)) if sizing.method else "the account's"
        details.append(("webhook", f"{webhook.webhook_id} revision {webhook.revision}, {mode}"))
        details.append(("sizing", f"{method} {sizing.value}"))
        details.append(("account", webhook.account_id))
    return details


def _sender(request: signal_pb2.ReceivedRequest) -> str:
    """Who sent it, with the credential's id as `vantixs webhook get` lists it."""
    if not request.source_address:
        return ""
    credential = request.credential_id
    if request.proof == "signature":
        proof = f"signed with secret {credential}"
    else:
        known = " ".join(filter(None, (credential, f"({request.token_fingerprint})" * bool(request.token_fingerprint))))
        proof = f"token {known} in the {request.proof}"
    certificate = f", client certificate {request.client_certificate}" if request.client_certificate else ""
    return f"{request.source_address}, {proof}{certificate}"


def _rejected(event: journal_pb2.SignalRejected, _: str) -> _Told:
    details = [(error.field, f"{error.reason}: {error.detail}") for error in event.errors]
    return "rejected", f"{event.reason}: {event.detail}", details + _origin(event.request, event.webhook)


def _evaluated(event: journal_pb2.OrderEvaluated, _: str) -> _Told:
    decision = event.decision
    verdict = short_name(order_pb2.RiskVerdict.Name(decision.verdict))
    details = check_lines(decision)
    steps = ", ".join(f"{step.name} {step.value}" for step in decision.sizing_steps)
    failed = sum(not check.passed for check in decision.checks)
    inputs = [("sizing", steps)]
    if decision.quote.bid:
        quote = decision.quote
        inputs.append(("quote", f"{quote.source} bid {quote.bid} ask {quote.ask} at {quote.quote_time.ToJsonString()}"))
    details = [*details[:failed], *inputs, *details[failed:]]
    text = " ".join(filter(None, (verdict, decision.quantity)))
    return "risk", f"{text} for: {event.intent}", details


def _submitted(event: journal_pb2.OrderSubmitted, _: str) -> _Told:
    order = event.order
    text = f"{describe_order(order)}, client order id {order.client_order_id}"
    return "order", text, [("order_id", order.order_id)]


def _filled(event: journal_pb2.FillRecorded, _: str) -> _Told:
    fill, quote = event.fill, event.fill.quote
    details = [
        ("position after", f"{event.position.quantity} at {event.position.average_price}"),
        ("liquidity", fill.liquidity),
        ("assumed", "; ".join(fill.assumptions)),
        ("order_id", fill.order_id),
        ("execution_id", fill.execution_id),
    ]
    if quote.bid:
        used = f"{quote.source} bid {quote.bid} ask {quote.ask} at {quote.quote_time.ToJsonString()}"
        details.insert(0, ("quote used", used))
    side = short_name(common_pb2.Side.Name(fill.side))
    return "fill", f"{side} {fill.quantity} at {fill.price}, fee {fill.fee} {fill.fee_asset}", details


def _updated(event: journal_pb2.OrderUpdated, _: str) -> _Told:
    order = event.order
    role = role_of(order) if order.entry_order_id else ""
    text = " ".join(filter(None, (role, state_of(order), filled_of(order), order.reason)))
    return "order", text, [("order_id", order.order_id), ("venue_order_id", order.venue_order_id)]


def _bracket(event: journal_pb2.BracketChanged, _: str) -> _Told:
    return "bracket", f"{event.reason}: {event.detail}", [("entry", event.entry_order_id)]


def _completed(event: journal_pb2.SignalCompleted, _: str) -> _Told:
    status = short_name(common_pb2.SignalStatus.Name(event.status))
    return "completed", ": ".join(filter(None, (status, event.reason, event.detail))), []


def _duplicate(event: journal_pb2.DuplicateSuppressed, _: str) -> _Told:
    if not event.HasField("request"):
        which = f"repeat {event.repeat}" if event.repeat else "a repeat"
        return "duplicate", f"{which} suppressed by {event.rule}: {event.duplicate_signal_id}", []
    text = f"suppressed by {event.rule}, the first is {event.first_signal_id}"
    return "duplicate", text, _origin(event.request, event.webhook)


def _replayed(event: journal_pb2.ReplayFinished, _: str) -> _Told:
    mode = short_name(journal_pb2.ReplayMode.Name(event.mode)).lower()
    status = "not verifiable" if event.missing else short_name(common_pb2.SignalStatus.Name(event.status))
    details = [(f"run: {s.title}", s.text) for s in describe_timeline(event.entries)]
    details += [("difference", difference) for difference in event.differences]
    details += [("not recorded", missing) for missing in event.missing]
    if event.root_replay_id not in ("", event.replay_id):
        details.append(("goes back to replay", event.root_replay_id))
    return "replayed", f"{event.replay_id} ({mode}): {status} {event.reason}".rstrip(), details


def _any(event: Any, kind: str) -> _Told:
    content = json_format.MessageToDict(event, preserving_proto_field_name=True) if event is not None else {}
    return kind.replace("_", " "), ", ".join(f"{k} {v}" for k, v in content.items())[:500], []


_DESCRIBERS: dict[str, Any] = {
    "signal_accepted": _accepted,
    "signal_rejected": _rejected,
    "order_evaluated": _evaluated,
    "order_submitted": _submitted,
    "order_updated": _updated,
    "fill_recorded": _filled,
    "bracket_changed": _bracket,
    "signal_completed": _completed,
    "duplicate_suppressed": _duplicate,
    "replay_finished": _replayed,
}
