"""Timelines in words: in order, nothing empty, and what came from whom."""

from typing import Any

import pytest
from vantixs.api.common.v1 import common_pb2, order_pb2, signal_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.reasons import REASONS
from vantixs_console.timeline import describe_entry, describe_timeline

REQUEST = signal_pb2.ReceivedRequest(
    payload=b'{"a": 1}\n', source_address="10.1.2.3", proof="path", token_fingerprint="4cb9e3e8", credential_id="t7"
)
WEBHOOK = webhook_pb2.Webhook(webhook_id="demo", revision=3, account_id="paper", mode=common_pb2.MODE_PAPER)


def entry(name: str, at: int, cause: str = "", **event: Any) -> journal_pb2.JournalEntry:
    made = journal_pb2.JournalEntry(event_id=name, cause_event_id=cause, **event)
    made.event_time.FromSeconds(at)
    return made


def completed(detail: str) -> journal_pb2.SignalCompleted:
    return journal_pb2.SignalCompleted(status=common_pb2.SIGNAL_STATUS_EXECUTED, detail=detail)


def test_steps_are_in_order_of_time_and_none_comes_before_its_cause() -> None:
    recorded = [
        entry("a", 10, signal_completed=completed("accepted")),
        entry("late", 40, signal_completed=completed("late")),
        entry("b", 20, "a", signal_completed=completed("decided")),
        entry("c", 15, "b", signal_completed=completed("sent by a machine whose clock is behind")),
        entry("d", 20, "c", signal_completed=completed("filled")),
    ]
    texts = [step.text.removeprefix("EXECUTED: ") for step in describe_timeline(recorded)]
    assert texts == ["accepted", "decided", "sent by a machine whose clock is behind", "filled", "late"]


def test_times_are_of_one_width() -> None:
    whole = describe_entry(entry("a", 10, signal_completed=completed("")))
    part = entry("b", 10, signal_completed=completed(""))
    part.event_time.nanos = 123456000
    assert [len(whole.time), whole.time[-8:]] == [len(describe_entry(part).time), ".000000Z"]


@pytest.mark.parametrize("passed", [True, False])
@pytest.mark.parametrize("reason", [*REASONS, "OF_A_LATER_VERSION"])
def test_no_check_is_an_empty_line(reason: str, passed: bool) -> None:
    decision = order_pb2.RiskDecision(checks=[order_pb2.RiskCheck(reason=reason, passed=passed)])
    step = describe_entry(entry("r", 1, order_evaluated=journal_pb2.OrderEvaluated(decision=decision)))
    ((name, text),) = step.details
    assert name.endswith(reason)
    assert text


@pytest.mark.parametrize(
    "event",
    [
        {"signal_accepted": journal_pb2.SignalAccepted(request=REQUEST, webhook=WEBHOOK)},
        {"signal_rejected": journal_pb2.SignalRejected(request=REQUEST, webhook=WEBHOOK)},
        {"duplicate_suppressed": journal_pb2.DuplicateSuppressed(request=REQUEST, webhook=WEBHOOK)},
    ],
)
def test_what_came_is_told_with_its_sender_and_webhook(event: dict[str, Any]) -> None:
    details = dict(describe_entry(entry("x", 1, **event)).details)
    assert details["sender"] == "10.1.2.3, token t7 (4cb9e3e8) in the path"
    assert details["webhook"] == "demo revision 3, PAPER"
    assert details["account"] == "paper"
    assert details["payload"] == '{"a": 1}'
    assert details["sizing"] == "the account's"


def test_signature_and_certificate_are_told() -> None:
    request = signal_pb2.ReceivedRequest(
        source_address="::1", proof="signature", credential_id="s2", client_certificate="verified"
    )
    step = describe_entry(entry("x", 1, signal_accepted=journal_pb2.SignalAccepted(request=request)))
    assert step.details == [("sender", "::1, signed with secret s2, client certificate verified")]


@pytest.mark.parametrize("kind", [f.name for f in journal_pb2.JournalEntry.DESCRIPTOR.oneofs_by_name["event"].fields])
def test_entry_of_any_kind_that_says_nothing_has_no_empty_detail(kind: str) -> None:
    made = journal_pb2.JournalEntry()
    getattr(made, kind).SetInParent()
    assert all(text for _, text in describe_entry(made).details)


def test_warnings_and_the_senders_own_id_are_told() -> None:
    warning = webhook_pb2.FieldError(field="sl", reason="FIELD_INVALID", detail="is left out")
    accepted = journal_pb2.SignalAccepted(
        signal=signal_pb2.Signal(instrument="BTC/USDT", symbol="BTCUSDT", sender_reference="pos-7"), warnings=[warning]
    )
    details = dict(describe_entry(entry("a", 10, signal_accepted=accepted)).details)
    assert details["warning sl"] == "FIELD_INVALID: is left out"
    assert details["sender's id"] == "pos-7"
