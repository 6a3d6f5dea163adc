"""One step of a bracket: books an event, decides what follows, and returns the commands."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal, localcontext

from vantixs.model.decimals import EXACT, format_decimal

from vantixs_router.domain.brackets import events
from vantixs_router.domain.brackets.commands import CancelEntry, Command, LegKind, Report, Why
from vantixs_router.domain.brackets.hear import hear
from vantixs_router.domain.brackets.levels import is_better
from vantixs_router.domain.brackets.moves import move_stop, stop_price
from vantixs_router.domain.brackets.plan import Plan
from vantixs_router.domain.brackets.reconcile import STOP_SIDE, closable_quantity, protected_quantity, reconcile
from vantixs_router.domain.brackets.state import Bracket, LegState, Mode, is_dust

_MILLISECOND = timedelta(milliseconds=1)


def open_bracket(plan: Plan, now: datetime) -> Bracket:
    """The bracket of an approved entry, before any of it is filled. `plan` is a settled plan."""
    return Bracket(plan, now)


def step(bracket: Bracket, event: events.Event, *, place: bool = True) -> tuple[Bracket, tuple[Command, ...]]:
    """Returns the bracket after the event, and the commands that follow, in the order in which they are to be sent.

    Events may come in any order and more than once. An event that was booked before changes nothing and commands
    nothing. The same bracket and event give the same commands with the same leg numbers.

    Args:
        bracket: as it is stored.
        event: what happened.
        place: whether legs may be placed and cancelled. If False, a later step does so.
    """
    with localcontext(EXACT):
        bracket = replace(bracket, now=max(bracket.now, event.time))
        bracket, reports = hear(bracket, event)
        commands: list[Command] = list(reports)
        before = stop_price(bracket)
        bracket = _run_clock(move_stop(bracket))
        if bracket.held and stop_price(bracket) != before:
            text = f"the stop goes from {before} to {stop_price(bracket)}"
            commands.append(Report(Why.STOP_MOVED, text))
        bracket = _judge(bracket, commands)
        bracket = _judge_entry(bracket, event, commands)
        bracket, more = reconcile(bracket) if place else (bracket, [])
        return _run_clock(bracket), (*commands, *more)


def wake_time(bracket: Bracket) -> datetime | None:
    """When a `Tick` is due if no other event comes; None if there is nothing to wait for."""
    limit = timedelta(seconds=bracket.plan.unprotected_limit_s)
    times = [bracket.close_retry]
    if bracket.unprotected_since is not None:
        closable = closable_quantity(bracket) > 0
        to_tell = not closable and _is_in_doubt(bracket) and Why.PROTECTION_IN_DOUBT not in bracket.told
        if to_tell or (closable and bracket.mode is Mode.OPEN):
            times.append(bracket.unprotected_since + limit)
    if bracket.mode is Mode.STOPPED and bracket.lots_held and bracket.mode_since is not None:
        times.append(bracket.mode_since + limit)
    due = [time for time in times if time is not None]
    return min(due) if due else None


def _run_clock(bracket: Bracket) -> Bracket:
    """The bracket with the start, or the end, of the time in which a held quantity has no open stop."""
    quantity = bracket.lots_held
    planned = stop_price(bracket) is not None
    if planned and not is_dust(bracket, quantity) and protected_quantity(bracket) < quantity:
        return bracket if bracket.unprotected_since is not None else replace(bracket, unprotected_since=bracket.now)
    if bracket.unprotected_since is None:
        return bracket
    longest = max(bracket.unprotected_longest_ms, (bracket.now - bracket.unprotected_since) // _MILLISECOND)
    told = tuple(one for one in bracket.told if one != Why.PROTECTION_IN_DOUBT)
    return replace(bracket, unprotected_since=None, unprotected_longest_ms=longest, told=told)


def _judge(bracket: Bracket, commands: list[Command]) -> Bracket:
    """Closes the position after too long without a stop, or a stop that does not fill; reports what it cannot help."""
    limit = timedelta(seconds=bracket.plan.unprotected_limit_s)
    late = bracket.unprotected_since is not None and bracket.now - bracket.unprotected_since >= limit
    if late and closable_quantity(bracket) <= 0:
        # An order without an answer counts as an exit, because it may become one.
        if _is_in_doubt(bracket):
            text = (
                f"an order that may protect the {_text(bracket.held)} held is in doubt: nothing takes its place so far"
            )
            bracket = _tell_once(bracket, Why.PROTECTION_IN_DOUBT, text, commands)
    elif late and bracket.mode is Mode.OPEN:
        bracket = bracket.in_mode(Mode.CLOSING, Why.UNPROTECTED_TOO_LONG)
        text = (
            f"{_text(bracket.held)} is held without a full stop for {bracket.plan.unprotected_limit_s} s: it is closed"
        )
        commands.append(Report(Why.UNPROTECTED_TOO_LONG, text))
    stopped = bracket.mode is Mode.STOPPED and bracket.mode_since is not None
    if stopped and bracket.lots_held and bracket.now - (bracket.mode_since or bracket.now) >= limit:
        bracket = bracket.in_mode(Mode.CLOSING, Why.STOP_NOT_FILLED)
        commands.append(Report(Why.STOP_NOT_FILLED, f"the stop left {_text(bracket.held)} unfilled: it is closed"))
    if bracket.held and is_dust(bracket, bracket.lots_held):
        text = f"{_text(bracket.held)} is held, too little for an order: nothing protects it"
        bracket = _tell_once(bracket, Why.BELOW_MINIMUM, text, commands)
    return bracket


def _is_in_doubt(bracket: Bracket) -> bool:
    return any(leg.kind in STOP_SIDE and leg.state is LegState.IN_DOUBT for leg in bracket.legs)


def _judge_entry(bracket: Bracket, event: events.Event, commands: list[Command]) -> Bracket:
    """Cancels the entry, once, if its fills are not wanted any more."""
    if bracket.entry_ended or bracket.entry_cancel:
        return bracket
    reason = _entry_is_late(bracket, event)
    if reason is None:
        return bracket
    commands.append(CancelEntry(reason))
    return replace(bracket, entry_cancel=reason.value)


def _entry_is_late(bracket: Bracket, event: events.Event) -> Why | None:
    if bracket.mode is not Mode.OPEN:
        return Why(bracket.mode_reason)
    if bracket.reached:
        return Why.TARGET_REACHED_BEFORE_ENTRY
    if bracket.entered and not bracket.held:
        took_targets = any(leg.filled for leg in bracket.legs if leg.kind is LegKind.TARGET)
        return Why.TARGET_REACHED_BEFORE_ENTRY if took_targets else Why.POSITION_CLOSED_OUTSIDE
    if not isinstance(event, events.PriceSeen) or event.price <= 0:
        return None
    return _touched(bracket, event.price)


def _touched(bracket: Bracket, price: Decimal) -> Why | None:
    """The levels that the price reached while the entry, or a part of it, is still open."""
    long, targets, stop = bracket.plan.long, bracket.target_prices, stop_price(bracket)
    if targets and not is_better(targets[0], price, long=long):
        return Why.TARGET_REACHED_BEFORE_ENTRY
    if stop is None or is_better(price, stop, long=long) or (bracket.plan.entry_triggers and not bracket.entered):
        return None
    return Why.STOP_REACHED_BEFORE_ENTRY


def _tell_once(bracket: Bracket, why: Why, text: str, commands: list[Command]) -> Bracket:
    if why in bracket.told:
        return bracket
    commands.append(Report(why, text))
    return replace(bracket, told=(*bracket.told, why.value))


def _text(quantity: Decimal) -> str:
    return format_decimal(quantity)
