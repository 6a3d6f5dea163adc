"""`make bench`: the ratios of DESIGN section 11, each beside what it is measured against, in one run."""

import asyncio
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import grpc
import uvloop
from bare import ECHO
from load import post_many, quantile
from risk import bench_risk
from vantixs.runtime.addresses import free_port
from vantixs.testing.stack import RunningStack, wait_for

HTTP_COUNT, E2E_COUNT, ECHO_S = 12_000, 3_000, 4.0
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
ACCOUNTS = 4


def say(name: str, value: str, goal: str = "") -> None:
    """One line of the result."""
    print(f"  {name:<52} {value:>14}   {goal}", flush=True)


def start_bare(kind: str) -> tuple[subprocess.Popen[bytes], int]:
    """Starts what is compared with."""
    port = free_port()
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


def bench_door(stack: RunningStack) -> None:
    """Ingress beside a bare Starlette handler."""
    process, port = start_bare("http")
    try:
        time.sleep(2)
        base = f"http://127.0.0.1:{port}"
        http_rate(base, "/hooks/demo/x", 2000)
        bare, bare_latencies = http_rate(base, "/hooks/demo/x", HTTP_COUNT)
    finally:
        process.terminate()
        process.wait()
    # The router is frozen meanwhile, so that the door is measured alone; it catches up later.
    stack.signal("router", signal.SIGSTOP)
    try:
        path = stack.url.removeprefix(stack.endpoints["http"])
        http_rate(stack.endpoints["http"], path, 1000)
        rate, latencies = http_rate(stack.endpoints["http"], path, HTTP_COUNT // 2)
    finally:
        stack.signal("router", signal.SIGCONT)
    say("bare Starlette handler, 64 connections", f"{bare:,.0f}/s", f"p99 {quantile(bare_latencies, 0.99):.1f} ms")
    say(
        "ingress, fsynced accept, 64 connections",
        f"{rate:,.0f}/s",
        f"p99 {quantile(latencies, 0.99):.1f} ms (goal < 50)",
    )
    say("ratio", f"{rate / bare:.2f} x", "goal >= 0.50")


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

    def all_done() -> bool:
        page = stack.json("signals", "list", "--status", "accepted", "--page-size", "1")
        return not page.get("signals") and len(stack.signals()) == before + E2E_COUNT

    wait_for(all_done, "every signal to end", 300)
    rate = E2E_COUNT / (time.perf_counter() - started)
    say(
        f"end to end, {E2E_COUNT} signals ({accepted:.1f} s to accept)",
        f"{rate:,.0f}/s",
        f"{rate / echo:.2f} x echo, goal >= 0.33",
    )


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
    say("single signal, receive to fill, p50", f"{statistics.median(spans):.1f} ms", "goal < 20")


def moment(text: str) -> datetime:
    """A proto JSON time."""
    return datetime.fromisoformat(re.sub(r"\.(\d{6})\d*Z$", r".\1+00:00", text).replace("Z", "+00:00"))


def bench_idle_cost(stack: RunningStack) -> None:
    """Memory of each process."""
    for name in ("ingress", "risk", "router", "audit", "console", "nats"):
        status = Path(f"/proc/{stack.pid(name)}/status").read_text()
        kilobytes = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))
        say(f"memory of {name}", f"{kilobytes / 1024:.0f} MB", "goal < 120 MB" if name != "nats" else "")


def main() -> None:
    """Runs all of it, on a throw-away home."""
    with tempfile.TemporaryDirectory() as directory:
        started = time.perf_counter()
        stack = RunningStack(Path(directory) / "home", VANTIXS_LOG_LEVEL="warning").start()
        print("Vantixs Signals, measured on this machine in one run")
        say("start-up to ready", f"{time.perf_counter() - started:.1f} s", "goal < 8 s")
        try:
            time.sleep(1)
            bench_idle_cost(stack)
            bench_idle(stack)
            process, port = start_bare("grpc")
            echo = asyncio.run(echo_rate(port))
            process.terminate()
            process.wait()
            say("bare grpc.aio unary echo, 64 callers", f"{echo:,.0f}/s")
            bench_end_to_end(stack, echo)
            bench_door(stack)
        finally:
            stack.stop()
        bench_risk(say, start_bare, Path(directory))


if __name__ == "__main__":
    main()
