"""What a decision was made from as a message, and back: so that it can be made again from the record."""

from datetime import date
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Any

from vantixs.api.common.v1 import order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.errors import invalid
from vantixs.runtime.timestamps import set_time

from vantixs_risk.account_state import Account
from vantixs_risk.conversion import encode_decision, instant, order_request_of
from vantixs_risk.domain.activity import Activity, EntryRecord
from vantixs_risk.domain.equity import EquityHistory, Holding, Mark
from vantixs_risk.domain.evaluation import evaluate
from vantixs_risk.domain.exact import show
from vantixs_risk.domain.inputs import Books, Inputs
from vantixs_risk.domain.ledger import Market, Position
from vantixs_risk.domain.reservations import Reservation
from vantixs_risk.rule_conversion import rules_of
from vantixs_risk.settings import RiskSettings

# What is recorded is bounded: an account with more of one kind leaves that kind out and says so.
MOST_RECORDED = 100
LONGEST_VALUE = 200  # Characters of a number, and digits before the point or zeros after it.
_UNKNOWN_POSITION = Position()


def encode_inputs(request: risk_pb2.EvaluateOrderRequest, account: Account, inputs: Inputs) -> bytes:
    """The DecisionInputs of a decision, serialised."""
    books = inputs.books
    message = risk_pb2.DecisionInputs(
        request=request,
        account=account.message,
        cash=show(books.cash),
        day=books.equity_history.day.isoformat(),
        day_equity=show(books.equity_history.day_equity),
        peak=show(books.equity_history.peak),
        orders_last_minute=books.activity.orders_last_minute(inputs.now),
        max_price_age_ms=inputs.max_price_age_ms,
        max_mark_age_s=inputs.max_mark_age_s,
        price_buffer_bps=show(inputs.price_buffer_bps),
    )
    message.request.ClearField("marks")
    set_time(message.decide_time, inputs.now)
    if books.activity.last_loss:
        set_time(message.loss_time, books.activity.last_loss)
    for scope, state in sorted(inputs.trading_states.items()):
        message.trading_states.add(name=scope, value=state)
    _add_holdings(message, books)
    _add_reservations(message, books)
    approved = _encode_approved(message, books.activity)
    return message.SerializeToString() + approved  # Serialised messages in a row are their fields together.


def _add_holdings(message: risk_pb2.DecisionInputs, books: Books) -> None:
    if len(books.holdings) > MOST_RECORDED:
        message.left_out.append("held")
        return
    for name, holding in sorted(books.holdings.items()):
        market, position = holding.market, holding.position
        held = message.held.add(
            instrument=name,
            base_asset=market.base,
            quote_asset=market.quote,
            perpetual=market.perpetual,
            quantity=show(position.quantity),
            cost=show(position.cost),
            dust=name in books.dust,
        )
        if holding.mark:
            held.bid, held.ask = show(holding.mark.bid), show(holding.mark.ask)
            set_time(held.mark_time, holding.mark.time)


def _add_reservations(message: risk_pb2.DecisionInputs, books: Books) -> None:
    if len(books.reservations) > MOST_RECORDED:
        message.left_out.append("reserved")
        return
    for order in sorted(books.reservations, key=_in_order):
        message.reserved.add(
            instrument=order.instrument,
            entry=order.entry,
            buy=order.buy,
            quantity=show(order.quantity),
            notional=show(order.notional),
            hold=show(order.reserved_funds),
            filled_quantity=show(order.filled),
            leg=order.leg,
        )


def _in_order(order: Reservation) -> tuple[Any, ...]:
    """Reservations have no order of their own; what is recorded must not depend on how calls were batched."""
    return (
        order.instrument, order.entry, order.buy, order.leg, order.quantity, order.notional, order.reserved_funds, order.filled,
    )  # fmt: skip


def _encode_approved(message: risk_pb2.DecisionInputs, activity: Activity) -> bytes:
    """The field `approved`, serialised; empty where it is left out."""
    if len(activity.approved) > MOST_RECORDED:
        message.left_out.append("approved")
        return b""
    return b"".join(map(_encode_entry, sorted(activity.approved, key=attrgetter("time", "key"))))


@lru_cache(10_000)
def _encode_entry(entry: EntryRecord) -> bytes:
    """One of it. It is cached, as an entry is recorded with every decision of its account while the window is open."""
    message = risk_pb2.DecisionInputs()
    set_time(message.approved.add(key=entry.key).time, entry.time)
    return message.SerializeToString()


