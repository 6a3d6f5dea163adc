"""A signal's row is a total function of its entries: the same in every order of arrival, however they are batched."""

import itertools
from datetime import UTC, datetime
from random import Random
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs_audit.domain.status import View, apply_entry, slippage_bps
from vantixs_audit.entry_facts import facts_of
from vantixs_audit.views import row_of, view_of

from tests.support.signal_rows import entries_of

VERIFY, PAPER = journal_pb2.REPLAY_MODE_VERIFY, journal_pb2.REPLAY_MODE_PAPER
STATUSES = {"ACCEPTED", "EXECUTED", "REJECTED", "FAILED", "UNSPECIFIED"}


def entry(number: int, at_s: int, **event: Any) -> journal_pb2.JournalEntry:
    made = journal_pb2.JournalEntry(event_id=f"x{number}", signal_id="s1", **event)
    made.event_time.FromSeconds(1_000 + at_s)
    return made


@st.composite
def mixed_entries(draw: st.DrawFn) -> list[journal_pb2.JournalEntry]:
    """Entries as they come, and others that contradict them: two origins, two ends, the same times."""
    made = entries_of(Random(draw(st.integers(0, 10_000))), "s1")
    count = draw(st.integers(0, 3))
    for number in range(count):
        at = draw(st.integers(0, 2))
        order = order_pb2.Order(order_id=f"s1.{draw(st.integers(1, 2))}", side=draw(st.sampled_from((1, 2))))
        order.filled_quantity = order.average_price = draw(st.sampled_from(("", "1", "10", "9", "x")))
        made.append(
            entry(
                number,
                at,
                **draw(
                    st.sampled_from(
                        (
                            {"signal_completed": journal_pb2.SignalCompleted(status=common_pb2.SIGNAL_STATUS_FAILED)},
                            {"signal_completed": journal_pb2.SignalCompleted(status=common_pb2.SIGNAL_STATUS_EXECUTED)},
                            {"signal_completed": journal_pb2.SignalCompleted(status=99)},
                            {"signal_accepted": journal_pb2.SignalAccepted(webhook={"webhook_id": "w", "mode": 99})},
                            {"signal_rejected": journal_pb2.SignalRejected(reason="R")},
                            {"duplicate_suppressed": journal_pb2.DuplicateSuppressed(first_signal_id="s0")},
                            {"order_updated": journal_pb2.OrderUpdated(order=order)},
                            {"replay_finished": journal_pb2.ReplayFinished(replay_id="r9")},
                            {"replay_finished": journal_pb2.ReplayFinished(replay_id="r9", of_replay_id="r8")},
                            {"replay_finished": journal_pb2.ReplayFinished(replay_id="r8", mode=VERIFY)},
                            {"replay_finished": journal_pb2.ReplayFinished(replay_id="r7", mode=PAPER)},
                            {"bracket_changed": journal_pb2.BracketChanged()},
                            {},
                        )
                    )
                ),
            )
        )
    return made


def row(entries: list[journal_pb2.JournalEntry], stored_after: int = 0) -> dict[str, Any]:
    """The row of entries in that order; it goes through the database's form after each `stored_after` of them."""
    view = View()
    for number, one in enumerate(entries, 1):
        apply_entry(view, facts_of(one))
        if stored_after and number % stored_after == 0:
            view = view_of(SimpleNamespace(**row_of("s1", 1, 1, view)))
    return row_of("s1", 1, 1, view)


@settings(max_examples=150, deadline=None)
@given(mixed_entries(), st.randoms(use_true_random=False), st.integers(1, 3))
def test_row_is_the_same_in_every_order_of_arrival(
    entries: list[journal_pb2.JournalEntry], random: Random, stored_after: int
) -> None:
    expected = row(entries)
    assert expected["outcome"] in STATUSES
    ran = [
        (one.event_time.seconds, one.event_time.nanos, one.replay_finished.replay_id)
        for one in entries
        if one.HasField("replay_finished") and one.replay_finished.mode != VERIFY
    ]
    assert expected["status"] == ("REPLAYED" if ran else expected["outcome"])
    assert (expected["replay_count"], expected["replay_id"]) == (len(ran), max(ran)[2] if ran else "")
    without = row([one for one in entries if one.replay_finished.mode != VERIFY])
    names = ("status", "original_status", "outcome", "stage", "reason", "replay_of", "replay_root", "replay_time")
    assert [without[name] for name in names] == [expected[name] for name in names], "a VERIFY changes no status"
    if len(entries) <= 5:
        orders = [list(order) for order in itertools.permutations(entries)]
    else:
        orders = [random.sample(entries, len(entries)) for _ in range(40)]
    for order in orders:
        assert row(order) == expected
        assert row(order, stored_after) == expected


def test_row_says_which_replay_the_last_one_repeats_and_which_it_goes_back_to() -> None:
    first = journal_pb2.ReplayFinished(replay_id="r1", mode=PAPER, root_replay_id="r1")
    third = journal_pb2.ReplayFinished(replay_id="r3", mode=PAPER, of_replay_id="r2", root_replay_id="r1")
    entries = [entry(1, 1, replay_finished=first), entry(2, 2, replay_finished=third)]
    names = ("replay_count", "replay_id", "replay_of", "replay_root")
    assert [row(entries[:1])[name] for name in names] == [1, "r1", "", "r1"]
    assert [row(entries)[name] for name in names] == [2, "r3", "r2", "r1"]
    before = journal_pb2.ReplayFinished(replay_id="r0")
    assert row([entry(1, 1, replay_finished=before)])["replay_root"] == "r0", "entries of before name no root"


def test_nothing_is_known_of_a_signal_without_entries() -> None:
    assert row([])["outcome"] == "ACCEPTED"


def test_time_that_is_none_does_not_stop_history() -> None:
    accepted = journal_pb2.SignalAccepted()
    accepted.signal.emit_time.seconds = 10**15
    accepted.request.receive_time.nanos = -(2**31)
    found = row([entry(1, 5, signal_accepted=accepted)])
    assert (found["emit_time"], found["receive_time"]) == (None, datetime(1970, 1, 1, 0, 16, 45, tzinfo=UTC))


def test_slippage_is_what_was_paid_more_or_got_less() -> None:
    cases = {
        ("100", "1", "101"): "100.00",
        ("100", "-1", "101"): "-100.00",
        ("100", "-1", "99.9987"): "0.13",
        ("", "1", "101"): None,
        ("100", "", ""): None,
        ("0", "1", "101"): None,
        ("-5", "1", "101"): None,
        ("0.00000001", "1", "99999999999999999999"): None,
        ("x", "1", "NaN"): None,
    }
    for given_, expected in cases.items():
        found = slippage_bps(*given_)
        assert (None if found is None else str(found)) == expected, given_
