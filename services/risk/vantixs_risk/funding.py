"""ListFundingDue and BookFunding as units of work: what paper positions in perpetuals pay and receive at funding times."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import grpc
import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.errors import ServiceError, invalid

from vantixs_risk import store
from vantixs_risk.account_state import Account
from vantixs_risk.conversion import instant, mark_of
from vantixs_risk.domain.equity import Mark
from vantixs_risk.domain.funding import Change, funding_amount, funding_times, middle, position_at
from vantixs_risk.domain.ledger import Market, pay_funding
from vantixs_risk.domain.metrics import fresh
from vantixs_risk.fields import INSTRUMENT, amount, between, show, text
from vantixs_risk.locks import lock_accounts, lock_books_shared
from vantixs_risk.order_lookup import look_up_orders
from vantixs_risk.postings import write_transfers
from vantixs_risk.unit_context import AccountBusy, UnitContext

MOST_TIMES = 100
_FIRST_TIME = datetime(1970, 1, 1, tzinfo=UTC)
LATE, _A_MOMENT = timedelta(minutes=1), timedelta(microseconds=1)


def list_due(
    connection: sa.Connection, request: risk_pb2.ListFundingDueRequest, now: datetime
) -> risk_pb2.ListFundingDueResponse:
    """Accounts and perpetuals with a funding time that has passed and was not booked."""
    times = _times(None, request, now)
    rows = store.READ_FUNDING_DUE.rows(connection, until=times[-1]) if times else []
    paper = common_pb2.MODE_PAPER
    return risk_pb2.ListFundingDueResponse(
        keys=[
            risk_pb2.FundingKey(account_id=row.account_id, instrument=row.instrument)
            for row in rows
            if risk_pb2.Account.FromString(row.data).mode == paper
        ]
    )


def book_fundings(
    connection: sa.Connection, context: UnitContext, requests: Sequence[tuple[risk_pb2.BookFundingRequest, datetime]]
) -> list[risk_pb2.BookFundingResponse | ServiceError]:
    """Books the funding of each request. In place of a response there is the error to answer; then nothing was booked of it."""
    lock_books_shared(connection)
    accounts = [request.account_id for request, _ in requests]
    locking = lock_accounts(connection, accounts)
    locked = locking()
    answers: list[risk_pb2.BookFundingResponse | ServiceError] = []
    for request, now in requests:
        lookup = look_up_orders(connection, [request.account_id])
        try:
            if request.account_id in lookup.versions and request.account_id not in locked:
                raise AccountBusy(request.account_id)
            answers.append(
                _book(connection, context, context.cache.take(connection, request.account_id, lookup), request, now)
            )
        except ServiceError as error:  # Raised before anything of it is booked.
            answers.append(error)
    return answers


def _book(
    connection: sa.Connection,
    context: UnitContext,
    account: Account,
    request: risk_pb2.BookFundingRequest,
    now: datetime,
) -> risk_pb2.BookFundingResponse:
    key = {"account_id": account.account_id, "instrument": text("instrument", request.instrument, INSTRUMENT, "a name")}
    market, rate = Market.of(request.instrument), amount("rate_ratio", request.rate_ratio)
    if not market.perpetual:
        raise invalid("instrument", f"expected a perpetual, was {request.instrument}")
    if account.message.mode != common_pb2.MODE_PAPER:
        raise invalid(
            "account_id", f"expected a paper account, was {account.account_id}: venues book funding themselves"
        )
    if abs(rate) > 1:
        raise invalid("rate_ratio", f"expected -1 to 1, was {request.rate_ratio}")
    funded = store.READ_FUNDED.first(connection, **key)
    first = None if funded else store.FIRST_FILL.first(connection, **key)
    after = funded.until_time if funded else first.execute_time - _A_MOMENT if first else None
    times = _times(after, request, now)
    if not times:
        context.cache.put(account)
        if first:  # This records that nothing is due before the first fill.
            store.WRITE_FUNDED.run(connection, **key, until_time=after)
        return risk_pb2.BookFundingResponse()
    booked, more = times[:MOST_TIMES], len(times) > MOST_TIMES
    changes = [
        Change(row.execute_time, row.quantity if row.buy else -row.quantity)
        for row in store.READ_FILLS_AFTER.rows(connection, **key, after=booked[0])
    ]
    held = account.position_now(request.instrument)
    positions = [(time, position_at(time, held, changes)) for time in booked] if rate else []
    response = risk_pb2.BookFundingResponse(more=more)
    if any(position for _, position in positions):
        quote = _fresh_quote(account, context, request, now)
        account.begin(now)
        for time, position in positions:
            if position:
                response.fundings.append(
                    _pay(connection, context, account, market, request, time, position, rate, quote)
                )
        equity = account.valuation().equity
        account.equity_history = account.equity_history.with_equity(equity)
        context.trip_breakers(connection, account, account.clock)
        context.sample(connection, account, account.clock, booked=True)
        context.cache.save(connection, account)
    else:
        context.cache.put(account)
    store.WRITE_FUNDED.run(connection, **key, until_time=booked[-1])
    return response


def _pay(
    connection: sa.Connection,
    context: UnitContext,
    account: Account,
    market: Market,
    request: risk_pb2.BookFundingRequest,
    time: datetime,
    position: Decimal,
    rate: Decimal,
    quote: Mark,
) -> order_pb2.Funding:
    """Books the funding of one time, and publishes it in the same transaction."""
    price = middle(quote.bid, quote.ask)
    received = funding_amount(position, price, rate)
    assumptions = [
        f"the rate of {show(rate)} for each {request.interval_s} s is a setting of the paper venue",
        "the mark price is the middle of the quote",
    ]
    late = account.clock - time
    if late > LATE:
        assumptions.append(
            f"booked {int(late.total_seconds())} s after the funding time, at the price there was by then"
        )
    funding = order_pb2.Funding(
        account_id=account.account_id,
        instrument=market.instrument,
        position_quantity=show(position),
        mark_price=show(price),
        rate_ratio=show(rate),
        amount=show(received),
        asset=market.quote,
        assumptions=assumptions,
    )
    funding.funding_time.FromDatetime(time)
    funding.mark_time.FromDatetime(quote.time)
    cause = f"funding:{account.account_id}:{market.instrument}:{time:%Y-%m-%dT%H:%M:%SZ}"
    write_transfers(connection, account, cause, pay_funding(market, received))
    event = journal_pb2.FundingBooked(funding=funding)
    context.publish(connection, cause, "service:risk", account.clock, funding_booked=event)
    return funding


def _fresh_quote(account: Account, context: UnitContext, request: risk_pb2.BookFundingRequest, now: datetime) -> Mark:
    """The request's quote, if it is fresh.

    Raises:
        ServiceError: FAILED_PRECONDITION PRICE_STALE. The caller tries again when there is a price.
    """
    quote = mark_of(request.quote, "quote") if request.quote.bid or request.quote.ask else None
    limit_ms = account.rules.limits.max_price_age_ms or context.settings.max_price_age_ms
    if quote is None or not fresh(quote, now, limit_ms):
        detail = f"expected a quote of {request.instrument} of at most {limit_ms} ms to value the position at"
        raise ServiceError(grpc.StatusCode.FAILED_PRECONDITION, "PRICE_STALE", detail)
    return quote


def _times(
    after: datetime | None, request: risk_pb2.ListFundingDueRequest | risk_pb2.BookFundingRequest, now: datetime
) -> list[datetime]:
    """The funding times after `after`, up to the request's time or `now`. Without `after` only the last one."""
    interval_s = between("interval_s", request.interval_s, 60, 604_800)
    until = min(instant(request.until_time, "until_time"), now)
    if until < _FIRST_TIME:
        raise invalid("until_time", f"expected a time after 1970, was {until:%Y-%m-%d}")
    return funding_times(after or until - timedelta(seconds=interval_s), until, interval_s)
