"""The client of a Vantixs Signals system, for programs with an event loop and without. See docs/guides/client.md."""

from vantixs.client.calls import Policy
from vantixs.client.client import AsyncClient, Client
from vantixs.client.errors import (
    ClientError,
    Conflict,
    DeadlineExceeded,
    InvalidRequest,
    LimitReached,
    NotBuilt,
    NotFound,
    NotPermitted,
    NotPossibleNow,
    ServiceUnavailable,
    SignalRejected,
)
from vantixs.client.signals import Sent

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "Conflict",
    "DeadlineExceeded",
    "InvalidRequest",
    "LimitReached",
    "NotBuilt",
    "NotFound",
    "NotPermitted",
    "NotPossibleNow",
    "Policy",
    "Sent",
    "ServiceUnavailable",
    "SignalRejected",
]
