"""An account in memory, for as long as its stamp says that nothing has changed.

Reading an account takes five statements and a lot of decimals. Every unit of work that changes anything of an account
writes a stamp that was never used before, in the same transaction. So one look at the stamp, which every decision takes,
tells whether what this process remembers is what is committed; with several processes on one database as well. What a
unit of work changed and then failed to commit has a stamp that no database ever holds, and is never believed.
"""

import json
import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import sqlalchemy as sa
from vantixs.api.risk.v1 import risk_pb2
from vantixs.model.decimals import format_decimal
from vantixs.runtime.errors import not_found
from vantixs.runtime.pipeline import interleaved

from vantixs_risk import store
from vantixs_risk.conversion import rules_of
from vantixs_risk.domain.activity import Activity, Asked
from vantixs_risk.domain.equity import Holding, Mark, Standing, Valuation, value
from vantixs_risk.domain.exact import BOOKS, ZERO
from vantixs_risk.domain.inputs import Books
from vantixs_risk.domain.ledger import CASH, Booking, Market, Position, Transfer
from vantixs_risk.domain.reservations import Reservation
from vantixs_risk.domain.rules import Rules
from vantixs_risk.domain.windows import trading_day

MOST_ACCOUNTS = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(slots=True)
class Account:
    """One account: its rules, and its books as of `stamp`.

    Attributes:
        clock: the account's time, the latest of every decision and booking; it never goes back.
        minute: of the last equity sample, since 1970.
        holdings: every instrument ever traded; flat ones have no mark.
        orders: open orders, by id.
        lots: of instruments that are held or asked for, the lot as the last order of it had it.
    """

    stamp: str
    message: risk_pb2.Account
    rules: Rules
    clock: datetime
    standing: Standing
    activity: Activity
    adjusted: Decimal
    minute: int
    balances: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    holdings: dict[str, Holding] = field(default_factory=dict)
    orders: dict[str, Reservation] = field(default_factory=dict)
    lots: dict[str, Decimal] = field(default_factory=dict)

    @property
    def account_id(self) -> str:
        """Its id."""
        return self.rules.account_id

    def time(self, now: datetime) -> datetime:
        """The account's time: now, unless it has seen a later one."""
        return max(now, self.clock)

    def books(self) -> Books:
        """The books as a decision sees them."""
        held = {name: holding for name, holding in self.holdings.items() if holding.position.quantity}
        cash = self.balances.get((CASH, self.rules.currency), ZERO)
        dust = frozenset(name for name, holding in held.items() if self.is_dust(name, holding.position.quantity))
        return Books(cash, self.standing, held, tuple(self.orders.values()), self.activity, dust)

    def is_dust(self, instrument: str, quantity: Decimal) -> bool:
        """Whether that much of an instrument is something, and less than can be traded."""
        return 0 < abs(quantity) < self.lots.get(instrument, ZERO)

    def valuation(self) -> Valuation:
        """What it is worth at the marks it has."""
        cash = self.balances.get((CASH, self.rules.currency), ZERO)
        return value(cash, self.holdings.values(), self.rules.leverage)

    def day_of(self, time: datetime) -> date:
        """The trading day of a time."""
        return trading_day(time, self.rules.day_zone, self.rules.day_start_s)

    def begin(self, time: datetime) -> None:
        """Comes to a time: a new day begins with what the account was worth before anything new was known."""
        self.clock = self.time(time)
        day = self.day_of(self.clock)
        if day > self.standing.day:
            self.standing = self.standing.on(day, self.valuation().equity)

    def mark(self, instrument: str, mark: Mark) -> None:
        """Takes a price, where it is newer than the one there is and there is a position to value."""
        held = self.holdings.get(instrument)
        if held is None or not held.position.quantity or (held.mark and held.mark.time > mark.time):
            return
        self.holdings[instrument] = replace(held, mark=mark)

    def holding(self, market: Market) -> Holding:
        """The position in a market; flat where there was never one."""
        return self.holdings.get(market.instrument) or Holding(market, Position())

    def position_now(self, instrument: str) -> Decimal:
        """Signed quantity held."""
        held = self.holdings.get(instrument)
        return held.position.quantity if held else ZERO

    def moved(self, transfers: tuple[Transfer, ...]) -> list[tuple[str, str]]:
        """Moves balances; returns which ones changed."""
        changed = dict.fromkeys((book, t.asset) for t in transfers for book in (t.source, t.target))
        for entry in transfers:
            for book, amount in ((entry.source, entry.amount.copy_negate()), (entry.target, entry.amount)):
                key = (book, entry.asset)
                self.balances[key] = BOOKS.add(self.balances.get(key, ZERO), amount)
        return list(changed)


