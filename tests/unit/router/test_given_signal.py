"""Signals that a request gives have what ingress stores of a signal, and nothing else."""

import pytest
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.decimals import format_decimal
from vantixs.runtime.errors import ServiceError
from vantixs_ingress.domain.payload.converters import as_size
from vantixs_router.signals.given_signal import check_given


def given(quantity: str) -> journal_pb2.SignalAccepted:
    accepted = journal_pb2.SignalAccepted()
    accepted.signal.quantity = quantity
    return accepted


@pytest.mark.parametrize(
    "sent",
    [
        "1", "0.0012345679012345679", "0." + "3" * 40, "0." + "0" * 39 + "1", "1e-40", "9" * 20, "9" * 20 + "." + "9" * 40,
        "1e19", "9" * 20 + "." + "9" * 40 + "e-59",
    ],
)  # fmt: skip
def test_every_size_that_ingress_takes_is_taken(sent: str) -> None:
    check_given(given(format_decimal(as_size(sent))))


@pytest.mark.parametrize(
    "quantity",
    ["a", "NaN", "sNaN", "-Infinity", "1e20", "1e-41", "1e999999999", "1e-999999999", "0e999999999", "9" * 5000, "0." + "1" * 100],
)  # fmt: skip
def test_what_ingress_takes_of_no_signal_is_refused(quantity: str) -> None:
    with pytest.raises(ServiceError) as refused:
        check_given(given(quantity))
    assert [v.field for v in refused.value.violations] == ["accepted.signal.quantity"]
