"""The books against an independent calculation from the definitions (tests/reference), to the last digit.

What is in the database has to be the same to the last digit; a message shows 18 decimals of it, rounded down.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.model.decimals import PATTERN
from vantixs.runtime.database import Database
from vantixs.runtime.health import Health
from vantixs.runtime.journal import Journal
from vantixs.runtime.outbox import Outbox
from vantixs_risk import store
from vantixs_risk.accounts import create_account, get_account
from vantixs_risk.adjustment import record_adjustment
from vantixs_risk.domain.equity import Holding, Mark, value
from vantixs_risk.domain.ledger import Booking, Market, Position, Trade, Transfer, book_trade, open_books
from vantixs_risk.main import MIGRATIONS
from vantixs_risk.settings import RiskSettings
from vantixs_risk.unit_context import UnitContext

from tests.reference.books import UNIT, Books, Fill, as_shown, assets, is_perpetual, raised, sum_by_asset
from tests.reference.sequences import MOST, draw, fills, fits, text
from tests.support.risk_fixture import decide, settle

SEQUENCES = 1000
ACCOUNTS = 100
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
START = "99999999999999999999.123456789012345678"
LEVERAGE = 7
FEE_BPS = 10
# A start, and whether amounts use every digit they may have.
RANGES = {
    "ordinary": ("100000000.25", False),
    "wide": (START, True),
}


def exact(balances: dict[tuple[str, str], Decimal]) -> dict[tuple[str, str], Fraction]:
    """Balances that are not 0, as fractions."""
    return {key: Fraction(amount) for key, amount in balances.items() if amount}


def not_zero(balances: dict[tuple[str, str], Fraction]) -> dict[tuple[str, str], Fraction]:
    return {key: amount for key, amount in balances.items() if amount}


def is_shown(text: str, amount: Fraction) -> None:
    """Holds a text of a message against an amount; below 10^20 it is a decimal of the contract."""
    assert Fraction(text) == as_shown(amount)
    assert abs(amount) > MOST or PATTERN.match(text), text


@dataclass
class Ledger:
    """The domain's ledger, with balances added up here."""

    positions: dict[str, Position]
    balances: dict[tuple[str, str], Fraction]

    def book(self, fill: Fill) -> Booking:
        trade = Trade(fill.buy, Decimal(fill.quantity), Decimal(fill.price), Decimal(fill.fee), fill.fee_asset)
        booking = book_trade(self.positions[fill.instrument], Market.of(fill.instrument), trade)
        self.positions[fill.instrument] = booking.position
        self.move(booking.transfers)
        return booking

    def move(self, transfers: Iterable[Transfer]) -> None:
        for source, target, asset, amount in transfers:
            assert amount > 0
            self.balances[source, asset] -= Fraction(amount)
            self.balances[target, asset] += Fraction(amount)

    def valued(self, marks: dict[str, Mark]) -> tuple[Fraction, ...]:
        """Equity, unrealised profit, exposure and margin."""
        held = [Holding(Market.of(name), position, marks.get(name)) for name, position in self.positions.items()]
        units = self.balances["cash", "USDT"] * 10**36
        cash = Decimal(f"{units.numerator}E-36")
        assert Fraction(cash) * 10**36 == units
        return tuple(Fraction(figure) for figure in value(cash, held, Decimal(LEVERAGE)))


def new_ledger() -> Ledger:
    ledger = Ledger(defaultdict(Position), defaultdict(Fraction))
    ledger.move(open_books("USDT", Decimal(START)))
    return ledger


