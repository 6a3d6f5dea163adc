"""CPU of one signal on its two hot paths, in this process alone: accepting it; deciding about its order and booking its fill.

`paths.py accept|decide` measures what is imported here and prints microseconds of CPU a signal. `paths.py compare NAME=PATH...`
runs both, in turns, with the checkout as it is ("plain") and with each PATH as PYTHONPATH, and prints medians. CPU time holds on
a machine that has other work, where rates do not.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

PATHS = ("accept", "decide")
CONNECTIONS, SIGNALS, WARM = 64, 3_000, 500
BATCH, BATCHES, WARM_BATCHES = 64, 30, 4
ROUNDS = 4
TOKEN = "vxt_" + "a" * 32


async def accept(directory: Path) -> float:
    """From the ASGI scope to the answer, with a real spool; what is spooled is not published."""
    from vantixs.api.ingress.v1 import webhook_pb2
    from vantixs.runtime.health import Health
    from vantixs.runtime.journal import Journal
    from vantixs.runtime.kv import Versioned
    from vantixs.runtime.secret_cipher import PayloadCipher, SecretCipher
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

    spool, health, settings = Spool(directory / "spool", Bounds(1 << 30)), Health(), IngressSettings()
    registry = WebhookRegistry(spool, SecretCipher(bytes(32)), PayloadCipher(bytes(32)), 100, entries_per_minute=0)
    webhook = webhook_pb2.Webhook(webhook_id="demo", account_id="paper", enabled=True, dedupe_window_s=20, mode=1)
    webhook.tokens.add(token_id="t1", sha256=token_digest(TOKEN))
    registry.changed("demo", Versioned(webhook, 1))
    limiter, certificate = FailedAttemptLimiter(60), CertificateRule()
    authenticator = Authenticator(registry.snapshots, Proxies(()), certificate, limiter, 65_536, health)
    relay, outcomes = Relay(spool, Journal(settings, health), health), SignalOutcomes()
    receiver = SignalReceiver(authenticator, spool, relay, outcomes, settings)
    status = SignalStatus(authenticator, outcomes, 65_536)
    app = make_app(receiver, status, health, partial(refuse_incomplete, body_max_bytes=65_536))
    numbers = iter(range(SIGNALS + WARM))

    async def send(until: int) -> None:
        for number in numbers:
            content = {"action": "buy", "symbol": "BTCUSDT", "comment": f"bench {number}"}
            message = {"type": "http.request", "body": json.dumps(content).encode(), "more_body": False}
            sent: list[Any] = []

            async def receive(message: dict[str, Any] = message) -> dict[str, Any]:
                return message

            async def answer(part: dict[str, Any], sent: list[Any] = sent) -> None:
                sent.append(part)

            scope = {
                "type": "http",
                "method": "POST",
                "path": f"/hooks/demo/{TOKEN}",
                "headers": [(b"host", b"bench"), (b"content-length", b"68")],
                "client": ("127.0.0.1", 1),
                "query_string": b"",
            }
            await app(scope, receive, answer)
            assert sent[0]["status"] == 202, sent
            if number >= until - CONNECTIONS:
                return

    await asyncio.gather(*(send(WARM) for _ in range(CONNECTIONS)))
    started = time.process_time()
    await asyncio.gather(*(send(WARM + SIGNALS) for _ in range(CONNECTIONS)))
    used = time.process_time() - started
    await spool.close()
    return used / SIGNALS


def decide() -> float:
    """Batches of 64 decisions, and of the settlements of their fills, of 64 accounts on SQLite in memory."""
    import sqlalchemy as sa
    from risk import _filled, make_request
    from vantixs.api.common.v1 import common_pb2
    from vantixs.api.risk.v1 import risk_pb2
    from vantixs.runtime.outbox import Outbox
    from vantixs_risk import store
    from vantixs_risk.accounts import create_account
    from vantixs_risk.evaluation import evaluate_orders
    from vantixs_risk.settings import RiskSettings
    from vantixs_risk.settlement import settle_orders
    from vantixs_risk.unit_context import UnitContext

    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    store.METADATA.create_all(engine)
    # Nothing is published here: the outbox gets neither database nor journal.
    context = UnitContext(RiskSettings(), Outbox(store.OUTBOX, None, None))  # type: ignore[arg-type]
    held = {f"f-{number}": "0" for number in range(BATCH)}
    with engine.begin() as connection:
        for name in held:
            account = risk_pb2.Account(
                account_id=name, currency="USDT", balance="10000000", enabled=True, mode=common_pb2.MODE_PAPER
            )
            limits = account.limits
            limits.max_order_notional, limits.max_position_notional, limits.max_gross_exposure = ("9000000",) * 3
            limits.max_leverage, limits.max_open_positions = "1", 20
            limits.max_daily_loss, limits.max_drawdown_percent = "10000", "25"
            request = risk_pb2.CreateAccountRequest(request_id=name, account=account)
            create_account(connection, context, request, "operator:bench", datetime.now(UTC))
    used = 0.0
    for number in range(WARM_BATCHES + BATCHES):
        requests = [make_request(name) for name in held]
        for request, quantity in zip(requests, held.values(), strict=True):
            request.assumed_position_quantity = quantity
        started = time.process_time()
        with engine.begin() as connection:
            answers = evaluate_orders(connection, context, [(r, datetime.now(UTC)) for r in requests])
        spent = time.process_time() - started
        results = [risk_pb2.EvaluateOrderResult.FromString(a) for a in answers if isinstance(a, bytes)]
        fills = [_filled(r, a) for r, a in zip(requests, results, strict=True)]
        started = time.process_time()
        with engine.begin() as connection:
            settled = settle_orders(connection, context, [(f, datetime.now(UTC)) for f in fills])
        spent += time.process_time() - started
        for answer in settled:
            assert isinstance(answer, risk_pb2.SettleOrderResponse), answer
            held[answer.position.account_id] = answer.position.quantity
        used += spent if number >= WARM_BATCHES else 0.0
    return used / (BATCH * BATCHES)


def measure(path: str) -> float:
    """Microseconds of CPU a signal."""
    if path == "decide":
        return decide() * 1e6
    import uvloop

    with tempfile.TemporaryDirectory() as directory:
        sys.setswitchinterval(0.0005)  # As a service does.
        return uvloop.run(accept(Path(directory))) * 1e6


def compare(directories: dict[str, str], paths: tuple[str, ...] = PATHS) -> None:
    """Prints the median of each path for each, and how it stands to the first."""
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(ROUNDS):
        for path in paths:
            for name, directory in directories.items():
                environ = os.environ | {"PYTHONPATH": directory}
                said = subprocess.check_output([sys.executable, "-W", "ignore", __file__, path], env=environ, text=True)
                found.setdefault((path, name), []).append(float(said))
    for path in paths:
        first = statistics.median(next(v for k, v in found.items() if k[0] == path))
        for (measured, name), values in found.items():
            if measured == path:
                middle = statistics.median(values)
                spread = f"{min(values):.0f} to {max(values):.0f}"
                print(f"{path:<8} {name:<24} {middle:>7.0f} us  {middle / first:.2f} x  ({spread})", flush=True)


def main() -> None:
    """`paths.py accept|decide` or `paths.py compare [accept|decide] NAME=DIRECTORY...`."""
    if sys.argv[1] != "compare":
        print(measure(sys.argv[1]))
        return
    chosen = tuple(a for a in sys.argv[2:] if a in PATHS) or PATHS
    given = dict(a.split("=", 1) for a in sys.argv[2:] if "=" in a)
    compare({"plain": "", **given}, chosen)


if __name__ == "__main__":
    main()
