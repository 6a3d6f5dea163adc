"""Changes of configuration that stay of entries that went: whoever removes, alters, renames or adds one is found."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.runtime.database import Database
from vantixs.runtime.journal_reader import Delivery
from vantixs_audit.history_retention import announcement, configuration
from vantixs_audit.main import MIGRATIONS
from vantixs_audit.proof.service import HistoryProof
from vantixs_audit.replays.run_signal import _current_webhooks
from vantixs_audit.settings import AuditSettings
from vantixs_audit.tables import ENTRIES, KEPT_CONFIGURATION

from tests.support.history_retention_rig import BEGIN, DAY, KeptHistory, changed_webhook, waiting
from tests.support.history_rig import SIGNER, walk

ROWS = sa.select(KEPT_CONFIGURATION).order_by(KEPT_CONFIGURATION.c.sequence)
NAME = KEPT_CONFIGURATION.c.name


@pytest.fixture
async def history(database_url: str, tmp_path: Path) -> AsyncIterator[KeptHistory]:
    database = await Database.open(replace(AuditSettings(), database_url=database_url), "audit", MIGRATIONS)
    yield KeptHistory(database, tmp_path)
    await database.close()


async def record(history: KeptHistory, *later: Delivery) -> dict[str, Any]:
    """Changes of three webhooks on day 0, and signals after them; the entry of each change as a row to keep."""
    changes = {
        "old": changed_webhook("c1", "w1", "old"),
        "w1": changed_webhook("c2", "w1"),
        "w2": changed_webhook("c3", "w2"),
        "w3": changed_webhook("c4", "w3"),
    }
    await history.day(0, messages=list(changes.values()))
    await history.day(0.1)
    entries = sa.select(ENTRIES).where(ENTRIES.c.kind == "configuration_changed").order_by(ENTRIES.c.sequence)
    rows = await history.database.read(lambda c: c.execute(entries).all())
    if later:
        await history.day(0.2, messages=later)
    await history.days(3)
    ids = ("w1", "w1", "w2", "w3")
    return {
        key: {"name": f"webhook:{webhook}", "sequence": row.sequence, "data": row.data}
        for key, webhook, row in zip(changes, ids, rows, strict=True)
    }


async def kept(history: KeptHistory) -> list[dict[str, Any]]:
    return await history.database.read(lambda c: [dict(row._mapping) for row in c.execute(ROWS)])


async def verified(history: KeptHistory) -> audit_pb2.VerifyHistoryResponse:
    return await HistoryProof(history.database, SIGNER.key, history.witness).verify(audit_pb2.VerifyHistoryRequest())


async def change(history: KeptHistory, *statements: Any) -> None:
    def unit(connection: sa.Connection) -> None:
        for statement in statements:
            connection.execute(statement)

    await history.database.write(unit)


async def test_whoever_changes_which_configuration_is_kept_is_found_and_the_entry_is_named(
    history: KeptHistory,
) -> None:
    rows = await record(history)
    assert await history.drop(9.5)
    assert await kept(history) == [rows["w1"], rows["w2"], rows["w3"]]
    table = KEPT_CONFIGURATION
    of_w1 = NAME == "webhook:w1"
    attacks: dict[str, tuple[str, int, list[Any]]] = {
        "first removed": ("MISSING", rows["w1"]["sequence"], [sa.delete(table).where(of_w1)]),
        "last removed": ("MISSING", rows["w3"]["sequence"], [sa.delete(table).where(NAME == "webhook:w3")]),
        "all removed": ("MISSING", rows["w1"]["sequence"], [sa.delete(table)]),
        "altered": ("ALTERED", rows["w1"]["sequence"], [sa.update(table).where(of_w1).values(data=rows["w2"]["data"])]),
        "renamed": ("COLUMN", rows["w1"]["sequence"], [sa.update(table).where(of_w1).values(name="webhook:w9")]),
        "the change before": ("INSERTED", rows["old"]["sequence"], [sa.update(table).where(of_w1).values(rows["old"])]),
        "added": ("INSERTED", rows["old"]["sequence"], [sa.insert(table).values(rows["old"] | {"name": "webhook:w0"})]),
        "added twice": (
            "INSERTED",
            rows["w3"]["sequence"],
            [sa.insert(table).values(rows["w3"] | {"name": "webhook:w9"})],
        ),
        "added beyond": ("INSERTED", 10**6, [sa.insert(table).values(rows["w3"] | {"name": "x", "sequence": 10**6})]),
        "another in its place": (
            "MISSING",
            rows["w2"]["sequence"],
            [
                sa.delete(table).where(NAME == "webhook:w2"),
                sa.insert(table).values(rows["w3"] | {"name": "webhook:w2"}),
            ],
        ),
    }
    for name, (kind, sequence, statements) in attacks.items():

        def attacked(connection: sa.Connection, statements: Any = statements) -> Any:
            with connection.begin_nested() as nested:
                for statement in statements:
                    connection.execute(statement)
                found = walk(connection, {"witness's checkpoint": history.seen})
                nested.rollback()
            return found

        fault = await history.database.write(attacked)
        assert fault is not None, name
        told = audit_pb2.HistoryFaultKind.Name(fault.kind).removeprefix("HISTORY_FAULT_KIND_")
        assert (told, fault.first) == (kind, sequence), (name, fault)
    checked = await verified(history)
    assert (checked.intact, checked.kept_configuration_unlisted) == (True, False)


async def test_a_later_change_takes_the_place_of_the_one_before_with_the_cut_and_not_earlier(
    history: KeptHistory,
) -> None:
    rows = await record(history)
    await history.day(4, messages=[changed_webhook("c5", "w1", "new")])
    await history.day(5)
    assert await history.drop(9.5)
    # All that is known is stored, but for the cut: what is kept is still what the entry of the cut before lists.
    history.oldest_in_journal = None
    await history.retention.apply(history_day(13.5))
    assert await kept(history) == [rows["w1"], rows["w2"], rows["w3"]]
    history.oldest_in_journal = history_day(1000)
    assert await history.retention.apply(history_day(13.5)) is False
    await history.pass_on()
    assert await kept(history) == [rows["w1"], rows["w2"], rows["w3"]]
    assert await history.fault() is None
    assert await history.drop(13.5)
    now = await history.database.read(_current_webhooks)
    assert {name: webhook.account_id for name, webhook in now.items()} == {"w1": "new", "w2": "a1", "w3": "a1"}
    assert [row["name"] for row in await kept(history)] == ["webhook:w2", "webhook:w3", "webhook:w1"]
    assert await history.fault() is None


async def test_nothing_more_goes_while_what_is_kept_is_not_what_was_kept(history: KeptHistory) -> None:
    """The next cut lists what is kept: it would take what was removed before it for what was never there."""
    rows = await record(history)
    dropped = await history.drop(9.5)
    await change(history, sa.delete(KEPT_CONFIGURATION).where(NAME == "webhook:w2"))
    await history.day(10)
    assert await history.drop(30) == dropped
    assert not await history.database.read(waiting)
    assert (await history.fault()).first == rows["w2"]["sequence"]
    await change(history, sa.insert(KEPT_CONFIGURATION).values(rows["w2"]))
    assert await history.drop(30) > dropped
    assert await history.fault() is None
    assert [row["name"] for row in await kept(history)] == ["webhook:w1", "webhook:w2", "webhook:w3"]


async def test_of_a_cut_that_lists_nothing_verify_says_so_until_the_next_one(
    history: KeptHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the version before announced it, and as it is where more stay than an entry can list."""
    rows = await record(history, changed_webhook("c5", "w2", "new"))
    with monkeypatch.context() as patch:
        patch.setattr(configuration, "MOST_LISTED", 2)
        dropped = await history.drop(9.5)
    said = await history.database.read(lambda c: announcement.said_of(c, dropped))
    assert said is not None
    assert not said.HasField("kept_configuration")
    checked = await verified(history)
    assert (checked.intact, checked.kept_configuration_unlisted) == (True, True)

    # The version before stored what stays ahead of the next cut, in place of the change before it.
    query = sa.select(ENTRIES.c.sequence, ENTRIES.c.data).where(ENTRIES.c.event_id == "c5")
    ahead = (await history.database.read(lambda c: c.execute(query).one()))._asdict()
    await change(history, sa.update(KEPT_CONFIGURATION).where(NAME == "webhook:w2").values(ahead))
    assert await history.fault() is None
    await change(history, sa.update(KEPT_CONFIGURATION).where(NAME == "webhook:w2").values(data=rows["w1"]["data"]))
    assert (await history.fault()).kind == audit_pb2.HISTORY_FAULT_KIND_ALTERED
    await change(history, sa.update(KEPT_CONFIGURATION).where(NAME == "webhook:w2").values(ahead))
    # What is altered is found all the same; what is removed is not.
    await change(history, sa.update(KEPT_CONFIGURATION).where(NAME == "webhook:w3").values(data=b""))
    assert (await history.fault()).first == rows["w3"]["sequence"]
    await change(history, sa.delete(KEPT_CONFIGURATION).where(NAME == "webhook:w3"))
    assert await history.fault() is None

    assert await history.drop(10) > dropped
    checked = await verified(history)
    assert (checked.intact, checked.kept_configuration_unlisted) == (True, False)
    await change(history, sa.delete(KEPT_CONFIGURATION).where(NAME == "webhook:w2"))
    assert (await history.fault()).kind == audit_pb2.HISTORY_FAULT_KIND_MISSING


async def test_an_entry_of_the_version_before_is_followed_by_its_cut(
    history: KeptHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was recorded and signed before the upgrade; the cut comes after it."""
    await record(history)
    with monkeypatch.context() as patch:
        patch.setattr(configuration, "MOST_LISTED", 0)
        await history.retention.apply(history_day(9.5))
    await history.pass_on()
    assert (await history.head()).dropped_sequence == 0
    history.retention = history.new_retention()
    assert await history.drop(9.5)
    assert (await verified(history)).kept_configuration_unlisted
    assert len(await kept(history)) == 3


def history_day(day: float) -> Any:
    return BEGIN + day * DAY
