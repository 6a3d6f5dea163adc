"""Signals that were accepted and have no end after a while, on both databases."""

from datetime import timedelta
from pathlib import Path
from random import Random

from vantixs.api.common.v1 import common_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.runtime.health import Health
from vantixs_audit.stragglers import Stragglers

from tests.support.history_reads import START, Reads, accepted, delivered


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