def decide_again(
    message: risk_pb2.DecisionInputs, current: risk_pb2.Account | None, settings: RiskSettings
) -> order_pb2.RiskDecision:
    """The decision from recorded inputs. Pure: no books are read or changed.

    Args:
        message: the inputs.
        current: the account's rules to take in place of the recorded ones, then the settings are taken too; None for as recorded.
        settings: the service's settings as they are.

    Raises:
        ServiceError: INVALID_ARGUMENT where the inputs are not what a decision records.
    """
    if message.left_out:
        raise invalid("inputs.left_out", f"expected all inputs, was without {', '.join(message.left_out)}")
    inputs = inputs_of(message)
    if current is not None:
        inputs = inputs._replace(
            rules=rules_of(current),
            max_price_age_ms=settings.max_price_age_ms,
            max_mark_age_s=settings.max_mark_age_s,
            price_buffer_bps=Decimal(settings.price_buffer_bps),
        )
    held = inputs.books.holdings.get(message.request.order.instrument)
    position = held.position.quantity if held else _UNKNOWN_POSITION.quantity
    revision = (current or message.account).revision
    content = encode_decision(message.request, evaluate(inputs), position, revision, inputs.now)
    return order_pb2.RiskDecision.FromString(content)


def inputs_of(message: risk_pb2.DecisionInputs) -> Inputs:
    """The inputs as values; INVALID_ARGUMENT where they are not what a decision records."""
    now = instant(message.decide_time, "inputs.decide_time")
    try:
        day = date.fromisoformat(message.day)
    except ValueError:
        raise invalid("inputs.day", f"expected a date, was {message.day[:40]!r}") from None
    history = EquityHistory(day, _value("inputs.day_equity", message.day_equity), _value("inputs.peak", message.peak))
    approved = tuple(EntryRecord(e.key, instant(e.time, "inputs.approved.time")) for e in message.approved)
    second, count = int(now.timestamp()), message.orders_last_minute
    activity = Activity(
        seconds=((second, count),) if count else (),
        approved=approved,
        last_loss=instant(message.loss_time, "inputs.loss_time") if message.HasField("loss_time") else None,
    )
    books = Books(
        _value("inputs.cash", message.cash),
        history,
        {held.instrument: _holding_of(held) for held in message.held},
        tuple(map(_reservation_of, message.reserved)),
        activity,
        frozenset(held.instrument for held in message.held if held.dust),
    )
    return Inputs(
        order=order_request_of(message.request),
        rules=rules_of(message.account),
        books=books,
        now=now,
        trading_states={state.name: state.value for state in message.trading_states},
        max_price_age_ms=message.max_price_age_ms,
        max_mark_age_s=message.max_mark_age_s,
        price_buffer_bps=_value("inputs.price_buffer_bps", message.price_buffer_bps),
    )


def _holding_of(held: risk_pb2.HeldInput) -> Holding:
    market = Market(held.instrument, held.base_asset, held.quote_asset, held.perpetual)
    position = Position(_value("inputs.held.quantity", held.quantity), _value("inputs.held.cost", held.cost))
    if not held.bid:
        return Holding(market, position)
    time = instant(held.mark_time, "inputs.held.mark_time")
    mark = Mark(_value("inputs.held.bid", held.bid), _value("inputs.held.ask", held.ask), time)
    return Holding(market, position, mark)


def _reservation_of(order: risk_pb2.ReservedInput) -> Reservation:
    return Reservation(
        order.instrument,
        order.entry,
        order.buy,
        _value("inputs.reserved.quantity", order.quantity),
        _value("inputs.reserved.notional", order.notional),
        _value("inputs.reserved.hold", order.hold),
        _value("inputs.reserved.filled_quantity", order.filled_quantity),
        leg=order.leg,
    )


def _value(field: str, text: str) -> Decimal:
    """A value as the books had it, which may have more decimals than a sender may write."""
    try:
        value = Decimal(text)
    except ArithmeticError:
        value = Decimal("nan")
    # No book has numbers of such a size, and arithmetic fails with them.
    if not value.is_finite() or len(text) > LONGEST_VALUE or abs(value.adjusted()) > LONGEST_VALUE:
        raise invalid(field, f"expected a number, was {text[:40]!r}")
    return value
