"""What has to be so before entries go: who still needs them, and whether they are those that were signed."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import sqlalchemy as sa
from google.protobuf.message import DecodeError
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.proof.note import Key, NoteError, open_checkpoint
from vantixs.proof.tree import Tree, consistency_proof, continues, leaf_hash
from vantixs.runtime.database import Database
from vantixs.runtime.statements import insert_or_replace

from vantixs_audit import store
from vantixs_audit.history_retention.segments import Cut
from vantixs_audit.proof.kept_leaves import put_leaves, tree_at
from vantixs_audit.proof.nodes import NodesMissing, last_checkpoint, reader
from vantixs_audit.tables import ENTRIES, KEPT_CONFIGURATION, REPLAY_SIGNALS, REPLAYS, SIGNALS

PAGE = 2048
_UNFINISHED = tuple(
    audit_pb2.ReplayState.Name(state) for state in (audit_pb2.REPLAY_STATE_RUNNING, audit_pb2.REPLAY_STATE_PAUSED)
)
_PUT_CONFIGURATION = insert_or_replace(KEPT_CONFIGURATION)


class NotAsSigned(Exception):
    """Entries that are to go are not those that the last checkpoint was signed over."""


class _Page(NamedTuple):
    """Leaf hashes of entries, and the last change of each configuration among them."""

    leaves: list[bytes]
    configuration: list[dict[str, object]]


def needed_by(connection: sa.Connection, cut: Cut) -> str:
    """Who still needs entries of the signals before the cut; empty where nobody does."""
    before = SIGNALS.c.number <= cut.signals
    query = sa.select(SIGNALS.c.signal_id).where(before, SIGNALS.c.outcome == "ACCEPTED")
    if signal_id := connection.execute(query.order_by(SIGNALS.c.number).limit(1)).scalar():
        return f"signal {signal_id} has not ended"
    replays = sa.select(REPLAYS.c.replay_id).join(REPLAY_SIGNALS, REPLAY_SIGNALS.c.replay_id == REPLAYS.c.replay_id)
    replays = replays.join(SIGNALS, SIGNALS.c.signal_id == REPLAY_SIGNALS.c.signal_id)
    held = replays.where(REPLAYS.c.state.in_(_UNFINISHED), before).limit(1)
    if replay_id := connection.execute(held).scalar():
        return f"replay {replay_id} has signals among them, and has not ended"
    return ""


async def keep_leaves(database: Database, cut: Cut, key: Key) -> bytes:
    """Stores the leaf hashes of the entries that are to go, made from their bytes; returns the root of the tree up to the cut.

    Nothing is lost by doing it again.

    Raises:
        NotAsSigned: the last checkpoint does not cover them, or was not signed over them.
        ServiceError: the database does not answer.
    """
    at = (await database.read(store.read_head)).dropped_sequence
    try:
        tree = await database.read(lambda c: tree_at(c, at))
        while tree.size < cut.sequence:
            start = tree.size
            page = await database.read(partial(_page, start=start, end=min(start + PAGE, cut.sequence)))
            await database.write(partial(_keep, start=start, page=page))
            tree.extend(page.leaves)
        await database.read(lambda c: _demand_signed(c, tree, key))
    except (NodesMissing, NoteError, ValueError) as error:
        raise NotAsSigned(str(error)) from None
    return tree.root


def _page(connection: sa.Connection, start: int, end: int) -> _Page:
    query = sa.select(ENTRIES.c.sequence, ENTRIES.c.kind, ENTRIES.c.data)
    rows = connection.execute(
        query.where(ENTRIES.c.sequence.between(start + 1, end)).order_by(ENTRIES.c.sequence)
    ).all()
    if [row.sequence for row in rows] != list(range(start + 1, end + 1)):
        raise NotAsSigned(f"entries {start + 1} to {end} are not all there")
    return _Page([leaf_hash(row.data) for row in rows], _configuration(rows))


def _configuration(rows: Sequence[Any]) -> list[dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for row in rows:
        if row.kind == "configuration_changed":
            try:
                change = journal_pb2.JournalEntry.FromString(row.data).configuration_changed
            except DecodeError:
                raise NotAsSigned(f"entry {row.sequence} is no entry") from None
            name = f"{change.kind}:{change.id}".replace("\x00", "")
            found[name] = {"name": name, "sequence": row.sequence, "data": row.data}
    return list(found.values())


def _keep(connection: sa.Connection, start: int, page: _Page) -> None:
    put_leaves(connection, start, page.leaves)
    _PUT_CONFIGURATION.run_all(connection, page.configuration)


def _demand_signed(connection: sa.Connection, tree: Tree, key: Key) -> None:
    row = last_checkpoint(connection)
    if row is None or row.size < tree.size:
        raise NotAsSigned(f"no checkpoint covers the {tree.size} entries")
    signed = open_checkpoint(row.note, key)
    proof = consistency_proof(reader(connection), tree.size, signed.size)
    if not continues(tree.size, tree.root, signed.size, signed.root, proof):
        raise NotAsSigned(f"the {tree.size} entries are not those that the checkpoint at {signed.size} was signed over")
