"""Whoever changes history in its database is found, and the first entry that is wrong is named; a clean one is silent."""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.proof.note import Checkpoint, Signer
from vantixs.proof.tree import leaf_hash
from vantixs.runtime.database import Database
from vantixs.runtime.database_setup import make_engine
from vantixs_audit import store
from vantixs_audit.domain.status import chain_hash
from vantixs_audit.main import MIGRATIONS
from vantixs_audit.settings import AuditSettings
from vantixs_audit.store import CHECKPOINTS, ENTRIES, HEAD, SIGNALS

from tests.support.history_rig import SIGNER, History, copy_tables, deliveries, put_back, walk

ATTACKS, MANY_ATTACKS = 25, int(os.environ.get("VANTIXS_TEST_ATTACKS", "1000"))
SIGNALS_IN_IT = 90


@pytest.fixture
async def history(database_url: str, tmp_path: Path) -> AsyncIterator[History]:
    database = await Database.open(replace(AuditSettings(), database_url=database_url), "audit", MIGRATIONS)
    yield History(database, tmp_path)
    await database.close()


class Named(NamedTuple):
    """What a walk has to say: one of the kinds, and the entry that is the first bad one."""

    kinds: set[str]
    first: int
    exact: bool = True
    signal_id: str = ""


class Attacked:
    """The database inside a transaction that is rolled back."""

    def __init__(self, connection: sa.Connection, random: Random, history: History, rows: Sequence[Any]) -> None:
        self.connection = connection
        self.random = random
        self.history = history
        self.rows = rows  # As they were recorded.
        self.size = len(rows)
        self.against: dict[str, Checkpoint] = {"witness's checkpoint": history.seen}

    def change(self, sequence: int, **values: Any) -> None:
        self.connection.execute(sa.update(ENTRIES).where(ENTRIES.c.sequence == sequence).values(**values))

    def values(self, sequence: int) -> dict[str, Any]:
        return dict(self.rows[sequence - 1]._mapping)

    def shift(self, first: int, by: int) -> None:
        """Renumbers the entries from `first` on."""
        for move in (10**6, by - 10**6):
            there = ENTRIES.c.sequence >= (first if move > 0 else 10**6)
            self.connection.execute(sa.update(ENTRIES).where(there).values(sequence=ENTRIES.c.sequence + move))


def change_bytes(on: Attacked) -> Named:
    at = on.random.randint(1, on.size)
    data = bytearray(on.rows[at - 1].data)
    data[on.random.randrange(len(data))] ^= on.random.randint(1, 255)
    how = on.random.randrange(3)
    values: dict[str, Any] = {"data": bytes(data)}
    if how:
        values["leaf_hash"] = leaf_hash(values["data"])
    if how == 2:
        values["hash"] = chain_hash(on.rows[at - 2].hash if at > 1 else bytes(32), values["data"])
    on.change(at, **values)
    # Who makes the entry's own hashes again leaves the next one, and columns, that do not follow from it.
    return Named({"ALTERED", "COLUMN", "TREE"}, at, exact=not how)


def rewrite_all_after(on: Attacked) -> Named:
    """Everything from an entry on follows from it, the head too; only what is signed cannot be made again."""
    at = on.random.randint(1, on.size)
    previous, tree, rewritten = bytes(32), store.Tree(), []
    for row in on.rows:
        data = row.data
        if row.sequence == at:
            entry = store.journal_pb2.JournalEntry.FromString(data)
            entry.trace_parent += "x"
            data = entry.SerializeToString()
        previous = chain_hash(previous, data)
        tree.append(leaf_hash(data))
        if row.sequence >= at:
            rewritten.append({"at": row.sequence, "data": data, "hash": previous, "leaf_hash": leaf_hash(data)})
    on.connection.execute(sa.update(ENTRIES).where(ENTRIES.c.sequence == sa.bindparam("at")), rewritten)
    on.connection.execute(sa.update(HEAD).values(hash=previous, tree_edge=tree.edge_bytes))
    for node in tree.made:
        nodes = store.TREE_NODES
        there = (nodes.c.level == node.level) & (nodes.c.position == node.position)
        on.connection.execute(sa.update(nodes).where(there).values(hash=node.hash))
    return Named({"ALTERED", "ROLLED_BACK"}, at, exact=False)


