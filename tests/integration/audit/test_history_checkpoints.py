"""History that was there before the tree, checkpoints and their witness, and proofs of signals."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.proof.note import NoteError, history_signer, open_checkpoint
from vantixs.proof.signal_proof import ProvenEntry, check_proof, write_proof
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.testing.earlier import restore
from vantixs_audit import store
from vantixs_audit.main import MIGRATIONS
from vantixs_audit.proof.checkpoints import REFUSED, SIGNED, Checkpoints
from vantixs_audit.proof.nodes import last_checkpoint
from vantixs_audit.proof.service import HistoryProof
from vantixs_audit.proof.witness import NotContinued, Witness
from vantixs_audit.rebuild import rebuild_signals
from vantixs_audit.settings import AuditSettings

from tests.support.history_rig import SIGNER, History, copy_tables, deliveries, put_back
from tests.support.paths import DATA
from tests.support.until import until

DUMPS = sorted((DATA / "schemas" / "audit").glob("*.sql"))
KINDS = audit_pb2.HistoryFaultKind


@asynccontextmanager
async def opened(url: str, directory: Path) -> AsyncIterator[History]:
    database = await Database.open(replace(AuditSettings(), database_url=url), "audit", MIGRATIONS)
    # As a start of audit does, before it serves.
    await rebuild_signals(database, asyncio.Event())
    try:
        yield History(database, directory)
    finally:
        await database.close()


@pytest.fixture
async def history(database_url: str, tmp_path: Path) -> AsyncIterator[History]:
    async with opened(database_url, tmp_path) as made:
        yield made


def earlier_url(dump: Path, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if ".sqlite." in dump.name:
        return f"sqlite:///{tmp_path / 'earlier.db'}"
    return str(request.getfixturevalue("postgres").new_database())


async def start_of(history: History) -> Any:
    return await history.database.read(lambda c: c.execute(sa.select(store.TREE_START)).one())


@pytest.mark.parametrize("dump", DUMPS, ids=lambda dump: dump.stem)
async def test_chain_of_an_earlier_version_is_taken_over_and_goes_on(
    dump: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = earlier_url(dump, request, tmp_path)
    restore(dump, url)
    async with opened(url, tmp_path) as history:
        start = await start_of(history)
        assert start.sequence > 10
        assert (start.first_bad_sequence, start.detail) == (0, "")
        assert await history.checkpoints.sign() == start.sequence
        assert await history.fault({"witness": history.seen}) is None
        await history.record(deliveries(Random(2), 60), Random(2), copy=False)
        assert history.seen.size > 200
        assert await history.fault({"witness": history.seen}) is None


@pytest.mark.parametrize(
    ("statement", "first"),
    [
        ("UPDATE entries SET data = (SELECT data FROM entries WHERE sequence = 1) WHERE sequence = 7", 7),
        ("DELETE FROM entries WHERE sequence = 9", 9),
        ("DELETE FROM entries WHERE sequence > 12", 13),
    ],
)
@pytest.mark.parametrize("dump", [d for d in DUMPS if d.name.startswith("0003")], ids=lambda dump: dump.stem)
async def test_chain_that_was_altered_before_is_not_made_good(
    dump: Path, statement: str, first: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = earlier_url(dump, request, tmp_path)
    restore(dump, url)
    options = {} if url.startswith("sqlite") else {"options": "-csearch_path=audit"}
    engine = sa.create_engine(url, connect_args=options)
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()
    async with opened(url, tmp_path) as history:
        start = await start_of(history)
        assert (start.first_bad_sequence, bool(start.detail)) == (first, True)
        await history.record(deliveries(Random(2), 5), Random(2), copy=False)
        await history.checkpoints.sign()
        fault = await history.fault()
        # Entries of that version have no leaf hash: of an altered one it is not known whether it is the one before.
        assert fault.first <= first <= fault.last
        assert fault.last <= start.sequence


async def test_checkpoint_is_of_the_root_and_kept_by_the_witness(history: History, tmp_path: Path) -> None:
    assert await history.checkpoints.sign() == 0
    await history.record(deliveries(Random(3), 10), Random(3))
    row = await history.database.read(last_checkpoint)
    checkpoint = open_checkpoint(row.note, SIGNER.key)
    head = await history.database.read(store.read_head)
    assert (checkpoint.size, checkpoint.root) == (head.sequence, head.tree.root)
    assert (tmp_path / "audit.checkpoint").read_text() == row.note
    assert (tmp_path / "audit.checkpoint").stat().st_mode & 0o077 == 0
    assert await history.checkpoints.sign() == head.sequence
    assert (await history.database.read(last_checkpoint)).note == row.note


async def test_nothing_is_signed_over_an_older_copy(history: History) -> None:
    await history.record(deliveries(Random(4), 20), Random(4))
    before = history.seen
    await history.database.write(lambda c: put_back(c, history.copies[0]))
    with pytest.raises(NotContinued, match="an older copy"):
        await history.checkpoints.sign()
    # Nor once it is as long as before, with other entries.
    await history.database.write(
        lambda c: store.record(
            c,
            [replace(m, stream_sequence=1000 + m.stream_sequence) for m in deliveries(Random(5), 40, "other")],
            store.read_head(c).mark,
        )
    )
    assert (await history.database.read(store.read_head)).sequence > before.size
    with pytest.raises(NotContinued, match="do not begin with"):
        await history.checkpoints.sign()
    assert history.seen == before


async def test_history_that_catches_up_with_the_same_entries_is_signed_again(history: History) -> None:
    messages = deliveries(Random(6), 20)
    await history.record(messages, Random(6))
    before = history.seen
    await history.database.write(lambda c: put_back(c, history.copies[0]))
    read = await history.database.read(store.read_head)
    await history.database.write(
        lambda c: store.record(c, [m for m in messages if m.stream_sequence > read.mark.sequence], read.mark)
    )
    assert await history.checkpoints.sign() == before.size
    assert await history.fault({"witness": before}) is None


async def test_older_copy_is_found_at_the_first_entry_that_it_lacks(history: History) -> None:
    await history.record(deliveries(Random(13), 20), Random(13))
    signed = next(copy for copy in history.copies if copy["checkpoints"])
    size = signed["checkpoints"][-1]["size"]
    assert size == signed["head"][0]["sequence"]
    await history.database.write(lambda c: put_back(c, signed))
    fault = await history.fault({"witness": history.seen})
    assert (fault.kind, fault.first, fault.last) == (KINDS.HISTORY_FAULT_KIND_ROLLED_BACK, size + 1, history.seen.size)


@pytest.mark.parametrize("lost", ["leaf", "node", "edge", "size"])
async def test_nothing_is_signed_over_a_tree_that_was_altered(history: History, lost: str) -> None:
    await history.record(deliveries(Random(7), 90), Random(7))
    size = history.seen.size
    assert size > 256

    def alter(connection: sa.Connection) -> None:
        changes: dict[str, Any] = {
            "leaf": sa.update(store.ENTRIES).where(store.ENTRIES.c.sequence == size).values(leaf_hash=bytes(32)),
            "node": sa.update(store.TREE_NODES).values(hash=bytes(32)),
            "edge": sa.update(store.HEAD).values(tree_edge=bytes(32 * size.bit_count())),
            "size": sa.update(store.HEAD).values(tree_edge=b"x"),
        }
        connection.execute(changes[lost])

    await history.database.write(alter)
    more = [replace(m, stream_sequence=10_000 + m.stream_sequence) for m in deliveries(Random(8), 9, "more")]
    if lost == "size":
        with pytest.raises(ServiceError, match="HISTORY_ALTERED"):
            await history.database.write(lambda c: store.record(c, more, store.read_head(c).mark))
        return
    await history.database.write(lambda c: store.record(c, more, store.read_head(c).mark))
    with pytest.raises(NotContinued, match="do not begin with"):
        await history.checkpoints.sign()
    assert history.seen.size == size


async def test_checkpoints_of_another_key_are_not_gone_on_from(history: History, tmp_path: Path) -> None:
    await history.record(deliveries(Random(9), 5), Random(9))
    other = history_signer("another secret")
    witness = Witness(tmp_path / "audit.checkpoint", other.key)
    with pytest.raises(NotContinued, match="expected a signature by key"):
        await Checkpoints(history.database, other, witness, entries=1, seconds=1).sign()
    (tmp_path / "audit.checkpoint").unlink()
    with pytest.raises(NotContinued, match="the stored checkpoint"):
        await Checkpoints(history.database, other, witness, entries=1, seconds=1).sign()


async def test_proof_of_a_signal_is_checked_without_the_database(history: History) -> None:
    proof = HistoryProof(history.database, SIGNER.key, history.witness)
    request = audit_pb2.ProveSignalRequest(signal_id="s3")
    with pytest.raises(ServiceError, match="NOT_FOUND"):
        await proof.prove(request)
    await history.record(deliveries(Random(10), 90), Random(10))
    response = await proof.prove(request)
    entries = [ProvenEntry(e.sequence, e.data, list(e.hashes)) for e in response.entries]
    text = write_proof("s3", response.checkpoint, entries)
    shown = check_proof(text, SIGNER.key)
    found = await history.database.read(
        lambda c: c.execute(sa.select(store.ENTRIES).where(store.ENTRIES.c.signal_id == "s3")).all()
    )
    assert [(e.sequence, e.data) for e in shown.entries] == sorted((r.sequence, r.data) for r in found)
    with pytest.raises(NoteError):
        check_proof(text, history_signer("another secret").key)
    await history.database.write(
        lambda c: store.record(
            c,
            [replace(m, stream_sequence=10_000) for m in deliveries(Random(11), 1, "late")[:1]],
            store.read_head(c).mark,
        )
    )
    with pytest.raises(ServiceError, match="PROOF_NOT_YET"):
        await proof.prove(audit_pb2.ProveSignalRequest(signal_id="late0"))
    altered = sa.update(store.ENTRIES).where(store.ENTRIES.c.sequence == found[0].sequence).values(data=b"x")
    await history.database.write(lambda c: c.execute(altered) and None)
    with pytest.raises(ServiceError, match="HISTORY_ALTERED"):
        await proof.prove(request)


async def test_check_tells_progress_and_the_checkpoint_that_was_given(history: History) -> None:
    proof = HistoryProof(history.database, SIGNER.key, history.witness)
    await history.record(deliveries(Random(12), 200), Random(12), copy=False)
    responses = [r async for r in proof.check(audit_pb2.CheckHistoryRequest(leaves=True))]
    assert [r.finished for r in responses] == [False] * (len(responses) - 1) + [True]
    assert len(responses) > 1
    assert sum(len(r.leaf_hashes) for r in responses) == 32 * history.seen.size
    assert not responses[-1].HasField("fault")
    ahead = SIGNER.sign(history.seen.size + 5, bytes(32))
    (*_, last) = [r async for r in proof.check(audit_pb2.CheckHistoryRequest(checkpoint=ahead))]
    assert (last.fault.kind, last.fault.first_sequence) == (KINDS.HISTORY_FAULT_KIND_ROLLED_BACK, history.seen.size + 1)
    with pytest.raises(ServiceError, match="INVALID"):
        _ = [r async for r in proof.check(audit_pb2.CheckHistoryRequest(checkpoint="x"))]
    running = proof.check(audit_pb2.CheckHistoryRequest())
    await anext(running)
    with pytest.raises(ServiceError, match="history is being checked already"):
        await proof.verify(audit_pb2.VerifyHistoryRequest())
    await running.aclose()  # type: ignore[attr-defined]
    result = await proof.verify(audit_pb2.VerifyHistoryRequest())
    assert (result.intact, result.checked, result.first_bad_sequence) == (True, history.seen.size, 0)


async def test_writer_signs_what_is_new_says_once_what_it_refuses_and_goes_on_when_it_is_right_again(
    history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    await history.record(deliveries(Random(14), 20), Random(14))
    whole = history.seen
    copy = await history.database.read(copy_tables)
    checkpoints = Checkpoints(history.database, SIGNER, history.witness, entries=1, seconds=0.1)
    stopping = asyncio.Event()
    running = asyncio.create_task(checkpoints.run(stopping))
    await until(lambda: SIGNED._value.get() == whole.size)
    capsys.readouterr()
    await history.database.write(lambda c: put_back(c, history.copies[0]))
    await until(lambda: REFUSED._value.get() == 1)
    await history.database.write(lambda c: put_back(c, copy))
    more = [replace(m, stream_sequence=10_000 + m.stream_sequence) for m in deliveries(Random(15), 3, "more")]
    await history.database.write(lambda c: store.record(c, more, store.read_head(c).mark))
    await until(lambda: REFUSED._value.get() == 0 and history.seen.size > whole.size)
    stopping.set()
    await running
    assert capsys.readouterr().out.count("history.refused") == 1


async def test_process_that_lost_the_lease_does_not_replace_a_later_checkpoint_of_the_witness(history: History) -> None:
    await history.record(deliveries(Random(4), 5), Random(4), copy=False)
    late = Checkpoints(history.database, SIGNER, history.witness, entries=1000, seconds=10)
    await history.record(deliveries(Random(5), 5, "a"), Random(5), copy=False)
    before = await history.database.read(store.read_head)
    writes = history.database.write

    async def write_late(unit: Any) -> Any:
        """What it read is of before the other one recorded and signed."""
        history.database.write = writes  # type: ignore[method-assign]  # Another process comes in between.
        await history.record(deliveries(Random(6), 5, "b"), Random(6), copy=False)
        return await writes(unit)

    (history.witness._path).unlink()
    history.database.write = write_late  # type: ignore[method-assign]  # As a lease that ends meanwhile.
    assert await late.sign() == before.sequence
    assert history.seen.size == (await history.database.read(store.read_head)).sequence > before.sequence
