"""What is read of history on both databases: watches that go on, exports that leave an entry, and statistics."""

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2, order_pb2, signal_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.proof.signal_proof import ProvenEntry, check_proof, write_proof
from vantixs.runtime.continuity import Mark
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError, unavailable
from vantixs.runtime.grpc_server import Caller, Role
from vantixs.runtime.health import Health
from vantixs.runtime.journal import Journal
from vantixs.runtime.journal_reader import Delivery
from vantixs.runtime.outbox import Outbox
from vantixs.runtime.secret_cipher import PayloadCipher
from vantixs_audit import export_signals, recorder, store
from vantixs_audit.export_signals import Exports
from vantixs_audit.get_payload import Payloads
from vantixs_audit.history_reads import PayloadViews, has_payload, without_payload
from vantixs_audit.main import MIGRATIONS
from vantixs_audit.recorder import Follower, Watchers
from vantixs_audit.settings import AuditSettings
from vantixs_audit.statistics import PHASES, read_statistics
from vantixs_audit.stragglers import Stragglers
from vantixs_audit.tables import SIGNALS
from vantixs_audit.watch_signals import watch_signals

from tests.support.history_rig import SIGNER, History, deliveries

AUDITOR, VIEWER = Caller(Role.AUDITOR, "eve"), Caller(Role.VIEWER, "bob")
START = datetime(2026, 11, 26, tzinfo=UTC)


class Reads(History):
    """A history with those who read it."""

    def __init__(self, database: Database, directory: Path) -> None:
        super().__init__(database, directory)
        settings = AuditSettings(home=directory)
        self.journal = Journal(settings, Health(), service="audit")
        self.watchers = Watchers(3)
        self.outbox = Outbox(store.OUTBOX, database, self.journal)
        self.payloads = Payloads(database, self.outbox, PayloadCipher(bytes(32)))
        self.exports = Exports(database, self.outbox, SIGNER.key, PayloadCipher(bytes(32)))

    async def export(self, who: Caller = AUDITOR, **asked: Any) -> list[audit_pb2.ExportSignalsResponse]:
        request = audit_pb2.ExportSignalsRequest(**asked)
        return [response async for response in self.exports.export(request, who)]

    async def noted(self) -> list[journal_pb2.JournalEntry]:
        """What is on its way into the journal."""
        rows = await self.database.read(lambda c: c.execute(sa.select(store.OUTBOX.c.payload)).scalars().all())
        return [entry for data in rows for entry in journal_pb2.JournalBatch.FromString(data).entries]

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[Follower]:
        head = await self.database.read(store.read_head)
        follower, stopping = Follower(self.database, self.journal, self.watchers, head), asyncio.Event()
        task = asyncio.create_task(follower.run(stopping))
        yield follower
        stopping.set()
        follower.wake()
        await task


@pytest.fixture
async def reads(database_url: str, tmp_path: Path) -> AsyncIterator[Reads]:
    database = await Database.open(replace(AuditSettings(), database_url=database_url), "audit", MIGRATIONS)
    try:
        yield Reads(database, tmp_path)
    finally:
        await database.close()


async def nothing() -> None:
    """For a watch whose beginning nobody waits for."""


