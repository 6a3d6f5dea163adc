"""Signals that a request gives, where others come from the journal: what ingress lets no signal have is refused."""

from decimal import Decimal, InvalidOperation

from vantixs.api.journal.v1 import journal_pb2
from vantixs.runtime.enum_check import check_enums
from vantixs.runtime.errors import invalid

# A quantity is stored exactly as sent: ingress takes 20 digits before the point and 40 behind it, with an exponent, if its
# first digit is one of these places. The longest such text is that of 60 digits from the 40th decimal on.
_HIGHEST, _LOWEST, _LONGEST = 19, -40, 101


def check_given(accepted: journal_pb2.SignalAccepted) -> None:
    """Refuses unknown values of enums, and a quantity that ingress stores of no signal, such as 1e999999999.

    All other numbers of a signal have at most 18 decimals, and are checked where they are read.

    Raises:
        ServiceError: INVALID_ARGUMENT.
    """
    check_enums(accepted, "accepted")
    if (quantity := accepted.signal.quantity) and not _is_stored(quantity):
        was = quantity[:40]
        raise invalid("accepted.signal.quantity", f"expected a number as ingress stores it, was {was!r}")


def _is_stored(text: str) -> bool:
    if len(text) > _LONGEST:
        return False
    try:
        number = Decimal(text)
    except InvalidOperation:
        return False
    return number.is_finite() and _LOWEST <= number.adjusted() <= _HIGHEST