@pytest.mark.parametrize("block", range(10))
def test_every_fill_is_booked_as_the_definitions_have_it(block: int) -> None:
    for seed in range(block * SEQUENCES // 10, (block + 1) * SEQUENCES // 10):
        ledger, reference = new_ledger(), Books("USDT", Fraction(START))
        marks: dict[str, Mark] = {}
        for fill in fills(Random(seed), 9):
            before = reference.lines[fill.instrument].realized, reference.lines[fill.instrument].fees
            booking = ledger.book(fill)
            closed = reference.book(fill)
            marks[fill.instrument] = Mark(Decimal(fill.price), Decimal(fill.price), NOW)
            line = reference.lines[fill.instrument]
            assert Fraction(booking.closed_profit) == closed, (seed, fill)
            assert Fraction(booking.realized_profit) == line.realized - before[0], (seed, fill)
            assert Fraction(booking.fee) == line.fees - before[1], (seed, fill)
            compare(ledger, reference, marks, seed)


def compare(ledger: Ledger, reference: Books, marks: dict[str, Mark], seed: int) -> None:
    """Positions, balances, worth: all exactly the same."""
    for name, line in reference.lines.items():
        position = ledger.positions[name]
        shown = (position.quantity, position.cost, position.realized_profit, position.fees, position.average_price)
        expected = (line.quantity, line.cost, line.realized, line.fees, line.shown_average)
        assert tuple(Fraction(number) for number in shown) == expected, (seed, name)
        # The one documented rounding: what it keeps back is at most a unit a cut, and comes out when the position is flat.
        assert abs(line.realized - line.exact) <= line.cuts * UNIT
        assert line.quantity or line.realized == line.exact, (seed, name)
    assert not_zero(ledger.balances) == not_zero(reference.balances), seed
    assert not any(sum_by_asset(ledger.balances.items()).values()), seed
    prices = {name: Fraction(mark.bid) for name, mark in marks.items()}
    equity, unrealized, exposure, margin = ledger.valued(marks)
    assert equity == reference.equity(prices) == reference.equity_by_payments(prices), seed
    assert unrealized == reference.unrealized(prices), seed
    assert exposure == reference.exposure(prices), seed
    assert margin == reference.margin(prices, Fraction(LEVERAGE)), seed


def test_a_long_is_worth_its_bid_and_a_short_its_ask() -> None:
    for seed in range(100):
        random, ledger, reference = Random(seed), new_ledger(), Books("USDT", Fraction(START))
        for fill in fills(random, 8):
            ledger.book(fill)
            reference.book(fill)
        marks = {name: Mark(Decimal(random.randint(1, 99)), Decimal(100), NOW) for name in reference.lines}
        sides = {n: Fraction(marks[n].bid if i.quantity > 0 else marks[n].ask) for n, i in reference.lines.items()}
        equity, unrealized, _, margin = ledger.valued(marks)
        assert equity == reference.equity(sides) == reference.equity_by_payments(sides)
        assert (unrealized, margin) == (reference.unrealized(sides), reference.margin(sides, Fraction(LEVERAGE)))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    settings = replace(RiskSettings(), database_url=f"sqlite:///{tmp_path / 'risk.db'}")
    opened = await Database.open(settings, "risk", MIGRATIONS)
    yield opened
    await opened.close()


class Run:
    """One account's fills, through the units of work."""

    def __init__(self, connection: sa.Connection, context: UnitContext, number: int, start: str) -> None:
        self.connection, self.context, self.account_id = connection, context, f"account-{number}"
        self.reference = Books("USDT", Fraction(start))
        self.marks: dict[str, Fraction] = {}
        # All of a sequence is one day, and what is adjusted is neither profit nor loss of it.
        self.day_equity = self.peak = Fraction(start)
        self.count = 0
        # The open order of an instrument and side; of approved orders what they are of and hold, and what of them is filled.
        self.orders: dict[str, str] = {}
        self.approved: dict[str, tuple[Fraction, Fraction]] = {}
        self.filled: dict[str, Fraction] = defaultdict(Fraction)
        account = risk_pb2.Account(
            account_id=self.account_id,
            mode=common_pb2.MODE_PAPER,
            currency="USDT",
            balance=start,
            enabled=True,
            may_short=True,
            limits=risk_pb2.Limits(max_leverage=str(LEVERAGE)),
        )
        create_account(connection, context, risk_pb2.CreateAccountRequest(account=account), "test", NOW)

    @property
    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.count)

    def book(self, fill: Fill, *, new_order: bool) -> None:
        """Settles one fill, of a new order or as one more of the last one of its instrument and side."""
        self.count += 1
        kind = f"{fill.instrument}:{fill.buy}"
        if new_order or kind not in self.orders:
            self.orders[kind] = f"{self.account_id}:{self.count}"
            self.evaluate(fill, self.orders[kind])
            # What is held is worth what the order's quote says, before the order does anything.
            self.marks[fill.instrument] = Fraction(fill.price)
            self.see()
        message = order_pb2.Fill(
            execution_id=f"{self.account_id}-{self.count}",
            order_id=self.orders[kind],
            side=common_pb2.SIDE_BUY if fill.buy else common_pb2.SIDE_SELL,
            quantity=fill.quantity,
            price=fill.price,
            fee=fill.fee,
            fee_asset=fill.fee_asset,
        )
        request = risk_pb2.SettleOrderRequest(order_id=self.orders[kind], fills=[message])
        self.reference.book(fill)
        self.filled[self.orders[kind]] += Fraction(fill.quantity)
        self.marks[fill.instrument] = Fraction(fill.price)
        self.see()
        # Told twice, booked once.
        settle(self.connection, self.context, [request], self.now)
        position = settle(self.connection, self.context, [request], self.now)[0].position
        line = self.reference.lines[fill.instrument]
        assert Fraction(position.quantity) == line.quantity
        assert Fraction(position.average_price) == line.shown_average
        is_shown(position.realized_profit, line.realized)
        is_shown(position.fees, line.fees)
        is_shown(position.cost, line.cost)
        is_shown(position.unrealized_profit, line.quantity * self.marks[fill.instrument] - line.cost)
        self.check_balances()

    def evaluate(self, fill: Fill, order_id: str) -> None:
        limit = self.count % 2 == 0
        base, quote = assets(fill.instrument)
        linear, spot = common_pb2.INSTRUMENT_KIND_LINEAR_PERPETUAL, common_pb2.INSTRUMENT_KIND_SPOT
        request = risk_pb2.EvaluateOrderRequest(
            order=order_pb2.Order(
                order_id=order_id,
                account_id=self.account_id,
                instrument=fill.instrument,
                side=common_pb2.SIDE_BUY if fill.buy else common_pb2.SIDE_SELL,
                effect=order_pb2.ORDER_EFFECT_ENTRY,
                order_type=common_pb2.ORDER_TYPE_LIMIT if limit else common_pb2.ORDER_TYPE_MARKET,
                limit_price=fill.price,
                mode=common_pb2.MODE_PAPER,
            ),
            assumed_position_quantity=text(self.reference.lines[fill.instrument].quantity),
            sizing=common_pb2.Sizing(method=common_pb2.SIZING_METHOD_FIXED_QUANTITY, value=fill.quantity),
            quote=common_pb2.Quote(instrument=fill.instrument, bid=fill.price, ask=fill.price),
            fee_bps=str(FEE_BPS),
            instrument=common_pb2.Instrument(
                instrument=fill.instrument,
                kind=linear if is_perpetual(fill.instrument) else spot,
                base_asset=base,
                quote_asset=quote,
                lot_size="0.000000000000000001",
            ),
        )
        request.quote.quote_time.FromDatetime(self.now)
        (decision,) = decide(self.connection, self.context, [request], self.now)
        assert decision.verdict != order_pb2.RISK_VERDICT_POSITION_CHANGED
        if decision.verdict == order_pb2.RISK_VERDICT_APPROVED:
            assert decision.quantity == fill.quantity
            notional = Fraction(fill.quantity) * Fraction(fill.price)
            moves = 0 if limit and fill.buy else self.context.settings.price_buffer_bps
            cost = raised(notional * (FEE_BPS + moves) / 10_000)
            paid = fill.buy and not is_perpetual(fill.instrument)
            hold = cost + (notional if paid else raised(notional / LEVERAGE))
            self.approved[order_id] = Fraction(fill.quantity), hold

    def holds(self) -> dict[str, Fraction]:
        """What each open order still holds: its part of what may still fill, up to the next 18th decimal."""
        return {
            order_id: hold if not self.filled[order_id] else raised(hold * (of - self.filled[order_id]) / of)
            for order_id, (of, hold) in self.approved.items()
            if self.filled[order_id] < of
        }

    def adjust(self, random: Random, instrument: str, *, wide: bool) -> None:
        """Books a difference in cash, or in the position of an instrument."""
        self.count += 1
        request = risk_pb2.RecordAdjustmentRequest(
            request_id=f"{self.account_id}-{self.count}", account_id=self.account_id, comment="as the venue has it"
        )
        line, before = self.reference.lines[instrument], self.reference.equity(self.marks)
        change = draw(random, wide=wide) * random.choice([1, -1])
        if abs(line.quantity + change) > MOST or random.random() < 0.5:
            asset = random.choice(["USDT", "USDT", "BNB"])
            request.cash.asset, request.cash.amount = asset, text(change)
            self.reference.adjust_cash(asset, change)
        else:
            price = draw(random, wide=wide)
            request.position.instrument, request.position.quantity = instrument, text(change)
            request.position.price = text(price)
            # A position that was flat has no mark but this price.
            if not line.quantity:
                self.marks[instrument] = price
            self.reference.adjust_position(instrument, change, price)
        moved = self.reference.equity(self.marks) - before
        self.day_equity += moved
        self.peak = max(self.peak + moved, Fraction(0))
        self.see()
        record_adjustment(self.connection, self.context, request, "test", self.now)
        self.check_balances()

    def see(self) -> None:
        """An equity was seen: it may be the highest."""
        self.peak = max(self.peak, self.reference.equity(self.marks))

    def check_balances(self) -> None:
        """What is in the database is what the reference has; each asset adds up to 0."""
        rows = store.READ_BALANCES.rows(self.connection, account_id=self.account_id)
        stored = exact({(row.book, row.asset): row.amount for row in rows})
        assert not any(sum_by_asset(stored.items()).values())
        assert stored == not_zero(self.reference.balances)
        for row in store.READ_POSITIONS.rows(self.connection, account_id=self.account_id):
            line = self.reference.lines[row.instrument]
            kept = (row.quantity, row.cost, row.realized_profit, row.fees)
            assert tuple(map(Fraction, kept)) == (line.quantity, line.cost, line.realized, line.fees)

    def check_transfers(self) -> None:
        """The transfers alone give the balances."""
        added: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
        query = sa.select(store.TRANSFERS).where(store.TRANSFERS.c.account_id == self.account_id)
        for row in self.connection.execute(query):
            added[row.source, row.asset] -= Fraction(row.amount)
            added[row.target, row.asset] += Fraction(row.amount)
        assert not_zero(added) == not_zero(self.reference.balances)

    def check_account(self) -> None:
        """What GetAccount shows, read anew from the database."""
        shown, reference = get_account(self.connection, self.account_id, self.now), self.reference
        equity = reference.equity(self.marks)
        assert equity == reference.equity_by_payments(self.marks)
        is_shown(shown.equity, equity)
        is_shown(shown.realized_profit, reference.realized)
        is_shown(shown.unrealized_profit, reference.unrealized(self.marks))
        is_shown(shown.fees, reference.fees)
        is_shown(shown.gross_exposure, reference.exposure(self.marks))
        is_shown(shown.adjusted, reference.adjusted)
        is_shown(shown.daily_profit, equity - self.day_equity)
        is_shown(shown.peak_equity, self.peak)
        margin, holds = reference.margin(self.marks, Fraction(LEVERAGE)), self.holds()
        is_shown(shown.free_funds, reference.balances["cash", "USDT"] - margin - sum(holds.values(), Fraction(0)))
        assert {order.order_id for order in shown.open_orders} == set(holds)
        for order in shown.open_orders:
            is_shown(order.hold, holds[order.order_id])
        owned: dict[str, Fraction] = defaultdict(Fraction)
        for (book, asset), amount in reference.balances.items():
            if book in ("cash", "holding"):
                owned[asset] += amount
        totals = {b.asset: b.total for b in shown.balances}
        assert {asset for asset, amount in owned.items() if amount} <= set(totals)
        for asset, total in totals.items():
            is_shown(total, owned[asset])
        paid = {b.asset: b.total for b in shown.fees_by_asset}
        assert {asset for (book, asset), amount in reference.balances.items() if book == "fees" and amount} <= set(paid)
        for asset, total in paid.items():
            is_shown(total, reference.balances["fees", asset])


