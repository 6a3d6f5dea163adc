"""A status reaches its client, however long a text it is made of."""

import base64
from urllib.parse import quote

import grpc
from google.rpc import error_details_pb2
from hypothesis import example, given
from hypothesis import strategies as st
from vantixs.runtime.errors import ServiceError, Violation, from_rpc_error, invalid, not_found

METADATA_BYTES = 8192  # gRPC's soft limit, with names and overhead of other headers.
TEXTS = st.text(st.sampled_from("a \x00é\U0001f600"), max_size=20).flatmap(
    lambda text: st.integers(1, 500).map(lambda times: text * times)
)


@given(TEXTS, st.lists(TEXTS, max_size=40))
@example("\U0001f600" * 5000, ["\U0001f600" * 5000] * 3)
def test_status_fits_into_the_metadata_of_a_call(detail: str, details: list[str]) -> None:
    violations = [Violation(f"field{n}", "FIELD_INVALID", text) for n, text in enumerate(details)]
    status = ServiceError(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", detail, violations=violations).status()
    encoded = len(quote(status.message)) + len(base64.b64encode(status.SerializeToString()))
    assert encoded < METADATA_BYTES - 500
    assert detail.startswith(status.message.removesuffix("..."))
    bad = error_details_pb2.BadRequest()
    assert not violations or (status.details[1].Unpack(bad) and bad.field_violations[0].field == "field0")


def test_short_texts_are_left_as_they_are() -> None:
    assert not_found("account", "a" * 200).status().message == f"account {'a' * 200!r} does not exist"
    violations = [Violation(f"f{n}", "FIELD_INVALID", "expected a number, was 'x'") for n in range(20)]
    error = ServiceError(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", "d", violations=violations)
    bad = error_details_pb2.BadRequest()
    assert error.status().details[1].Unpack(bad)
    assert len(bad.field_violations) == 20


def test_status_that_contradicts_the_call_is_told_by_the_call() -> None:
    """A client that takes no such long status makes RESOURCE_EXHAUSTED of it, and keeps the details."""
    details = (("grpc-status-details-bin", invalid("a", "b").status().SerializeToString()),)
    metadata = grpc.aio.Metadata(*details)
    error = grpc.aio.AioRpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.aio.Metadata(), metadata, "too long")
    found = from_rpc_error(error)
    assert (found.code, found.reason, found.detail) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED, "RESOURCE_EXHAUSTED", "too long",
    )  # fmt: skip
