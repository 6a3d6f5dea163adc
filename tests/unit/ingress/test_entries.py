"""Messages put together from serialized parts are what protobuf would have made of them."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from vantixs.api.common.v1 import signal_pb2
from vantixs_ingress.spool.entries import make_received, sender_part
from vantixs_ingress.spool.wire import field

MOMENTS = st.datetimes(timezones=st.just(UTC))
LENGTHS = st.sampled_from((0, 1, 127, 128, 16_383, 16_384, 70_000, 2_097_152)) | st.integers(0, 40_000)
TEXT = st.text(max_size=300)


@given(LENGTHS)
def test_field_of_any_length_is_read_back(length: int) -> None:
    data = b"x" * length
    assert signal_pb2.ReceivedRequest.FromString(field(2, data)).payload_sha256 == data


@given(MOMENTS, st.binary(max_size=500), st.binary(min_size=32, max_size=32), st.tuples(*[TEXT] * 7))
def test_request_is_that_of_objects(moment: datetime, payload: bytes, digest: bytes, texts: tuple[str, ...]) -> None:
    names = (
        "source_address",
        "content_type",
        "proof",
        "token_fingerprint",
        "instance",
        "client_certificate",
        "credential_id",
    )
    expected = signal_pb2.ReceivedRequest(
        payload=payload, payload_sha256=digest, **dict(zip(names, texts, strict=True))
    )
    expected.receive_time.FromDatetime(moment)
    received = make_received(moment, payload, digest, sender_part(*texts))
    assert received.message() == expected
    assert received.receive_time == expected.receive_time
