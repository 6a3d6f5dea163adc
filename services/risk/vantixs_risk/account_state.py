"""One account in memory: its rules, balances, positions and open orders, read from its rows and written back as one row."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from vantixs.api.risk.v1 import risk_pb2
from vantixs.model.decimals import format_decimal
from vantixs.runtime.errors import not_found

from vantixs_risk import store
from vantixs_risk.domain.activity import Activity, EntryRecord
from vantixs_risk.domain.equity import EquityHistory, Holding, Mark, Valuation, value
from vantixs_risk.domain.exact import BOOKS, ZERO
from vantixs_risk.domain.inputs import Books
from vantixs_risk.domain.ledger import CASH, Market, Position, Transfer
from vantixs_risk.domain.reservations import Reservation
from vantixs_risk.domain.rules import Rules
from vantixs_risk.domain.windows import trading_day
from vantixs_risk.rule_conversion import rules_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(slots=True)
class Account:
    """One account: its rules, and its books as of `version`.

    Attributes:
        version: what the column `stamp` of the account's row had when the account was read or written.
        message: the account as it is stored, with its revision.
        clock: the account's time, the latest of every decision and booking; it never goes back.
        adjusted: the sum of what operators adjusted, in the account's currency.
        minute: minutes from 1970 to the last equity sample.
        balances: amounts by book and asset.
        holdings: every instrument that was ever traded. Flat ones have no mark.
        orders: reservations of open orders, by order id.
        lots: the lot size of each instrument that is held or was requested, as its last order had it.
    """

    version: str
    message: risk_pb2.Account
    rules: Rules
    clock: datetime
    equity_history: EquityHistory
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
        return Books(cash, self.equity_history, held, tuple(self.orders.values()), self.activity, dust)

    def is_dust(self, instrument: str, quantity: Decimal) -> bool:
        """Whether the quantity is less than a lot, so that it cannot be traded, and not 0."""
        return 0 < abs(quantity) < self.lots.get(instrument, ZERO)

    def forget_lots(self) -> None:
        """Forgets the lot sizes of instruments that are neither held nor ordered."""
        needed = {name for name, held in self.holdings.items() if held.position.quantity}
        needed.update(order.instrument for order in self.orders.values())
        self.lots = {name: lot for name, lot in self.lots.items() if name in needed}

    def valuation(self) -> Valuation:
        """What it is worth at the marks it has."""
        cash = self.balances.get((CASH, self.rules.currency), ZERO)
        return value(cash, self.holdings.values(), self.rules.leverage)

    def day_of(self, time: datetime) -> date:
        """The trading day of a time."""
        return trading_day(time, self.rules.day_zone, self.rules.day_start_s)

    def begin(self, time: datetime) -> None:
        """Moves the account's time on. A new day begins with the equity at the prices that were known before."""
        self.clock = self.time(time)
        day = self.day_of(self.clock)
        if day > self.equity_history.day:
            self.equity_history = self.equity_history.on_day(day, self.valuation().equity)

    def mark(self, instrument: str, mark: Mark) -> None:
        """Sets the price of a position, where there is a position and its price is not newer."""
        held = self.holdings.get(instrument)
        if held is None or not held.position.quantity or (held.mark and held.mark.time > mark.time):
            return
        self.holdings[instrument] = replace(held, mark=mark)

    def holding(self, market: Market) -> Holding:
        """The position in a market; a flat one where the account never had any."""
        return self.holdings.get(market.instrument) or Holding(market, Position())

    def position_now(self, instrument: str) -> Decimal:
        """Signed quantity held."""
        held = self.holdings.get(instrument)
        return held.position.quantity if held else ZERO

    def moved(self, transfers: tuple[Transfer, ...]) -> list[tuple[str, str]]:
        """Changes the balances by transfers. Returns the keys of those that changed."""
        changed = dict.fromkeys((book, t.asset) for t in transfers for book in (t.source, t.target))
        for entry in transfers:
            for book, amount in ((entry.source, entry.amount.copy_negate()), (entry.target, entry.amount)):
                key = (book, entry.asset)
                self.balances[key] = BOOKS.add(self.balances.get(key, ZERO), amount)
        return list(changed)


