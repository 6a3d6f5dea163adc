"""Books an event: each execution once, and the new state of a leg. What follows from it is decided in `step`."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from vantixs.model.decimals import ZERO, format_decimal

from vantixs_router.domain.brackets import events
from vantixs_router.domain.brackets.commands import LegKind, Report, Why
from vantixs_router.domain.brackets.levels import is_better
from vantixs_router.domain.brackets.state import ENTRY, OUTSIDE, Bracket, Execution, Leg, LegState, Mode

_MOST_STOPS_LOST = 3
_MOST_DOUBLINGS = 5

Heard = tuple[Bracket, tuple[Report, ...]]


def hear(bracket: Bracket, event: events.Event) -> Heard:
    """The bracket after the event, and reports for people. An event that was booked before changes nothing."""
    match event:
        case events.EntryFilled():
            return _book(
                bracket, Execution(ENTRY, event.execution_id, event.quantity, event.price, event.fee), bracket.plan.long
            )
        case events.OutsideFill():
            return _book(bracket, Execution(OUTSIDE, event.execution_id, event.quantity, ZERO, ZERO))
        case events.EntryEnded():
            return replace(bracket, entry_ended=True), ()
        case events.PositionRead():
            return _read(bracket, event)
        case events.PriceSeen():
            return _see(bracket, event.price), ()
        case events.CloseRequested():
            return bracket.in_mode(Mode.CLOSING, Why.CLOSE_REQUESTED), ()
        case events.Tick():
            return bracket, ()
    leg = bracket.leg(event.leg)
    if leg is None:
        return bracket, (Report(Why.UNKNOWN_LEG, f"leg {event.leg} was never placed"),)
    if isinstance(event, events.LegFilled):
        return _fill(bracket, leg, event)
    return _change(bracket, leg, event)


def _book(bracket: Bracket, execution: Execution, long: bool | None = None) -> Heard:
    if execution.quantity <= 0 or any(one.execution_id == execution.execution_id for one in bracket.executions):
        return bracket, ()
    bracket = replace(bracket, executions=(*bracket.executions, execution), revision=bracket.revision + 1)
    if execution.leg == ENTRY:
        return bracket, ()
    left = bracket.entered - bracket.exited
    # A reading cannot find more missing than the position had.
    bracket = replace(bracket, drift=max(min(bracket.drift, left), ZERO))
    if left < 0:
        text = f"exits filled {format_decimal(-left)} more than the entry: compare the position with the venue"
        return bracket, (Report(Why.EXITS_EXCEED_POSITION, text),)
    if execution.leg == OUTSIDE:
        text = f"another order took {format_decimal(execution.quantity)}, {format_decimal(bracket.held)} is held"
        return bracket, (Report(Why.POSITION_REDUCED_OUTSIDE, text),)
    return bracket, ()


def _fill(bracket: Bracket, leg: Leg, event: events.LegFilled) -> Heard:
    execution = Execution(leg.number, event.execution_id, event.quantity, event.price, event.fee)
    booked, reports = _book(bracket, execution)
    if booked is bracket:
        return bracket, ()
    if leg.ended and not leg.leaves:
        text = f"leg {leg.number} filled {format_decimal(event.quantity)} after it had ended: it is counted"
        reports = (*reports, Report(Why.FILL_AFTER_END, text))
    filled = leg.filled + event.quantity
    state = LegState.FILLED if filled >= leg.quantity else leg.state
    if state in (LegState.SENT, LegState.REJECTED):
        # An order with a fill was accepted by the venue. A rejected order has no open quantity.
        state = LegState.WORKING if state is LegState.SENT else LegState.CANCELLED
    booked = booked.with_leg(replace(leg, filled=filled, state=state))
    if leg.kind is LegKind.STOP:
        booked = booked.in_mode(Mode.STOPPED, Why.STOP_FILLED)
    elif leg.kind is LegKind.TARGET:
        booked = replace(booked, reached=max(booked.reached, leg.target))
    elif state is LegState.FILLED:
        booked = replace(booked, close_failures=0, close_retry=None)
    return booked, reports


def _change(
    bracket: Bracket,
    leg: Leg,
    event: events.LegAccepted | events.LegCancelled | events.LegRejected | events.LegInDoubt | events.LegResolved,
) -> Heard:
    """The leg after an event. For a leg that has ended only the filled quantity can still change."""
    match event:
        case events.LegAccepted():
            if leg.state not in (LegState.SENT, LegState.IN_DOUBT):
                return bracket, ()
            # An acceptance does not resolve a cancel in doubt: it may have been sent before the cancel.
            state = LegState.IN_DOUBT if leg.cancel_sent else LegState.WORKING
            return bracket.with_leg(replace(leg, state=state)), ()
        case events.LegInDoubt():
            return bracket.with_leg(leg if leg.ended else replace(leg, state=LegState.IN_DOUBT)), ()
        case events.LegRejected():
            if leg.ended:
                return bracket, ()
            # An open order cannot be rejected. A venue that says so has ended it.
            state = LegState.CANCELLED if leg.filled else LegState.REJECTED
            return _end(bracket, replace(leg, state=state), rejected=event.reason)
        case events.LegResolved(working=True):
            # `filled` comes from executions only. While the leg is open, unreported fills count as its leaves.
            if leg.state not in (LegState.IN_DOUBT, LegState.SENT):
                return bracket, ()
            return bracket.with_leg(replace(leg, state=LegState.WORKING, cancel_sent=False)), ()
    announced = max(leg.announced, event.filled)
    if leg.ended:
        return bracket.with_leg(replace(leg, announced=announced)), ()
    return _end(bracket, replace(leg, state=LegState.CANCELLED, announced=announced))


def _end(bracket: Bracket, leg: Leg, rejected: str | None = None) -> Heard:
    """The bracket with a leg that ended without being filled completely."""
    before = bracket.legs[leg.number - 1]
    bracket = bracket.with_leg(leg)
    if leg.filled + leg.leaves >= leg.quantity or not bracket.held:
        return bracket, ()
    if leg.kind is LegKind.CLOSE:
        return _fail_close(bracket, leg, rejected)
    if rejected is not None and leg.kind is LegKind.STOP:
        return bracket.in_mode(Mode.CLOSING, Why.STOP_REJECTED), (
            Report(Why.STOP_REJECTED, f"stop (leg {leg.number}) was rejected: {rejected}"),
        )
    if before.cancel_sent:
        return bracket, ()
    if leg.kind is LegKind.STOP:
        bracket = replace(bracket, stops_lost=bracket.stops_lost + 1)
        if bracket.stops_lost >= _MOST_STOPS_LOST:
            bracket = bracket.in_mode(Mode.CLOSING, Why.STOP_LOST_REPEATEDLY)
        text = f"stop (leg {leg.number}) ended without a cancel of ours, time {bracket.stops_lost}"
        return bracket, (Report(Why.STOP_REPLACED, text),)
    bracket = replace(bracket, given_up=tuple(sorted({*bracket.given_up, leg.target - 1})))
    why = Why.TARGET_CANCELLED_OUTSIDE if rejected is None else Why.TARGET_REJECTED
    text = f"target {leg.target} (leg {leg.number}) {'was cancelled outside' if rejected is None else rejected}"
    return bracket, (Report(why, f"{text}: it is not placed again, the stop protects its part"),)


def _fail_close(bracket: Bracket, leg: Leg, rejected: str | None) -> Heard:
    failures = bracket.close_failures + 1
    wait_s = bracket.plan.retry_s * 2 ** min(failures - 1, _MOST_DOUBLINGS)
    bracket = replace(bracket, close_failures=failures, close_retry=bracket.now + timedelta(seconds=wait_s))
    what = "ended without filling all" if rejected is None else f"was rejected: {rejected}"
    text = f"close (leg {leg.number}) {what}, {format_decimal(bracket.held)} is held, next try in {wait_s} s"
    return bracket, (Report(Why.CLOSE_FAILED, text),)


def _read(bracket: Bracket, event: events.PositionRead) -> Heard:
    """Books a reading of the position. It is ignored if anything was booked since the position was asked for."""
    if event.revision != bracket.revision or event.quantity < 0:
        return bracket, ()
    known = max(bracket.entered - bracket.exited, ZERO)
    drift = max(known - event.quantity, ZERO)
    reports: tuple[Report, ...] = ()
    if event.quantity > known:
        text = f"the venue holds {format_decimal(event.quantity)}, of this bracket is {format_decimal(known)}"
        reports = _once(bracket, Why.POSITION_LARGER_THAN_KNOWN, text)
    if drift > bracket.drift:
        text = f"the venue holds {format_decimal(event.quantity)}, {format_decimal(bracket.held)} was known"
        reports = (Report(Why.POSITION_REDUCED_OUTSIDE, text),)
    told = bracket.told if not reports else tuple(dict.fromkeys((*bracket.told, reports[0].text)))
    if drift == bracket.drift:
        return replace(bracket, told=told), reports
    return replace(bracket, drift=drift, revision=bracket.revision + 1, told=told), reports


def _once(bracket: Bracket, why: Why, text: str) -> tuple[Report, ...]:
    return () if text in bracket.told else (Report(why, text),)


def _see(bracket: Bracket, price: Decimal) -> Bracket:
    """Books a price. Prices count from the position's first fill on, while any of it is held."""
    if price <= 0 or not bracket.held:
        return bracket
    long, best = bracket.plan.long, bracket.best_price
    if best is None or is_better(price, best, long=long):
        bracket = replace(bracket, best_price=price)
    reached = [n for n, target in enumerate(bracket.target_prices, 1) if not is_better(target, price, long=long)]
    return replace(bracket, reached=max(bracket.reached, *reached)) if reached else bracket