async def book_accounts(database: Database, start: str, *, wide: bool, seeds: range) -> int:
    """Books a sequence of fills and adjustments for each seed; returns how many orders were approved."""
    settings = RiskSettings()
    context = UnitContext(settings, Outbox(store.OUTBOX, database, Journal(settings, Health())))

    def run(seed: int) -> Callable[[sa.Connection], int]:
        def unit(connection: sa.Connection) -> int:
            random = Random(seed)
            account = Run(connection, context, seed, start)
            for fill in fills(random, 4, wide=wide):
                if fits(account.reference, fill):
                    account.book(fill, new_order=random.random() < 0.5)
                if random.random() < 0.2:
                    account.adjust(random, fill.instrument, wide=wide)
            account.check_transfers()
            account.check_account()
            assert account.count
            return len(account.approved)

        return unit

    return sum(await asyncio.gather(*(database.write(run(seed)) for seed in seeds)))


@pytest.mark.parametrize(("start", "wide"), RANGES.values(), ids=list(RANGES))
async def test_units_of_work_book_what_the_definitions_have(database: Database, start: str, wide: bool) -> None:
    assert await book_accounts(database, start, wide=wide, seeds=range(ACCOUNTS)) > ACCOUNTS / 10


@pytest.mark.long
@pytest.mark.timeout(900)  # 100 accounts took 5 s on a machine with five times as much to do as it has cores.
@pytest.mark.parametrize(("start", "wide"), RANGES.values(), ids=list(RANGES))
async def test_ten_thousand_accounts_are_booked_as_the_definitions_have_it(
    database: Database, start: str, wide: bool
) -> None:
    for first in range(ACCOUNTS, 10_000, 500):
        assert await book_accounts(database, start, wide=wide, seeds=range(first, min(first + 500, 10_000)))
