"""Messages read and written directly are what protobuf would have made of them."""

from datetime import UTC, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from vantixs.api.common.v1 import order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.errors import ServiceError
from vantixs_risk.conversion import instant
from vantixs_risk.domain.check import Check, CheckResult
from vantixs_risk.wire import encode_response, encode_rows

TEXT = st.text(max_size=300) | st.text(alphabet="äß語🎉", min_size=60, max_size=5000)
INPUTS = st.dictionaries(TEXT, TEXT, max_size=4)
CHECK = st.builds(Check, TEXT, st.builds(CheckResult, st.booleans(), TEXT, INPUTS, TEXT))


@given(st.lists(CHECK, max_size=4), INPUTS)
def test_rows_are_those_of_message_objects(checks: list[Check], steps: dict[str, str]) -> None:
    decision = order_pb2.RiskDecision.FromString(encode_rows(checks, steps))
    expected = order_pb2.RiskDecision()
    for check in checks:
        row = expected.checks.add(reason=check.reason, passed=check.passed, limit=check.limit, detail=check.detail)
        for name, value in check.inputs.items():
            row.inputs.add(name=name, value=value)
    for name, value in steps.items():
        expected.sizing_steps.add(name=name, value=value)
    assert decision == expected
    response = risk_pb2.EvaluateOrderResponse.FromString(encode_response(encode_rows(checks, steps)))
    assert response == risk_pb2.EvaluateOrderResponse(decision=expected)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_is_the_one_protobuf_reads(moment: datetime) -> None:
    message = Timestamp()
    message.FromDatetime(moment)
    assert instant(message, "t") == message.ToDatetime(tzinfo=UTC) == moment


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(-62_135_596_801, 0), (253_402_300_800, 0), (0, -1), (0, 1_000_000_000), (2**62, 0)]
)
def test_a_moment_out_of_range_is_refused(seconds: int, nanos: int) -> None:
    with pytest.raises(ServiceError, match="expected a time"):
        instant(Timestamp(seconds=seconds, nanos=nanos), "t")
    with pytest.raises((ValueError, OverflowError)):
        Timestamp(seconds=seconds, nanos=nanos).ToDatetime(tzinfo=UTC)
