"""Calls of WebhookService on one of the ingress processes of a running system."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from vantixs.api.ingress.v1 import ingress_pb2, ingress_pb2_grpc, webhook_pb2
from vantixs.runtime.errors import ServiceError, from_rpc_error
from vantixs.runtime.grpc_client import open_channel
from vantixs.testing.stack import RunningStack

Stub = Any  # WebhookServiceStub is typed for mypy only.


def ask(stack: RunningStack, work: Callable[[Stub], Awaitable[Any]], replica: int = 0) -> Any:
    async def run() -> Any:
        address = json.loads((stack.home / "run" / f"ingress-{replica}.json").read_text())["grpc"]
        token = (stack.home / "secrets" / "operator-token").read_text().strip()
        channel = open_channel(address, token=token, operator="alice")
        try:
            return await work(ingress_pb2_grpc.WebhookServiceStub(channel))
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        finally:
            await channel.close()

    return asyncio.run(run())


def new(stack: RunningStack, name: str, replica: int = 0, **fields: Any) -> ingress_pb2.CreateWebhookResponse:
    request = ingress_pb2.CreateWebhookRequest(request_id=str(uuid.uuid4()))
    request.webhook.CopyFrom(webhook_pb2.Webhook(webhook_id=name, account_id="paper", **fields))
    created = ask(stack, lambda s: s.CreateWebhook(request, timeout=10), replica)
    assert isinstance(created, ingress_pb2.CreateWebhookResponse)
    return created


def known(stack: RunningStack, name: str, replica: int, revision: int = 0) -> bool:
    request = ingress_pb2.GetWebhookRequest(webhook_id=name)
    try:
        found = ask(stack, lambda s: s.GetWebhook(request, timeout=5), replica).webhook
    except (ServiceError, FileNotFoundError):
        return False
    return bool(found.revision >= revision)


def at(stack: RunningStack, replica: int, url: str) -> str:
    return stack.ingress_url(replica) + "/hooks/" + url.partition("/hooks/")[2]
