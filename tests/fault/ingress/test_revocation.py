"""Revocations need no broker, and webhooks that the broker has lost are shown as they are served."""

import asyncio
import os
import signal
from pathlib import Path

import nats
import pytest
from vantixs.testing.stack import RunningStack, wait_for

BODY = {"action": "buy", "symbol": "BTCUSDT"}


def token_id(stack: RunningStack) -> str:
    return str(stack.json("webhook", "get", "demo")["webhook"]["tokens"][0]["token_id"])


async def delete_bucket(stack: RunningStack) -> None:
    token = (stack.home / "secrets" / "nats-token").read_text().strip()
    client = await nats.connect(stack.endpoints["nats"], token=token)
    await client.jetstream().delete_key_value("vantixs-webhooks")
    await client.close()


def restart_ingress(stack: RunningStack) -> None:
    ready = stack.home / "run" / "ingress-0.json"
    ready.unlink()
    stack.kill("ingress")
    wait_for(ready.exists, "ingress to serve again")


def test_token_is_revoked_while_the_broker_is_frozen_and_stays_so(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "home").start()
    ended = token_id(stack)
    os.kill(stack.pid("nats"), signal.SIGSTOP)
    try:
        assert stack.run("webhook", "revoke", "demo", ended).returncode == 0
        assert stack.send(BODY).status_code == 401
        restart_ingress(stack)
        assert stack.send(BODY).status_code == 401, "a restart keeps it"
        assert "revoke_time" in stack.json("webhook", "get", "demo")["webhook"]["tokens"][0]
    finally:
        os.kill(stack.pid("nats"), signal.SIGCONT)

    def published() -> bool:
        return int(stack.json("webhook", "get", "demo")["webhook"]["revision"]) > 1

    wait_for(published, "the revocation to be in the bucket")
    assert stack.send(BODY).status_code == 401
    assert stack.stop() == 0


@pytest.mark.long
def test_webhook_that_the_bucket_lost_is_shown_and_can_be_revoked_and_deleted(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "home").start()
    asyncio.run(delete_bucket(stack))
    assert stack.run("webhook", "revoke", "demo", token_id(stack)).returncode == 0, (
        "the bucket went while it was served"
    )
    assert stack.send(BODY).status_code == 401
    token = stack.json("webhook", "rotate", "demo", "--grace-s", "0")["token"]
    url = f"{stack.endpoints['http']}/hooks/demo/{token}"
    asyncio.run(delete_bucket(stack))
    restart_ingress(stack)
    assert stack.send(BODY, url).status_code == 202, "served from the copy on disk"
    assert stack.json("webhook", "get", "demo")["webhook"]["webhook_id"] == "demo"
    assert [w["webhook_id"] for w in stack.json("webhook", "list")["webhooks"]] == ["demo"]
    assert stack.run("webhook", "delete", "demo").returncode == 0
    assert stack.send(BODY, url).status_code == 401
    assert stack.run("webhook", "get", "demo").returncode == 1
    assert stack.stop() == 0
