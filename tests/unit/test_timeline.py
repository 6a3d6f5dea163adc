"""Timelines in words: in order, nothing empty, and what came from whom."""

from typing import Any

import pytest
from vantixs.api.common.v1 import common_pb2, order_pb2, signal_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.reasons import REASONS
from vantixs_console.order_words import describe_order, latest_orders, order_cells
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
    assert name
    assert text == "pass" if passed else text.startswith(f"FAIL {reason}: ")


def test_checks_are_told_in_positive_words_and_those_that_failed_first() -> None:
    def check(reason: str, *inputs: tuple[str, str], limit: str = "", passed: bool = True, detail: str = "") -> Any:
        given = [order_pb2.Input(name=name, value=value) for name, value in inputs]
        return order_pb2.RiskCheck(reason=reason, passed=passed, inputs=given, limit=limit, detail=detail)

    decision = order_pb2.RiskDecision(
        checks=[
            check("TRADING_HALTED"),
            check("PRICE_STALE", ("bid", "9"), ("ask", "10"), ("age_ms", "12"), limit="5000 ms"),
            check("ORDER_NOTIONAL_ABOVE_MAXIMUM", ("notional", "99.4"), limit="10000"),
            check(
                "GROSS_EXPOSURE_ABOVE_MAXIMUM", ("positions_notional", "900"), ("open_entries", "0"),
                ("order_notional", "200.5"), limit="1000", passed=False, detail="gross exposure would be 1100.5",
            ),
            check("OPEN_POSITIONS_ABOVE_MAXIMUM", ("open_positions", "3"), limit="2"),
        ]
    )  # fmt: skip
    details = describe_entry(entry("r", 1, order_evaluated=journal_pb2.OrderEvaluated(decision=decision))).details
    assert details == [
        (
            "gross exposure 1,100.5 <= 1,000 (positions notional 900 + open entries 0 + order notional 200.5)",
            "FAIL GROSS_EXPOSURE_ABOVE_MAXIMUM: gross exposure would be 1100.5",
        ),
        ("trading is not halted", "pass"),
        ("age of the quote 12 <= 5,000 ms", "pass"),
        ("order notional 99.4 <= 10,000", "pass"),
        ("open positions 3 <= 2, which it does not add to", "pass"),
    ]


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


ENTRY = order_pb2.Order(
    order_id="s1.1",
    client_order_id="v1",
    instrument="BTC/USDT",
    side=common_pb2.SIDE_BUY,
    effect=order_pb2.ORDER_EFFECT_ENTRY,
    order_type=common_pb2.ORDER_TYPE_LIMIT,
    time_in_force=common_pb2.TIME_IN_FORCE_GTC,
    quantity="0.5",
    limit_price="60000",
    state=common_pb2.ORDER_STATE_SUBMITTED,
)
LEG = {"instrument": "BTC/USDT", "side": common_pb2.SIDE_SELL, "entry_order_id": "s1.1", "quantity": "0.5"}
STOP = order_pb2.Order(
    order_id="s1.1-1",
    leg=order_pb2.BRACKET_LEG_STOP_LOSS,
    order_type=common_pb2.ORDER_TYPE_STOP,
    stop_price="58000",
    state=common_pb2.ORDER_STATE_ACCEPTED,
    **LEG,
)
TARGET = order_pb2.Order(
    order_id="s1.1-2",
    leg=order_pb2.BRACKET_LEG_TAKE_PROFIT,
    target=2,
    order_type=common_pb2.ORDER_TYPE_LIMIT,
    limit_price="64000",
    state=common_pb2.ORDER_STATE_REJECTED,
    reason="REDUCE_ONLY",
    **LEG,
)


def with_state(order: order_pb2.Order, state: Any, filled: str = "", price: str = "") -> order_pb2.Order:
    made = order_pb2.Order()
    made.CopyFrom(order)
    made.state, made.filled_quantity, made.average_price = state, filled, price
    return made