def load(connection: sa.Connection, account_id: str) -> Account:
    """Reads an account.

    Raises:
        ServiceError: NOT_FOUND.
    """
    parts = (store.READ_ACCOUNT, store.READ_STATE, store.READ_BALANCES, store.READ_POSITIONS, store.READ_OPEN_ORDERS)
    answers = [part.ask(connection, account_id=account_id) for part in parts]
    rules_rows, state_rows, balances, positions, orders = [rows() for rows in answers]
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


def read_rules(connection: sa.Connection, account_id: str) -> risk_pb2.Account:
    """An account's rules as they are stored.

    Raises:
        ServiceError: NOT_FOUND.
    """
    row = store.READ_ACCOUNT.first(connection, account_id=account_id)
    if row is None:
        raise not_found("account", account_id)
    return risk_pb2.Account.FromString(row.data)


def read_marks(connection: sa.Connection, account_id: str) -> dict[str, Mark]:
    """The marks of an account's positions.

    Raises:
        ServiceError: NOT_FOUND.
    """
    row = store.READ_STATE.first(connection, account_id=account_id)
    if row is None:
        raise not_found("account", account_id)
    return _marks_of(json.loads(row.data))


def holding_of(row: Any, marks: Mapping[str, Mark]) -> Holding:
    """The holding of a position's row, with its mark."""
    market = Market(row.instrument, row.base_asset, row.quote_asset, row.perpetual)
    position = Position(row.quantity, row.cost, row.realized_profit, row.fees)
    return Holding(market, position, marks.get(row.instrument))


def new_account(message: risk_pb2.Account, now: datetime, equity: Decimal) -> Account:
    """A new account, without positions. Its day begins now."""
    rules = rules_of(message)
    day = trading_day(now, rules.day_zone, rules.day_start_s)
    return Account("", message, rules, now, EquityHistory(day, equity, equity), Activity(), ZERO, 0)


def reservation_of(row: Any) -> Reservation:
    """The reservation of an order's row."""
    return Reservation(
        row.instrument, row.entry, row.buy, row.quantity, row.notional, row.hold, row.filled, leg=bool(row.leg)
    )


def encode(account: Account) -> str:
    """The account's state as JSON: amounts as text, times in microseconds since 1970."""
    activity = account.activity
    return json.dumps(
        {
            "clock": _us(account.clock),
            "day": account.equity_history.day.isoformat(),
            "day_equity": format_decimal(account.equity_history.day_equity),
            "peak": format_decimal(account.equity_history.peak),
            "adjusted": format_decimal(account.adjusted),
            "minute": account.minute,
            "seconds": activity.seconds,
            "asked": [(e.key, _us(e.time)) for e in activity.requested],
            "approved": [(e.key, _us(e.time)) for e in activity.approved],
            "failures": activity.failures,
            "last_loss": _us(activity.last_loss) if activity.last_loss else None,
            "lots": {name: format_decimal(lot) for name, lot in account.lots.items()},
            "marks": {
                name: (format_decimal(held.mark.bid), format_decimal(held.mark.ask), _us(held.mark.time))
                for name, held in account.holdings.items()
                if held.mark
            },
        }
    )


def _decode(version: str, message: risk_pb2.Account, state: dict[str, Any]) -> Account:
    activity = Activity(
        tuple((second, count) for second, count in state["seconds"]),
        tuple(EntryRecord(key, _moment(us)) for key, us in state["asked"]),
        tuple(EntryRecord(key, _moment(us)) for key, us in state["approved"]),
        state["failures"],
        _moment(state["last_loss"]) if state["last_loss"] is not None else None,
    )
    day = date.fromisoformat(state["day"])
    history = EquityHistory(day, Decimal(state["day_equity"]), Decimal(state["peak"]))
    return Account(
        version,
        message,
        rules_of(message),
        _moment(state["clock"]),
        history,
        activity,
        Decimal(state["adjusted"]),
        state["minute"],
        # Rows that were written before lots were kept have none.
        lots={name: Decimal(lot) for name, lot in state.get("lots", {}).items()},
    )


def _marks_of(state: dict[str, Any]) -> dict[str, Mark]:
    return {name: Mark(Decimal(bid), Decimal(ask), _moment(us)) for name, (bid, ask, us) in state["marks"].items()}


def _us(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND


def _moment(us: int) -> datetime:
    return _EPOCH + us * _MICROSECOND
