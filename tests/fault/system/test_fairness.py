"""No key starves another, through the whole system: from the alert received to its fill in history."""

import asyncio
import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import grpc
import pytest
from vantixs.api.audit.v1 import audit_pb2, audit_pb2_grpc
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import ingress_pb2, ingress_pb2_grpc
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.model.ids import keyed_signal_id
from vantixs.runtime.grpc_client import open_channel
from vantixs.testing.promises import check_promises
from vantixs.testing.stack import RunningStack

from bench.load import post_many, quantile

SYMBOLS = tuple(
    f"{name}USDT" for name in ("BTC", "ETH", "SOL", "BNB", "XRP", "ADA", "DOGE", "AVAX", "LINK", "LTC", "DOT", "ATOM")
)
SLOW, SLOW_SYMBOL, DELAY_S = "SOL/USDT:USDT", "SOLUSDT.P", 5.0
CONNECTIONS = 32
# What comes beside a slow key, signals a second: far below what the system can do, so that nothing else makes them wait.
RATE = 30.0


class Size(NamedTuple):
    """How much of each kind.

    Attributes:
        heavy: signals of the one key.
        accounts: how many trade one instrument.
        rounds: signals an instrument of the account that trades all of them.
        slow: signals of the slow key.
        without_slow: signals of other keys before that.
        beside_slow: signals of other keys meanwhile.
    """

    heavy: int
    accounts: int
    rounds: int
    slow: int
    without_slow: int
    beside_slow: int


SHORT = Size(heavy=100, accounts=50, rounds=3, slow=2, without_slow=12, beside_slow=24)
FULL = Size(heavy=2000, accounts=1000, rounds=40, slow=10, without_slow=300, beside_slow=600)


class Alert(NamedTuple):
    """An alert to send: by whose webhook, its symbol, and how many of the same key there were before."""

    account: str
    symbol: str
    number: int

    @property
    def key(self) -> str:
        """Its idempotency key."""
        return f"{self.account}-{self.symbol}-{self.number}"

    @property
    def body(self) -> bytes:
        """In turns it opens and closes, so that each has something to do only in their order."""
        action = "close" if self.number % 2 else "buy"
        return json.dumps({"action": action, "symbol": self.symbol, "idempotency_key": self.key}).encode()


@dataclass
class Way:
    """What history says of one signal: the place of its end in the journal, and how long it took until then."""

    completed_at: int
    took_s: float


class Traders:
    """Accounts with a webhook each, of the account's name."""

    def __init__(self, stack: RunningStack, accounts: Sequence[str]) -> None:
        self._stack = stack
        self._paths: dict[str, str] = asyncio.run(self._create(accounts))

    async def _create(self, accounts: Sequence[str]) -> dict[str, str]:
        token = (self._stack.home / "secrets" / "operator-token").read_text().strip()
        at = self._stack.endpoints["grpc"]
        risk, ingress = open_channel(at["risk"], token=token), open_channel(at["ingress"], token=token)
        accounts_of = risk_pb2_grpc.RiskServiceStub(risk)
        webhooks_of = ingress_pb2_grpc.WebhookServiceStub(ingress)

        async def create(name: str) -> tuple[str, str]:
            account = risk_pb2.CreateAccountRequest(request_id=name)
            account.account.MergeFrom(
                risk_pb2.Account(
                    account_id=name, mode=common_pb2.MODE_PAPER, currency="USDT", balance="100000", enabled=True
                )
            )
            account.account.sizing.method, account.account.sizing.value = common_pb2.SIZING_METHOD_FIXED_NOTIONAL, "100"
            await accounts_of.CreateAccount(account, timeout=60)
            made = ingress_pb2.CreateWebhookRequest(request_id=name)
            made.webhook.webhook_id, made.webhook.account_id = name, name
            made.webhook.mode, made.webhook.routing_mode = common_pb2.MODE_PAPER, common_pb2.ROUTING_MODE_DIRECT
            url = (await webhooks_of.CreateWebhook(made, timeout=60)).url
            return name, url.removeprefix(self._stack.endpoints["http"])

        paths = []
        for start in range(0, len(accounts), 32):
            paths += await asyncio.gather(*(create(name) for name in accounts[start : start + 32]))
        await risk.close()
        await ingress.close()
        return dict(paths)

    def send(self, alerts: Sequence[Alert], connections: int = CONNECTIONS, rate: float = 0) -> list[str]:
        """Sends them in their order, and returns their signals. With one connection that is the order of arrival.

        `rate` is how many go out a second; 0: as fast as they are taken.
        """
        started = time.monotonic()

        def body(number: int) -> tuple[str, bytes]:
            if rate:  # Nothing else runs here: the pace is what is tested, not a wait for something.
                time.sleep(max(0.0, started + number / rate - time.monotonic()))
            return self._paths[alerts[number].account], alerts[number].body

        _, _, statuses = asyncio.run(post_many(self._stack.endpoints["http"], body, len(alerts), connections))
        assert statuses == {202: len(alerts)}
        return [keyed_signal_id(alert.account, alert.key) for alert in alerts]

    def wait_until_done(self, last: str, timeout_s: float) -> None:
        """Returns once history has the end of every signal, `last` among them; asks rarely, so that asking costs little."""
        asyncio.run(asyncio.wait_for(self._done(last), timeout_s))

    async def _done(self, last: str) -> None:
        token = (self._stack.home / "secrets" / "viewer-token").read_text().strip()
        channel = open_channel(self._stack.endpoints["grpc"]["audit"], token=token)
        audit = audit_pb2_grpc.AuditServiceStub(channel)
        open_ones = audit_pb2.ListSignalsRequest(page_size=1)
        open_ones.filter.status = common_pb2.SIGNAL_STATUS_ACCEPTED
        newest = audit_pb2.GetSignalRequest(signal_id=last)
        known = False
        while not known or (await audit.ListSignals(open_ones, timeout=30)).signals:
            await asyncio.sleep(0.2)
            with contextlib.suppress(grpc.aio.AioRpcError):  # NOT_FOUND until history has it.
                await audit.GetSignal(newest, timeout=30)
                known = True
        await channel.close()


