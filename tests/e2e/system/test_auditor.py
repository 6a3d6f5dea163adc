"""The role AUDITOR at every RPC that the running services serve: it reads everything and changes nothing."""

import asyncio
import contextlib
import json

import grpc
import pytest
from google.protobuf.descriptor_pb2 import MethodOptions
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.ingress.v1 import ingress_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs.api.stores.v1 import stores_pb2
from vantixs.runtime.grpc_server import Role
from vantixs.runtime.store_service import ROLES as STORES
from vantixs.testing.stack import RunningStack
from vantixs_audit.server import ROLES as AUDIT
from vantixs_ingress.webhooks.service import ROLES as INGRESS
from vantixs_risk.server import ROLES as RISK
from vantixs_router.server import ROLES as ROUTER

DEADLINE_S = 20
SERVED = {"ingress": INGRESS | STORES, "risk": RISK | STORES, "router": ROUTER | STORES, "audit": AUDIT | STORES}
READS = {
    f"/{service.full_name}/{method.name}": method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
    for module in (audit_pb2, ingress_pb2, risk_pb2, router_pb2, stores_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
# Steps of a replay and of funding that one service asks of another; what they tell, history and positions tell as well.
BETWEEN_SERVICES = {"ListFundingDue", "VerifyDecision", "VerifySignal"}
REQUESTS = {"WatchSignals": audit_pb2.WatchSignalsRequest(heartbeat_s=1)}
CASES = sorted((service, path) for service, roles in SERVED.items() for path in roles)


def may_call(path: str) -> bool:
    return READS[path] and path.rpartition("/")[2] not in BETWEEN_SERVICES


def test_table_has_every_rpc_of_every_contract() -> None:
    assert {path for _, path in CASES} == set(READS)
    assert sum(map(may_call, READS)) >= 30


@pytest.mark.parametrize(("service", "path"), CASES, ids=[f"{s}-{p.rpartition('/')[2]}" for s, p in CASES])
def test_role_of_every_rpc_lets_an_auditor_read_and_nothing_else(service: str, path: str) -> None:
    assert (SERVED[service][path] <= Role.AUDITOR) is may_call(path)


def test_running_services_let_an_auditor_read_and_nothing_else(stack: RunningStack) -> None:
    token = (stack.home / "secrets" / "auditor-token").read_text().strip()
    addresses = {s: json.loads((stack.home / "run" / f"{s}-0.json").read_text())["grpc"] for s in SERVED}

    async def code_of(channel: grpc.aio.Channel, path: str) -> grpc.StatusCode:
        request = REQUESTS.get(path.rpartition("/")[2])
        data = request.SerializeToString() if request else b""
        metadata = [("authorization", f"Bearer {token}")]
        call = channel.unary_stream(path)(data, metadata=metadata, timeout=DEADLINE_S)
        with contextlib.suppress(grpc.aio.AioRpcError):
            if await call.read() is not grpc.aio.EOF:
                call.cancel()
                return grpc.StatusCode.OK
        return await call.code()

    async def ask_all() -> dict[tuple[str, str], grpc.StatusCode]:
        found = {}
        for service, roles in SERVED.items():
            async with grpc.aio.insecure_channel(addresses[service]) as channel:
                found |= {(service, path): await code_of(channel, path) for path in roles}
        return found

    codes = asyncio.run(ask_all())
    # The requests are empty: what is admitted may find nothing by them, or find them invalid.
    admitted = ("OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "UNIMPLEMENTED")
    assert {case: code.name for case, code in codes.items() if not may_call(case[1])} == {
        case: "PERMISSION_DENIED" for case in CASES if not may_call(case[1])
    }
    assert not [(case, code) for case, code in codes.items() if may_call(case[1]) and code.name not in admitted]
