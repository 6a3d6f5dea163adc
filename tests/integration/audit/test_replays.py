"""Replays on SQLite and PostgreSQL: real router and risk behind gRPC, signals that really ran, audit's own database."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import vantixs_audit
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.router.v1 import router_pb2_grpc
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.grpc_client import open_channel
from vantixs.runtime.grpc_server import Server
from vantixs.runtime.health import Health
from vantixs.runtime.journal_reader import Delivery
from vantixs.testing.postgres import PostgresServer
from vantixs_audit import store
from vantixs_audit.domain.replay_pace import ReplayPace
from vantixs_audit.replays.run_signal import RunSignal
from vantixs_audit.replays.service import Replays
from vantixs_audit.settings import AuditSettings
from vantixs_router.market_server import MarketData
from vantixs_router.server import NAME, ROLES, RouterServicer
from vantixs_router.settings import RouterSettings
from vantixs_router.signals.verify import VerifySignals

from tests.support.mixed_signals import LIMITS, entries_of, limit, run_mixed
from tests.support.router_rig import TOKENS, Router, UnsentOutbox, router_on

COUNT = 40
VERIFY, PAPER, LIVE = (journal_pb2.ReplayMode.Value(f"REPLAY_MODE_{n}") for n in ("VERIFY", "PAPER", "LIVE"))
FINISHED, CANCELED = audit_pb2.REPLAY_STATE_FINISHED, audit_pb2.REPLAY_STATE_CANCELED
PAUSED, RUNNING = audit_pb2.REPLAY_STATE_PAUSED, audit_pb2.REPLAY_STATE_RUNNING


@dataclass
class Audit:
    """Audit's part of replays, and the router whose signals it has in history."""

    database: Database
    router: Router
    stub: Any
    replays: Any = None
    sequence: int = 0

    def process(self, per_second: float = 10_000, most: int = 1000) -> Replays:
        """A new process."""
        journal: Any = None
        outbox = UnsentOutbox(store.OUTBOX, self.database, journal)
        self.replays = Replays(
            self.database, outbox, RunSignal(self.database, self.stub), most=most, pace=ReplayPace(per_second, 1)
        )
        return self.replays

    async def record(self, entries: list[journal_pb2.JournalEntry]) -> None:
        """Puts entries into history."""
        self.sequence += 1
        data = journal_pb2.JournalBatch(entries=entries).SerializeToString()
        delivery = Delivery("vantixs.journal.v1.event.signal", data, self.sequence, datetime.now(UTC))
        await self.database.write(lambda c: store.record(c, [delivery]))

    async def told(self) -> list[journal_pb2.JournalEntry]:
        """What replays would publish."""
        query = sa.select(store.OUTBOX).order_by(store.OUTBOX.c.position)
        rows = await self.database.read(lambda c: c.execute(query).all())
        return [e for row in rows for e in journal_pb2.JournalBatch.FromString(row.payload).entries]

    async def start(self, **fields: Any) -> audit_pb2.Replay:
        request = audit_pb2.ReplaySignalsRequest(**{"comment": "why", "name": "Ann"} | fields)
        return (await self.replays.start(request, "operator:ann")).replay

    async def get(self, replay_id: str) -> audit_pb2.Replay:
        return (await self.replays.get(audit_pb2.GetReplayRequest(replay_id=replay_id))).replay

    async def run_until(self, replay_id: str, done: Callable[[audit_pb2.Replay], bool]) -> audit_pb2.Replay:
        """Works on replays until it is so; then the process is killed in whatever it does."""
        work = asyncio.create_task(self.replays.run(asyncio.Event()))
        async with asyncio.timeout(60):
            while not done(found := await self.get(replay_id)):
                assert not work.done()
                await asyncio.sleep(0.005)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return found

    async def finish(self, replay_id: str) -> audit_pb2.Replay:
        return await self.run_until(replay_id, lambda replay: replay.state == FINISHED)


