"""Replicas on PostgreSQL that is some milliseconds away: signals and decisions a second, and what more replicas add.

    python bench/scale.py DELAY_MS signals ROUTERS [SETTING=value ...]
    python bench/scale.py DELAY_MS decisions RISKS [SETTING=value ...]

Without arguments it measures all figures of replicas and slow links and prints one table; that takes some minutes.
The delay is each way, by a proxy in this process, whose CPU counts as the network's.
"""

import asyncio
import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import psycopg
import uvloop
from burst import PROCESSES, SYMBOLS, cpu_seconds
from load import post_many
from risk import ACCOUNTS as RISK_ACCOUNTS
from risk import EVALUATE, answered, create_accounts, make_request, running_risk
from vantixs.model.ids import keyed_signal_id
from vantixs.testing.postgres import PostgresServer
from vantixs.testing.proxy import TcpProxy
from vantixs.testing.stack import RunningStack

ACCOUNTS, INSTRUMENTS, SIGNALS, CONNECTIONS = 10, 10, 2_000, 32
MEASURE_S = 4.0
Call = Any  # grpc.aio.UnaryUnaryMultiCallable
REPLICAS = (1, 2, 4)


Used = Callable[[], dict[str, float]]


class Found(NamedTuple):
    """What was measured: how many a second, and the cores that each process used."""

    rate: float
    cores: dict[str, float]

    def __str__(self) -> str:
        return f"{self.rate:7.0f}/s   " + " ".join(f"{name} {used:.2f}" for name, used in self.cores.items())


@contextmanager
def far_database(delay_s: float) -> Iterator[tuple[str, str, Used]]:
    """An empty database behind a slow link: its URL by the link, the one past it, and what tells the CPU that both used."""
    with tempfile.TemporaryDirectory() as directory, ExitStack() as ends:
        server = PostgresServer(Path(directory) / "postgres")
        ends.callback(server.stop)
        url = server.new_database()
        socket = Path(url.partition("host=")[2]) / ".s.PGSQL.5432"
        link = TcpProxy(socket, delay_s=delay_s).start()
        ends.callback(link.stop)
        found = re.search(r"/(t[0-9a-f]+)\?", url)
        assert found, url
        postmaster = int((Path(directory) / "postgres" / "postmaster.pid").read_text().split()[0])
        slow = f"postgresql+psycopg://postgres:@127.0.0.1:{link.port}/{found[1]}"
        yield slow, url, lambda: {"postgres": seconds_of_children(postmaster), "bench and link": time.process_time()}


def seconds_of_children(parent: int) -> float:
    """CPU of the processes that a process started and that live."""
    used = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                used += cpu_seconds(int(stat.parent.name))
    return used


def signals(delay_s: float, routers: int, accounts: int = ACCOUNTS, **settings: str) -> Found:
    """Signals a second from the first POST to the last end in history, over accounts x instruments keys."""
    with far_database(delay_s) as (url, near, used), tempfile.TemporaryDirectory() as home:
        stack = RunningStack(
            Path(home) / "home", router=routers, VANTIXS_DATABASE_URL=url, VANTIXS_LOG_LEVEL="warning", **settings
        ).start()
        try:
            return _signals(stack, near, routers, accounts, used)
        finally:
            stack.stop()