def test_order_that_rests_is_told_with_its_price_and_a_leg_with_its_role() -> None:
    told = [
        describe_entry(entry("x", 1, **event)).text
        for event in (
            {"order_submitted": journal_pb2.OrderSubmitted(order=ENTRY)},
            {"order_submitted": journal_pb2.OrderSubmitted(order=STOP)},
            {"order_updated": journal_pb2.OrderUpdated(order=STOP)},
            {"order_updated": journal_pb2.OrderUpdated(order=with_state(STOP, common_pb2.ORDER_STATE_FILLED, "0.5", "57990"))},
            {"bracket_changed": journal_pb2.BracketChanged(entry_order_id="s1.1", reason="STOP_MOVED", detail="stop to 60100")},
        )
    ]  # fmt: skip
    assert told == [
        "BUY 0.5 BTC/USDT at 60000 (limit, GTC), client order id v1",
        "SELL 0.5 BTC/USDT from 58000 on (stop, stop of s1.1), client order id ",
        "stop ACCEPTED",
        "stop FILLED 0.5 at 57990",
        "STOP_MOVED: stop to 60100",
    ]


def test_fill_is_told_with_its_liquidity_and_what_was_assumed() -> None:
    fill = order_pb2.Fill(
        side=common_pb2.SIDE_SELL, quantity="0.5", price="57990", liquidity="triggered", assumptions=["gap", "1 bps"]
    )
    step = describe_entry(entry("f", 1, fill_recorded=journal_pb2.FillRecorded(fill=fill)))
    assert ("liquidity", "triggered") in step.details
    assert ("assumed", "gap; 1 bps") in step.details
    assert "quote used" not in dict(step.details)


def test_orders_of_a_signal_are_as_the_newest_entry_tells_them() -> None:
    partly = with_state(ENTRY, common_pb2.ORDER_STATE_PARTIALLY_FILLED, "0.2", "60000")
    denied = with_state(ENTRY, common_pb2.ORDER_STATE_INITIALIZED)
    denied.order_id = "s1.2"
    entries = [
        entry("a", 1, order_evaluated=journal_pb2.OrderEvaluated(order=denied)),
        entry("b", 1, order_submitted=journal_pb2.OrderSubmitted(order=ENTRY)),
        entry("c", 2, order_updated=journal_pb2.OrderUpdated(order=partly)),
        entry("d", 3, order_submitted=journal_pb2.OrderSubmitted(order=ENTRY)),
        entry("e", 4, order_evaluated=journal_pb2.OrderEvaluated(order=TARGET)),
        entry("f", 5, order_submitted=journal_pb2.OrderSubmitted(order=STOP)),
    ]
    assert [order_cells(order) for order in latest_orders(entries)] == [
        ("s1.1", "entry", "BUY 0.5 BTC/USDT at 60000 (limit, GTC)", "PARTIALLY_FILLED", "0.2 at 60000", ""),
        ("s1.1-2", "target 2 of s1.1", "SELL 0.5 BTC/USDT at 64000 (limit)", "REJECTED", "", "REDUCE_ONLY"),
        ("s1.1-1", "stop of s1.1", "SELL 0.5 BTC/USDT from 58000 on (stop)", "ACCEPTED", "", ""),
    ]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"order_type": "ORDER_TYPE_MARKET"}, "BUY 1 BTC/USDT at market"),
        (
            {"order_type": "ORDER_TYPE_STOP_LIMIT", "stop_price": "90", "limit_price": "91"},
            "BUY 1 BTC/USDT from 90 on, at 91 (stop limit)",
        ),
        (
            {"order_type": "ORDER_TYPE_TRAILING_STOP", "trail_percent": "2", "activation_price": "99"},
            "BUY 1 BTC/USDT 2% behind the best price, once 99 is seen (trailing stop)",
        ),
        (
            {"order_type": "ORDER_TYPE_LIMIT", "limit_price": "90", "post_only": True},
            "BUY 1 BTC/USDT at 90 (limit, post-only)",
        ),
    ],
)
def test_order_of_any_type_is_told_with_its_prices(fields: dict[str, Any], text: str) -> None:
    assert describe_order(order_pb2.Order(instrument="BTC/USDT", side="SIDE_BUY", quantity="1", **fields)) == text
