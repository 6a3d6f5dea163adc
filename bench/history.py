"""Audit beside millions of entries: catching up with them, its memory, pages, statistics, and the check of the whole history.

    python bench/history.py sqlite|postgresql [SIGNALS]

The entries are published on the journal of a running system, whose audit records them as it records its own. Then audit is
asked over gRPC, as users ask it. A million signals have 6,000,000 entries; that takes an hour and 30 GB of disk. Run it by hand.
"""

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from burst import cpu_seconds
from record import BEGIN, messages_of
from scale import seconds_of_children
from signal_list import FILTERS, ORDERS
from vantixs.api.audit.v1 import audit_pb2, audit_pb2_grpc
from vantixs.runtime.grpc_client import open_channel
from vantixs.runtime.journal import Journal, Message
from vantixs.runtime.lifecycle import Lifecycle
from vantixs.runtime.settings import ServiceSettings, load
from vantixs.testing.postgres import PostgresServer
from vantixs.testing.stack import RunningStack

SIGNALS, RUNNING, AT_ONCE = 1_000_000, 64, 500
MOST_WAITING = 20_000  # Messages that are published and not recorded yet.
TURNS, DAY_TURNS, CALL_S, CHECK_S = 20, 7, 60.0, 7_200.0
REPORT_S = 30.0
# Signals begin 50 ms after each other, so this is the time of 86,400 of them: a day of one a second.
DAY = timedelta(seconds=86_400 * 0.05)
SETTINGS = {
    "VANTIXS_LOG_LEVEL": "warning",
    "VANTIXS_JOURNAL_MAX_BYTES": str(16 << 30),
    "VANTIXS_AUDIT_JOURNAL_KEEP_BYTES": str(1 << 30),
}
MIB = 1 << 20


