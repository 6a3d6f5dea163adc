"""`make bench`: the ratios of docs/developer/architecture.md, "How fast", each beside what it is measured against, in one run.

The wheel with compiled modules is what is measured; accepting and deciding are measured in plain Python as well, in a second
column. Without a C compiler there is plain Python only. `run.py accept` measures accepting alone.
"""

import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import grpc
import uvloop
from bare import ECHO
from burst import bench_burst, cpu_seconds
from compiled import compiler_lack, install_compiled
from load import post_many, quantile
from risk import bench_risk
from vantixs.api.audit.v1 import audit_pb2, audit_pb2_grpc
from vantixs.api.common.v1 import common_pb2
from vantixs.runtime.addresses import port_of, reserve_port
from vantixs.runtime.grpc_client import open_channel
from vantixs.testing.stack import RunningStack

ROUND_COUNT, ACCEPT_ROUNDS, E2E_COUNT, ECHO_S = 3_000, 9, 3_000, 4.0
SYMBOLS = (
    "BTCUSDT",
    "ETHUSDT",
    "SOLUSDT",
    "BNBUSDT",
    "XRPUSDT",
    "ADAUSDT",
    "DOGEUSDT",
    "AVAXUSDT",
    "LINKUSDT",
    "LTCUSDT",
)
ACCOUNTS = 16  # With ten instruments each, all 32 lanes have work.


def say(name: str, value: str, goal: str = "", plain: str = "") -> None:
    """One line of the result. `plain` is the value in plain Python, where `value` is the compiled one."""
    print(f"  {name:<52} {value:>14} {plain:>14}   {goal}".rstrip(), flush=True)


def start_bare(kind: str) -> tuple[subprocess.Popen[bytes], int]:
    """Starts what is compared with."""
    with reserve_port() as held:
        port = port_of(held)
    process = subprocess.Popen([sys.executable, str(Path(__file__).parent / "bare.py"), kind, str(port)])
    return process, port


