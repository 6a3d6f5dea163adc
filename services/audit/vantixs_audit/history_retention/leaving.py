"""What has to be so before entries go: who still needs them, and whether they are those that were signed."""

from functools import partial
from typing import NamedTuple

import sqlalchemy as sa
from google.protobuf.message import DecodeError
from vantixs.api.audit.v1 import audit_pb2
from vantixs.proof.note import Key, NoteError, open_checkpoint
from vantixs.proof.tree import Tree, consistency_proof, continues, leaf_hash
from vantixs.runtime.database import Database

from vantixs_audit import store
from vantixs_audit.history_retention import announcement
from vantixs_audit.history_retention.configuration import changes_among, find_fault, kept_now
from vantixs_audit.history_retention.segments import Cut
from vantixs_audit.proof.kept_leaves import put_leaves, tree_at
from vantixs_audit.proof.nodes import NodesMissing, last_checkpoint, reader
from vantixs_audit.tables import ENTRIES, REPLAY_SIGNALS, REPLAYS, SIGNALS

PAGE = 2048
_UNFINISHED = tuple(
    audit_pb2.ReplayState.Name(state) for state in (audit_pb2.REPLAY_STATE_RUNNING, audit_pb2.REPLAY_STATE_PAUSED)
)


class NotAsSigned(Exception):
    """Entries that are to go are not those that the last checkpoint was signed over."""


class Leaving(NamedTuple):
    """What is known of all entries up to a cut: the root of their tree, and the last change of each configuration by its name."""

    root: bytes
    configuration: dict[str, int]


class _Page(NamedTuple):
    """Leaf hashes of entries, and the last change of each configuration among them."""

    leaves: list[bytes]
    configuration: dict[str, int]


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


async def keep_leaves(database: Database, cut: Cut, key: Key) -> Leaving:
    """Stores the leaf hashes of the entries that are to go, made from their bytes; returns what is known of them.

    Nothing is lost by doing it again.

    Raises:
        NotAsSigned: the last checkpoint does not cover them, or was not signed over them; or what is kept of entries that went
            before is not what was kept, so that a list of it would hide that.
        ServiceError: the database does not answer.
    """
    at = (await database.read(store.read_head)).dropped_sequence
    configuration = await database.read(_kept_before)
    try:
        tree = await database.read(lambda c: tree_at(c, at))
        while tree.size < cut.sequence:
            start = tree.size
            page = await database.read(partial(_page, start=start, end=min(start + PAGE, cut.sequence)))
            await database.write(partial(put_leaves, start=start, leaves=page.leaves))
            tree.extend(page.leaves)
            configuration |= page.configuration
        await database.read(lambda c: _demand_signed(c, tree, key))
    except (NodesMissing, NoteError, ValueError) as error:
        raise NotAsSigned(str(error)) from None
    return Leaving(tree.root, configuration)


def _page(connection: sa.Connection, start: int, end: int) -> _Page:
    query = sa.select(ENTRIES.c.sequence, ENTRIES.c.kind, ENTRIES.c.data)
    rows = connection.execute(
        query.where(ENTRIES.c.sequence.between(start + 1, end)).order_by(ENTRIES.c.sequence)
    ).all()
    if [row.sequence for row in rows] != list(range(start + 1, end + 1)):
        raise NotAsSigned(f"entries {start + 1} to {end} are not all there")
    try:
        return _Page([leaf_hash(row.data) for row in rows], changes_among(rows))
    except DecodeError:
        raise NotAsSigned(f"the bytes of one of the entries {start + 1} to {end} are no entry") from None


def _kept_before(connection: sa.Connection) -> dict[str, int]:
    """What is kept of entries that went before."""
    dropped = store.read_head(connection).dropped_sequence
    if fault := find_fault(connection, dropped, announcement.said_of(connection, dropped)):
        raise NotAsSigned(fault.detail)
    return kept_now(connection, dropped)


def _demand_signed(connection: sa.Connection, tree: Tree, key: Key) -> None:
    row = last_checkpoint(connection)
    if row is None or row.size < tree.size:
        raise NotAsSigned(f"no checkpoint covers the {tree.size} entries")
    signed = open_checkpoint(row.note, key)
    proof = consistency_proof(reader(connection), tree.size, signed.size)
    if not continues(tree.size, tree.root, signed.size, signed.root, proof):
        raise NotAsSigned(f"the {tree.size} entries are not those that the checkpoint at {signed.size} was signed over")
