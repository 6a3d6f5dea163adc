"""Risk's service in the process of the test, on both databases, and calls of it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.runtime.database import Database
from vantixs.runtime.grpc_client import open_channel
from vantixs.runtime.grpc_server import HANDLED, Server
from vantixs.runtime.health import Health
from vantixs.runtime.outbox import Outbox
from vantixs_risk import store
from vantixs_risk.clock import SteadyClock
from vantixs_risk.main import MIGRATIONS
from vantixs_risk.server import NAME, ROLES, RiskServicer
from vantixs_risk.settings import RiskSettings

from tests.support.risk_fixture import account_of, ask

SETTINGS = replace(RiskSettings(), viewer_token="v", operator_token="o", service_token="s")


@dataclass
class Risk:
    database: Database
    channel: grpc.aio.Channel
    stub: Any
    viewer: Any
    operator: Any


@pytest.fixture
async def risk(database_url: str) -> AsyncIterator[Risk]:
    settings = replace(SETTINGS, database_url=database_url)
    database = await Database.open(settings, "risk", MIGRATIONS)
    health = Health()
    health.set("database", True)
    server = Server(settings, health, roles=ROLES)
    nobody: Any = None
    outbox = Outbox(store.OUTBOX, database, nobody)
    servicer = RiskServicer(database, outbox, settings, SteadyClock())
    server.add(risk_pb2_grpc.add_RiskServiceServicer_to_server, servicer, NAME)
    address = await server.start()
    channels = [open_channel(address, token=token) for token in ("s", "v", "o")]
    service, viewer, operator = (risk_pb2_grpc.RiskServiceStub(channel) for channel in channels)
    request = risk_pb2.CreateAccountRequest(request_id="a", account=account_of("a"))
    await operator.CreateAccount(request, timeout=10)
    yield Risk(database, channels[0], service, viewer, operator)
    for channel in channels:
        await channel.close()
    await server.stop(0)
    await database.close()


def entry(order_id: str, **changes: Any) -> risk_pb2.EvaluateOrderRequest:
    values = {"buy": True, "entry": True, "position": "0", "price": "100", "now": datetime.now(UTC), "notional": "100"}
    return ask(order_id, "BTC/USDT", **{**values, **changes})


def reason(status: status_pb2.Status) -> tuple[str, str]:
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return code_pb2.Code.Name(status.code), info.reason


async def evaluate(risk: Risk, *requests: risk_pb2.EvaluateOrderRequest) -> list[risk_pb2.EvaluateOrderResult]:
    request = risk_pb2.BatchEvaluateOrdersRequest(requests=requests)
    return list((await risk.stub.BatchEvaluateOrders(request, timeout=10)).results)


async def settle(risk: Risk, *requests: risk_pb2.SettleOrderRequest) -> list[risk_pb2.SettleOrderResult]:
    request = risk_pb2.BatchSettleOrdersRequest(requests=requests)
    return list((await risk.stub.BatchSettleOrders(request, timeout=10)).results)


def calls(method: str) -> float:
    """How many calls of a method were served in this process."""
    return HANDLED.labels(f"/{NAME}/{method}", "OK")._value.get()
