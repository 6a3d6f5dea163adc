"""Whoever changes what is left of entries that are no longer kept is found, and so is who removes more of them."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.runtime.database import Database
from vantixs_audit.main import MIGRATIONS
from vantixs_audit.proof.kept_leaves import put_leaves
from vantixs_audit.settings import AuditSettings
from vantixs_audit.tables import ENTRIES, HEAD, SIGNALS, TREE_LEAVES

from tests.support.history_retention_rig import KeptHistory
from tests.support.history_rig import walk


@pytest.fixture
async def history(database_url: str, tmp_path: Path) -> AsyncIterator[KeptHistory]:
    database = await Database.open(replace(AuditSettings(), database_url=database_url), "audit", MIGRATIONS)
    yield KeptHistory(database, tmp_path)
    await database.close()


def forged_drop(history: KeptHistory, sequence: int, signals: int) -> Callable[[sa.Connection], None]:
    """Removes more than was dropped, with everything in its place but the entry that says so."""

    def forge(connection: sa.Connection) -> None:
        gone = ENTRIES.c.sequence <= sequence
        rows = connection.execute(sa.select(ENTRIES).where(gone).order_by(ENTRIES.c.sequence)).all()
        put_leaves(connection, rows[0].sequence - 1, [row.leaf_hash for row in rows])
        connection.execute(sa.delete(ENTRIES).where(gone))
        values = {"dropped_sequence": sequence, "dropped_signals": signals, "dropped_hash": rows[-1].hash}
        connection.execute(sa.update(HEAD).values(values))

    return forge


async def test_whoever_changes_what_is_left_of_entries_that_went_is_found(history: KeptHistory) -> None:
    await history.days(3)
    await history.drop(9.5)
    head = await history.head()
    dropped = head.dropped_sequence
    (block,) = await history.database.read(lambda c: c.execute(sa.select(TREE_LEAVES).limit(1)).all())
    flipped = bytes([block.hashes[40] ^ 1])
    of_announcement = ENTRIES.c.event_id == f"history-dropped:{dropped}"
    first_kept = ENTRIES.c.sequence == dropped + 1
    put = sa.update(TREE_LEAVES).where(TREE_LEAVES.c.position == block.position)
    numbered = SIGNALS.c.number == 1
    attacks: dict[str, tuple[str, Any]] = {
        "leaf": ("ALTERED", put.values(hashes=block.hashes[:40] + flipped + block.hashes[41:])),
        "leaf cut off": ("MISSING", put.values(hashes=block.hashes[:-32])),
        "leaves removed": ("MISSING", sa.delete(TREE_LEAVES)),
        "announcement removed": ("MISSING", sa.delete(ENTRIES).where(of_announcement)),
        "announcement altered": ("MISSING", sa.update(ENTRIES).where(of_announcement).values(data=b"")),
        "another end": ("", sa.update(HEAD).values(dropped_hash=bytes(32))),
        "nothing dropped": ("MISSING", sa.update(HEAD).values(dropped_sequence=0, dropped_signals=0)),
        "more dropped": ("MISSING", forged_drop(history, dropped + 5, head.dropped_signals + 2)),
        "more signals": ("ALTERED", sa.update(HEAD).values(dropped_signals=head.dropped_signals + 1)),
        "first kept removed": ("MISSING", sa.delete(ENTRIES).where(first_kept)),
        "a row removed": ("VIEW", sa.delete(SIGNALS).where(numbered)),
        "a row in its place": ("TREE", sa.update(SIGNALS).where(SIGNALS.c.number == head.signals).values(number=0)),
    }
    for name, (kind, attack) in attacks.items():

        def attacked(connection: sa.Connection, attack: Any = attack) -> Any:
            with connection.begin_nested() as nested:
                if callable(attack) and not isinstance(attack, sa.sql.ClauseElement):
                    attack(connection)
                else:
                    connection.execute(attack)
                found = walk(connection, {"witness's checkpoint": history.seen})
                nested.rollback()
            return found

        fault = await history.database.write(attacked)
        assert fault is not None, name
        told = audit_pb2.HistoryFaultKind.Name(fault.kind).removeprefix("HISTORY_FAULT_KIND_")
        assert not kind or told == kind, (name, told, fault)
    assert await history.fault() is None
