"""Whether replays slow live signals: the same signals with and without a VERIFY and a PAPER replay at their rate limit, in turns.

`replay_load.py [ROUNDS]` prints p50 and p90 from receipt to end of signals that come at a steady rate, and how long a burst takes
until its last end, without and with replays, and the median of the ratios of each pair of turns (ADR 45). The turns swap
their order from round to round, so that other work of the machine meets both alike.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from load import post_many, quantile
from vantixs.api.audit.v1 import audit_pb2, audit_pb2_grpc
from vantixs.api.journal.v1 import journal_pb2
from vantixs.runtime.grpc_client import open_channel
from vantixs.testing.stack import RunningStack

ROUNDS = 8
HISTORY, STEADY, STEADY_PER_S, BURST, ACCOUNTS = 800, 80, 20, 400, 8
SYMBOLS = tuple(f"{name}USDT" for name in ("BTC", "ETH", "SOL", "BNB", "XRP", "ADA", "DOGE", "AVAX", "LINK", "LTC"))
MODES = (journal_pb2.REPLAY_MODE_VERIFY, journal_pb2.REPLAY_MODE_PAPER)
NO_LIMIT = {"VANTIXS_INGRESS_ENTRIES_PER_MINUTE": "0", "VANTIXS_LOG_LEVEL": "warning"}


class Turn(NamedTuple):
    """What was measured: receipt to end in ms of steady signals, seconds of the burst, and replayed signals a second."""

    p50_ms: float
    p90_ms: float
    burst_s: float
    replayed_per_s: float


class Bench:
    """One stack, with a history that replays run."""

    def __init__(self, stack: RunningStack, audit: Any) -> None:
        self._audit = audit
        self._url = stack.endpoints["http"]
        self._paths = []
        for number in range(ACCOUNTS):
            stack.json("account", "create", f"bench-{number}")
            made = stack.json("webhook", "create", "--account", f"bench-{number}", "--entry-expires-after-s", "0")
            self._paths.append(made["url"].removeprefix(self._url))
        self._sent = 0

    def _body(self, tag: str, number: int) -> tuple[str, bytes]:
        """Buys all instruments in all accounts, then closes them, and so on, whatever turn it is."""
        number += self._sent
        action = "buy" if number // (ACCOUNTS * len(SYMBOLS)) % 2 == 0 else "close"
        symbol = SYMBOLS[number // ACCOUNTS % len(SYMBOLS)]
        content = {"action": action, "symbol": symbol, "tag": tag, "nonce": str(number)}
        return self._paths[number % ACCOUNTS], json.dumps(content).encode()

    async def send(self, tag: str, count: int, connections: int) -> None:
        """Sends signals as fast as they are accepted."""
        _, _, statuses = await post_many(self._url, lambda n: self._body(tag, n), count, connections)
        assert statuses == {202: count}, statuses
        self._sent += count

    async def ended(self, tag: str, count: int) -> list[audit_pb2.SignalSummary]:
        """The signals of a tag, once all have ended."""
        async with asyncio.timeout(120):
            while True:
                request = audit_pb2.ListSignalsRequest(page_size=1000)
                request.filter.expression = f"tag = {tag}"
                found = list((await self._audit.ListSignals(request, timeout=10)).signals)
                if len(found) == count and all(signal.HasField("end_time") for signal in found):
                    return found
                await asyncio.sleep(0.02)

    async def turn(self, tag: str, history: str, *, replays: bool) -> Turn:
        """Steady signals, then a burst."""
        async with self._replays(history, running=replays) as ids:
            began = time.perf_counter()
            for number in range(STEADY):
                await asyncio.sleep(max(began + number / STEADY_PER_S - time.perf_counter(), 0))
                await self.send(f"{tag}steady", 1, 1)
            steady = sorted(
                signal.latency.ToTimedelta().total_seconds() for signal in await self.ended(f"{tag}steady", STEADY)
            )
            burst = time.perf_counter()
            await self.send(f"{tag}burst", BURST, 32)
            signals = await self.ended(f"{tag}burst", BURST)
            burst_s = time.perf_counter() - burst
            executed = sum(signal.filled_quantity != "" for signal in signals)
            assert executed > 0.9 * BURST, f"{executed} of {BURST} were filled"
            finished = sum([(await self._replay(replay_id)).finished for replay_id in ids])
            if replays:
                states = [(await self._replay(replay_id)).state for replay_id in ids]
                assert audit_pb2.REPLAY_STATE_RUNNING in states, "the replays ended before the turn did"
            return Turn(quantile(steady, 0.5), quantile(steady, 0.9), burst_s, finished / (time.perf_counter() - began))

    async def _replays_of(self, signal_id: str) -> set[str]:
        found = await self._audit.GetSignal(audit_pb2.GetSignalRequest(signal_id=signal_id), timeout=10)
        return set(found.links.replay_ids)

    async def _replay(self, replay_id: str) -> audit_pb2.Replay:
        request = audit_pb2.GetReplayRequest(replay_id=replay_id, page_size=1)
        return (await self._audit.GetReplay(request, timeout=10)).replay

    @asynccontextmanager
    async def _replays(self, history: str, *, running: bool) -> AsyncIterator[list[str]]:
        """A VERIFY and a PAPER of the same signals, canceled at the end."""
        ids = []
        for mode in MODES if running else ():
            request = audit_pb2.ReplaySignalsRequest(mode=mode, comment="bench", name="bench")
            request.filter.expression = f"tag = {history}"
            ids.append((await self._audit.ReplaySignals(request, timeout=10)).replay.replay_id)
        # That each signal was asked for is an entry of each: it is in history before anything is measured.
        newest = (await self.ended(history, HISTORY))[0].signal_id if running else ""
        async with asyncio.timeout(60):
            while running and not set(ids) <= await self._replays_of(newest):  # noqa: ASYNC110 - audit is another process
                await asyncio.sleep(0.05)
        yield ids
        for replay_id in ids:
            if (await self._replay(replay_id)).state == audit_pb2.REPLAY_STATE_RUNNING:
                await self._audit.CancelReplay(audit_pb2.CancelReplayRequest(replay_id=replay_id), timeout=10)


async def measure(stack: RunningStack, rounds: int) -> None:
    """Prints the result."""
    token = (stack.home / "secrets" / "operator-token").read_text().strip()
    channel = open_channel(stack.endpoints["grpc"]["audit"], token=token)
    bench = Bench(stack, audit_pb2_grpc.AuditServiceStub(channel))
    await bench.send("history", HISTORY, 32)
    await bench.ended("history", HISTORY)
    pairs: list[dict[bool, Turn]] = []
    for number in range(rounds):
        pair = {}
        for replays in (False, True) if number % 2 == 0 else (True, False):
            pair[replays] = await bench.turn(f"r{number}{'with' if replays else 'without'}", "history", replays=replays)
        pairs.append(pair)
        print(
            f"  round {number + 1}: " + "; ".join(f"{_words(pair[replays])}" for replays in (False, True)), flush=True
        )
    await channel.close()
    print(f"replays run {statistics.median(pair[True].replayed_per_s for pair in pairs):.1f} signals a second")
    for place, name in enumerate(("receipt to end p50, ms", "receipt to end p90, ms", f"burst of {BURST}, s")):
        without, with_ = ([pair[replays][place] for pair in pairs] for replays in (False, True))
        ratio = statistics.median(b / a for a, b in zip(without, with_, strict=True))
        print(
            f"{name:<26} without {statistics.median(without):8.2f}   with {statistics.median(with_):8.2f}   "
            f"median of ratios {ratio:.2f}"
        )


def _words(turn: Turn) -> str:
    return f"p50 {turn.p50_ms:.1f} p90 {turn.p90_ms:.1f} ms, burst {turn.burst_s:.2f} s"


def main() -> None:
    """Runs it on a throw-away home."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as directory:
        stack = RunningStack(Path(directory) / "home", **NO_LIMIT)
        stack.start()
        try:
            asyncio.run(measure(stack, rounds))
        finally:
            stack.stop()


if __name__ == "__main__":
    main()