def _signals(stack: RunningStack, near: str, routers: int, accounts: int, used: Used) -> Found:
    webhooks = []
    for number in range(accounts):
        stack.json("account", "create", f"scale-{number}")
        made = stack.json("webhook", "create", "--account", f"scale-{number}", "--entry-expires-after-s", "0")
        webhooks.append((made["webhook"]["webhook_id"], made["url"].removeprefix(stack.endpoints["http"])))
    keys = accounts * INSTRUMENTS

    def alert(number: int) -> tuple[str, bytes]:
        turn, key = divmod(number, keys)
        action, symbol = "close" if turn % 2 else "buy", SYMBOLS[key // accounts]
        body = {"action": action, "symbol": symbol, "idempotency_key": f"scale-{number}"}
        return webhooks[key % accounts][1], json.dumps(body).encode()

    count = max(SIGNALS, 10 * keys)
    last = [keyed_signal_id(webhooks[n % keys % accounts][0], f"scale-{n}") for n in range(count - keys, count)]
    names = [name for name in PROCESSES if name != "router"]
    names += [f"router-{n}" for n in range(routers)] if routers > 1 else ["router"]
    before = {name: cpu_seconds(stack.pid(name)) for name in names} | used()
    started = time.perf_counter()
    _, _, statuses = uvloop.run(post_many(stack.endpoints["http"], alert, count, CONNECTIONS))
    assert statuses == {202: count}, statuses
    wait_for_ends(near, last)
    seconds = time.perf_counter() - started
    after = {name: cpu_seconds(stack.pid(name)) for name in names} | used()
    cores = {name: (after[name] - before[name]) / seconds for name in after}
    ends = Counter(f"{signal['status']} {signal.get('reason', '')}" for signal in stack.signals().values())
    assert set(ends) == {"SIGNAL_STATUS_EXECUTED "}, ends
    return Found(count / seconds, cores)


def wait_for_ends(near: str, signal_ids: list[str]) -> None:
    """Returns once history holds the end of every signal. Asks the database itself: audit's answers come by the slow link."""
    started = time.perf_counter()
    with psycopg.connect(near.replace("+psycopg", "")) as connection:
        connection.autocommit = True
        for who, text in (
            ("router", "SELECT count(*) FROM router.signal_runs WHERE signal_id = ANY(%s) AND done"),
            ("audit", "SELECT count(*) FROM audit.signals WHERE signal_id = ANY(%s) AND status <> 'ACCEPTED'"),
        ):
            while connection.execute(text, (signal_ids,)).fetchone() != (len(signal_ids),):
                time.sleep(0.05)  # Between two looks; far below what is measured, and no load on the database.
            print(f"  {who}: all ended {time.perf_counter() - started:.1f} s after the last POST", flush=True)


def decisions(delay_s: float, replicas: int, **settings: str) -> Found:
    """Decisions a second of so many replicas; the caller sends each account to one of them, by rendezvous hashing."""
    with far_database(delay_s) as (url, near, used), tempfile.TemporaryDirectory() as home, ExitStack() as ends:
        with running_risk(Path(home) / "near", near, {}) as replica:
            asyncio.run(create_accounts(*replica))
        started = [
            ends.enter_context(running_risk(Path(home) / str(number), url, settings)) for number in range(replicas)
        ]
        pids = [
            int(json.loads((Path(home) / str(number) / "run" / "risk-0.json").read_text())["pid"])
            for number in range(replicas)
        ]
        before = {f"risk-{n}": cpu_seconds(pid) for n, pid in enumerate(pids)} | used()
        began = time.perf_counter()
        rate = uvloop.run(_decide(started))
        seconds = time.perf_counter() - began
        after = {f"risk-{n}": cpu_seconds(pid) for n, pid in enumerate(pids)} | used()
        return Found(rate, {name: (after[name] - before[name]) / seconds for name in after})


async def _decide(replicas: list[tuple[str, str]]) -> float:
    """Each caller has an account of its own, and one order of it decided after the other."""
    done = 0

    async def call(account_id: str, ask: Call, token: str, until: float) -> None:
        nonlocal done
        while time.perf_counter() < until:
            content = make_request(account_id).SerializeToString()
            await answered(ask, content, (("authorization", f"Bearer {token}"),))
            done += 1

    async with AsyncExitStack() as ends:
        channels = [await ends.enter_async_context(grpc.aio.insecure_channel(address)) for address, _ in replicas]
        calls, started = [], time.perf_counter()
        for account_id in (f"{kind}-{number}" for kind in "bf" for number in range(RISK_ACCOUNTS)):
            n = max(range(len(replicas)), key=lambda n: blake2b(f"{n} {account_id}".encode()).digest())
            calls.append(call(account_id, channels[n].unary_unary(EVALUATE), replicas[n][1], started + MEASURE_S))
        await asyncio.gather(*calls)
    return done / (time.perf_counter() - started)


def table() -> None:
    """All figures, each beside what one replica does."""
    for title, delay_s, settings in (
        ("0 ms", 0.0, {}),
        ("5 ms each way", 0.005, {}),
        ("25 ms each way, batches of 16", 0.025, {"VANTIXS_DATABASE_BATCH": "16"}),
    ):
        one = 0.0
        for replicas in REPLICAS:
            found = decisions(delay_s, replicas, **settings)
            one = one or found.rate
            print(f"{title:<30} decisions, risk x {replicas}:  {found.rate / one:4.2f} x {found}", flush=True)
        one = 0.0
        for replicas in REPLICAS:
            # Where waiting is the limit there have to be enough keys that wait.
            found = signals(delay_s, replicas, ACCOUNTS * 4 if settings else ACCOUNTS, **settings)
            one = one or found.rate
            print(f"{title:<30} signals, router x {replicas}:  {found.rate / one:4.2f} x {found}", flush=True)


def main(arguments: list[str]) -> None:
    """One measurement, or all."""
    if not arguments:
        table()
        return
    delay, what, replicas, *rest = arguments
    settings = dict(text.split("=", 1) for text in rest)
    accounts = {"accounts": int(settings.pop("accounts"))} if "accounts" in settings else {}
    measure: Callable[..., Found] = signals if what == "signals" else decisions
    print(what, "x", replicas, measure(float(delay) / 1000, int(replicas), **accounts, **settings))


if __name__ == "__main__":
    main(sys.argv[1:])
