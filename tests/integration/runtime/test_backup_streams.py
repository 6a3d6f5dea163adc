"""A copy of the journal is the journal to everyone who holds a mark of it: same sequences, identity, accepted gaps, content."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import nats as nats_py
import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig
from vantixs.runtime.backup import streams
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
    await streams.save_journal(client, await streams.last_sequence(client), target)
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
        await streams.save_journal(client, 0, tmp_path)
    assert not list(tmp_path.glob("journal.*"))
