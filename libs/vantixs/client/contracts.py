"""The calls there are, as the contracts state them: whose each is, what it pages, and when it may be made again."""

from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message

from vantixs.api.audit.v1 import audit_pb2, audit_pb2_grpc
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import ingress_pb2, ingress_pb2_grpc
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.api.router.v1 import router_pb2, router_pb2_grpc

# The stubs' types take either kind of channel, and what of one they use.
STUBS: dict[str, Callable[[Any], Any]] = {
    "ingress": ingress_pb2_grpc.WebhookServiceStub,
    "risk": risk_pb2_grpc.RiskServiceStub,
    "router": router_pb2_grpc.RouterServiceStub,
    "audit": audit_pb2_grpc.AuditServiceStub,
}
SERVICES = tuple(STUBS)
_MODULES = {"ingress": ingress_pb2, "risk": risk_pb2, "router": router_pb2, "audit": audit_pb2}


class Rpc(NamedTuple):
    """One call: its service, its method's name and path, whether it only reads, and the field that it pages, where it does."""

    service: str
    method: str
    path: str
    reads: bool
    items: str


def _rpcs() -> dict[str, Rpc]:
    found = {}
    for service, module in _MODULES.items():
        for contract in module.DESCRIPTOR.services_by_name.values():
            for method in contract.methods:
                reads = method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
                fields = method.output_type.fields
                paged = any(field.name == "next_page_token" for field in fields)
                items = next((field.name for field in fields if field.is_repeated), "") if paged else ""
                path = f"/{contract.full_name}/{method.name}"
                found[method.input_type.full_name] = Rpc(service, method.name, path, reads, items)
    return found


# Every call has a request of its own, so the request says which call it is.
BY_REQUEST = _rpcs()
BY_PATH = {rpc.path: rpc for rpc in BY_REQUEST.values()}

# What is not told by a request_id. Letting trading go on is not said twice: somebody may have stopped it in between. A quote
# without a time is of the moment in which it comes, and a webhook that was changed has another revision.
_REPEATED: dict[str, Callable[[Any], bool]] = {
    "SetTradingState": lambda request: bool(request.state == common_pb2.TRADING_STATE_HALTED),
    "PublishQuote": lambda request: bool(request.quote.HasField("quote_time")),
    "UpdateWebhook": lambda _: False,
    "DeleteWebhook": lambda _: False,
}


def rpc_of(request: Message) -> Rpc:
    """The call that a request is of.

    Raises:
        TypeError: it is another message.
    """
    try:
        return BY_REQUEST[request.DESCRIPTOR.full_name]
    except KeyError:
        raise TypeError(f"expected a request of a service, was {request.DESCRIPTOR.full_name}") from None


def may_repeat(rpc: Rpc, request: Any) -> bool:
    """Whether the call may be made again where it is not known whether it was done."""
    if rpc.reads:
        return True
    if told := _REPEATED.get(rpc.method):
        return told(request)
    return bool(getattr(request, "request_id", ""))
