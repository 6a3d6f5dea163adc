"""The close of a bar: many alerts at once, until the last one is filled and in history."""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import grpc
import uvloop
from load import post_many
from vantixs.api.audit.v1 import audit_pb2, audit_pb2_grpc
from vantixs.api.common.v1 import common_pb2
from vantixs.model.ids import keyed_signal_id
from vantixs.runtime.grpc_client import open_channel
from vantixs.testing.stack import RunningStack

ALERTS, ACCOUNTS, CONNECTIONS = 5_000, 200, 64
SYMBOLS = tuple(
    f"{name}USDT" for name in ["BTC", "ETH", "SOL", "BNB", "XRP", "ADA", "DOGE", "AVAX", "LINK", "LTC", "DOT", "ATOM"]
)
PROCESSES = ("ingress", "nats", "router", "risk", "audit")
LAST = 50  # Ids that are asked for one by one; all others are asked for as those that have not ended.

Say = Callable[..., None]


def bench_burst(say: Say, *stacks: RunningStack) -> None:
    """Prints how long accepting and carrying out take, and the CPU of each process a signal."""
    kinds = [_burst(stack) for stack in stacks]
    columns = list(zip(*kinds, strict=True))
    for name, goal, texts in zip(_NAMES, _GOALS, columns, strict=True):
        say(name, texts[0], goal, *texts[1:])


_NAMES = (
    f"burst of {ALERTS:,} alerts, {ACCOUNTS} accounts, {len(SYMBOLS)} instruments: all accepted",
    "last one filled and in history",
    "CPU a signal, all processes",
    *(f"CPU a signal, {name}" for name in PROCESSES),
)
_GOALS = ("goal < 1.5 s", "goal < 5 s", "goal < 1.5 ms", *("" for _ in PROCESSES))


def _burst(stack: RunningStack) -> list[str]:
    webhooks = []
    for number in range(ACCOUNTS):
        stack.json("account", "create", f"burst-{number}")
        made = stack.json("webhook", "create", "--account", f"burst-{number}", "--entry-expires-after-s", "0")
        webhooks.append((made["webhook"]["webhook_id"], made["url"].removeprefix(stack.endpoints["http"])))

    def alert(number: int) -> tuple[str, bytes]:
        account, turn = number % ACCOUNTS, number // ACCOUNTS
        action = "close" if turn // len(SYMBOLS) % 2 else "buy"
        body = {"action": action, "symbol": SYMBOLS[turn % len(SYMBOLS)], "idempotency_key": f"burst-{number}"}
        return webhooks[account][1], json.dumps(body).encode()

    ids = [keyed_signal_id(webhooks[n % ACCOUNTS][0], f"burst-{n}") for n in range(ALERTS)]
    before = {name: cpu_seconds(stack.pid(name)) for name in PROCESSES}
    started = time.perf_counter()
    accepted, _, statuses = uvloop.run(post_many(stack.endpoints["http"], alert, ALERTS, CONNECTIONS))
    assert statuses == {202: ALERTS}, statuses
    asyncio.run(all_ended(stack, ids[-LAST:]))
    ended = time.perf_counter() - started
    used = [(cpu_seconds(stack.pid(name)) - before[name]) / ALERTS * 1000 for name in PROCESSES]
    found = stack.signals()
    ends = Counter(f"{found[i]['status']} {found[i].get('reason', '')}".strip() for i in ids)
    assert list(ends) == ["SIGNAL_STATUS_EXECUTED"], f"every alert has something to do: {ends}"
    return [f"{accepted:.2f} s", f"{ended:.2f} s", *(f"{value:.2f} ms" for value in (sum(used), *used))]


async def all_ended(stack: RunningStack, last: list[str]) -> None:
    """Returns once audit holds the end of every signal; asked over one channel, so that the asking costs little."""
    token = (stack.home / "secrets" / "viewer-token").read_text().strip()
    channel = open_channel(stack.endpoints["grpc"]["audit"], token=token)
    audit = audit_pb2_grpc.AuditServiceStub(channel)
    open_ones = audit_pb2.ListSignalsRequest(page_size=1)
    open_ones.filter.status = common_pb2.SIGNAL_STATUS_ACCEPTED
    waiting = list(last)
    while waiting:
        await asyncio.sleep(0.05)
        if (await audit.ListSignals(open_ones, timeout=30)).signals:
            continue
        try:
            found = await audit.GetSignal(audit_pb2.GetSignalRequest(signal_id=waiting[-1]), timeout=30)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            continue
        if found.signal.status != common_pb2.SIGNAL_STATUS_ACCEPTED:
            waiting.pop()
    await channel.close()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
