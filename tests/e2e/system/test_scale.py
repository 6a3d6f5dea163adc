"""Every service scales by a flag, and by a process that is started by hand: it joins, is listed, works, and may be killed."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from vantixs.api.audit.v1 import audit_pb2, audit_pb2_grpc
from vantixs.runtime.grpc_client import open_channel
from vantixs.testing.stack import RunningStack, wait_for

from tests.support.started import start_vantixs

SERVICES = ("ingress", "router", "risk", "audit", "console")


@pytest.fixture(scope="module")
def doubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    home = tmp_path_factory.mktemp("scale") / "home"
    running = RunningStack(home, ingress=2, router=2, risk=2, audit=2, console=2).start()
    yield running
    assert running.stop() == 0


@contextlib.contextmanager
def by_hand(stack: RunningStack, service: str) -> Iterator[dict[str, Any]]:
    """`vantixs serve` on the stack's home, as somebody starts it; what it says of itself."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("VANTIXS_")}
    facts = stack.home / "run" / f"{service}-2.json"
    log = stack.home / "logs" / f"{service}-by-hand.log"
    process = start_vantixs(["serve", service, "--home", str(stack.home)], environ, log)
    try:
        wait_for(lambda: facts.exists() or process.poll() is not None, f"{service} to be ready")
        assert process.poll() is None, log.read_text()
        yield dict(json.loads(facts.read_text()))
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert not facts.exists()


def listed(stack: RunningStack) -> dict[str, list[str]]:
    status = json.loads(stack.run("status", "--json").stdout)
    found: dict[str, list[str]] = {}
    for instance in status["instances"]:
        found.setdefault(instance["service"], []).append(instance["state"])
    return found


def send(stack: RunningStack, prefix: str, count: int, url: str = "") -> list[str]:
    """Sends alerts; those that an ingress which is killed does not answer are sent again with the same key."""
    path, ids = httpx.URL(stack.url).path, []
    for n in range(count):
        body = {"action": "buy", "symbol": ("BTCUSDT", "ETHUSDT", "SOLUSDT")[n % 3], "idempotency_key": f"{prefix}-{n}"}

        def answer(body: dict[str, str] = body) -> httpx.Response | None:
            with contextlib.suppress(httpx.TransportError):
                return stack.send(body, (url or stack.ingress_url(0)) + path)
            return None

        response = wait_for(answer, "an answer")
        assert response.status_code in (200, 202), response.text
        ids.append(response.json()["signal_id"])
    return ids


def test_all_are_listed(doubled: RunningStack) -> None:
    assert listed(doubled) == {name: ["SERVING"] * 2 for name in SERVICES}


@pytest.mark.parametrize("service", SERVICES)
def test_one_more_that_is_started_by_hand_joins(doubled: RunningStack, service: str) -> None:
    with by_hand(doubled, service) as facts:
        assert facts["instance"] == "2"
        assert listed(doubled)[service] == ["SERVING"] * 3
        url = facts["http"] if service == "ingress" else ""
        ids = send(doubled, f"hand-{service}", 6, url)
        assert {s["status"] for s in doubled.ended(ids).values()} == {"SIGNAL_STATUS_EXECUTED"}
        if service == "console":
            assert httpx.get(f"{facts['http']}/healthz").status_code == 200
    assert listed(doubled)[service] == ["SERVING"] * 2


@pytest.mark.long
@pytest.mark.parametrize("service", SERVICES)
def test_each_is_killed_alone_while_signals_run(doubled: RunningStack, service: str) -> None:
    ids = []
    for number in (0, 1):
        ids += send(doubled, f"kill-{service}-{number}-before", 4)
        os.kill(doubled.pid(f"{service}-{number}"), signal.SIGKILL)
        ids += send(doubled, f"kill-{service}-{number}-after", 8)
        wait_for(lambda: listed(doubled) == {name: ["SERVING"] * 2 for name in SERVICES}, "all to be there again")
    ended = doubled.ended(ids)
    assert {s["status"] for s in ended.values()} == {"SIGNAL_STATUS_EXECUTED"}
    for timeline in doubled.timelines_of(ids).values():
        assert sum("fill_recorded" in entry["entry"] for entry in timeline) == 1
        assert sum("signal_completed" in entry["entry"] for entry in timeline) == 1


async def test_every_audit_shows_every_signal_to_those_who_watch(doubled: RunningStack) -> None:
    token = (doubled.home / "secrets" / "viewer-token").read_text().strip()
    channels = [
        open_channel(json.loads((doubled.home / "run" / f"audit-{n}.json").read_text())["grpc"], token=token)
        for n in (0, 1)
    ]
    seen: list[set[str]] = [set(), set()]

    async def watch(number: int) -> None:
        stub = audit_pb2_grpc.AuditServiceStub(channels[number])
        async for change in stub.WatchSignals(audit_pb2.WatchSignalsRequest(), timeout=120):
            if change.signal.status == 2 or change.signal.reason or change.signal.filled_quantity:
                seen[number].add(change.signal.signal_id)

    watching = [asyncio.create_task(watch(n)) for n in (0, 1)]
    first = await asyncio.to_thread(send, doubled, "watched-first", 1)
    ids = set(first)
    async with asyncio.timeout(60):
        # Until both watches stand.
        while not (seen[0] and seen[1]):
            ids |= set(await asyncio.to_thread(send, doubled, f"watched-{len(ids)}", 1))
        wanted = set(await asyncio.to_thread(send, doubled, "watched-all", 20))
        while not (wanted <= seen[0] and wanted <= seen[1]):
            await asyncio.sleep(0.05)
    for task in watching:
        task.cancel()
    for channel in channels:
        await channel.close()
