"""The positions that this replica last heard of from risk."""

from decimal import Decimal
from typing import NamedTuple

MOST = 10_000


class _Heard(NamedTuple):
    """A position (None: forgotten), and how many bookings there had been when risk was asked for it."""

    quantity: Decimal | None
    at: int


class KnownPositions:
    """Positions by account and instrument, at most 10,000: of more, all are forgotten.

    Answers to calls about several instruments overlap with bookings. So an answer counts only if it was asked for after
    the last booking of the instrument: an earlier one may have the position from before that.
    """

    def __init__(self) -> None:
        self._positions: dict[str, dict[str, _Heard]] = {}
        self._count = 0
        self.bookings = 0
        # When all positions of an account were asked for last, by a monotonic clock.
        self.listed: dict[str, float] = {}

    def get(self, account_id: str, instrument: str) -> Decimal | None:
        """The position in signed base units; None if none is known."""
        heard = self._positions.get(account_id, {}).get(instrument)
        return heard.quantity if heard else None

    def held(self, account_id: str) -> list[str]:
        """The instruments in which the account has a position."""
        return [name for name, heard in self._positions.get(account_id, {}).items() if heard.quantity]

    def answered(self, account_id: str, instrument: str, quantity: Decimal, asked: int) -> None:
        """Risk gave a position when it was asked; `asked` is what `bookings` was before the call."""
        heard = self._positions.get(account_id, {}).get(instrument)
        if heard is None or heard.at <= asked:
            self._put(account_id, instrument, _Heard(quantity, asked))

    def booked(self, account_id: str, instrument: str, quantity: Decimal) -> None:
        """Risk booked an order, and this is the position after it. A replica books a key's orders one after another."""
        self.bookings += 1
        self._put(account_id, instrument, _Heard(quantity, self.bookings))

    def forget(self, account_id: str, instrument: str) -> None:
        """Another replica may have traded the instrument since this one heard of it."""
        self.bookings += 1
        self.listed.pop(account_id, None)
        self._put(account_id, instrument, _Heard(None, self.bookings))

    def clear(self) -> None:
        """Forgets all positions."""
        self._positions.clear()
        self.listed.clear()
        self._count = 0

    def _put(self, account_id: str, instrument: str, heard: _Heard) -> None:
        if self._count >= MOST:
            self.clear()
        of_account = self._positions.setdefault(account_id, {})
        self._count += instrument not in of_account
        of_account[instrument] = heard