class Bookshelf:
    """The accounts that a process remembers. For one thread: that of the units of work."""

    def __init__(self) -> None:
        self._nonce, self._count = os.urandom(9).hex(), 0
        self._accounts: OrderedDict[str, Account] = OrderedDict()
        self._trading: tuple[str | None, Mapping[str, str]] | None = (
            None  # As of a stamp; none before the first change.
        )

    def new_stamp(self) -> str:
        """A stamp that was never used."""
        self._count += 1
        return f"{self._nonce}-{self._count}"

    def take(self, connection: sa.Connection, account_id: str, heads: store.Heads) -> Account:
        """The account as committed, which `heads` tells.

        It is off the shelf until it is put back, so that what fails half way is forgotten.

        Raises:
            ServiceError: NOT_FOUND.
        """
        found = self._accounts.pop(account_id, None)
        if found is not None and found.stamp == heads.stamps.get(account_id):
            return found
        return load(connection, account_id)

    def fetch(self, connection: sa.Connection, account_ids: Iterable[str], heads: store.Heads) -> None:
        """Reads those of the accounts that are not remembered as committed, all at once; what is not there stays away."""
        stale = [
            account_id
            for account_id in dict.fromkeys(account_ids)
            if (stamp := heads.stamps.get(account_id)) is not None
            and ((found := self._accounts.get(account_id)) is None or found.stamp != stamp)
        ]
        for account in interleaved([partial(load, connection, account_id) for account_id in stale], connection):
            self._accounts[account.account_id] = account

    def put(self, account: Account) -> None:
        """Puts an account back; the one used longest ago is forgotten where there are too many."""
        self._accounts[account.account_id] = account
        if len(self._accounts) > MOST_ACCOUNTS:
            self._accounts.popitem(last=False)

    def has(self, account_id: str) -> bool:
        """Whether it is remembered, as of some time."""
        return account_id in self._accounts

    def save(self, connection: sa.Connection, *accounts: Account) -> None:
        """Writes how accounts stand, each under a new stamp, and puts them back."""
        self.write(connection, accounts)
        for account in accounts:
            self.put(account)

    def write(self, connection: sa.Connection, accounts: Iterable[Account]) -> None:
        """Writes how accounts stand, each under a new stamp, and leaves them off the shelf."""
        rows = []
        for account in accounts:
            account.stamp = self.new_stamp()
            rows.append({"account_id": account.account_id, "stamp": account.stamp, "data": encode(account)})
        store.WRITE_STATE.run_all(connection, rows)

    def trading_states(self, connection: sa.Connection, stamp: str | None) -> Mapping[str, str]:
        """Every scope that is not ACTIVE, with its state."""
        if self._trading is None or stamp != self._trading[0]:
            restricted = {row.scope: row.state for row in store.READ_RESTRICTED.rows(connection)}
            self._trading = (stamp, restricted)
        return self._trading[1]

    def changed_trading_states(self, connection: sa.Connection) -> Mapping[str, str]:
        """The same, where this transaction has changed them; they are read again with the next one."""
        self._trading = None
        return {row.scope: row.state for row in store.READ_RESTRICTED.rows(connection)}


def load(connection: sa.Connection, account_id: str) -> Account:
    """Reads an account; NOT_FOUND where there is none."""
    parts = (store.READ_ACCOUNT, store.READ_STATE, store.READ_BALANCES, store.READ_POSITIONS, store.READ_OPEN_ORDERS)
    asked = [part.ask(connection, account_id=account_id) for part in parts]
    rules_rows, state_rows, balances, positions, orders = [rows() for rows in asked]
    if not rules_rows or not state_rows:
        raise not_found("account", account_id)
    message = risk_pb2.Account.FromString(rules_rows[0].data)
    state = json.loads(state_rows[0].data)
    account, marks = _decode(state_rows[0].stamp, message, state), _marks_of(state)
    for row in balances:
        account.balances[row.book, row.asset] = row.amount
    for row in positions:
        account.holdings[row.instrument] = holding_of(row, marks)
    for row in orders:
        account.orders[row.order_id] = reservation_of(row)
    return account


def read_marks(connection: sa.Connection, account_id: str) -> dict[str, Mark]:
    """The marks of an account's positions; NOT_FOUND where there is no such account."""
    row = store.READ_STATE.first(connection, account_id=account_id)
    if row is None:
        raise not_found("account", account_id)
    return _marks_of(json.loads(row.data))


def holding_of(row: Any, marks: Mapping[str, Mark]) -> Holding:
    """A position's row, with its mark."""
    market = Market(row.instrument, row.base_asset, row.quote_asset, row.perpetual)
    position = Position(row.quantity, row.cost, row.realized_profit, row.fees)
    return Holding(market, position, marks.get(row.instrument))


