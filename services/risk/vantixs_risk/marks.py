"""RefreshMarks as units of work: positions are valued at current quotes while no order of the account arrives (ADR 25)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2
from vantixs.runtime.errors import ServiceError, invalid

from vantixs_risk import store
from vantixs_risk.account_state import Account
from vantixs_risk.conversion import MOST_MARKS, mark_of
from vantixs_risk.domain.equity import Mark
from vantixs_risk.domain.metrics import fresh
from vantixs_risk.locks import lock_accounts, lock_books_shared
from vantixs_risk.order_lookup import look_up_orders
from vantixs_risk.unit_context import UnitContext

# Decisions wait for the units of work before them, so each of these is short: some 10 ms on SQLite.
ACCOUNTS_AT_ONCE = 64


def check_marks(quotes: Sequence[common_pb2.Quote]) -> dict[str, Mark]:
    """Quotes as marks, by instrument. An invalid quote is left out, so that the others are still used.

    Raises:
        ServiceError: INVALID_ARGUMENT where there are more than MOST_MARKS.
    """
    if len(quotes) > MOST_MARKS:
        raise invalid("marks", f"expected at most {MOST_MARKS}, was {len(quotes)}")
    marks = {}
    for number, quote in enumerate(quotes):
        try:
            marks[quote.instrument] = mark_of(quote, f"marks[{number}]")
        except ServiceError:
            continue
    return marks


def read_held(connection: sa.Connection) -> dict[str, list[str]]:
    """The instruments in which each account has a position. Accounts without any, and scratch accounts, are left out."""
    held: dict[str, list[str]] = {}
    for row in store.READ_HELD.rows(connection):
        held.setdefault(row.account_id, []).append(row.instrument)
    return held


def refresh_marks(
    connection: sa.Connection,
    context: UnitContext,
    account_ids: Sequence[str],
    marks: Mapping[str, Mark],
    now: datetime,
) -> int:
    """Values the accounts at these marks, as of `now`, and returns how many took one.

    Equity counts for the peak, the breakers and the samples only while every position has a mark that is fresh enough for
    an entry. Equity at old prices, or at cost, never trips a breaker.
    """
    lock_books_shared(connection)
    locking = lock_accounts(connection, account_ids)
    lookup, cache = look_up_orders(connection, account_ids), context.cache
    locked = locking()
    changed = []
    for account_id in account_ids:
        # An account that another process has locked gets its prices there, or with the next refresh.
        if account_id not in lookup.versions or account_id not in locked:
            continue
        remembered = cache.has(account_id)
        account = cache.take(connection, account_id, lookup)
        taken = _usable(account, marks, account.time(now), context)
        if taken:
            account.begin(now)
            for instrument, mark in taken.items():
                account.mark(instrument, mark)
            if _known(account, context):
                account.equity_history = account.equity_history.with_equity(account.valuation().equity)
                context.trip_breakers(connection, account, account.clock)
                context.sample(connection, account, account.clock, booked=False)
            changed.append((account, remembered))
        elif remembered:
            cache.put(account)
    cache.write(connection, [account for account, _ in changed])
    for account, remembered in changed:
        # Accounts that do not trade must not push accounts that do out of the cache.
        if remembered:
            cache.put(account)
    return len(changed)


def _usable(account: Account, marks: Mapping[str, Mark], now: datetime, context: UnitContext) -> dict[str, Mark]:
    """The marks that are newer than the mark of a position, valid, and fresh enough to decide on."""
    age_ms = account.rules.limits.max_price_age_ms or context.settings.max_price_age_ms
    usable = {}
    for instrument, holding in account.holdings.items():
        mark = marks.get(instrument)
        if mark is None or not holding.position.quantity or not fresh(mark, now, age_ms):
            continue
        if holding.mark is None or holding.mark.time < mark.time:
            usable[instrument] = mark
    return usable


def _known(account: Account, context: UnitContext) -> bool:
    """Whether every position has a mark that the check MARK_STALE would pass."""
    limit = timedelta(seconds=account.rules.limits.max_mark_age_s or context.settings.max_mark_age_s)
    held: Iterable[Mark | None] = (h.mark for h in account.holdings.values() if h.position.quantity)
    return all(mark is not None and abs(account.clock - mark.time) <= limit for mark in held)
