"""A service of one process whose channel a test has already."""

from collections.abc import Sequence

import grpc

from vantixs.runtime.grpc_replicas import Replica, Replicas
from vantixs.runtime.settings import ServiceSettings


def replicas_on(channel: grpc.aio.Channel, service: str = "risk", idempotent: Sequence[str] = ()) -> Replicas:
    """The replicas of a service as a client sees them, of which this channel is the only one; its owner closes it."""
    replicas = Replicas(service, ServiceSettings(), token="", idempotent=idempotent)
    replicas._all["here"] = Replica("here", channel)
    return replicas
