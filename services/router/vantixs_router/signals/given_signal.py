"""Signals that a request gives, where others come from the journal: what ingress lets no signal have is refused."""

from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.decimals import parse_decimal
from vantixs.runtime.enum_check import check_enums
from vantixs.runtime.errors import invalid


def check_given(accepted: journal_pb2.SignalAccepted) -> None:
    """Refuses unknown values of enums, and a quantity that is no number of the contract, such as 1e999999999.

    Raises:
        ServiceError: INVALID_ARGUMENT.
    """
    check_enums(accepted, "accepted")
    if not (quantity := accepted.signal.quantity):
        return
    try:
        parse_decimal(quantity)
    except ValueError as error:
        raise invalid("accepted.signal.quantity", str(error)) from None