async def echo_rate(port: int) -> float:
    """Unary calls a second at 64 callers, 400 bytes."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(ECHO)
        await call(b"x", timeout=5, wait_for_ready=True)
        done, end = 0, time.perf_counter() + ECHO_S

        async def work() -> None:
            nonlocal done
            while time.perf_counter() < end:
                await call(b"x" * 400, timeout=5)
                done += 1

        await asyncio.gather(*(work() for _ in range(64)))
        return done / ECHO_S


def http_rate(url: str, path: str, count: int) -> tuple[float, list[float]]:
    """Requests a second at 64 connections, and latencies; every body is another."""

    def body(number: int) -> tuple[str, bytes]:
        content = {
            "action": "buy",
            "symbol": SYMBOLS[number % len(SYMBOLS)],
            "comment": f"bench {number} {time.time_ns()}",
        }
        return path, json.dumps(content).encode()

    seconds, latencies, statuses = uvloop.run(post_many(url, body, count, 64))
    assert set(statuses) == {202}, statuses
    return count / seconds, latencies


def bench_accept(stacks: Mapping[str, RunningStack]) -> None:
    """Ingress, by kind ("compiled", "plain"), and a bare Starlette handler, in turns, so that all have the same machine.

    Router and audit are frozen meanwhile: ingress is measured with its spool, relay and broker, not with what comes after.
    """
    process, port = start_bare("http")
    bare = Rounds(f"http://127.0.0.1:{port}", "/hooks/demo/x", process.pid)
    ingresses = {}
    for kind, stack in stacks.items():
        url = stack.endpoints["http"]
        ingresses[kind] = Rounds(url, stack.url.removeprefix(url), stack.pid("ingress"))
    frozen = [(stack, name) for stack in stacks.values() for name in ("router", "audit")]
    for stack, name in frozen:
        stack.signal(name, signal.SIGSTOP)
    try:
        time.sleep(2)
        for rounds in (bare, *ingresses.values()):
            rounds.warm()
        for _ in range(ACCEPT_ROUNDS):
            for rounds in (bare, *ingresses.values()):
                rounds.run()
    finally:
        process.terminate()
        process.wait()
        for stack, name in frozen:
            stack.signal(name, signal.SIGCONT)
    rates = [f"{statistics.median(ingress.rates):,.0f}/s" for ingress in ingresses.values()]
    ratios = [f"{ratio_of(ingress, bare):.2f} x" for ingress in ingresses.values()]
    latencies = " and ".join(f"{ingress.p99:.1f}" for ingress in ingresses.values())
    say("bare Starlette handler, 64 connections", f"{statistics.median(bare.rates):,.0f}/s", f"p99 {bare.p99:.1f} ms")
    say("ingress, fsynced accept, 64 connections", rates[0], f"p99 {latencies} ms (goal < 50)", *rates[1:])
    say(f"ratio, median of {ACCEPT_ROUNDS} rounds in turns", ratios[0], "goal >= 0.45", *ratios[1:])
    first, *others = (f"{ingress.cpu_s * 1e6:.0f} us" for ingress in ingresses.values())
    say("CPU of ingress a signal", first, f"bare handler {bare.cpu_s * 1e6:.0f} us", *others)
    first, *others = (f"{bare.cpu_s / ingress.cpu_s:.2f} x" for ingress in ingresses.values())
    say("ratio by CPU, which holds where others work too", first, "", *others)


def ratio_of(ingress: "Rounds", bare: "Rounds") -> float:
    """Median over the rounds of how fast one is, measured in the other."""
    return statistics.median(d / b for d, b in zip(ingress.rates, bare.rates, strict=True))


# One webhook takes all the load here, which no sender of signals does.
NO_LIMIT = {"VANTIXS_INGRESS_ENTRIES_PER_MINUTE": "0"}


class Rounds:
    """Runs against one server, which is one process, one after the other."""

    def __init__(self, url: str, path: str, pid: int) -> None:
        self.url, self.path, self.pid = url, path, pid
        self.rates: list[float] = []
        self.used: list[float] = []
        self.latencies: list[float] = []

    def warm(self) -> None:
        http_rate(self.url, self.path, 1000)

    def run(self) -> None:
        before = cpu_seconds(self.pid)
        rate, latencies = http_rate(self.url, self.path, ROUND_COUNT)
        self.used.append(cpu_seconds(self.pid) - before)
        self.rates.append(rate)
        self.latencies += latencies

    @property
    def cpu_s(self) -> float:
        """Seconds of CPU of a request."""
        return statistics.mean(self.used) / ROUND_COUNT

    @property
    def p99(self) -> float:
        return quantile(sorted(self.latencies), 0.99)


def bench_end_to_end(stack: RunningStack, echo: float) -> None:
    """From POST to audited fill."""
    paths = []
    for number in range(ACCOUNTS):
        stack.json("account", "create", f"bench-{number}")
        made = stack.json("webhook", "create", "--account", f"bench-{number}", "--entry-expires-after-s", "0")
        paths.append(made["url"].removeprefix(stack.endpoints["http"]))

    def body(number: int) -> tuple[str, bytes]:
        action = "buy" if number // (ACCOUNTS * len(SYMBOLS)) % 2 == 0 else "close"
        symbol = SYMBOLS[number // ACCOUNTS % len(SYMBOLS)]
        return paths[number % ACCOUNTS], json.dumps({"action": action, "symbol": symbol, "nonce": str(number)}).encode()

    before = len(stack.signals())
    started = time.perf_counter()
    _, _, statuses = uvloop.run(post_many(stack.endpoints["http"], body, E2E_COUNT, 64))
    assert statuses == {202: E2E_COUNT}, statuses
    accepted = time.perf_counter() - started

    # Asked over one channel: a command a look would take a core away from what is measured.
    asyncio.run(all_ended(stack, before + E2E_COUNT))
    rate = E2E_COUNT / (time.perf_counter() - started)
    say(
        f"end to end, {E2E_COUNT} signals ({accepted:.1f} s to accept)",
        f"{rate:,.0f}/s",
        f"{rate / echo:.2f} x echo, goal >= 0.15, aim 0.33",
    )


async def all_ended(stack: RunningStack, count: int) -> None:
    """Returns once audit holds the end of so many signals."""
    token = (stack.home / "secrets" / "viewer-token").read_text().strip()
    audit = audit_pb2_grpc.AuditServiceStub(open_channel(stack.endpoints["grpc"]["audit"], token=token))
    accepted = audit_pb2.ListSignalsRequest(page_size=1)
    accepted.filter.status = common_pb2.SIGNAL_STATUS_ACCEPTED
    while (await audit.ListSignals(accepted, timeout=10)).signals or len(stack.signals()) < count:  # noqa: ASYNC110 - audit is another process
        await asyncio.sleep(0.1)


def bench_idle(stack: RunningStack) -> None:
    """One signal at a time on an idle stack: from receive time to fill time."""
    ids = []
    for number in range(40):
        ids.append(stack.send({"action": "buy", "symbol": "DOTUSDT", "nonce": f"idle-{number}"}).json()["signal_id"])
        time.sleep(0.05)
    stack.ended(ids)
    timelines = stack.timelines_of(ids)
    spans = []
    for timeline in timelines.values():
        events = {key: step["entry"] for step in timeline for key in step["entry"]}
        fill = moment(events["fill_recorded"]["fill_recorded"]["fill"]["execute_time"])
        spans.append((fill - moment(events["signal_accepted"]["event_time"])).total_seconds() * 1000)
    say("single signal, receive to fill, p50", f"{statistics.median(spans):.1f} ms", "goal < 15")


def moment(text: str) -> datetime:
    """A proto JSON time."""
    return datetime.fromisoformat(re.sub(r"\.(\d{6})\d*Z$", r".\1+00:00", text).replace("Z", "+00:00"))


def bench_idle_cost(stack: RunningStack) -> None:
    """Memory of each process, and how long each service took from the start of its process to its listening."""
    boot = time.time() - float(Path("/proc/uptime").read_text().split()[0])
    for name in ("ingress", "risk", "router", "audit", "console", "nats"):
        process = Path(f"/proc/{stack.pid(name)}")
        lines = (process / "status").read_text().splitlines()
        kilobytes = int(next(line.split()[1] for line in lines if line.startswith("VmRSS")))
        goal = "goal < 120 MB" if name != "nats" else ""
        say(f"memory of {name}", f"{kilobytes / 1024:.0f} MB", goal)
        ready = stack.home / "run" / f"{name}-0.json"
        if ready.exists():
            ticks = int((process / "stat").read_text().rpartition(")")[2].split()[19])
            began = boot + ticks / os.sysconf("SC_CLK_TCK")
            say(f"start-up of {name}", f"{ready.stat().st_mtime - began:.1f} s")


def environments() -> dict[str, dict[str, str]]:
    """What is measured, by kind, with the environment it runs in; the first is what everything is measured with."""
    if lack := compiler_lack():
        print(f"{lack}: plain Python only")
        return {"plain": {}}
    return {"compiled": install_compiled(), "plain": {}}


def stacks_of(kinds: Mapping[str, Mapping[str, str]], directory: Path) -> dict[str, RunningStack]:
    """A stack for each kind, not started."""
    return {
        kind: RunningStack(directory / kind, VANTIXS_LOG_LEVEL="warning", **NO_LIMIT, **environ)
        for kind, environ in kinds.items()
    }


def main() -> None:
    """Runs all of it, or accepting alone, on a throw-away home."""
    kinds = environments()
    if sys.argv[1:] == ["accept"]:
        with tempfile.TemporaryDirectory() as directory, ExitStack() as ends:
            stacks = stacks_of(kinds, Path(directory))
            for stack in stacks.values():
                ends.callback(stack.start().stop)
            say("", *list(kinds)[:1], "", *list(kinds)[1:])
            bench_accept(stacks)
        return
    with tempfile.TemporaryDirectory() as directory:
        with ExitStack() as ends:
            started = time.perf_counter()
            stacks = stacks_of(kinds, Path(directory))
            stack, *others = stacks.values()
            ends.callback(stack.start().stop)
            print("Vantixs Signals, measured on this machine in one run")
            say("", *list(kinds)[:1], "", *list(kinds)[1:])
            say("start-up to ready", f"{time.perf_counter() - started:.1f} s", "goal < 8 s")
            time.sleep(1)
            bench_idle_cost(stack)
            bench_idle(stack)
            process, port = start_bare("grpc")
            echo = asyncio.run(echo_rate(port))
            process.terminate()
            process.wait()
            say("bare grpc.aio unary echo, 64 callers", f"{echo:,.0f}/s")
            bench_end_to_end(stack, echo)
            for other in others:
                ends.callback(other.start().stop)
            bench_burst(say, stack, *others)
            bench_accept(stacks)
        bench_risk(say, start_bare, Path(directory), kinds)


if __name__ == "__main__":
    main()