@asynccontextmanager
async def serving(router: Router) -> AsyncIterator[Any]:
    """The router's VerifySignal behind gRPC."""
    none: Any = None
    verify = VerifySignals(router.risk_client, router.venue.capabilities)
    servicer = RouterServicer(router.database, none, none, verify, MarketData(none, none, none))  # type: ignore[abstract]
    server = Server(replace(RouterSettings(), **TOKENS), Health(), roles=ROLES)
    server.add(router_pb2_grpc.add_RouterServiceServicer_to_server, servicer, NAME)
    channel = open_channel(await server.start(), token="s")
    yield router_pb2_grpc.RouterServiceStub(channel)
    await channel.close()
    await server.stop(0)


# By kind of database: the signals run once, and each test has them in a history of its own.
BATCHES: dict[str, list[list[journal_pb2.JournalEntry]]] = {}


async def mixed_batches(router: Router) -> list[list[journal_pb2.JournalEntry]]:
    """What history is told of the signals, which ran on a router with the same account and limits."""
    dialect = str(router.database.place).partition(":")[0]
    if dialect in BATCHES:
        await limit(router, **LIMITS)
        router.process()
        return BATCHES[dialect]
    signals = await run_mixed(router, COUNT, seed=3)
    ended = await entries_of(router)
    batches = BATCHES[dialect] = []
    for number, (signal_id, accepted) in enumerate(signals.items()):
        begun = journal_pb2.JournalEntry(
            event_id=f"{signal_id}:accepted", signal_id=signal_id, signal_accepted=accepted
        )
        begun.event_time.FromMilliseconds(1_700_000_000_000 + number * 1000)
        begun.signal_accepted.request.receive_time.CopyFrom(begun.event_time)
        batches.append([begun, *ended[signal_id]])
    return batches


@pytest.fixture
async def audit(database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Audit]:
    url = f"sqlite:///{tmp_path / 'audit.db'}"
    if not database_url.startswith("sqlite"):
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.new_database()
    async with router_on(database_url, tmp_path) as router:
        batches = await mixed_batches(router)
        settings = replace(AuditSettings(), database_url=url)
        database = await Database.open(settings, "audit", Path(vantixs_audit.__file__).parent / "migrations")
        async with serving(router) as stub:
            made = Audit(database, router, stub)
            for entries in batches:
                await made.record(entries)
            made.process()
            yield made
        await database.close()


async def refused(audit: Audit, **fields: Any) -> ServiceError:
    with pytest.raises(ServiceError) as raised:
        await audit.start(**fields)
    return raised.value


async def test_verify_of_all_by_filter_finds_no_difference_and_tells_each_signal_once(audit: Audit) -> None:
    everything = audit_pb2.SignalFilter()
    counting = audit_pb2.ReplaySignalsRequest(filter=everything, count_only=True)
    assert (await audit.replays.start(counting, "operator:ann")).count == COUNT
    started = await audit.start(filter=everything)
    assert (started.mode, started.total, started.root_replay_id) == (VERIFY, COUNT, started.replay_id)
    found = await audit.finish(started.replay_id)
    assert (found.finished, found.different, found.not_verifiable, found.refused) == (COUNT, 0, 0, 0)
    assert [r.signal_id for r in found.results] == [f"s{n}" for n in range(1, COUNT + 1)]
    told = Counter((e.signal_id, e.WhichOneof("event")) for e in await audit.told())
    assert told == {(f"s{n}", k): 1 for n in range(1, COUNT + 1) for k in ("replay_requested", "replay_finished")}


async def test_signals_are_fixed_when_the_replay_is_stored(audit: Audit) -> None:
    started = await audit.start(filter=audit_pb2.SignalFilter(account_id="a"))
    later = journal_pb2.JournalEntry(event_id="late:accepted", signal_id="late")
    later.signal_accepted.webhook.account_id = "a"
    await audit.record([later])
    assert (await audit.finish(started.replay_id)).total == COUNT


