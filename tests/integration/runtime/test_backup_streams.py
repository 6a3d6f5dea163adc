"""A copy of the journal is the journal to everyone who holds a mark of it: same sequences, identity, accepted gaps, content."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import nats as nats_py
import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig
from vantixs.runtime.backup import streams
from vantixs.runtime.backup.streams import Extent
from vantixs.runtime.continuity import Mark, difference, facts_of
from vantixs.runtime.journal_stream import EARLIER_STREAM, EARLIER_SUBJECTS, STREAM, accept_gaps, ensure_stream
from vantixs.runtime.settings import ServiceSettings
from vantixs.testing.nats import NatsServer


@pytest.fixture
async def client(nats: NatsServer) -> AsyncIterator[Client]:
    """A connection, and the journal's stream made."""
    for _ in range(100):
        try:
            connected = await nats_py.connect(nats.url, token=nats.token, allow_reconnect=False)
            await ensure_stream(connected.jetstream(), ServiceSettings(journal_first_bytes=1 << 20))
            break
        except (OSError, nats_py.errors.Error, nats_py.js.errors.Error):
            await asyncio.sleep(0.05)
    yield connected
    await connected.close()


async def copy_and_put_back(client: Client, target: Path) -> int:
    target.mkdir()
    await streams.save_journal(client, await streams.journal_extent(client), target)
    await client.jetstream().delete_stream(STREAM)
    return await streams.load_journal(client, target)


async def test_restored_journal_fulfils_the_marks_of_its_services(client: Client, tmp_path: Path) -> None:
    js = client.jetstream()
    for number in range(1, 6):
        await js.publish("vantixs.journal.v1.test", b"%d" % number, headers={"Nats-Msg-Id": f"m{number}"})
    await js.purge_stream(STREAM, seq=3)
    await accept_gaps(js, await js.stream_info(STREAM), 2)
    before = facts_of(await js.stream_info(STREAM))
    assert await copy_and_put_back(client, tmp_path / "copy") == 3
    after = facts_of(await js.stream_info(STREAM))
    assert (after.stream, after.epoch, after.first, after.last) == (before.stream, 2, 3, 5)
    assert difference(Mark(2, before.stream, 5), after) == ""
    assert [(await js.get_msg(STREAM, number)).data for number in (3, 4, 5)] == [b"3", b"4", b"5"]
    # What comes again out of a spool or an outbox that was copied is known.
    assert (await js.publish("vantixs.journal.v1.test", b"5", headers={"Nats-Msg-Id": "m5"})).duplicate
    assert (await js.publish("vantixs.journal.v1.test", b"6", headers={"Nats-Msg-Id": "m6"})).seq == 6


async def test_journal_without_messages_goes_on_where_it_was(client: Client, tmp_path: Path) -> None:
    js = client.jetstream()
    assert await copy_and_put_back(client, tmp_path / "new") == 0
    assert (await js.publish("vantixs.journal.v1.test", b"1")).seq == 1
    await js.publish("vantixs.journal.v1.test", b"2")
    await js.purge_stream(STREAM)
    assert await copy_and_put_back(client, tmp_path / "purged") == 0
    assert (await js.publish("vantixs.journal.v1.test", b"3")).seq == 3


async def test_no_copy_while_the_journal_of_an_earlier_version_is_read(client: Client, tmp_path: Path) -> None:
    await client.jetstream().add_stream(StreamConfig(name=EARLIER_STREAM, subjects=[EARLIER_SUBJECTS]))
    with pytest.raises(OSError, match="is still being read"):
        await streams.save_journal(client, Extent(0, 0), tmp_path)
    assert not list(tmp_path.glob("journal.*"))


async def test_journal_with_purged_messages_between_others_keeps_its_sequences(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As audit leaves it once it was nearly full: it purges the entries, and accepted signals stay."""
    monkeypatch.setattr(streams, "MOST_FILLERS", 3)
    monkeypatch.setattr(streams, "WINDOW", 2)
    js = client.jetstream()
    for number in range(1, 31):
        kind = "signal" if number % 5 == 0 else "event"
        await js.publish(f"vantixs.journal.v1.{kind}", b"%d" % number)
    await js.purge_stream(STREAM, seq=28, subject="vantixs.journal.v1.event")
    before = facts_of(await js.stream_info(STREAM))
    assert await copy_and_put_back(client, tmp_path / "copy") == before.messages == 8
    after = facts_of(await js.stream_info(STREAM))
    assert (after.first, after.last, after.messages) == (before.first, before.last, before.messages) == (5, 30, 8)
    for sequence in (5, 10, 15, 20, 25, 28, 29, 30):
        assert (await js.get_msg(STREAM, sequence)).data == b"%d" % sequence


@pytest.mark.parametrize("subject", [None, "vantixs.journal.v1.event"])
async def test_copy_of_a_journal_that_was_purged_after_its_moment_is_refused(
    client: Client, tmp_path: Path, subject: str | None
) -> None:
    """Messages that history had not recorded at that moment may be among those that are gone."""
    js = client.jetstream()
    for number in range(1, 9):
        await js.publish(f"vantixs.journal.v1.{'signal' if number % 2 else 'event'}", b"%d" % number)
    extent = await streams.journal_extent(client)
    await js.publish("vantixs.journal.v1.event", b"later")
    await js.purge_stream(STREAM, seq=6, subject=subject)
    with pytest.raises(OSError, match="it was purged meanwhile, try again"):
        await streams.save_journal(client, extent, tmp_path)
    await js.purge_stream(STREAM)
    with pytest.raises(OSError, match="it was purged meanwhile, try again"):
        await streams.save_journal(client, extent, tmp_path)
