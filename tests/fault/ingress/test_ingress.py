"""Ingress while things break: kills, a broker that is away, senders that mean harm. The long ones print figures."""

import asyncio
import json
import os
import random
import re
import signal
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from vantixs.model.ids import keyed_signal_id
from vantixs.testing.promises import check_promises
from vantixs.testing.senders import SIGNAL
from vantixs.testing.stack import RunningStack, wait_for

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")


# Short deadlines for requests, and no limit of entries.
SETTINGS = {
    "VANTIXS_INGRESS_HEAD_TIMEOUT_S": "2",
    "VANTIXS_INGRESS_BODY_TIMEOUT_S": "2",
    "VANTIXS_INGRESS_ENTRIES_PER_MINUTE": "0",
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A system for the short tests."""
    running = RunningStack(tmp_path_factory.mktemp("ingress") / "home", **SETTINGS).start()
    yield running
    assert running.stop() == 0


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RunningStack]:
    """A system of its own."""
    running = RunningStack(tmp_path / "home", forked=False, **SETTINGS).start()
    yield running
    assert running.stop() == 0


class Load:
    """Sends signals at a rate, each with a key of its own, until stopped. Nothing is sent twice, so no answer is no answer."""

    def __init__(self, stack: RunningStack, rate: float) -> None:
        self.url = stack.url
        self.rate = rate
        self.answers: dict[str, int] = {}  # key -> status, 0 for no answer
        self.ids: dict[str, str] = {}
        self.latencies: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
        async with httpx.AsyncClient(timeout=10, limits=limits) as client, asyncio.TaskGroup() as tasks:
            started, number = time.monotonic(), 0
            while not self._stop.is_set():
                number += 1
                tasks.create_task(self._send(client, f"load-{number}", SYMBOLS[number % len(SYMBOLS)]))
                await asyncio.sleep(max(0, started + number / self.rate - time.monotonic()))

    async def _send(self, client: httpx.AsyncClient, key: str, symbol: str) -> None:
        started = time.monotonic()
        body = {"action": random.choice(("buy", "sell")), "symbol": symbol, "idempotency_key": key}
        try:
            answer = await client.post(self.url, json=body)
        except httpx.TransportError:
            self.answers[key] = 0
            return
        self.latencies.append(time.monotonic() - started)
        self.answers[key] = answer.status_code
        if answer.is_success:
            self.ids[key] = answer.json()["signal_id"]

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        return sorted(self.latencies)[int(len(self.latencies) * share)] * 1000 if self.latencies else 0


def kill_under_load(stack: RunningStack, rate: float, seconds: float, seed: int, *, accepted: int) -> Load:
    """Kills until the time is over and so many were accepted: a slow machine needs longer to come back from each kill."""
    chance = random.Random(seed)
    load = Load(stack, rate)
    end = time.monotonic() + seconds
    kills: Counter[str] = Counter()
    try:
        while time.monotonic() < end or (len(load.ids) <= accepted and time.monotonic() < end + 60):
            time.sleep(chance.uniform(0.3, 2.0))  # The moment of the kill is what the seed chooses.
            victim = chance.choice(("ingress", "nats"))
            stack.kill(victim)
            kills[victim] += 1
    finally:
        load.stop()
    print(f"seed {seed}: {len(load.answers)} sent, answers {dict(Counter(load.answers.values()))}, kills {dict(kills)}")
    return load


def check_load(stack: RunningStack, load: Load, timeout_s: float) -> None:
    """What was accepted ended exactly once, what was refused is not there."""
    accepted = list(load.ids.values())
    wait_for(lambda: stack.run("status").returncode == 0, "every service to be healthy")
    stack.ended(accepted, timeout_s=timeout_s)
    check_promises(stack, accepted)
    refused = {keyed_signal_id("demo", key) for key, status in load.answers.items() if status >= 400}
    assert refused & set(stack.signals()) == set()
    assert {s for s in load.answers.values() if s} <= {202, 503}


def test_kills_of_ingress_and_broker_lose_nothing_that_was_accepted(shared: RunningStack) -> None:
    load = kill_under_load(shared, 80, 5, int(os.environ.get("FAULT_SEED", "3")), accepted=100)
    assert len(load.ids) > 100
    check_load(shared, load, 60)


@pytest.mark.long
def test_kills_of_ingress_and_broker_for_a_minute_at_300_a_second(own: RunningStack) -> None:
    load = kill_under_load(own, 300, 60, int(os.environ.get("FAULT_SEED", "1")), accepted=5000)
    assert len(load.ids) > 5000
    check_load(own, load, 600)


@pytest.mark.long
def test_broker_away_for_30_s_at_200_a_second_costs_no_answer_and_no_order(own: RunningStack) -> None:
    """One sender after the other, so that the order of acceptance is known."""
    ids: list[str] = []
    statuses: Counter[int] = Counter()
    latencies = []
    os.kill(own.pid("nats"), signal.SIGSTOP)
    try:
        started = time.monotonic()
        with httpx.Client(timeout=10) as client:
            for number in range(6000):
                time.sleep(max(0, started + number / 200 - time.monotonic()))
                body = {"action": "buy" if number % 2 else "sell", "symbol": "LTCUSDT", "nonce": f"away-{number}"}
                before = time.monotonic()
                answer = client.post(own.url, json=body)
                latencies.append((time.monotonic() - before) * 1000)
                statuses[answer.status_code] += 1
                ids.append(answer.json()["signal_id"])
        seconds = time.monotonic() - started
    finally:
        os.kill(own.pid("nats"), signal.SIGCONT)
    latencies.sort()
    print(
        f"{seconds:.0f} s without broker: {dict(statuses)}, p50 {statistics.median(latencies):.1f} ms, "
        f"p99 {latencies[5940]:.1f} ms, max {latencies[-1]:.1f} ms"
    )
    assert statuses == {202: 6000}
    own.ended(ids, timeout_s=300)
    found = own.timelines_of(ids)
    at = [next(int(e["stream_sequence"]) for e in found[i] if "signal_accepted" in e["entry"]) for i in ids]
    assert at == sorted(at)


class Abuse:
    """Slow senders, wrong tokens and large bodies, from loopback addresses of their own."""

    def __init__(self, stack: RunningStack, *, slow: int, wrong: int, large: int) -> None:
        self.base = stack.endpoints["http"]
        self.slow, self.wrong, self.large = slow, wrong, large
        self.wrong_answers: Counter[int] = Counter()
        self.large_answers: Counter[int] = Counter()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            trickling = [tasks.create_task(self._trickle()) for _ in range(self.slow)]
            others = [tasks.create_task(self._guess(n)) for n in range(16)]
            others += [tasks.create_task(self._flood()) for _ in range(2)]
            await asyncio.wait(others)
            for task in trickling:
                task.cancel()

    async def _connect(self, address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, _, port = self.base.removeprefix("http://").partition(":")
        return await asyncio.open_connection(host, int(port), local_addr=(address, 0))

    async def _trickle(self) -> None:
        """One byte a second, again and again."""
        while True:
            try:
                reader, writer = await self._connect("127.0.0.3")
            except OSError:
                await asyncio.sleep(0.1)
                continue
            try:
                for byte in (
                    b"POST /hooks/demo/x HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\nX-Slow: " + b"x" * 1000
                ):
                    writer.write(bytes([byte]))
                    await asyncio.sleep(1)
                    if reader.at_eof() or writer.is_closing():
                        break
            except OSError:
                pass
            finally:
                writer.transport.abort()

    async def _guess(self, worker: int) -> None:
        reader, writer = await self._connect(f"127.0.1.{worker + 1}")
        body = json.dumps(SIGNAL).encode()
        number = 0
        while number < self.wrong // 16:
            path = f"/hooks/demo/wrong-{worker}-{number}"
            writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                # On a busy machine this sender itself may be slower than the deadline of a head.
                reader, writer = await self._connect(f"127.0.1.{worker + 1}")
                continue
            number += 1
            found = re.search(rb"content-length: (\d+)", head)
            assert found
            await reader.readexactly(int(found[1]))
            self.wrong_answers[int(head[9:12])] += 1
        writer.transport.abort()

    async def _flood(self) -> None:
        async with httpx.AsyncClient(timeout=30) as client:
            for _ in range(self.large // 2):
                answer = await client.post(f"{self.base}/hooks/demo/x", content=b"x" * (10 << 20))
                self.large_answers[answer.status_code] += 1


def memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


def abuse(stack: RunningStack, **amounts: int) -> tuple[Abuse, list[float], Counter[int]]:
    harm = Abuse(stack, **amounts)
    thread = threading.Thread(target=lambda: asyncio.run(harm.run()))
    thread.start()
    latencies, statuses, number = [], Counter[int](), 0
    with httpx.Client(timeout=10) as client:
        while thread.is_alive() or number < 50:
            number += 1
            before = time.monotonic()
            answer = client.post(stack.url, json=SIGNAL | {"nonce": f"good-{number}"})
            latencies.append((time.monotonic() - before) * 1000)
            statuses[answer.status_code] += 1
            time.sleep(0.02)  # A good sender sends now and then.
    thread.join()
    return harm, sorted(latencies), statuses


def check_abuse(stack: RunningStack, harm: Abuse, latencies: list[float], statuses: Counter[int]) -> None:
    used = memory_mb(stack.pid("ingress"))
    print(
        f"{harm.slow} slow, wrong tokens {dict(harm.wrong_answers)}, 10 MB bodies {dict(harm.large_answers)}: memory at most "
        f"{used:.0f} MB; the good sender got {dict(statuses)}, p50 {statistics.median(latencies):.1f} ms, "
        f"p99 {latencies[int(len(latencies) * 0.99)]:.1f} ms"
    )
    assert set(statuses) == {202}
    assert set(harm.wrong_answers) == {401, 429}
    assert set(harm.large_answers) == {413}
    assert used < 200


def test_harmful_senders_do_not_keep_a_good_one_out(shared: RunningStack) -> None:
    check_abuse(shared, *abuse(shared, slow=100, wrong=3200, large=6))


@pytest.mark.long
def test_200_slow_senders_100_000_wrong_tokens_and_bodies_of_10_mb(own: RunningStack) -> None:
    check_abuse(own, *abuse(own, slow=200, wrong=100_000, large=100))


@pytest.mark.long
def test_unknown_webhook_and_wrong_token_take_the_same_time(stack: RunningStack) -> None:
    """10,000 tries in turns. The difference of the medians is held against what chance makes of the same tries."""
    base = str(stack.endpoints["http"])
    body = json.dumps(SIGNAL)
    names = ("known", "unknown")
    urls = {"known": f"{base}/hooks/demo/vxt_" + "A" * 32, "unknown": f"{base}/hooks/nope/vxt_" + "A" * 32}
    taken: dict[str, list[int]] = {name: [] for name in names}
    chance = random.Random(1)
    with httpx.Client() as client:
        for _ in range(200):
            client.post(urls["known"], content=body)
        for _ in range(5000):
            for name in chance.sample(names, 2):
                before = time.perf_counter_ns()
                client.post(urls[name], content=body)
                taken[name].append(time.perf_counter_ns() - before)
    observed = statistics.median(taken["known"]) - statistics.median(taken["unknown"])
    pooled = taken["known"] + taken["unknown"]
    by_chance = []
    for _ in range(1000):
        chance.shuffle(pooled)
        by_chance.append(abs(statistics.median(pooled[:5000]) - statistics.median(pooled[5000:])))
    beyond = sum(1 for d in by_chance if d >= abs(observed)) / len(by_chance)
    # How often a guess from one time alone is right: 0.5 is a coin.
    both = sorted([(t, 1) for t in taken["known"]] + [(t, 0) for t in taken["unknown"]])
    ranks = sum(rank for rank, (_, known) in enumerate(both, 1) if known)
    advantage = (ranks - 5000 * 5001 / 2) / 5000**2
    print(
        f"medians {statistics.median(taken['known']) / 1000:.1f} and {statistics.median(taken['unknown']) / 1000:.1f} us, "
        f"difference {observed / 1000:+.2f} us, by chance as large in {beyond:.0%}; a guess is right in {advantage:.3f}"
    )
    assert 0.45 < advantage < 0.55
