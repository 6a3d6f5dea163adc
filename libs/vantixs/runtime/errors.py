"""The one error that crosses the wires.

    ServiceError            a gRPC status with ErrorInfo (reason, domain "vantixs") and field violations

It becomes an HTTP problem document only at the edge, and is rebuilt from a status by `from_rpc_error`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

DOMAIN = "vantixs"
# Bytes of the detail, and of all violations together. A status is sent as metadata, of which clients take 8 KB: there a
# byte of the detail takes up to 4.3, one of the violations 1.3. A status that is longer never reaches the client.
LONGEST_DETAIL, LONGEST_VIOLATIONS = 1000, 2300


class Violation(NamedTuple):
    """One field that is wrong: which, the reason, and what was expected and found."""

    field: str
    reason: str
    detail: str


class ServiceError(Exception):
    """A failure with a gRPC code, an UPPER_SNAKE reason and one sentence for people."""

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str,
        detail: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
    ) -> None:
        super().__init__(f"{reason}: {detail}")
        self.code = code
        self.reason = reason
        self.detail = detail
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)

    def status(self) -> status_pb2.Status:
        """The rich status, each detail type once (AIP-193), of a size that reaches clients: what is longer is cut."""
        info = error_details_pb2.ErrorInfo(reason=self.reason, domain=DOMAIN, metadata=self.metadata)
        status = status_pb2.Status(code=code_pb2.Code.Value(self.code.name), message=_cut(self.detail))
        status.details.add().Pack(info)
        if self.violations:
            bad = error_details_pb2.BadRequest()
            for v in self.violations:
                bad.field_violations.add(field=_cut(v.field), reason=v.reason, description=_cut(v.detail))
                if bad.ByteSize() > LONGEST_VIOLATIONS and len(bad.field_violations) > 1:
                    del bad.field_violations[-1]
                    break
            status.details.add().Pack(bad)
        return status


def _cut(text: str) -> str:
    data = text.encode()
    return text if len(data) <= LONGEST_DETAIL else data[: LONGEST_DETAIL - 3].decode(errors="ignore") + "..."


def invalid(field: str, detail: str, reason: str = "FIELD_INVALID") -> ServiceError:
    """INVALID_ARGUMENT about one field."""
    return ServiceError(
        grpc.StatusCode.INVALID_ARGUMENT, reason, f"{field}: {detail}", violations=[Violation(field, reason, detail)]
    )


def not_found(what: str, name: str) -> ServiceError:
    """NOT_FOUND, reason <WHAT>_NOT_FOUND."""
    return ServiceError(grpc.StatusCode.NOT_FOUND, f"{what.upper()}_NOT_FOUND", f"{what} {name!r} does not exist")


def already_exists(what: str, name: str) -> ServiceError:
    """ALREADY_EXISTS, reason <WHAT>_ALREADY_EXISTS."""
    return ServiceError(
        grpc.StatusCode.ALREADY_EXISTS, f"{what.upper()}_ALREADY_EXISTS", f"{what} {name!r} exists already"
    )


def revision_conflict(what: str, name: str, expected: int, was: int | str) -> ServiceError:
    """ABORTED: somebody else changed it since it was read."""
    return ServiceError(
        grpc.StatusCode.ABORTED, "REVISION_CONFLICT", f"{what} {name!r}: expected revision {was}, was {expected}"
    )


def unavailable(reason: str, detail: str) -> ServiceError:
    """UNAVAILABLE: the same call may work later."""
    return ServiceError(grpc.StatusCode.UNAVAILABLE, reason, detail)


def from_rpc_error(error: grpc.RpcError) -> ServiceError:
    """The ServiceError a call failed with; a status without ErrorInfo gets its code's name as reason."""
    try:
        status = rpc_status.from_call(error)
    except ValueError:  # The call ended otherwise than the server said, for example as its status was too long.
        status = None
    return _error_of(error.code(), error.details() or "", status.details if status else ())


def from_status(status: status_pb2.Status) -> ServiceError:
    """The ServiceError of a status that is part of an answer, as the results of a batch have it."""
    return _error_of(_CODES.get(status.code, grpc.StatusCode.UNKNOWN), status.message, status.details)


_CODES = {code.value[0]: code for code in grpc.StatusCode}


def _error_of(code: grpc.StatusCode, detail: str, details: Iterable[AnyMessage]) -> ServiceError:
    reason = code.name
    metadata: dict[str, str] = {}
    violations: list[Violation] = []
    for packed in details:
        reason, metadata = _read_info(packed, reason, metadata)
        bad = error_details_pb2.BadRequest()
        if packed.Unpack(bad):
            violations = [Violation(v.field, v.reason, v.description) for v in bad.field_violations]
    return ServiceError(code, reason, detail, metadata=metadata, violations=violations)


def _read_info(packed: AnyMessage, reason: str, metadata: dict[str, str]) -> tuple[str, dict[str, str]]:
    info = error_details_pb2.ErrorInfo()
    return (info.reason, dict(info.metadata)) if packed.Unpack(info) else (reason, metadata)
