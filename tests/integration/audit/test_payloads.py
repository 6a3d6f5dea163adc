"""Who sees a payload, sealed or not, on both databases, and the entry that each look leaves."""

from random import Random
from typing import Any

import pytest
from vantixs.api.journal.v1 import journal_pb2
from vantixs.runtime.errors import ServiceError, unavailable
from vantixs.runtime.grpc_server import Caller, Role
from vantixs_audit.history_reads import PayloadViews, has_payload, without_payload

from tests.support.history_reads import AUDITOR, VIEWER, Reads, accepted, delivered, sealed


async def test_look_at_a_payload_is_an_entry_once_an_hour_for_each_person(
    reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    views = PayloadViews(reads.database, reads.outbox, lambda: clock[0])
    assert await views.may_see(Caller(Role.SERVICE, "router"), "s")
    assert await views.may_see(Caller(Role.VIEWER, ""), "s")
    assert not await reads.noted(), "neither is a person"
    for who in (VIEWER, VIEWER, AUDITOR):
        assert await views.may_see(who, "s")
    assert [(e.actor, e.history_read.filter) for e in await reads.noted()] == [
        ("viewer:bob", "s"),
        ("auditor:eve", "s"),
    ]
    clock[0] = 3601.0
    assert await views.may_see(VIEWER, "s")
    assert len(await reads.noted()) == 3

    async def full(_: Any) -> None:
        raise unavailable("STORAGE_UNAVAILABLE", "disk full")

    monkeypatch.setattr(reads.database, "write", full)
    assert not await views.may_see(VIEWER, "another"), "what leaves no entry is not shown"


def test_payload_is_taken_out_of_every_entry_that_has_it() -> None:
    entry = accepted(b"plan")
    assert has_payload(entry)
    again = journal_pb2.JournalEntry()
    again.replay_finished.entries.append(entry)
    dead = journal_pb2.JournalEntry()
    dead.dead_lettered.data = b"plan"
    for one in (entry, again, dead):
        assert b"plan" not in without_payload(one).SerializeToString()
    assert not has_payload(entry)
    assert not has_payload(dead)


async def test_sealed_payload_is_given_after_the_entry_of_each_look(
    reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    await reads.record(delivered(sealed(b"secret plan"), accepted(b"open plan")), Random(1), copy=False)
    for number in (1, 2):
        found = await reads.payloads.get("s", AUDITOR)
        assert (found.payload, found.payload_sha256, found.sealed) == (b"secret plan", b"h" * 32, True)
        noted = await reads.noted()
        assert [(e.actor, e.history_read.kind, e.history_read.filter) for e in noted] == [
            ("auditor:eve", "payload", "s")
        ] * number
    with pytest.raises(ServiceError, match="SIGNAL_NOT_FOUND"):
        await reads.payloads.get("none", AUDITOR)

    async def full(_: Any) -> None:
        raise unavailable("STORAGE_UNAVAILABLE", "disk full")

    monkeypatch.setattr(reads.database, "write", full)
    with pytest.raises(ServiceError, match="STORAGE_UNAVAILABLE"):
        await reads.payloads.get("s", AUDITOR)


async def test_payload_of_a_lost_key_or_altered_says_so_and_leaves_no_entry(reads: Reads) -> None:
    lost, altered = sealed(b"plan", b"1" * 32, "lost"), sealed(b"plan", signal_id="altered")
    request = altered.signal_accepted.request
    request.sealed_payload = request.sealed_payload[:-1] + bytes([request.sealed_payload[-1] ^ 1])
    await reads.record(delivered(lost, altered, sealed(b"good", signal_id="good")), Random(1), copy=False)
    for signal_id, reason in (("lost", "PAYLOAD_KEY_MISSING"), ("altered", "PAYLOAD_ALTERED")):
        with pytest.raises(ServiceError, match=reason):
            await reads.payloads.get(signal_id, AUDITOR)
    assert not await reads.noted()
    exported = {one.signal.signal_id: one for one in await reads.export(payloads=True)}
    assert {name: one.payload_unreadable.partition(":")[0] for name, one in exported.items()} == {
        "lost": "PAYLOAD_KEY_MISSING",
        "altered": "PAYLOAD_ALTERED",
        "good": "",
    }
    kept = exported["lost"].timeline[0].entry.signal_accepted.request
    assert (kept.payload, kept.sealed_payload) == (b"", lost.signal_accepted.request.sealed_payload)
    opened = exported["good"].timeline[0].entry.signal_accepted.request
    assert (opened.payload, opened.sealed_payload) == (b"good", b"")
    (without, *_) = await reads.export(VIEWER, timeline=True)
    request = without.timeline[0].entry.signal_accepted.request
    assert (request.payload, request.sealed_payload, request.payload_sha256) == (b"", b"", b"h" * 32)


def test_sealed_payload_needs_no_entry_to_be_seen_sealed() -> None:
    assert not has_payload(sealed(b"plan"))
