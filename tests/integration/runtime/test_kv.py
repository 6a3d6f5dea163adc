"""Configured values in a KV bucket of a real nats-server, which several replicas read and change."""

import asyncio

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from nats.js.kv import KeyValue
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.kv import KvTable
from vantixs.testing.journal import connected
from vantixs.testing.nats import NatsServer

from tests.support.until import until


async def test_kv_change_reaches_another_table_and_conflicts_are_refused(nats: NatsServer) -> None:
    async with connected(nats) as (journal, life), connected(nats) as (other_journal, other_life):
        mine, theirs = (KvTable(j, "things", "thing", StringValue) for j in (journal, other_journal))
        mine.start(life)
        theirs.start(other_life)
        await asyncio.wait_for(asyncio.gather(mine.loaded.wait(), theirs.loaded.wait()), 10)
        revision = await mine.create("one", StringValue(value="a"))
        with pytest.raises(ServiceError, match="THING_ALREADY_EXISTS"):
            await theirs.create("one", StringValue(value="b"))
        await until(lambda: theirs.get("one"))
        nats.kill()
        nats.start()

        async def update() -> bool:
            try:
                await mine.update("one", StringValue(value="b"), revision)
            except ServiceError as error:
                assert error.reason == "JOURNAL_UNAVAILABLE"
                return False
            return True

        async with asyncio.timeout(20):
            while not await update():
                await asyncio.sleep(0.05)
        await until(lambda: theirs.items()["one"].value.value == "b")
        with pytest.raises(ServiceError, match="REVISION_CONFLICT"):
            await theirs.update("one", StringValue(value="c"), revision)
        await theirs.delete("one", theirs.items()["one"].revision)
        await until(lambda: mine.get("one") is None)


async def test_kv_value_is_removed_that_is_not_known_here_yet_and_again(nats: NatsServer) -> None:
    async with connected(nats) as (journal, life), connected(nats) as (other_journal, _):
        mine, behind = (KvTable(j, "things", "thing", StringValue) for j in (journal, other_journal))
        mine.start(life)  # The other one has no watch, so it knows of nothing.
        await mine.put("one", StringValue(value="a"))
        assert await behind.remove("one") is None
        await until(lambda: mine.get("one") is None)
        await mine.put("one", StringValue(value="b"))
        for known in (StringValue(value="b"), None):
            removed = await mine.remove("one")
            assert (removed.value if removed else None) == known
            assert mine.get("one") is None
        await mine.put("one", StringValue(value="c"))
        assert mine.items()["one"].value.value == "c"


