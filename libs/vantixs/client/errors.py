"""What calls fail with.

ClientError                 what every one of them is; `reason`, `detail`, `field`, `service`
  InvalidRequest            a field is wrong, or says what cannot be
  NotFound                  what was asked about does not exist
  Conflict                  it exists already, or somebody else changed it since it was read
  NotPossibleNow            it is not in a state in which this can be done
  NotPermitted              the token is not known, or may not do this
  LimitReached              too many calls, or too large ones
  NotBuilt                  the service does not have this
  ServiceUnavailable        the service did not answer: what changes something may or may not have been done
  DeadlineExceeded          nor did it in time: as above
  SignalRejected            ingress refused a signal
"""

from typing import Any

import grpc

from vantixs.runtime.errors import ServiceError, from_rpc_error


class ClientError(Exception):
    """A call that failed.

    `reason` is a name of docs/reference/reasons.md, or a gRPC code's where the service gave none; `detail` one sentence for
    people; `field` the first field that is wrong, empty where it is none; `service` who answered. `request_id` is the one that
    the call was made with: the same call with it is not done twice.
    """

    def __init__(self, reason: str, detail: str, *, service: str, field: str = "", request_id: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.service = service
        self.field = field
        self.request_id = request_id


class InvalidRequest(ClientError):
    """A field is wrong, or says what cannot be."""


class NotFound(ClientError):
    """What was asked about does not exist."""


class Conflict(ClientError):
    """It exists already, or somebody else changed it since it was read."""


class NotPossibleNow(ClientError):
    """It is not in a state in which this can be done."""


class NotPermitted(ClientError):
    """The token is not known, or may not do this."""


class LimitReached(ClientError):
    """Too many calls, or too large ones."""


class NotBuilt(ClientError):
    """The service does not have this."""


class ServiceUnavailable(ClientError):
    """The service did not answer. What changes something may or may not have been done: see `request_id`."""


class DeadlineExceeded(ClientError):
    """The service did not answer in time. What changes something may or may not have been done: see `request_id`."""


class SignalRejected(ClientError):
    """Ingress refused a signal; `signal_id` is the one that history has it under, empty where it has none."""

    def __init__(self, reason: str, detail: str, *, status: int, field: str = "", signal_id: str = "") -> None:
        super().__init__(reason, detail, service="ingress", field=field)
        self.status = status
        self.signal_id = signal_id


_TYPES: dict[grpc.StatusCode, type[ClientError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequest,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: Conflict,
    grpc.StatusCode.ABORTED: Conflict,
    grpc.StatusCode.FAILED_PRECONDITION: NotPossibleNow,
    grpc.StatusCode.PERMISSION_DENIED: NotPermitted,
    grpc.StatusCode.UNAUTHENTICATED: NotPermitted,
    grpc.StatusCode.RESOURCE_EXHAUSTED: LimitReached,
    grpc.StatusCode.UNIMPLEMENTED: NotBuilt,
    grpc.StatusCode.UNAVAILABLE: ServiceUnavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
}


def error_of(error: grpc.RpcError, service: str, request_id: str = "") -> ClientError:
    """The error that a call's status stands for."""
    return _typed(from_rpc_error(error), service, request_id)


def refusal_of(status: int, answer: Any) -> SignalRejected:
    """The error that an answer of ingress stands for, a problem document or another thing."""
    content = answer if isinstance(answer, dict) else {}
    errors = content.get("errors") or [{}]
    return SignalRejected(
        str(content.get("reason") or f"HTTP_{status}"),
        str(content.get("detail") or f"expected an answer of ingress, was status {status} of another server"),
        status=status,
        field=str(errors[0].get("field", "")),
        signal_id=str(content.get("signal_id", "")),
    )


def _typed(failure: ServiceError, service: str, request_id: str) -> ClientError:
    kind = _TYPES.get(failure.code, ClientError)
    field = failure.violations[0].field if failure.violations else ""
    return kind(failure.reason, failure.detail, service=service, field=field, request_id=request_id)