async def test_watch_that_is_cut_off_again_and_again_misses_no_state_that_stayed(
    reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vantixs_audit.watch_signals.AT_ONCE", 7)
    random = Random(3)
    await reads.record(deliveries(random, 5, "before"), random, copy=False)
    begin = (await reads.database.read(store.read_head)).sequence
    last: dict[str, int] = {}
    position = begin

    async def watch(cut: int) -> None:
        nonlocal position
        request = audit_pb2.WatchSignalsRequest(after_sequence=position, heartbeat_s=1)
        async with contextlib.aclosing(watch_signals(reads.database, reads.watchers, request, nothing)) as changes:
            async for change in changes:
                assert change.sequence >= position
                position = change.sequence
                if change.HasField("signal"):
                    assert change.signal.sequence > last.get(change.signal.signal_id, begin), "told twice"
                    last[change.signal.signal_id] = change.signal.sequence
                    cut -= 1
                # Nothing comes any more where all was told before anybody knew where the end is.
                if not cut or position == end or (writing.done() and not change.HasField("signal")):
                    return

    end = 0
    async with reads.following() as follower, asyncio.timeout(100):
        writing = asyncio.create_task(reads.record(deliveries(random, 60, "now"), random, copy=False))
        while not (writing.done() and position == end):
            await watch(random.randint(1, 9))
            follower.wake()
            if writing.done():
                end = (await reads.database.read(store.read_head)).sequence
        await writing
    query = sa.select(SIGNALS.c.signal_id, SIGNALS.c.sequence).where(SIGNALS.c.sequence > begin)
    assert last == {r.signal_id: r.sequence for r in await reads.database.read(lambda c: c.execute(query).all())}


async def test_watch_by_a_filter_tells_only_what_it_means(reads: Reads) -> None:
    random = Random(4)
    request = audit_pb2.WatchSignalsRequest(heartbeat_s=300)
    request.filter.expression = 'webhook = "w1"'
    begun = asyncio.Event()

    async def begin() -> None:
        begun.set()

    told: list[audit_pb2.SignalSummary] = []

    async def watch() -> None:
        async for change in watch_signals(reads.database, reads.watchers, request, begin):
            if change.HasField("signal"):
                told.append(change.signal)

    async with reads.following() as follower, asyncio.timeout(60):
        watching = asyncio.create_task(watch())
        await begun.wait()
        await reads.record(deliveries(random, 20), random, copy=False)
        query = sa.select(SIGNALS.c.sequence).where(SIGNALS.c.webhook_id == "w1").order_by(SIGNALS.c.sequence.desc())
        newest = await reads.database.read(lambda c: c.execute(query).scalar())
        while not (told and told[-1].sequence == newest):
            follower.wake()
            await asyncio.sleep(0.01)
        reads.watchers.close()
        await watching
    assert {signal.webhook_id for signal in told} == {"w1"}


async def test_watch_refuses_what_it_cannot_mean(reads: Reads) -> None:
    wrong = audit_pb2.WatchSignalsRequest(filter=audit_pb2.SignalFilter(expression="(("))
    requests = [audit_pb2.WatchSignalsRequest(after_sequence=n) for n in (1, -1)]
    for request in (wrong, audit_pb2.WatchSignalsRequest(heartbeat_s=301), *requests):
        with pytest.raises(ServiceError) as caught:
            await anext(watch_signals(reads.database, reads.watchers, request, nothing))
        assert caught.value.code.name == "INVALID_ARGUMENT"


async def test_slow_reader_ends_with_a_reason_and_too_many_are_refused(
    reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "WATCH_QUEUE", 2)
    request = audit_pb2.WatchSignalsRequest(heartbeat_s=300)
    watches = [watch_signals(reads.database, reads.watchers, request, nothing) for _ in range(4)]
    for watch in watches[:3]:
        assert not (await anext(watch)).HasField("signal")
    with pytest.raises(ServiceError, match="too many watch already"):
        await anext(watches[3])
    signals = [audit_pb2.SignalSummary(signal_id=str(n), sequence=n) for n in range(1, 5)]
    reads.watchers.tell(signals[:2], 2)
    reads.watchers.tell(signals[2:], 4)
    # What was kept is told; then it ends, and what was not kept is after the last sequence.
    assert [(await anext(watches[0])).sequence for _ in range(2)] == [1, 2]
    with pytest.raises(ServiceError) as caught:
        await anext(watches[0])
    assert (caught.value.code.name, caught.value.reason) == ("UNAVAILABLE", "WATCH_TOO_SLOW")
    for watch in watches[1:3]:
        await watch.aclose()
    assert not reads.watchers.any


async def test_export_gives_each_signal_once_and_is_an_entry(reads: Reads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_signals, "PAGE", 7)
    random = Random(5)
    await reads.record(deliveries(random, 40), random, copy=False)
    found = await reads.export(VIEWER, timeline=True)
    query = sa.select(SIGNALS.c.signal_id).order_by(SIGNALS.c.number)
    assert [r.signal.signal_id for r in found] == await reads.database.read(lambda c: c.execute(query).scalars().all())
    assert [(r.exported, r.total) for r in found] == [(n, 40) for n in range(1, 41)]
    for response in found:
        timeline = [recorded.entry.signal_id for recorded in response.timeline]
        assert timeline == [response.signal.signal_id] * len(timeline) != []
    (entry,) = await reads.noted()
    read = entry.history_read
    assert (entry.actor, read.kind, read.count, read.payloads) == ("viewer:bob", "export", 40, False)
    filtered = await reads.export(filter=audit_pb2.SignalFilter(webhook_id="w2"))
    assert {r.signal.webhook_id for r in filtered} == {"w2"}
    assert not filtered[0].timeline
    noted = (await reads.noted())[1].history_read
    assert (noted.count, noted.filter) == (len(filtered), '{"webhook_id": "w2"}')


def accepted(payload: bytes) -> journal_pb2.JournalEntry:
    entry = journal_pb2.JournalEntry(event_id="e", signal_id="s")
    entry.signal_accepted.request.payload = payload
    entry.signal_accepted.request.payload_sha256 = b"h" * 32
    entry.event_time.FromDatetime(START)
    return entry


def delivered(*entries: journal_pb2.JournalEntry) -> list[Delivery]:
    return [
        Delivery("subject", journal_pb2.JournalBatch(entries=[entry]).SerializeToString(), number, START)
        for number, entry in enumerate(entries, 1)
    ]


async def test_payloads_and_proofs_are_for_auditors(reads: Reads) -> None:
    await reads.record(delivered(accepted(b"secret plan")), Random(1), copy=False)
    for asked in ({"payloads": True}, {"proofs": True}):
        with pytest.raises(ServiceError) as caught:
            await reads.export(VIEWER, **asked)
        assert (caught.value.code.name, caught.value.reason) == ("PERMISSION_DENIED", "ROLE_INSUFFICIENT")
    assert not await reads.noted()
    (without,) = await reads.export(VIEWER, timeline=True)
    request = without.timeline[0].entry.signal_accepted.request
    assert (request.payload, request.payload_sha256) == (b"", b"h" * 32)
    (with_it,) = await reads.export(payloads=True)
    assert with_it.timeline[0].entry.signal_accepted.request.payload == b"secret plan"
    (proven,) = await reads.export(proofs=True)
    entries = [ProvenEntry(e.sequence, e.data, list(e.hashes)) for e in proven.proof.entries]
    assert check_proof(write_proof("s", proven.proof.checkpoint, entries), SIGNER.key).signal_id == "s"
    assert [e.history_read.proofs for e in await reads.noted()] == [False, False, True]
    # Nothing of what was read is in the entry.
    assert not any(b"secret plan" in entry.SerializeToString() for entry in await reads.noted())


async def test_export_that_is_cancelled_ends_and_frees_its_place(reads: Reads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_signals, "MOST_AT_ONCE", 1)
    random = Random(6)
    await reads.record(deliveries(random, 5), random, copy=False)
    first = reads.exports.export(audit_pb2.ExportSignalsRequest(), AUDITOR)
    await anext(first)
    with pytest.raises(ServiceError, match="at most 1 exports at once"):
        await reads.export()
    await first.aclose()
    assert len(await reads.export()) == 5


def timed(random: Random, number: int) -> list[journal_pb2.JournalEntry]:
    """A signal's entries with times of their own, some without price, fill or end."""
    at = START + timedelta(seconds=random.randint(0, 86_399), microseconds=random.randint(0, 999_999))
    signal_id = f"s{number}"

    def entry(name: str, after_us: int, **event: Any) -> journal_pb2.JournalEntry:
        nonlocal at
        at += timedelta(microseconds=after_us)
        made = journal_pb2.JournalEntry(event_id=f"{signal_id}:{name}", signal_id=signal_id, **event)
        made.event_time.FromDatetime(at)
        return made

    def lag() -> int:
        return int(10 ** random.uniform(0, 7))

    signal = signal_pb2.Signal(signal_id=signal_id, price="100" if random.random() < 0.7 else "")
    signal.emit_time.FromDatetime(at - timedelta(microseconds=random.randint(-2000, 5_000_000)))
    event = journal_pb2.SignalAccepted(signal=signal)
    event.webhook.webhook_id, event.webhook.account_id = random.choice(("w1", "w2")), random.choice(("a", "b"))
    event.request.receive_time.FromDatetime(at)
    told = [entry("accepted", lag(), signal_accepted=event)]
    if random.random() < 0.2:
        return told
    order = order_pb2.Order(
        order_id=f"{signal_id}.1", signal_id=signal_id, side=random.choice((common_pb2.SIDE_BUY, common_pb2.SIDE_SELL))
    )
    told.append(entry("evaluated", lag(), order_evaluated=journal_pb2.OrderEvaluated(order=order)))
    told.append(entry("submitted", lag(), order_submitted=journal_pb2.OrderSubmitted(order=order)))
    order.filled_quantity, order.average_price = "1", str(random.randint(9000, 11000) / 100)
    fill = order_pb2.Fill(order_id=order.order_id, quantity="1", price=order.average_price)
    told.append(entry("filled", lag(), fill_recorded=journal_pb2.FillRecorded(fill=fill)))
    told.append(entry("updated", 0, order_updated=journal_pb2.OrderUpdated(order=order)))
    status = random.choice((common_pb2.SIGNAL_STATUS_EXECUTED, common_pb2.SIGNAL_STATUS_FAILED))
    done = journal_pb2.SignalCompleted(status=status, reason=random.choice(("", "WHY")), stage="venue")
    return [*told, entry("completed", lag(), signal_completed=done)]


def nearest_rank(values: list[int], percent: int) -> int:
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


@pytest.mark.parametrize("group", [0, 1, 2])
@pytest.mark.parametrize("bucket", [0, 1, 2])
async def test_statistics_are_what_the_rows_say(reads: Reads, group: int, bucket: int) -> None:
    random = Random(7)
    entries = [entry for number in range(150) for entry in timed(random, number)]
    await reads.database.write(lambda c: store.record(c, delivered(*entries), Mark(0, "stream", len(entries))))
    request = audit_pb2.GetStatisticsRequest(group=group, bucket=bucket)  # type: ignore[arg-type]
    request.filter.until.FromDatetime(START + timedelta(days=1))
    found = await reads.database.read(lambda c: read_statistics(c, request, START))
    rows = await reads.database.read(lambda c: c.execute(sa.select(SIGNALS)).all())
    cells: dict[tuple[str, int], list[Any]] = {}
    for row in rows:
        key = ("", row.webhook_id, row.account_id)[group]
        seconds = int(row.receive_time.timestamp())
        start = (0, seconds // 3600 * 3600, seconds // 86400 * 86400)[bucket]
        cells.setdefault((key, start), []).append(row)
    assert [(s.key, s.start_time.seconds) for s in found] == sorted(cells)
    for told, members in zip(found, (cells[cell] for cell in sorted(cells)), strict=True):
        assert told.count == len(members)
        counted = Counter((f"SIGNAL_STATUS_{row.outcome}", row.reason) for row in members)
        assert {(common_pb2.SignalStatus.Name(c.status), c.reason): c.count for c in told.counts} == counted
        latencies = {one.phase: one for one in told.latencies}
        for phase, column in PHASES.items():
            values = [v for row in members if (v := getattr(row, column)) is not None]
            assert (phase in latencies) == bool(values)
            if values:
                one = latencies[phase]
                assert one.count == len(values)
                for percent, given in ((50, one.p50_us), (90, one.p90_us), (99, one.p99_us)):
                    exact = nearest_rank(values, percent)
                    assert exact <= given <= exact + abs(exact) * 0.01, (phase, percent)
        slips = [int(row.slippage_bps * 100) for row in members if row.slippage_bps is not None]
        assert told.slippage.count == len(slips)
        if slips:
            assert abs(float(told.slippage.mean_bps) * 100 - sum(slips) / len(slips)) <= 0.5
            for percent, text in ((50, told.slippage.p50_bps), (99, told.slippage.p99_bps)):
                exact = nearest_rank(slips, percent)
                assert exact - 0.5 <= float(text) * 100 <= exact + abs(exact) * 0.01 + 0.5


async def test_signal_without_an_end_is_a_straggler_until_it_has_one(reads: Reads, tmp_path: Path) -> None:
    health = Health()
    late = Stragglers(reads.database, health, 60)
    await reads.record(delivered(accepted(b"{}")), Random(1), copy=False)
    assert await late.look(START + timedelta(seconds=59)) == 0
    assert health.snapshot()["signals"] == (True, "")
    assert await late.look(START + timedelta(seconds=61)) == 1
    ok, detail = health.snapshot()["signals"]
    assert not ok
    assert detail.startswith("1 accepted signals have no end after 60 s")
    assert health.ready
    done = journal_pb2.JournalEntry(event_id="d", signal_id="s")
    done.signal_completed.status = common_pb2.SIGNAL_STATUS_EXECUTED
    done.event_time.FromDatetime(START + timedelta(seconds=70))
    await reads.record(delivered(done), Random(1), copy=False)
    assert await late.look(START + timedelta(seconds=80)) == 0


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


def sealed(payload: bytes, key: bytes = bytes(32), signal_id: str = "s") -> journal_pb2.JournalEntry:
    entry = accepted(b"")
    entry.event_id = entry.signal_id = signal_id
    request = entry.signal_accepted.request
    request.sealed_payload = PayloadCipher(key).seal(payload, request.payload_sha256)
    return entry


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