def new_account(message: risk_pb2.Account, now: datetime, equity: Decimal) -> Account:
    """An account that begins now."""
    rules = rules_of(message)
    day = trading_day(now, rules.day_zone, rules.day_start_s)
    return Account("", message, rules, now, Standing(day, equity, equity), Activity(), ZERO, 0)


def reservation_of(row: Any) -> Reservation:
    """The reservation of an order's row."""
    return Reservation(
        row.instrument, row.entry, row.buy, row.quantity, row.notional, row.hold, row.filled, leg=bool(row.leg)
    )


class Postings:
    """What is booked: transfers, and the balances and positions they make. In the end each of these is written once."""

    def __init__(self) -> None:
        self._transfers: list[dict[str, Any]] = []
        self._balances: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._positions: dict[tuple[str, str], dict[str, Any]] = {}

    def book(self, account: Account, market: Market, cause: str, booking: Booking) -> None:
        """Books a trade or an adjustment: transfers, balances, and the position; `cause` is for example an execution id."""
        held = replace(account.holding(market), position=booking.position)
        # What is flat needs no price: so marks are as many as positions.
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
        """Books transfers, and the balances they move."""
        account_id = account.account_id
        self._transfers += [{"account_id": account_id, "cause": cause, **t._asdict()} for t in transfers]
        for book, asset in account.moved(transfers):
            row = {"account_id": account_id, "book": book, "asset": asset, "amount": account.balances[book, asset]}
            self._balances[account_id, book, asset] = row

    def write(self, connection: sa.Connection) -> None:
        """Writes what was booked."""
        store.INSERT_TRANSFER.run_all(connection, self._transfers)
        store.WRITE_BALANCE.run_all(connection, list(self._balances.values()))
        store.WRITE_POSITION.run_all(connection, list(self._positions.values()))


def write_booking(connection: sa.Connection, account: Account, market: Market, cause: str, booking: Booking) -> None:
    """Writes a trade's or an adjustment's transfers, balances and position."""
    postings = Postings()
    postings.book(account, market, cause, booking)
    postings.write(connection)


def write_transfers(connection: sa.Connection, account: Account, cause: str, transfers: tuple[Transfer, ...]) -> None:
    """Writes transfers, and the balances they move."""
    postings = Postings()
    postings.transfer(account, cause, transfers)
    postings.write(connection)


def encode(account: Account) -> str:
    """How the account stands, as JSON: amounts as text, times in microseconds since 1970."""
    activity = account.activity
    needed = {name for name, held in account.holdings.items() if held.position.quantity}
    needed.update(order.instrument for order in account.orders.values())
    return json.dumps(
        {
            "clock": _us(account.clock),
            "day": account.standing.day.isoformat(),
            "day_equity": format_decimal(account.standing.day_equity),
            "peak": format_decimal(account.standing.peak),
            "adjusted": format_decimal(account.adjusted),
            "minute": account.minute,
            "seconds": activity.seconds,
            "asked": [(e.what, _us(e.time)) for e in activity.asked],
            "approved": [(e.what, _us(e.time)) for e in activity.approved],
            "failures": activity.failures,
            "last_loss": _us(activity.last_loss) if activity.last_loss else None,
            "lots": {name: format_decimal(lot) for name, lot in account.lots.items() if name in needed},
            "marks": {
                name: (format_decimal(held.mark.bid), format_decimal(held.mark.ask), _us(held.mark.time))
                for name, held in account.holdings.items()
                if held.mark
            },
        }
    )


def _decode(stamp: str, message: risk_pb2.Account, state: dict[str, Any]) -> Account:
    activity = Activity(
        tuple((second, count) for second, count in state["seconds"]),
        tuple(Asked(what, _moment(us)) for what, us in state["asked"]),
        tuple(Asked(what, _moment(us)) for what, us in state["approved"]),
        state["failures"],
        _moment(state["last_loss"]) if state["last_loss"] is not None else None,
    )
    day = date.fromisoformat(state["day"])
    standing = Standing(day, Decimal(state["day_equity"]), Decimal(state["peak"]))
    return Account(
        stamp,
        message,
        rules_of(message),
        _moment(state["clock"]),
        standing,
        activity,
        Decimal(state["adjusted"]),
        state["minute"],
        # Not there in what was written before lots were kept.
        lots={name: Decimal(lot) for name, lot in state.get("lots", {}).items()},
    )


def _marks_of(state: dict[str, Any]) -> dict[str, Mark]:
    return {name: Mark(Decimal(bid), Decimal(ask), _moment(us)) for name, (bid, ask, us) in state["marks"].items()}


def _us(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND


def _moment(us: int) -> datetime:
    return _EPOCH + us * _MICROSECOND