def ways(stack: RunningStack, ids: Sequence[str]) -> list[Way]:
    """How signals went that were executed, from received to done: the last fill is booked and its outcome stored."""
    found = []
    for timeline in stack.timelines_of(list(ids)).values():
        entries = {name: step for step in timeline for name in step["entry"]}
        received = entries["signal_accepted"]["entry"]["signal_accepted"]["request"]["receive_time"]
        done = entries["signal_completed"]
        took = _time(done["entry"]["event_time"]) - _time(received)
        found.append(Way(int(done["stream_sequence"]), took.total_seconds()))
    return found


def _time(text: str) -> datetime:
    """An RFC 3339 time."""
    return datetime.fromisoformat(text)


def say(name: str, some: Sequence[Way]) -> float:
    """Prints the spread, and returns p99 in ms."""
    took = sorted(way.took_s for way in some)
    first, median, p99, last = took[0] * 1000, quantile(took, 0.5), quantile(took, 0.99), took[-1] * 1000
    print(
        f"{name}: {len(took)} signals, received to done: {first:.0f} to {last:.0f} ms, p50 {median:.0f}, p99 {p99:.0f}"
    )
    return p99


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    settings = {
        "VANTIXS_ROUTER_PAPER_FAULT_INSTRUMENT": SLOW,
        "VANTIXS_ROUTER_PAPER_FAULT_DELAY_S": str(DELAY_S),
        "VANTIXS_INGRESS_ENTRIES_PER_MINUTE": "0",
    }
    running = RunningStack(tmp_path_factory.mktemp("fairness") / "home", **settings).start()
    yield running
    assert running.stop() == 0


sizes = pytest.mark.parametrize(
    "size", [pytest.param(SHORT, id="short"), pytest.param(FULL, id="full", marks=pytest.mark.long)]
)


@sizes
def test_one_key_with_all_its_signals_first_starves_neither_one_account_of_12_instruments_nor_many_of_one(
    system: RunningStack, size: Size
) -> None:
    tag = f"{size.heavy}"
    heavy, wide = f"heavy{tag}", f"wide{tag}"
    many = [f"one{n}-{tag}" for n in range(size.accounts)]
    traders = Traders(system, [heavy, wide, *many])
    of_heavy = traders.send([Alert(heavy, "ETHUSDT", n) for n in range(size.heavy)], 1)
    of_wide = traders.send([Alert(wide, symbol, n) for n in range(size.rounds) for symbol in SYMBOLS], 1)
    of_many = traders.send([Alert(name, "BTCUSDT", 0) for name in many])
    ids = [*of_heavy, *of_wide, *of_many]
    traders.wait_until_done(ids[-1], 400)
    ended = system.ended(ids)
    assert {signal["status"] for signal in ended.values()} == {"SIGNAL_STATUS_EXECUTED"}
    found = {name: ways(system, some) for name, some in (("heavy", of_heavy), ("wide", of_wide), ("many", of_many))}
    for name, some in found.items():
        say(name, some)
    # All signals of the heavy key were accepted before the first of the others, and the others are done while it is at it.
    others_done = max(way.completed_at for name in ("wide", "many") for way in found[name])
    left = sum(1 for way in found["heavy"] if way.completed_at > others_done)
    print(f"heavy: {left} of {size.heavy} were left when the last of the others was done")
    assert left
    check_promises(system, ids)


@sizes
def test_slow_venue_delays_its_key_alone(system: RunningStack, size: Size) -> None:
    slow = f"slow{size.heavy}"
    others = [f"fast{n}-{size.heavy}" for n in range(10)]
    traders = Traders(system, [slow, *others])
    numbers: dict[tuple[str, str], int] = defaultdict(int)
    alerts = []
    for n in range(size.without_slow + size.beside_slow):
        account, symbol = others[n % len(others)], SYMBOLS[n // len(others) % len(SYMBOLS)]
        alerts.append(Alert(account, symbol, numbers[account, symbol]))
        numbers[account, symbol] += 1
    of_before = traders.send(alerts[: size.without_slow], 1, RATE)
    traders.wait_until_done(of_before[-1], 120)
    of_slow = traders.send([Alert(slow, SLOW_SYMBOL, n) for n in range(size.slow)], 1)
    # Of the slow one's account as well other instruments go on.
    beside = [*alerts[size.without_slow :], *(Alert(slow, symbol, 0) for symbol in SYMBOLS)]
    of_others = traders.send(beside, 1, RATE)
    traders.wait_until_done(of_others[-1], 120)
    ids = [*of_before, *of_slow, *of_others]
    ended = system.ended(ids)
    assert {signal["status"] for signal in ended.values()} == {"SIGNAL_STATUS_EXECUTED"}
    found, slow_ones = ways(system, of_others), ways(system, of_slow)
    p99_before = say("others, before a venue is slow", ways(system, of_before))
    p99 = say("others, beside the slow key", found)
    say("the slow key", slow_ones)
    others_done = max(way.completed_at for way in found)
    assert others_done < slow_ones[-1].completed_at, "the others waited for the slow one"
    check_promises(system, ids)
    if size is FULL:
        # On a machine that is busy with something else they are slow without any slow venue.
        assert p99 < max(100, 3 * p99_before)
