"""Windows of equal bytes where the disk is slow, the clock is set back, or they went to the table for a while."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from vantixs.runtime.journal import Message
from vantixs_ingress.spool import deduplication
from vantixs_ingress.spool import spool as spools
from vantixs_ingress.spool.deduplication import LONGEST_IN_MEMORY_MS, DeduplicationKey
from vantixs_ingress.spool.room import Bounds
from vantixs_ingress.spool.spool import Spool
from vantixs_ingress.spool.store import Item, SpoolFile, Stored

START = 1_800_000_000_000


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SpoolFile]:
    opened = SpoolFile(tmp_path / "spool")
    yield opened
    opened.close()


def item(body: str, signal_id: str, at_ms: int, window_ms: int = 20_000) -> Item:
    key = DeduplicationKey(body.encode(), signal_id, body.encode(), at_ms, window_ms)
    return Item(Message("vantixs.journal.v1.signal.accepted.00", b"x", signal_id), key)


def write(file: SpoolFile, one: Item) -> Stored:
    ((stored,), _) = file.write([one], [])
    return stored


async def test_repeat_that_waited_for_the_disk_is_judged_by_the_time_it_was_received(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its window was over, and forgotten, when it was committed."""
    monkeypatch.setattr(spools, "PRUNE_EVERY_S", 0.0)
    spool = Spool(tmp_path / "spool", Bounds(1 << 30))
    now_ms = time.time_ns() // 1_000_000
    first, again = item("b", "first", now_ms - 25_000), item("b", "again", now_ms - 10_000)
    try:
        await spool.store(first.message, first.key)
        assert (await spool.store(again.message, again.key)).signal_id == "first"
    finally:
        await spool.close()


def test_window_that_is_made_shorter_still_knows_what_it_held(file: SpoolFile) -> None:
    write(file, item("b", "first", START, LONGEST_IN_MEMORY_MS + 1))
    assert write(file, item("b", "again", START + 10_000)).signal_id == "first"


def test_older_window_in_the_table_does_not_hide_a_newer_one_in_memory(
    file: SpoolFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deduplication, "MOST_IN_MEMORY", 0)
    write(file, item("b", "first", START))
    monkeypatch.setattr(deduplication, "MOST_IN_MEMORY", 100)
    assert write(file, item("b", "second", START + 30_000)).rule == ""
    assert write(file, item("b", "again", START + 40_000)).signal_id == "second"


def test_window_in_the_table_is_found_where_the_clock_was_set_back(
    file: SpoolFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deduplication, "MOST_IN_MEMORY", 0)
    write(file, item("b", "first", START, LONGEST_IN_MEMORY_MS))
    write(file, item("c", "other", START - 5_000, LONGEST_IN_MEMORY_MS))
    again = item("b", "again", START + LONGEST_IN_MEMORY_MS - 1, LONGEST_IN_MEMORY_MS)
    assert write(file, again).signal_id == "first"


async def test_probe_leaves_no_gap_in_the_sequences(tmp_path: Path) -> None:
    """What is forgotten is counted by its sequences, so that a gap would count as a message."""
    file = SpoolFile(tmp_path / "spool")
    write(file, item("b", "first", START))
    file.write([], [file.probe])
    file.close()
    spool = Spool(tmp_path / "spool", Bounds(1 << 30))
    try:
        assert (await spool.store(item("c", "second", START).message)).sequence == 2
        spool.forget(1, 2, 2)
        assert spool.backlog == 0
    finally:
        await spool.close()
