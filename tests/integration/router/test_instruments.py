"""Instruments that are added reach every process by a real broker, survive restarts, and come back into a bucket that was lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from vantixs.api.common.v1 import common_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model import instruments as model
from vantixs.model.instruments import CATALOGUE, CurrentCatalogue
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.instruments import BUCKET, Instruments
from vantixs.runtime.journal import Journal
from vantixs.runtime.lifecycle import Lifecycle
from vantixs.testing.journal import connected, messages
from vantixs.testing.nats import NatsServer
from vantixs_router.add_instrument import AddInstrument
from vantixs_router.lanes.outcome import Outcome
from vantixs_router.signals.learn_instrument import GIVE_UP_AFTER_S, LearnInstrument

from tests.support.until import until

TON = "TON/USDT"


@dataclass
class Process:
    """What one process knows of instruments."""

    instruments: Instruments
    catalogue: CurrentCatalogue
    journal: Journal
    life: Lifecycle

    def knows(self, name: str = TON) -> bool:
        return name in self.catalogue.current

    async def history(self) -> list[journal_pb2.JournalEntry]:
        return [e for data in await messages(self.journal) for e in journal_pb2.JournalBatch.FromString(data).entries]


@asynccontextmanager
async def process(nats: NatsServer, home: Path, *, instance: str = "0", watches: bool = True) -> AsyncIterator[Process]:
    (home / "data").mkdir(parents=True, exist_ok=True)
    async with connected(nats, home=home, instance=instance) as (journal, life):
        catalogue = CurrentCatalogue(CATALOGUE)
        settings = replace(life._settings, home=home, instance=instance)
        made = Instruments(journal, settings, life.health, service="test", catalogue=catalogue)
        if watches:
            made.start(life)
            await asyncio.wait_for(made.known(), 10)
        yield Process(made, catalogue, journal, life)


def terms(name: str = TON, **changed: str) -> common_pb2.Instrument:
    given = {"tick_size": "0.001", "lot_size": "0.01", "minimum_notional": "5", "reference_price": "3"} | changed
    return common_pb2.Instrument(instrument=name, **given)


async def test_other_replica_sees_it_and_so_does_one_that_starts(nats: NatsServer, tmp_path: Path) -> None:
    async with process(nats, tmp_path / "a") as one, process(nats, tmp_path / "b") as two:
        before = one.catalogue.current
        added = await one.instruments.add(terms())
        assert one.catalogue.current is not before
        assert (added.tick_size, TON in before) == (Decimal("0.001"), False)
        await until(two.knows)
        assert two.catalogue.current[TON] == added
        async with process(nats, tmp_path / "c") as three:
            assert three.catalogue.current[TON] == added
            assert three.instruments.revision(TON) == one.instruments.revision(TON) > 0


async def test_same_terms_again_change_nothing_and_others_are_refused_by_their_field(
    nats: NatsServer, tmp_path: Path
) -> None:
    async with process(nats, tmp_path / "a") as one, process(nats, tmp_path / "b") as two:
        # Both at once: one of them stores it, and the other one finds it.
        first, second = await asyncio.gather(
            one.instruments.add(terms()), two.instruments.add(terms(tick_size="0.0010"))
        )
        assert first == second
        revision = one.instruments.revision(TON)
        assert await one.instruments.add(terms()) == first
        assert one.instruments.revision(TON) == revision
        for field in ("tick_size", "lot_size", "minimum_notional", "reference_price"):
            with pytest.raises(ServiceError, match=f"INSTRUMENT_ALREADY_EXISTS.*{field} is .* was 7") as refused:
                await two.instruments.add(terms(**({"reference_price": "80"} | {field: "7"})))
            assert refused.value.metadata == {"field": field}
        with pytest.raises(ServiceError, match="INSTRUMENT_ALREADY_EXISTS"):
            await one.instruments.add(terms("BTC/USDT"))


async def test_name_that_symbols_give_to_another_one_is_refused(nats: NatsServer, tmp_path: Path) -> None:
    async with process(nats, tmp_path / "a") as one:
        with pytest.raises(ServiceError, match="BTCUSDT is BTC/USDT, was BTCUS/DT") as refused:
            await one.instruments.add(terms("BTCUS/DT"))
        assert refused.value.code.name == "INVALID_ARGUMENT"
        assert not one.knows("BTCUS/DT")


async def test_no_more_than_the_bound(nats: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vantixs.runtime.instruments.MOST_ADDED", 1)
    async with process(nats, tmp_path / "a") as one:
        await one.instruments.add(terms())
        with pytest.raises(ServiceError, match="expected at most 1 added instruments, was 1") as refused:
            await one.instruments.add(terms("NEAR/USDT"))
        assert refused.value.code.name == "RESOURCE_EXHAUSTED"
        assert await one.instruments.add(terms())


async def test_process_starts_with_what_its_home_knew_while_the_broker_is_away(
    nats: NatsServer, tmp_path: Path
) -> None:
    async with process(nats, tmp_path / "home") as one:
        await one.instruments.add(terms())
        lone = CurrentCatalogue(CATALOGUE)
        settings = replace(one.life._settings, home=tmp_path / "home", instance="7")
        nats.kill()
        Instruments(one.journal, settings, one.life.health, service="other", catalogue=lone)
        assert TON in lone.current
        started = asyncio.get_running_loop().time()
        with pytest.raises(ServiceError, match="JOURNAL_UNAVAILABLE"):
            await one.instruments.find("NEAR/USDT")
        assert asyncio.get_running_loop().time() - started < 30
        nats.start()


async def test_lost_bucket_gets_it_back_and_a_removed_key_too(nats: NatsServer, tmp_path: Path) -> None:
    async with process(nats, tmp_path / "home") as one:
        await one.instruments.add(terms())
        bucket = await one.journal.js.key_value(BUCKET)
        await bucket.delete("ton-usdt")
        await until(lambda: "ton-usdt" in one.instruments._table.items())
        assert one.knows()
        await one.journal.js.delete_key_value(BUCKET)
    async with process(nats, tmp_path / "home") as again, process(nats, tmp_path / "new") as fresh:
        assert again.knows()
        await until(fresh.knows)


async def test_other_terms_in_the_bucket_do_not_change_what_was_computed_with(nats: NatsServer, tmp_path: Path) -> None:
    async with process(nats, tmp_path / "a") as one:
        await one.instruments.add(terms())
        bucket = await one.journal.js.key_value(BUCKET)
        await bucket.put("ton-usdt", terms(lot_size="1").SerializeToString())
        await until(lambda: not one.life.health.snapshot()["instruments"][0])
        assert "lot_size is 0.01 here" in one.life.health.snapshot()["instruments"][1]
        assert one.catalogue.current[TON].lot_size == Decimal("0.01")


async def test_history_has_it_once_however_often_it_is_asked_for(nats: NatsServer, tmp_path: Path) -> None:
    async with process(nats, tmp_path / "a") as one:
        adding = AddInstrument(one.instruments, one.journal, lambda: datetime.now(UTC))
        for _ in range(2):
            stored = await adding.add(terms(), "operator:ann")
        assert (stored.kind, stored.revision) == (common_pb2.INSTRUMENT_KIND_SPOT, one.instruments.revision(TON))
        (entry,) = await one.history()
        assert (entry.actor, entry.configuration_changed.kind) == ("operator:ann", "instrument")
        assert '"tick_size": "0.001"' in entry.configuration_changed.after_json
        # One of the default catalogue is there, and nobody added it.
        await adding.add(one_of_defaults(), "operator:ann")
        assert len(await one.history()) == 1


def one_of_defaults() -> common_pb2.Instrument:
    return terms("LTC/USDT", tick_size="0.01", lot_size="0.001", reference_price="70")


@dataclass(frozen=True)
class Given:
    """A delivery of a signal."""

    data: bytes


async def test_signal_of_an_instrument_not_heard_of_waits_for_it(
    nats: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handled, time_s = [], 0.0

    async def handle(delivery: Any, fence: Any) -> Outcome:
        handled.append(delivery)
        return Outcome.DONE

    async with process(nats, tmp_path / "a") as one, process(nats, tmp_path / "b", watches=False) as behind:
        monkeypatch.setattr(model.INSTRUMENTS, "current", behind.catalogue.current)
        behind.instruments._catalogue = model.INSTRUMENTS
        learn = LearnInstrument(handle, behind.instruments.find, lambda: time_s)
        entry = journal_pb2.JournalEntry()
        entry.signal_accepted.signal.instrument = TON
        delivery: Any = Given(journal_pb2.JournalBatch(entries=[entry]).SerializeToString())
        nobody: Any = None
        with pytest.raises(ServiceError, match="is not known yet"):
            await learn.handle(delivery, nobody)
        await one.instruments.add(terms())
        # Its own watch has told it nothing.
        assert await learn.handle(delivery, nobody) is Outcome.DONE
        assert TON in model.INSTRUMENTS.current
        entry.signal_accepted.signal.instrument = "GONE/USDT"
        lost: Any = Given(journal_pb2.JournalBatch(entries=[entry]).SerializeToString())
        with pytest.raises(ServiceError, match="is not known yet"):
            await learn.handle(lost, nobody)
        assert handled == [delivery]
        time_s = GIVE_UP_AFTER_S
        assert await learn.handle(lost, nobody) is Outcome.DONE  # What comes after it dead-letters it.
        assert handled == [delivery, lost]