async def test_lowered_limit_is_found_with_the_configuration_as_it_is_now(audit: Audit) -> None:
    await limit(audit.router, max_order_notional="60", max_open_positions=3)
    changed = journal_pb2.JournalEntry(event_id="webhook:w:1")
    changed.configuration_changed.kind, changed.configuration_changed.id = "webhook", "w"
    await audit.record([changed])
    recorded = await audit.finish((await audit.start(signal_ids=["s1", "s2", "s3"])).replay_id)
    assert not recorded.different
    started = await audit.start(signal_ids=["s1", "s2", "s3"], current=True)
    gone = await audit.finish(started.replay_id)
    assert {m for r in gone.results for m in r.missing} == {"webhook w as it is now"}
    assert (gone.not_verifiable, gone.different) == (3, 0)


async def test_a_request_is_one_replay_also_when_it_comes_twice_at_once(audit: Audit) -> None:
    first = audit.replays
    second = audit.process()
    request = audit_pb2.ReplaySignalsRequest(request_id="r1", signal_ids=["s1", "s2"], comment="why", name="Ann")
    answers = await asyncio.gather(*(p.start(request, "operator:ann") for p in (first, second) for _ in range(3)))
    assert len({a.replay.replay_id for a in answers}) == 1
    listed = await audit.replays.list(audit_pb2.ListReplaysRequest())
    assert len(listed.replays) == 1
    assert len(await audit.told()) == 2


async def test_killed_processes_leave_each_signal_replayed_once_and_in_order(audit: Audit) -> None:
    started = await audit.start(filter=audit_pb2.SignalFilter())
    for reached in (3, 9, 10, 22):
        await audit.run_until(started.replay_id, lambda replay, least=reached: replay.finished >= least)
        audit.process()
    found = await audit.finish(started.replay_id)
    assert [r.signal_id for r in found.results] == [f"s{n}" for n in range(1, COUNT + 1)]
    finished = [e.signal_id for e in await audit.told() if e.HasField("replay_finished")]
    assert finished == [f"s{n}" for n in range(1, COUNT + 1)]


async def test_a_replay_is_held_goes_on_and_is_stopped(audit: Audit) -> None:
    audit.process(per_second=50)
    started = await audit.start(filter=audit_pb2.SignalFilter())
    await audit.run_until(started.replay_id, lambda replay: replay.finished >= 2)
    held = await audit.replays.set_state(started.replay_id, PAUSED)
    other = await audit.start(signal_ids=["s5"])
    await audit.finish(other.replay_id)
    assert (await audit.get(started.replay_id)).finished == held.finished
    await audit.replays.set_state(started.replay_id, RUNNING)
    await audit.run_until(started.replay_id, lambda replay: replay.finished > held.finished)
    stopped = await audit.replays.set_state(started.replay_id, CANCELED)
    assert stopped.HasField("end_time")
    with pytest.raises(ServiceError, match="REPLAY_ENDED"):
        await audit.replays.set_state(started.replay_id, RUNNING)


async def test_a_replay_of_a_replay_keeps_its_root_and_may_take_what_differed(audit: Audit) -> None:
    first = await audit.finish((await audit.start(signal_ids=["s1", "s2"])).replay_id)
    second = await audit.finish((await audit.start(of_replay_id=first.replay_id)).replay_id)
    third = await audit.start(of_replay_id=second.replay_id)
    assert third.root_replay_id == second.root_replay_id == first.replay_id
    assert (third.of_replay_id, second.of_replay_id, first.of_replay_id) == (second.replay_id, first.replay_id, "")
    assert third.total == 2
    error = await refused(audit, of_replay_id=first.replay_id, different_only=True)
    assert "was one that means none" in error.detail


