"""Entries that are older than history is kept go a segment at a time; history proves itself as before, and says what went."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import event_subject
from vantixs.proof.note import open_checkpoint
from vantixs.proof.tree import includes, leaf_hash
from vantixs.runtime.continuity import Mark
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.journal_stream import STREAM
from vantixs.runtime.outbox import Outbox
from vantixs.testing.journal import connected
from vantixs.testing.nats import NatsServer
from vantixs_audit import store
from vantixs_audit.get_signal import get_signal
from vantixs_audit.history_retention.service import HistoryRetention
from vantixs_audit.main import MIGRATIONS
from vantixs_audit.proof.prove import prove_signal
from vantixs_audit.proof.verify import Walk
from vantixs_audit.rebuild import rebuild_signals
from vantixs_audit.recorder import Recorder
from vantixs_audit.replays import rows as replay_rows
from vantixs_audit.replays.run_signal import _current_webhooks
from vantixs_audit.retention import oldest_time
from vantixs_audit.settings import AuditSettings
from vantixs_audit.tables import ENTRIES, KEPT_CONFIGURATION, SEGMENTS, SIGNALS

from tests.support.history_retention_rig import BEGIN, DAY, KEEP, KeptHistory, message, waiting
from tests.support.history_rig import SIGNER, deliveries


@pytest.fixture
async def history(database_url: str, tmp_path: Path) -> AsyncIterator[KeptHistory]:
    database = await Database.open(replace(AuditSettings(), database_url=database_url), "audit", MIGRATIONS)
    yield KeptHistory(database, tmp_path)
    await database.close()


def kept_sequences(connection: sa.Connection) -> list[int]:
    return list(connection.execute(sa.select(ENTRIES.c.sequence).order_by(ENTRIES.c.sequence)).scalars())


def signal_rows(connection: sa.Connection) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in connection.execute(sa.select(SIGNALS).order_by(SIGNALS.c.number))]


def partitions(connection: sa.Connection) -> set[str]:
    query = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'entries'::regclass"
    return set(connection.exec_driver_sql(query).scalars())


async def change(history: KeptHistory, statement: Any) -> None:
    await history.database.write(lambda c: c.execute(statement) and None)


async def test_what_is_too_old_goes_and_what_is_left_proves_itself_with_all_before_it(history: KeptHistory) -> None:
    await history.days(3)
    before = await history.database.read(signal_rows)
    size = (await history.head()).sequence
    early = history.seen
    assert await history.drop(8.9) == 0
    dropped = await history.drop(10.5)  # Two segments by then: those of the days 0 and 1.
    head = await history.head()
    assert 0 < dropped < size
    assert await history.database.read(kept_sequences) == list(range(dropped + 1, head.sequence + 1))
    assert await history.database.read(signal_rows) == before
    if history.database.file is None:
        left = await history.database.read(partitions)
        assert left == {f"entries_{n}" for n in range(head.segment - len(left) + 1, head.segment + 1)}
        assert "entries_0" not in left
    assert await history.fault({"checkpoint given": early, "witness's checkpoint": history.seen}) is None
    walking = Walk(SIGNER.key, {})
    step = await history.database.read(walking.take_page)
    assert (step.not_kept, len(step.leaves)) == (dropped, dropped * 32)

    # History goes on: it is signed, and entries that are kept are proven by what is signed.
    await history.day(10)
    assert await history.fault({"checkpoint given": early, "witness's checkpoint": history.seen}) is None
    kept = (await history.database.read(signal_rows))[-1]["signal_id"]
    proof = await history.database.read(lambda c: prove_signal(c, kept, SIGNER.key))
    signed = open_checkpoint(proof.checkpoint, SIGNER.key)
    for entry in proof.entries:
        assert includes(leaf_hash(entry.data), entry.sequence - 1, signed.size, list(entry.hashes), signed.root)


async def test_a_signal_whose_entries_went_is_shown_by_its_row_and_says_so(history: KeptHistory) -> None:
    await history.days(1)
    first = (await history.database.read(signal_rows))[0]
    dropped = await history.drop(9)
    head = await history.head()
    assert dropped
    assert head.dropped_signals >= 1
    shown = await history.database.read(lambda c: get_signal(c, first["signal_id"], BEGIN))
    assert shown.entries_not_kept
    assert not shown.timeline
    assert shown.signal.status == common_pb2.SignalStatus.Value(f"SIGNAL_STATUS_{first['status']}")
    assert f"What history had of it up to entry {dropped} is no longer kept." in shown.sentence
    for ask in (
        lambda c: prove_signal(c, first["signal_id"], SIGNER.key),
        lambda c: replay_rows.by_ids(c, [first["signal_id"]]),
    ):
        with pytest.raises(ServiceError) as refused:
            await history.database.read(ask)
        assert refused.value.reason == "ENTRIES_NOT_KEPT"
    every = await history.database.read(lambda c: replay_rows.by_filter(c, audit_pb2.SignalFilter(), 1000))
    rows = await history.database.read(signal_rows)
    assert every == [row["signal_id"] for row in rows if row["number"] > head.dropped_signals]
    last = await history.database.read(lambda c: get_signal(c, rows[-1]["signal_id"], BEGIN))
    assert last.timeline
    assert not last.entries_not_kept

    # What comes of it later goes into its row; an upgrade that makes rows again leaves it as it is.
    late = message("late", first["signal_id"], fill_recorded=journal_pb2.FillRecorded())
    await history.day(9.1, messages=[late])
    after = (await history.database.read(signal_rows))[0]
    assert after == {**first, "sequence": after["sequence"], "view_sequence": after["sequence"], **changed_by(after)}
    assert after["sequence"] > dropped
    await change(history, sa.update(SIGNALS).values(view_sequence=0))
    await rebuild_signals(history.database, asyncio.Event())
    assert (await history.database.read(signal_rows))[0] == after
    assert await history.fault() is None


def changed_by(row: dict[str, Any]) -> dict[str, Any]:
    """What a fill that came late changes."""
    return {
        name: row[name] for name in ("update_time", "fill_time", "fill_latency_us", "measures", "facts", "first_time")
    }


async def test_by_default_everything_is_kept_in_one_segment(history: KeptHistory) -> None:
    history.retention = history.new_retention(timedelta())
    await history.days(3)
    assert await history.drop(5000) == 0
    assert (await history.head()).segment == 0


async def test_nothing_is_written_while_nothing_is_due(history: KeptHistory) -> None:
    await history.days(3)
    begun: list[Any] = []
    sa.event.listen(history.database._writer, "begin", begun.append)
    for day in (3.1, 3.5, 3.9):
        assert not await history.retention.apply(BEGIN + day * DAY)
    assert not begun
    # A segment is due, and begins in a transaction that the hook sees.
    segment = (await history.head()).segment
    await history.retention.apply(BEGIN + 4 * DAY)
    assert (len(begun), (await history.head()).segment) == (1, segment + 1)
    # The segment is empty: the next one is not due, however long it takes.
    await history.retention.apply(BEGIN + 5 * DAY)
    assert len(begun) == 1


async def test_an_event_that_comes_again_is_known_in_whatever_segment_it_is(history: KeptHistory) -> None:
    told = deliveries(history.random, 8, "again")
    await history.day(0, messages=told)
    await history.days(3)
    head = await history.head()
    assert head.segment > 1
    # The journal is read again from its beginning, as after a gap that was accepted.
    await history.database.write(lambda c: store.write_head(c, head._replace(mark=Mark(1, "other", 0))))
    again = [replace(one, stream_sequence=n) for n, one in enumerate(told, 1)]
    await history.database.write(lambda c: store.record(c, again, Mark(1, "other", len(again))))
    assert (await history.head()).sequence == head.sequence


async def test_what_is_configured_is_known_though_the_entry_that_said_so_went(history: KeptHistory) -> None:
    def webhook(name: str, text: str) -> Any:
        event = journal_pb2.ConfigurationChanged(kind="webhook", id=name, after_json=text)
        return {"configuration_changed": event}

    told = [
        message("c1", **webhook("w1", '{"webhook_id": "w1", "account_id": "old"}')),
        message("c2", **webhook("w1", '{"webhook_id": "w1", "account_id": "new"}')),
        message("c3", **webhook("w2", '{"webhook_id": "w2"}')),
    ]
    await history.day(0, messages=told)
    await history.days(1)
    await history.day(2, messages=[message("c4", **webhook("w2", ""))])
    assert await history.drop(9.5)
    now = await history.database.read(_current_webhooks)
    assert {name: found.account_id for name, found in now.items()} == {"w1": "new"}
    assert await history.fault() is None
    await change(history, sa.update(KEPT_CONFIGURATION).values(data=b"\x0a\x01x"))
    assert (await history.fault()).kind == audit_pb2.HISTORY_FAULT_KIND_ALTERED


async def hold_by_open_signal(history: KeptHistory) -> Callable[[], Any]:
    event = journal_pb2.SignalAccepted(webhook={"webhook_id": "w1"})
    await history.day(0, messages=[message("open", "open", signal_accepted=event)])

    async def release() -> None:
        ended = journal_pb2.SignalCompleted(status=common_pb2.SIGNAL_STATUS_FAILED)
        await history.day(9.1, messages=[message("closed", "open", signal_completed=ended)])

    return release


async def hold_by_replay(history: KeptHistory) -> Callable[[], Any]:
    await history.day(0, name="replayed")
    replay = audit_pb2.Replay(replay_id="r1", state=audit_pb2.REPLAY_STATE_PAUSED)
    ids = [row["signal_id"] for row in await history.database.read(signal_rows)]
    await history.database.write(lambda c: replay_rows.insert(c, replay, "", ids[:1]))

    async def release() -> None:
        replay.state = audit_pb2.REPLAY_STATE_CANCELED
        await history.database.write(lambda c: replay_rows.update(c, replay))

    return release


async def hold_by_journal(history: KeptHistory) -> Callable[[], Any]:
    await history.day(0)
    history.oldest_in_journal = BEGIN + 0.5 * DAY

    async def release() -> None:
        history.oldest_in_journal = BEGIN + 5 * DAY

    return release


async def hold_by_unknown_journal(history: KeptHistory) -> Callable[[], Any]:
    release = await hold_by_journal(history)
    history.oldest_in_journal = None
    return release


async def hold_by_witness(history: KeptHistory) -> Callable[[], Any]:
    await history.day(0)

    async def release() -> None:
        await history.checkpoints.sign()

    return release


@pytest.mark.parametrize(
    "hold", [hold_by_open_signal, hold_by_replay, hold_by_journal, hold_by_unknown_journal, hold_by_witness]
)
async def test_entries_stay_while_they_are_needed(history: KeptHistory, hold: Any) -> None:
    release = await hold(history)
    await history.day(1)
    await history.day(2)
    if hold is hold_by_witness:
        history.witness_file.unlink()
    for day in (9.05, 9.06):
        await history.retention.apply(BEGIN + day * DAY)
        assert not await history.database.read(waiting)
    await release()
    assert await history.drop(9.2) > 0
    assert await history.fault() is None


async def test_entries_that_were_altered_stay_so_that_it_can_be_found(history: KeptHistory) -> None:
    await history.days(2)
    await change(
        history, sa.update(ENTRIES).where(ENTRIES.c.sequence == 3).values(data=b"x", leaf_hash=leaf_hash(b"x"))
    )
    assert await history.drop(20) == 0
    assert not await history.database.read(waiting)
    assert (await history.fault()).last == 3


async def test_what_was_begun_is_finished_though_everything_is_to_be_kept_from_then_on(history: KeptHistory) -> None:
    await history.days(1)
    assert not await history.retention.apply(BEGIN + 9 * DAY)
    await history.pass_on()
    history.retention = history.new_retention(timedelta())
    assert await history.drop(9) > 0
    assert await history.drop(500) == (await history.head()).dropped_sequence


async def test_a_walk_goes_on_over_entries_that_go_meanwhile(history: KeptHistory, monkeypatch: Any) -> None:
    monkeypatch.setattr("vantixs_audit.proof.tree_walk.PAGE", 20)
    monkeypatch.setattr("vantixs_audit.proof.row_walk.PAGE", 20)
    await history.days(2)
    for pages in (1, 4, 15):
        walking = Walk(SIGNER.key, {})
        for _ in range(pages):
            step = await history.database.read(walking.take_page)
            assert step.fault is None
        await history.drop(8.5 + pages / 10)
        while not (step := await history.database.read(walking.take_page)).done:
            assert step.fault is None
        assert step.fault is None


async def test_days_are_kept_with_a_real_journal(nats: NatsServer, history: KeptHistory) -> None:
    database = history.database

    async def until(condition: Callable[[store.Head], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition(await history.head()):
                await asyncio.sleep(0.02)

    async with connected(nats) as (journal, life):
        outbox = Outbox(store.OUTBOX, database, journal)
        recorder = Recorder(database, journal, await history.head())
        works = [life.spawn(work(life.stopping), name="work") for work in (recorder.run, outbox.run)]

        async def publish(name: str) -> int:
            for one in deliveries(history.random, 5, name):
                await journal.publish(event_subject("order"), one.data, f"{name}-{one.stream_sequence}")
            last = (await journal.js.stream_info(STREAM)).state.last_seq
            await until(lambda head: head.mark.sequence >= last)
            await history.checkpoints.sign()
            return (await history.head()).sequence

        now = datetime.now(UTC)
        retention = HistoryRetention(database, outbox, history.witness, SIGNER.key, partial(oldest_time, journal), KEEP)
        last = await publish("a")
        await retention.apply(now + 0.1 * DAY)
        await publish("b")
        # The journal still has what would go: nothing is said, and nothing goes.
        await retention.apply(now + 9 * DAY)
        assert not await database.read(waiting)
        assert (await history.head()).dropped_sequence == 0
        await database.write(lambda c: c.execute(sa.update(SEGMENTS).values(begin_time=now - 20 * DAY)) and None)
        async with asyncio.timeout(30):
            while not (await history.head()).dropped_sequence:
                await retention.apply(now)
                await history.checkpoints.sign()
                await asyncio.sleep(0.02)
        assert (await history.head()).dropped_sequence == last
        while await retention.apply(now):
            pass
        assert await history.fault({"witness's checkpoint": history.seen}) is None
        life.stopping.set()
        await asyncio.wait(works)