def memory_of(pid: int) -> str:
    """Memory of a process now, and the most that it ever had."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    found = {words[0]: int(words[1]) * 1024 // MIB for words in lines if words[0] in ("VmRSS:", "VmHWM:")}
    return f"{found['VmRSS:']} MB now, {found['VmHWM:']} MB at most"


def messages(count: int) -> Iterator[Message]:
    """The messages of all signals, 64 of which run at a time."""
    rng, running, numbers = random.Random(1), list[list[tuple[bytes, int]]](), iter(range(count))
    while True:
        running += [messages_of(rng, number) for number in islice(numbers, RUNNING - len(running))]
        if not running:
            return
        chosen = rng.choice(running)
        data, _ = chosen.pop(0)
        if not chosen:
            running.remove(chosen)
        yield Message("vantixs.journal.v1.event.order", data, rng.randbytes(12).hex())


class Bench:
    """A running system whose history is filled and asked."""

    def __init__(self, stack: RunningStack, backends: Callable[[], float], stub: Any) -> None:
        self._pid = stack.pid("audit")
        self._backends = backends
        self._stub = stub

    async def fill(self, journal: Journal, count: int) -> None:
        """Publishes the signals, and waits until all of them are recorded."""
        begun, reported, used = time.perf_counter(), time.perf_counter(), self._cpu_s()
        made, published, waiting = messages(count), 0, 0
        while batch := list(islice(made, AT_ONCE)):
            await journal.publish_batch(batch)
            published, waiting = published + len(batch), waiting + len(batch)
            if waiting >= MOST_WAITING:
                waiting = await self._waiting(MOST_WAITING // 2)
            if time.perf_counter() - reported > REPORT_S:
                reported = time.perf_counter()
                print(
                    f"  {published * 2:,} entries, {published * 2 / (reported - begun):,.0f}/s, audit: {memory_of(self._pid)}",
                    flush=True,
                )
        await self._waiting(0)
        took, entries = time.perf_counter() - begun, count * 6
        cpu_us = (self._cpu_s() - used) / entries * 1e6
        self._say(
            "catching up",
            f"{entries:,} entries, {entries / took:,.0f}/s, {cpu_us:.1f} us of CPU an entry, the database's included",
        )

    async def ask_pages(self) -> None:
        """Pages of 50 by each filter and order, and the page after each."""
        cases = [(text, "") for text in FILTERS] + [("", order) for order in ORDERS]
        found = []
        for text, order in cases:
            request = audit_pb2.ListSignalsRequest(page_size=50, order_by=order)
            request.filter.expression = text
            took = []
            for _ in range(TURNS):
                begun = time.perf_counter()
                response = await self._stub.ListSignals(request, timeout=CALL_S)
                took.append((time.perf_counter() - begun) * 1000)
                request.page_token = response.next_page_token
            found.append(
                (
                    statistics.quantiles(took, n=100, method="inclusive")[98],
                    statistics.median(took),
                    text or order or "all",
                )
            )
        found.sort(reverse=True)
        self._say("pages of 50", f"{len(found)} filters and orders; the slowest by p99, with p50:")
        for p99, p50, text in found[:5]:
            print(f"  {p99:8.1f} {p50:8.1f} ms   {text}", flush=True)

    async def ask_statistics(self, count: int) -> None:
        """Statistics of a day, by webhook, and by webhook and hour."""
        end = BEGIN + count * timedelta(milliseconds=50)
        for bucket in (0, 1):
            request = audit_pb2.GetStatisticsRequest(group=1, bucket=bucket)  # type: ignore[arg-type]  # mypy knows only the enums' names.
            request.filter.until.FromDatetime(end)
            request.filter.since.FromDatetime(end - DAY)
            took, used = [], self._cpu_s()
            for _ in range(DAY_TURNS):
                begun = time.perf_counter()
                await self._stub.GetStatistics(request, timeout=CALL_S)
                took.append((time.perf_counter() - begun) * 1000)
            cpu_ms = (self._cpu_s() - used) / DAY_TURNS * 1000
            self._say(
                f"statistics of 86,400 signals by webhook{' and hour' if bucket else ''}",
                f"{statistics.median(took):.0f} ms, {cpu_ms:.0f} ms of CPU",
            )

    async def check(self) -> None:
        """Checks the whole history: all entries first, then what can be made again from them."""
        begun, entries_s, reported = time.perf_counter(), 0.0, time.perf_counter()
        async for response in self._stub.CheckHistory(audit_pb2.CheckHistoryRequest(), timeout=CHECK_S):
            now = time.perf_counter()
            if response.rows_checked and not entries_s:
                entries_s = now - begun
                self._say("entries, tree and checkpoints checked", f"{response.checked:,} in {entries_s:.1f} s")
            if now - reported > REPORT_S:
                reported = now
                done = f"{response.checked:,} entries, {response.rows_checked:,} with columns and rows, of {response.total:,}"
                print(f"  {done}; audit: {memory_of(self._pid)}", flush=True)
            if response.finished:
                assert not response.HasField("fault"), response
                self._say("columns and rows checked", f"{response.rows_checked:,} in {now - begun - entries_s:.1f} s")

    def _say(self, what: str, found: str) -> None:
        print(f"{what}: {found}; audit: {memory_of(self._pid)}", flush=True)

    def _cpu_s(self) -> float:
        return cpu_seconds(self._pid) + self._backends()

    async def _waiting(self, most: int) -> int:
        """How many messages are not recorded yet, once that is at most `most`."""
        while True:
            found = (await self._stub.GetJournal(audit_pb2.GetJournalRequest(), timeout=CALL_S)).journal
            waiting = found.last_sequence - found.recorded_sequence
            if waiting <= most:
                return waiting
            await asyncio.sleep(0.05)


async def run(stack: RunningStack, count: int, backends: Callable[[], float]) -> None:
    """Fills the history, and asks."""
    settings = load("audit", ServiceSettings, overrides={"home": str(stack.home), "nats_url": stack.endpoints["nats"]})
    token = (stack.home / "secrets" / "operator-token").read_text().strip()
    async with AsyncExitStack() as ends:
        channel = open_channel(stack.endpoints["grpc"]["audit"], token=token)
        ends.push_async_callback(channel.close)
        bench = Bench(stack, backends, audit_pb2_grpc.AuditServiceStub(channel))  # type: ignore[no-untyped-call]  # Generated.
        await _publish(settings, lambda journal: bench.fill(journal, count))
        await bench.ask_pages()
        await bench.ask_statistics(count)
        await bench.check()


async def _publish(settings: ServiceSettings, work: Callable[[Journal], Awaitable[None]]) -> None:
    async with asyncio.TaskGroup() as tasks:
        life = Lifecycle("bench", settings, tasks)
        journal = Journal(settings, life.health)
        journal.start(life)
        await journal.connected()
        await work(journal)
        life.stopping.set()
        await journal.close()
        life.cancel_rest()


def main() -> None:
    """Measures one of the databases."""
    dialect, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else SIGNALS
    with tempfile.TemporaryDirectory() as directory:
        settings: dict[str, str] = dict(SETTINGS)
        database_s: Callable[[], float] = float  # 0: SQLite's work is audit's own.
        with ExitStack() as ends:
            if dialect == "postgresql":
                server = PostgresServer(Path(directory) / "postgres")
                ends.callback(server.stop)
                settings["VANTIXS_DATABASE_URL"] = server.new_database()
                postmaster = int((Path(directory) / "postgres" / "postmaster.pid").read_text().split()[0])
                database_s = partial(seconds_of_children, postmaster)
            stack = RunningStack(Path(directory) / "home", **settings)
            ends.callback(stack.start().stop)
            asyncio.run(run(stack, count, database_s))


if __name__ == "__main__":
    main()