def delete(on: Attacked) -> Named:
    at = on.random.randint(1, on.size)
    on.connection.execute(sa.delete(ENTRIES).where(ENTRIES.c.sequence == at))
    if on.random.random() < 0.5 or at == on.size:
        return Named({"MISSING"} if at < on.size else {"TRUNCATED"}, at)
    on.shift(at + 1, -1)
    if on.random.random() < 0.5:
        on.connection.execute(sa.update(HEAD).values(sequence=HEAD.c.sequence - 1))
        return Named({"MISSING", "ALTERED"}, at, exact=False)
    return Named({"MISSING"}, at)


def insert(on: Attacked) -> Named:
    at = on.random.randint(1, on.size + 1)
    values = on.values(on.random.randint(1, on.size)) | {"sequence": at, "event_id": "another"}
    entry = store.journal_pb2.JournalEntry.FromString(values["data"])
    entry.event_id = "another"
    values["data"] = entry.SerializeToString()
    values["leaf_hash"] = leaf_hash(values["data"])
    values["hash"] = on.random.randbytes(32)
    if on.random.random() < 0.5:
        values["hash"] = chain_hash(on.rows[at - 2].hash if at > 1 else bytes(32), values["data"])
    if at <= on.size:
        on.shift(at, 1)
    on.connection.execute(sa.insert(ENTRIES).values(**values))
    if on.random.random() < 0.3 and at < on.size:
        on.connection.execute(sa.update(HEAD).values(sequence=HEAD.c.sequence + 1))
    return Named({"INSERTED"}, at, exact=at < on.size)


def swap(on: Attacked) -> Named:
    first, second = sorted(on.random.sample(range(1, on.size + 1), 2))
    if on.random.random() < 0.3:
        second = first + 1
    one, other = on.values(first), on.values(second)
    names = ("stream_sequence", "event_id", "signal_id", "kind", "event_time", "data", "hash", "leaf_hash")
    if on.random.random() < 0.3:
        names = ("data",)
    on.change(first, event_id="moved") if "event_id" in names else None
    on.change(second, **{name: one[name] for name in names})
    on.change(first, **{name: other[name] for name in names})
    return Named({"REORDERED", "ALTERED"}, first)


def truncate(on: Attacked) -> Named:
    keep = on.random.randint(0, on.size - 1)
    on.connection.execute(sa.delete(ENTRIES).where(ENTRIES.c.sequence > keep))
    how = on.random.randrange(3)
    if how:
        tree = store.Tree()
        for row in on.rows[:keep]:
            tree.append(leaf_hash(row.data))
        end = on.rows[keep - 1].hash if keep else bytes(32)
        on.connection.execute(sa.update(HEAD).values(sequence=keep, hash=end, tree_edge=tree.edge_bytes))
    if how == 2:
        on.connection.execute(sa.delete(CHECKPOINTS).where(CHECKPOINTS.c.size > keep))
        gone = sa.delete(SIGNALS).where(SIGNALS.c.sequence > keep)
        on.connection.execute(gone)
    return Named({"TRUNCATED", "ROLLED_BACK"}, keep + 1, exact=how < 2)


def roll_back(on: Attacked) -> Named:
    older = [copy for copy in on.history.copies if copy["head"][0]["sequence"] < on.size]
    copy = on.random.choice(older)
    put_back(on.connection, copy)
    size = copy["head"][0]["sequence"]
    if on.random.random() < 0.5:
        return Named({"ROLLED_BACK"}, size + 1, exact=False)
    # It goes on from the older copy with other entries, beyond where it was.
    before = store.read_head(on.connection)
    more = deliveries(on.random, SIGNALS_IN_IT, f"other{on.random.random()}-")
    more = [replace(m, stream_sequence=before.mark.sequence + n) for n, m in enumerate(more, 1)]
    store.record(on.connection, more, before.mark)
    return Named({"ROLLED_BACK"}, size + 1, exact=False)


def forge_view(on: Attacked) -> Named:
    rows = on.connection.execute(sa.select(SIGNALS)).all()
    row = on.random.choice(rows)
    begins = next(entry.sequence for entry in on.rows if entry.signal_id == row.signal_id)
    there = SIGNALS.c.signal_id == row.signal_id
    how = on.random.choice(
        (*("status", "reason", "detail", "instrument", "account_id", "duplicates", "facts"), "delete", "add")
    )
    if how == "delete":
        on.connection.execute(sa.delete(SIGNALS).where(there))
    elif how == "add":
        added = dict(row._mapping) | {"signal_id": "forged", "number": 10**6}
        on.connection.execute(sa.insert(SIGNALS).values(**added))
        return Named({"VIEW"}, row.sequence, signal_id="forged")
    else:
        forged = {"duplicates": row.duplicates + 1, "facts": '{"symbol": "X"}', "status": "FAILED"}.get(how, "FORGED")
        on.connection.execute(sa.update(SIGNALS).where(there).values(**{how: forged}))
    return Named({"VIEW"}, begins, signal_id=row.signal_id)


