"""The way of one request through ingress: each step once, in order, none going back. Prints the walk."""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import combinations, groupby, pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.runtime.kv import Versioned
from vantixs.runtime.secret_cipher import PayloadCipher, SecretCipher
from vantixs.testing.journal import connected
from vantixs.testing.nats import NatsServer
from vantixs_ingress.http.authentication import Authenticator
from vantixs_ingress.http.client_address import Proxies
from vantixs_ingress.http.client_certificate import CertificateRule
from vantixs_ingress.http.failed_attempts import FailedAttemptLimiter
from vantixs_ingress.http.receive_signal import SignalReceiver
from vantixs_ingress.http.request_metrics import refuse_incomplete
from vantixs_ingress.http.routes import make_app
from vantixs_ingress.http.signal_outcomes import SignalOutcomes
from vantixs_ingress.http.signal_status import SignalStatus
from vantixs_ingress.settings import IngressSettings
from vantixs_ingress.spool.relay import Relay
from vantixs_ingress.spool.room import Bounds
from vantixs_ingress.spool.spool import Spool
from vantixs_ingress.webhooks.registry import WebhookRegistry
from vantixs_ingress.webhooks.snapshot import token_digest

TOKEN = "vxt_" + "a" * 32
# These call the steps, so they are there from the first call to the last.
CALLERS = ("http.routes", "http.receive_signal")
# The modules that `receive_signal` calls itself, in the order of the steps: identify, authorize, read (and the limit of
# entries, which needs to know what was read), build, store, answer.
STEPS = [
    "http.authentication", "http.authorization", "http.read_payload", "webhooks.token_bucket", "http.build_entry",
    "spool.relay", "spool.spool", "http.signal_outcomes", "http.responses",
]  # fmt: skip
# Helpers below a step. A domain module is in one step only, but for those that both reading and building need: redaction of
# texts and what it knows names by, the readable forms of a value, the targets as a list.
SHARED = ("redaction", "vocabulary", "decode", "reading", "converters", "ladders")

Call = tuple[str, str, str]  # The module that is called, that which calls, and the function.


def module_of(frame: FrameType | None) -> str:
    name = frame.f_globals.get("__name__", "") if frame else ""
    return name.removeprefix("vantixs_ingress.") if name.startswith("vantixs_ingress.") else ""


@contextmanager
def recorded(calls: list[Call]) -> Iterator[None]:
    """Appends every call into ingress that the current task makes."""
    task = asyncio.current_task()

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and (module := module_of(frame)) and asyncio.current_task() is task:
            calls.append((module, module_of(frame.f_back), frame.f_code.co_name))

    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)


async def send(app: Any, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def answer(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"host", b"x")]
    scope = {
        "type": "http", "method": "POST", "path": path, "headers": headers, "client": ("127.0.0.1", 1), "query_string": b"",
    }  # fmt: skip
    await app(scope, receive, answer)
    return sent[0]["status"], json.loads(sent[1]["body"])


def runs_of(calls: list[Call]) -> list[str]:
    return [module for module, _ in groupby(module for module, _, _ in calls)]


@pytest.mark.parametrize(
    "signal",
    [
        {"action": "buy", "symbol": "BTCUSDT"},
        {"action": "buy", "symbol": "BTCUSDT", "idempotency_key": "k", "take_profits": [66000, 67000], "price": 64000},
        {"action": "sell", "symbol": "BTCUSDT", "sentiment": "flat", "id": "1", "comment": "x"},
    ],
    ids=["entry", "entry with key and targets", "exit"],
)
async def test_request_goes_through_each_module_once(
    nats: NatsServer, tmp_path: Path, signal: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    async with connected(nats) as (journal, life):
        spool = Spool(tmp_path / "spool", Bounds(1 << 30))
        registry = WebhookRegistry(
            spool, SecretCipher(bytes(32)), PayloadCipher(bytes(32)), 100, entries_per_minute=100
        )
        webhook = webhook_pb2.Webhook(webhook_id="demo", account_id="paper", enabled=True, dedupe_window_s=20, mode=1)
        webhook.tokens.add(token_id="t1", sha256=token_digest(TOKEN))
        registry.changed("demo", Versioned(webhook, 1))
        settings = IngressSettings()
        authenticator = Authenticator(
            registry.snapshots, Proxies(()), CertificateRule(), FailedAttemptLimiter(60), 65_536, life.health
        )
        relay, outcomes = Relay(spool, journal, life.health), SignalOutcomes()
        receiver = SignalReceiver(authenticator, spool, relay, outcomes, settings)
        status = SignalStatus(authenticator, outcomes, 65_536)
        app = make_app(receiver, status, life.health, partial(refuse_incomplete, body_max_bytes=65_536))
        path = f"/hooks/demo/{TOKEN}"
        # The first request fills caches; a repeat of it would take the way of repeats.
        await send(app, path, json.dumps({"action": "buy", "symbol": "ETHUSDT"}).encode())
        calls: list[Call] = []
        with recorded(calls):
            code, content = await send(app, path, json.dumps(signal).encode())
        await spool.close()
    assert (code, content["status"]) == (202, "accepted")
    with capsys.disabled():
        print(f"\n{len(calls)} calls in {len({m for m, _, _ in calls})} modules:")
        for module, group in groupby(calls, key=lambda call: call[0]):
            print(f"  {module:<36} {' '.join(name for _, _, name in group)}"[:150])
    # The receiver calls the steps in their order, and comes back to none.
    direct = [module for module, caller, _ in calls if caller == "http.receive_signal" and module not in CALLERS]
    steps = [module for module, _ in groupby(direct)]
    assert steps == [step for step in STEPS if step in steps]
    assert {"http.authentication", "http.authorization", "http.read_payload", "http.build_entry"} <= set(steps)
    assert {"spool.spool", "http.responses"} <= set(steps)
    # Every module but the helpers has one run: two runs are apart, or one is within the other.
    spans: dict[str, tuple[int, int]] = {}
    for number, (module, _, _) in enumerate(calls):
        if module not in CALLERS and not module.startswith("domain.") and module != "spool.wire":
            spans[module] = (spans.get(module, (number, number))[0], number)
    for (one, (a, b)), (other, (c, d)) in combinations(spans.items(), 2):
        apart, nested = b < c or d < a, (a < c and d < b) or (c < a and b < d)
        assert apart or nested, f"{one} and {other} take turns: {runs_of(calls)}"
    # Domain modules are below one step, but for the helpers that reading and building share.
    starts = [next(n for n, call in enumerate(calls) if call[0] == step) for step in steps]
    for begin, end in pairwise([*starts, len(calls)]):
        inside = {call[0] for call in calls[begin:end]}
        outside = {call[0] for call in (*calls[:begin], *calls[end:])}
        both = {m for m in inside & outside if m.startswith("domain.")}
        assert {m.rpartition(".")[2] for m in both} <= set(SHARED)
