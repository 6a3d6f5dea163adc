"""Moments become messages as protobuf itself would make them."""

from datetime import UTC, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from vantixs.runtime.timestamps import set_time, timestamp


@given(st.datetimes(timezones=st.just(UTC)))
def test_timestamp_is_what_protobuf_makes_of_the_time(moment: datetime) -> None:
    expected = Timestamp()
    expected.FromDatetime(moment)
    assert timestamp(moment) == expected


def test_set_time_replaces_what_the_field_had() -> None:
    field = Timestamp(seconds=7, nanos=1)
    set_time(field, datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC))
    assert (field.seconds, field.nanos) == (-1, 500_000_000)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(TypeError):
        timestamp(datetime(2026, 11, 27, 12))  # noqa: DTZ001 - that is what is tried
