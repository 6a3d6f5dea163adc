"""Every call with extreme values: whatever a request has, it is answered with a reason, and never as an internal error."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf import message_factory, symbol_database
from google.protobuf.message import Message
from google.rpc import code_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.ingress.v1 import ingress_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs.client import AsyncClient
from vantixs.client.contracts import BY_REQUEST, SERVICES
from vantixs.runtime.errors import from_rpc_error
from vantixs.runtime.grpc_client import open_channel
from vantixs.testing.stack import RunningStack

from tests.support.hostile_requests import MOST_BYTES, Hostile
from tests.support.usual_requests import usual_requests

POOL = symbol_database.Default().pool
# Without the webhook, half of the calls would be answered NOT_FOUND.
NAMES = sorted(name for name, rpc in BY_REQUEST.items() if rpc.method != "DeleteWebhook")
FAULTS = ("INTERNAL", "UNKNOWN", "DATA_LOSS", "RESOURCE_EXHAUSTED")


class System(NamedTuple):
    stack: RunningStack
    signal_ids: list[str]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    place: dict[str, str] = {}
    if request.param == "postgresql":
        place["VANTIXS_DATABASE_URL"] = request.getfixturevalue("postgres").new_database()
    home: Path = tmp_path_factory.mktemp("hostile") / "home"
    stack = RunningStack(home, **place).start()
    ids = [stack.send({"action": "buy", "symbol": name}).json()["signal_id"] for name in ("BTCUSDT", "ETHUSDT")]
    stack.ended(ids)
    yield System(stack, ids)
    assert stack.stop() == 0


class Calls:
    """Makes any call as the service role, which may make all of them."""

    def __init__(self, channels: dict[str, Any], usual: list[Message], signal_ids: list[str]) -> None:
        self._channels = channels
        self._usual: dict[str, list[Message]] = {}
        for message in usual:
            self._usual.setdefault(message.DESCRIPTOR.full_name, []).append(message)
        ids = tuple(signal_ids)
        self.known = {
            "account_id": ("paper",),
            "webhook_id": ("demo",),
            "signal_id": ids,
            "signal_ids": ids,
            "order_id": tuple(f"{signal_id}.1" for signal_id in ids),
            "instrument": ("BTC/USDT", "ETH/USDT"),
            "timeframe": ("1m",),
            "scope": ("account:a",),
            "asset": ("USDT",),
        }

    def request(self, name: str, random: Random) -> Any:
        """A hostile request of a type: a usual one with a few other values, or one that is filled with any."""
        usual = self._usual.get(name)
        if usual and random.random() < 0.8:
            message = message_factory.GetMessageClass(POOL.FindMessageTypeByName(name))()
            message.CopyFrom(random.choice(usual))
            return Hostile(random, self.known, random.choice((0, 0.3))).change(message)
        message = message_factory.GetMessageClass(POOL.FindMessageTypeByName(name))()
        return Hostile(random, self.known, random.choice((0.5, 0.9, 0.97))).fill(message)

    def usual(self, kind: Any) -> Any:
        """A request of a type that is answered OK."""
        message = kind()
        message.CopyFrom(self._usual[kind.DESCRIPTOR.full_name][0])
        return message

    async def codes(self, request: Any) -> list[str]:
        """How the call is answered, and the orders in it."""
        rpc = BY_REQUEST[request.DESCRIPTOR.full_name]
        method = POOL.FindServiceByName(rpc.path.split("/")[1]).methods_by_name[rpc.method]
        kinds = {
            "request_serializer": lambda message: message.SerializeToString(),
            "response_deserializer": message_factory.GetMessageClass(method.output_type).FromString,
        }
        channel = self._channels[rpc.service]
        try:
            if method.client_streaming:
                response = await channel.stream_unary(rpc.path, **kinds)(iter([request]), timeout=30)
            elif method.server_streaming:
                call = channel.unary_stream(rpc.path, **kinds)(
                    request, timeout=30 if rpc.method != "WatchSignals" else 0.5
                )
                response = await call.read()
                if not call.done() and rpc.method == "WatchSignals":
                    call.cancel()
                while response is not grpc.aio.EOF and not call.cancelled():
                    response = await call.read()
            else:
                response = await channel.unary_unary(rpc.path, **kinds)(request, timeout=30)
        except grpc.aio.AioRpcError as error:
            return [from_rpc_error(error).code.name]
        if rpc.method.startswith("Batch"):
            return ["OK", *(code_pb2.Code.Name(result.error.code) for result in response.results)]
        return ["OK"]


@pytest.fixture
async def calls(system: System) -> AsyncIterator[Calls]:
    stack = system.stack
    token = (stack.home / "secrets" / "service-token").read_text().strip()
    addresses = stack.endpoints["grpc"]
    channels = {name: open_channel(_first(addresses[name]), token=token) for name in SERVICES}
    client = AsyncClient.from_home(stack.home, token=token)
    yield Calls(channels, await usual_requests(client, system.signal_ids), system.signal_ids)
    await client.close()
    for channel in channels.values():
        await channel.close()


def _first(addresses: Any) -> str:
    return str(addresses if isinstance(addresses, str) else addresses[0])


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(NAMES), seed=st.integers(0, 2**32 - 1))
async def test_hostile_request_is_answered_with_a_reason(calls: Calls, name: str, seed: int) -> None:
    request = calls.request(name, Random(seed))
    if request.ByteSize() > MOST_BYTES:
        return
    codes = await calls.codes(request)
    assert not set(codes) & set(FAULTS), (codes, str(request)[:2000])


async def test_requests_that_were_answered_as_internal_errors_are_refused(calls: Calls) -> None:
    for request, expected in [*_of_audit(), *_of_webhooks(), *_of_risk(calls), *_of_router(calls)]:
        assert await calls.codes(request) in [[code] for code in expected], str(request)[:300]


Found = Iterator[tuple[Any, tuple[str, ...]]]
REFUSED, FINE = ("INVALID_ARGUMENT",), ("OK",)
YEAR_1, BEYOND = -62_135_596_800, 2**63 - 1


def _of_audit() -> Found:
    for seconds, expected in ((YEAR_1, FINE), (BEYOND, REFUSED), (-(2**63), REFUSED)):
        request = audit_pb2.GetStatisticsRequest()
        request.filter.until.seconds = seconds
        yield request, expected
    # SQLite finds nothing, and PostgreSQL takes no such text.
    yield audit_pb2.GetSignalRequest(signal_id="a\x00b"), ("NOT_FOUND", "INVALID_ARGUMENT")
    yield audit_pb2.GetSignalRequest(signal_id="x" * 9000), ("NOT_FOUND",)
    yield audit_pb2.GetSignalRequest(signal_id="\U0001f600" * 3000), ("NOT_FOUND",)
    request = audit_pb2.GetStatisticsRequest()
    request.filter.account_id = "a\x00b"
    yield request, ("OK", "INVALID_ARGUMENT")


def _of_webhooks() -> Found:
    for kind in (ingress_pb2.RotateTokenRequest, ingress_pb2.RotateSigningSecretRequest):
        request: Any = kind(webhook_id="demo")
        request.grace.seconds = BEYOND
        yield request, REFUSED
        request = kind(webhook_id="demo")
        request.expire_time.seconds = BEYOND
        yield request, REFUSED
    yield ingress_pb2.RotateSigningSecretRequest(webhook_id="demo", request_id="s"), FINE
    yield ingress_pb2.RotateSigningSecretRequest(webhook_id="demo", request_id="s", secret="100"), REFUSED


def _of_risk(calls: Calls) -> Found:
    due = risk_pb2.ListFundingDueRequest(interval_s=28_800)
    due.until_time.seconds = YEAR_1
    yield due, REFUSED
    decision = calls.usual(risk_pb2.VerifyDecisionRequest)
    for number in ("1e999999999", "-1e999999999", "1e-999999999", "0e999999999"):
        decision.inputs.price_buffer_bps = number
        yield decision, REFUSED
    funding = calls.usual(risk_pb2.BookFundingRequest)
    funding.account_id = "\x00"
    yield funding, REFUSED
    settled = calls.usual(risk_pb2.SettleOrderRequest)
    settled.instrument = "a\x00b"
    yield settled, REFUSED


def _of_router(calls: Calls) -> Found:
    for kind in (router_pb2.PreviewSignalRequest, router_pb2.VerifySignalRequest):
        for field, value in (("action", -1), ("action", 0), ("previous_quantity", "a"), ("quantity", "1e999999999")):
            request: Any = calls.usual(kind)
            setattr(request.accepted.signal, field, value)
            yield request, REFUSED
        request = calls.usual(kind)
        request.accepted.webhook.position_policy = 99
        yield request, REFUSED
    yield _with_seed(calls.usual(router_pb2.PreviewSignalRequest), b"\xff" * 9), REFUSED


def _with_seed(request: Any, seed: bytes) -> Any:
    request.seed, request.replay_id = seed, "other"
    return request