def forge_column(on: Attacked) -> Named:
    at = on.random.randint(1, on.size)
    how = on.random.choice(("event_id", "signal_id", "kind", "event_time", "hash", "leaf_hash"))
    forged: Any = {"hash": on.random.randbytes(32), "leaf_hash": on.random.randbytes(32)}.get(how, "forged")
    if how == "event_time":
        forged = on.rows[at - 1].event_time.replace(year=1999)
    on.change(at, **{how: forged})
    # The hash of the last entry has no entry after it that would say which of the two is wrong.
    return Named({"COLUMN"} if at < on.size or how != "hash" else {"COLUMN", "ALTERED"}, at)


def forge_checkpoint(on: Attacked) -> Named:
    row = on.random.choice(on.connection.execute(sa.select(CHECKPOINTS)).all())
    how = on.random.randrange(3)
    if how == 0:
        note = Signer(SIGNER.key.name, on.random.randbytes(32)).sign(row.size, on.random.randbytes(32))
    elif how == 1:
        place = on.random.randrange(len(row.note))
        note = row.note[:place] + chr(ord(row.note[place]) ^ 1) + row.note[place + 1 :]
    else:
        note = row.note.replace(f"\n{row.size}\n", f"\n{row.size + 1}\n")
    on.connection.execute(sa.update(CHECKPOINTS).where(CHECKPOINTS.c.size == row.size).values(note=note))
    return Named({"CHECKPOINT"}, row.size)


KINDS: tuple[Callable[[Attacked], Named], ...] = (
    change_bytes, rewrite_all_after, delete, insert, swap, truncate, roll_back, forge_view, forge_column, forge_checkpoint,
)  # fmt: skip


async def made(history: History, random: Random) -> History:
    await history.record(deliveries(random, SIGNALS_IN_IT), random)
    assert len(history.copies) > 5
    assert history.seen.size > 256
    return history


async def test_every_attack_is_found_and_names_the_first_bad_entry(history: History, database_url: str) -> None:
    await attack_all(history, database_url, ATTACKS)


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_many_attacks_are_found(history: History, database_url: str) -> None:
    await attack_all(history, database_url, MANY_ATTACKS)


async def attack_all(history: History, database_url: str, count: int) -> None:
    await made(history, Random(1))
    assert await history.fault({"witness's checkpoint": history.seen}) is None
    before = await history.database.read(copy_tables)
    rows = await history.database.read(lambda c: c.execute(sa.select(ENTRIES).order_by(ENTRIES.c.sequence)).all())
    engine = make_engine(database_url, "audit", write=True)
    table: dict[str, dict[str, int]] = {}
    for attack in KINDS:
        found = table.setdefault(attack.__name__, {})
        for number in range(count):
            random = Random(f"{attack.__name__} {number}")
            with engine.connect() as connection, connection.begin() as transaction:
                on = Attacked(connection, random, history, rows)
                named = attack(on)
                fault = walk(connection, on.against)
                transaction.rollback()
            where = f"{attack.__name__} {number}: {named}, {fault}"
            assert fault is not None, where
            kind = audit_pb2.HistoryFaultKind.Name(fault.kind).removeprefix("HISTORY_FAULT_KIND_")
            assert kind in named.kinds, where
            assert fault.detail, where
            if named.exact:
                assert (fault.first, fault.signal_id or named.signal_id) == (
                    named.first,
                    named.signal_id or fault.signal_id,
                ), where
            else:
                assert fault.first <= named.first <= max(fault.last, fault.first), where
            found[kind] = found.get(kind, 0) + 1
    print(f"\n{database_url.partition(':')[0]}: {history.seen.size} entries, {count} attacks of each kind")
    for name, kinds in table.items():
        print(f"{name:<20} {sum(kinds.values()):>5} found  " + ", ".join(f"{k} {n}" for k, n in sorted(kinds.items())))
    engine.dispose()
    assert await history.database.read(copy_tables) == before
    assert await history.fault({"witness's checkpoint": history.seen}) is None