async def test_kv_value_stored_while_the_bucket_is_looked_at_is_not_put_back_over_a_newer_one(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(nats) as (journal, life), connected(nats) as (other_journal, _):
        mine, theirs = (KvTable(j, "things", "thing", StringValue) for j in (journal, other_journal))
        status = KeyValue.status

        async def answered_late(bucket: KeyValue) -> object:
            answer = await status(bucket)
            monkeypatch.setattr(KeyValue, "status", status)
            await mine.put("one", StringValue(value="old"))
            await theirs.put("one", StringValue(value="new"))
            return answer

        await mine.put("other", StringValue(value="x"))
        monkeypatch.setattr(KeyValue, "status", answered_late)
        mine.start(life)
        await asyncio.wait_for(mine.loaded.wait(), 20)
        assert mine.items()["one"].value.value == "new"
        stored = await theirs.fetch("one")
        assert stored == mine.get("one")


async def test_kv_value_stored_again_while_its_removal_is_answered_stays(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(nats) as (journal, life), connected(nats) as (other_journal, _):
        mine, theirs = (KvTable(j, "things", "thing", StringValue) for j in (journal, other_journal))
        mine.start(life)
        await asyncio.wait_for(mine.loaded.wait(), 20)
        revision = await mine.create("one", StringValue(value="old"))
        delete = KeyValue.delete

        async def answered_late(bucket: KeyValue, key: str, last: int | None = None) -> bool:
            answer = await delete(bucket, key, last=last)
            await theirs.create("one", StringValue(value="new"))
            await until(lambda: (found := mine.get("one")) and found.value.value == "new")
            return answer

        monkeypatch.setattr(KeyValue, "delete", answered_late)
        await mine.delete("one", revision)
        assert mine.get("one") == theirs.get("one")


async def test_kv_key_removed_after_its_bucket_was_lost_is_known_when_it_is_made_again(nats: NatsServer) -> None:
    async with connected(nats) as (journal, _):
        mine = KvTable(journal, "things", "thing", StringValue)
        await mine.put("other", StringValue(value="x"))
        revision = await mine.create("one", StringValue(value="old"))
        await journal.js.delete_key_value("things")
        await mine.delete("one", revision)
        assert mine.get("one") is None
        await mine.create("one", StringValue(value="new"))
        assert mine.items()["one"].value.value == "new"


async def test_kv_bucket_that_is_lost_while_the_connection_stays_is_made_again_and_watched(nats: NatsServer) -> None:
    async with connected(nats) as (journal, life), connected(nats) as (other_journal, _):
        mine, theirs = (KvTable(j, "things", "thing", StringValue) for j in (journal, other_journal))
        mine.start(life)
        await asyncio.wait_for(mine.loaded.wait(), 20)
        for number in range(5):
            await mine.put("kept", StringValue(value=str(number)))
        await journal.js.delete_key_value("things")
        await theirs.create("new", StringValue(value="a"))
        await until(lambda: mine.get("new"))
        kept = await theirs.fetch("kept")
        assert kept is not None
        assert kept.value.value == "4"


async def test_kv_value_removed_while_the_bucket_is_looked_at_is_not_put_back(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(nats) as (journal, life), connected(nats) as (other_journal, _):
        mine, theirs = (KvTable(j, "things", "thing", StringValue) for j in (journal, other_journal))
        await mine.put("one", StringValue(value="a"))
        await mine.put("two", StringValue(value="b"))
        await journal.js.delete_key_value("things")
        status = KeyValue.status

        async def answered_late(bucket: KeyValue) -> object:
            answer = await status(bucket)
            monkeypatch.setattr(KeyValue, "status", status)
            await theirs.remove("one")
            return answer

        monkeypatch.setattr(KeyValue, "status", answered_late)
        mine.start(life)
        await asyncio.wait_for(mine.loaded.wait(), 20)
        assert await theirs.fetch("one") is None
        assert mine.get("one") is None
        assert await theirs.fetch("two") == mine.get("two")
        assert mine.get("two")


async def test_kv_value_that_another_process_removed_is_not_stored_again_by_an_update(nats: NatsServer) -> None:
    async with connected(nats) as (journal, _), connected(nats) as (other_journal, _):
        mine, behind = (KvTable(j, "things", "thing", StringValue) for j in (journal, other_journal))
        revision = await mine.create("one", StringValue(value="a"))
        await behind.fetch("one")  # It has no watch, so it does not hear of the removal.
        await mine.delete("one", revision)
        with pytest.raises(ServiceError, match="REVISION_CONFLICT"):
            await behind.update("one", StringValue(value="b"), revision)
        with pytest.raises(ServiceError, match="REVISION_CONFLICT"):
            await behind.delete("one", revision)
        assert await mine.fetch("one") is None


async def test_kv_value_that_could_not_be_put_back_is_put_back_with_the_next_attempt(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(nats) as (journal, life):
        mine = KvTable(journal, "things", "thing", StringValue)
        await mine.put("one", StringValue(value="a"))
        await journal.js.delete_key_value("things")
        update = KeyValue.update

        async def unanswered(*_: object, **__: object) -> int:
            monkeypatch.setattr(KeyValue, "update", update)
            raise TimeoutError

        monkeypatch.setattr(KeyValue, "update", unanswered)
        mine.start(life)
        await asyncio.wait_for(mine.loaded.wait(), 20)
        assert await mine.fetch("one") == mine.get("one")
        assert mine.items()["one"].value.value == "a"


async def test_kv_value_removed_while_it_is_put_back_is_gone(nats: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(nats) as (journal, life):
        mine = KvTable(journal, "things", "thing", StringValue)
        for value in "abc":
            await mine.put("one", StringValue(value=value))
        await journal.js.delete_key_value("things")
        update, seen = KeyValue.update, []

        async def answered_late(bucket: KeyValue, key: str, value: bytes, last: int | None = None) -> int:
            answer = await update(bucket, key, value, last=last)
            await mine.remove(key)
            seen.append(mine.get(key))
            return answer

        monkeypatch.setattr(KeyValue, "update", answered_late)
        mine.start(life)
        await asyncio.wait_for(mine.loaded.wait(), 20)
        assert seen == [None]
        assert mine.get("one") is None
        assert await mine.fetch("one") is None
        await mine.create("one", StringValue(value="new"))
        assert mine.get("one")