async def test_a_signal_that_runs_is_in_doubt_or_was_sent_live_is_refused(audit: Audit) -> None:
    def accepted(signal_id: str, mode: Any) -> journal_pb2.JournalEntry:
        entry = journal_pb2.JournalEntry(event_id=f"{signal_id}:accepted", signal_id=signal_id)
        entry.signal_accepted.signal.signal_id, entry.signal_accepted.webhook.mode = signal_id, mode
        return entry

    def updated(signal_id: str, state: Any) -> journal_pb2.JournalEntry:
        order = order_pb2.Order(order_id=f"{signal_id}.1", signal_id=signal_id, state=state)
        entry = journal_pb2.JournalEntry(event_id=f"{signal_id}:{state}", signal_id=signal_id)
        entry.order_updated.order.CopyFrom(order)
        return entry

    executed = journal_pb2.JournalEntry(event_id="sent:completed", signal_id="sent")
    executed.signal_completed.status = common_pb2.SIGNAL_STATUS_EXECUTED
    await audit.record(
        [
            accepted("runs", common_pb2.MODE_PAPER),
            accepted("doubt", common_pb2.MODE_LIVE),
            updated("doubt", common_pb2.ORDER_STATE_IN_DOUBT),
            accepted("sent", common_pb2.MODE_LIVE),
            updated("sent", common_pb2.ORDER_STATE_FILLED),
            executed,
        ]
    )
    for mode, more in ((PAPER, {}), (LIVE, {"confirmation": "replay live"})):
        for signal_id, why in (
            ("runs", "it is still running"),
            ("doubt", "it is in doubt"),
            ("sent", "its order was sent to a venue live"),
        ):
            error = await refused(audit, signal_ids=[signal_id], mode=mode, **more)
            assert error.reason == "REPLAY_REFUSED"
            assert why in error.detail
    by_filter = await audit.start(filter=audit_pb2.SignalFilter(status=common_pb2.SIGNAL_STATUS_ACCEPTED), mode=PAPER)
    found = await audit.finish(by_filter.replay_id)
    assert {r.signal_id: r.refused[:14] for r in found.results} == {"runs": "it is still ru", "doubt": "it is in doubt"}
    assert not [e for e in await audit.told() if e.HasField("replay_finished")]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "signal_ids"),
        ({"signal_ids": ["s1"], "of_replay_id": "r"}, "signal_ids"),
        ({"signal_ids": ["s1"], "comment": " "}, "comment"),
        ({"signal_ids": ["s1"], "name": ""}, "name"),
        ({"signal_ids": ["s1"], "speed": -1.0}, "speed"),
        ({"signal_ids": ["s1"], "speed": float("nan")}, "speed"),
        ({"signal_ids": ["s1"], "mode": PAPER, "current": True}, "current"),
        ({"signal_ids": ["s1"], "mode": LIVE}, "confirmation"),
        ({"signal_ids": ["s1"], "different_only": True}, "different_only"),
    ],
)
async def test_what_a_request_must_say(fields: dict[str, Any], field: str) -> None:
    nothing: Any = None
    replays = Replays(nothing, nothing, nothing, most=10, pace=ReplayPace(1, 1))
    request = audit_pb2.ReplaySignalsRequest(**{"comment": "why", "name": "Ann"} | fields)
    with pytest.raises(ServiceError) as raised:
        await replays.start(request, "operator:ann")
    assert [v.field for v in raised.value.violations] == [field]


async def test_more_signals_than_allowed_are_refused_with_their_number(audit: Audit) -> None:
    audit.process(most=10)
    assert f"expected at most 10 signals, was {COUNT}" in (await refused(audit, filter=audit_pb2.SignalFilter())).detail


async def test_results_come_in_pages(audit: Audit) -> None:
    started = await audit.start(filter=audit_pb2.SignalFilter())
    await audit.finish(started.replay_id)
    request = audit_pb2.GetReplayRequest(replay_id=started.replay_id, page_size=15)
    pages = []
    while not pages or request.page_token:
        response = await audit.replays.get(request)
        pages.append([r.signal_id for r in response.replay.results])
        request.page_token = response.next_page_token
    assert [len(page) for page in pages] == [15, 15, 10]
    assert [signal_id for page in pages for signal_id in page] == [f"s{n}" for n in range(1, COUNT + 1)]


async def test_signal_whose_entries_cannot_be_read_is_passed_over(audit: Audit) -> None:
    altered = sa.update(store.ENTRIES).where(store.ENTRIES.c.signal_id == "s2").values(data=b"\xff")
    await audit.database.write(lambda c: c.execute(altered) and None)
    found = await audit.finish((await audit.start(filter=audit_pb2.SignalFilter())).replay_id)
    assert (found.finished, found.not_verifiable) == (COUNT, 1)
    assert [r.signal_id for r in found.results if r.missing] == ["s2"]
