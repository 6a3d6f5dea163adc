"""The services that have a store, and what their health says."""

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from vantixs.testing.stack import RunningStack

STORES = ("risk", "router", "audit")


def serving(stack: RunningStack, name: str) -> bool:
    with grpc.insecure_channel(stack.endpoints["grpc"][name]) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
