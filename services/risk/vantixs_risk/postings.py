"""What is booked to an account: transfers, and the balances and positions that they change."""

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from vantixs_risk import store
from vantixs_risk.account_state import Account
from vantixs_risk.domain.ledger import Booking, Market, Transfer


class Postings:
    """Collects transfers and the balances and positions that they change, to write each row once."""

    def __init__(self) -> None:
        self._transfers: list[dict[str, Any]] = []
        self._balances: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._positions: dict[tuple[str, str], dict[str, Any]] = {}

    def book(self, account: Account, market: Market, cause: str, booking: Booking) -> None:
        """Books a trade or an adjustment. `cause` says where it comes from, for example an execution id."""
        held = replace(account.holding(market), position=booking.position)
        # A flat position needs no price, so there are never more marks than positions.
        account.holdings[market.instrument] = held if booking.position.quantity else replace(held, mark=None)
        self.transfer(account, cause, booking.transfers)
        self._positions[account.account_id, market.instrument] = {
            "account_id": account.account_id,
            "instrument": market.instrument,
            "base_asset": market.base,
            "quote_asset": market.quote,
            "perpetual": market.perpetual,
            "quantity": booking.position.quantity,
            "cost": booking.position.cost,
            "realized_profit": booking.position.realized_profit,
            "fees": booking.position.fees,
        }

    def transfer(self, account: Account, cause: str, transfers: tuple[Transfer, ...]) -> None:
        """Books transfers and the balances that they change."""
        account_id = account.account_id
        self._transfers += [{"account_id": account_id, "cause": cause, **t._asdict()} for t in transfers]
        for book, asset in account.moved(transfers):
            row = {"account_id": account_id, "book": book, "asset": asset, "amount": account.balances[book, asset]}
            self._balances[account_id, book, asset] = row

    def write(self, connection: sa.Connection) -> None:
        """Writes everything that was booked."""
        store.INSERT_TRANSFER.run_all(connection, self._transfers)
        store.WRITE_BALANCE.run_all(connection, list(self._balances.values()))
        store.WRITE_POSITION.run_all(connection, list(self._positions.values()))


def write_booking(connection: sa.Connection, account: Account, market: Market, cause: str, booking: Booking) -> None:
    """Writes a trade's or an adjustment's transfers, balances and position."""
    postings = Postings()
    postings.book(account, market, cause, booking)
    postings.write(connection)


def write_transfers(connection: sa.Connection, account: Account, cause: str, transfers: tuple[Transfer, ...]) -> None:
    """Writes transfers and the balances that they change."""
    postings = Postings()
    postings.transfer(account, cause, transfers)
    postings.write(connection)
