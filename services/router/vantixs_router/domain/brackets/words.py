"""Sentences about a bracket: each leg, and how the legs hang together."""

from decimal import Decimal

from vantixs.model.decimals import format_decimal

from vantixs_router.domain.brackets.commands import LegKind
from vantixs_router.domain.brackets.levels import HUNDRED
from vantixs_router.domain.brackets.moves import stop_price
from vantixs_router.domain.brackets.plan import Base, SettledPlan, SteppedKind
from vantixs_router.domain.brackets.reconcile import protected_quantity
from vantixs_router.domain.brackets.state import Bracket, Leg, LegState, Mode

_STATES = {
    LegState.SENT: "was sent, without an answer so far",
    LegState.WORKING: "works",
    LegState.CANCELLING: "is being cancelled",
    LegState.IN_DOUBT: "is in doubt: it is asked for, and nothing takes its place until that is known",
    LegState.FILLED: "is filled",
    LegState.CANCELLED: "was cancelled",
    LegState.REJECTED: "was rejected",
}
_STEPPED = {
    SteppedKind.BREAKEVEN: "goes to break-even, fees of both sides included",
    SteppedKind.MOVING_TARGET: "follows to the target before the one reached, first to break-even",
    SteppedKind.MOVING_2_TARGET: "follows to the target two before the one reached, first to break-even",
    SteppedKind.PERCENT_BELOW_TRIGGER: "goes to {percent}% behind the target reached",
    SteppedKind.PERCENT_BELOW_HIGHEST: "follows the best price at {percent}%",
}


def describe_plan(settled: SettledPlan) -> tuple[str, ...]:
    """What the plan comes to, a sentence a leg, then how the stop moves and what was merged."""
    plan, lines = settled.plan, []
    base = "the first fill" if plan.base is Base.FIRST_ENTRY else "the average entry"
    if settled.stop_price is None:
        lines.append("no stop loss: nothing bounds a loss")
    else:
        lines.append(f"stop at {_text(settled.stop_price)} for all that is held, measured from {base}")
    for number, (price, share) in enumerate(zip(settled.target_prices, plan.shares, strict=True), 1):
        quantity = settled.split.quantities[number - 1]
        lines.append(f"target {number} at {_text(price)} for {_percent(share)}%: {_text(quantity)}")
    if plan.has_runner and plan.take_profits:
        lines.append(f"{_percent(HUNDRED - sum(plan.shares))}% has no target: only the stop protects it")
    if plan.stepped is not None:
        moved = _STEPPED[plan.stepped.kind].format(percent=_text(plan.stepped.percent or Decimal(0)))
        lines.append(f"from target {plan.stepped.after_target} on the stop {moved}")
    if plan.break_even_at is not None:
        price = plan.target_price(plan.break_even_at, plan.entry_price)
        lines.append(f"once {_text(price)} is seen the stop goes to break-even, fees of both sides included")
    if plan.trailing is not None:
        unit = "%" if plan.trailing.distance.kind.name == "PERCENT" else ""
        lines.append(f"the stop follows the best price at {_text(plan.trailing.distance.value)}{unit}")
    return (*lines, *settled.split.notes)


def describe_leg(leg: Leg) -> str:
    """One leg in a sentence."""
    filled = f", {_text(leg.filled)} filled" if leg.filled and leg.state is not LegState.FILLED else ""
    return f"leg {leg.number}: {name_leg(leg)} {_STATES[leg.state]}{filled}"


def name_leg(leg: Leg) -> str:
    """What a leg is: "stop at 90 for 0.5"."""
    what = {LegKind.STOP: "stop", LegKind.TARGET: f"target {leg.target}", LegKind.CLOSE: "close at market"}[leg.kind]
    price = f" at {_text(leg.price)}" if leg.price is not None else ""
    return f"{what}{price} for {_text(leg.quantity)}"


def describe_bracket(bracket: Bracket) -> tuple[str, ...]:
    """How the position stands, its live legs, and what links them."""
    side = "long" if bracket.plan.long else "short"
    if not bracket.held:
        lines = ["nothing is held" if bracket.entered else "the entry has filled nothing so far"]
    else:
        lines = [f"{side} {_text(bracket.held)} of {_text(bracket.entered)} is held"]
        price = stop_price(bracket)
        if price is None:
            lines.append("no stop is planned")
        else:
            lines.append(f"{_text(min(protected_quantity(bracket), bracket.held))} is protected at {_text(price)}")
    if bracket.unprotected_since is not None:
        lines.append(f"without a working stop for some of it since {bracket.unprotected_since.isoformat()}")
    if bracket.entry_cancel:
        lines.append(f"the entry was cancelled: {bracket.entry_cancel}")
    if bracket.mode is not Mode.OPEN:
        lines.append(f"the position is being closed: {bracket.mode_reason}")
    live = bracket.live_legs
    lines += [describe_leg(leg) for leg in live]
    kinds = {leg.kind for leg in live}
    if {LegKind.STOP, LegKind.TARGET} <= kinds:
        lines.append(
            "stop and targets cancel one another: a target that fills makes the stop smaller, "
            "a stop that fills cancels all targets"
        )
    return tuple(lines)


def _text(value: Decimal) -> str:
    return format_decimal(value)


def _percent(share: Decimal) -> str:
    return format_decimal(round(share, 2))
