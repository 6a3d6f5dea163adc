"""What became of a signal and why, in one sentence. Pure."""

from typing import NamedTuple

from vantixs.model.reasons import REASONS

_REFUSED_BY = {
    "ingress": "ingress refused it",
    "freshness": "it was too old",
    "duplicate": "it is a repeat",
    "strategy": "its strategy refused it",
    "intent": "there was nothing to do for it",
    "risk": "risk refused it",
    "venue": "the venue refused it",
}


class Told(NamedTuple):
    """What the sentence is made of; texts are empty where they are not known."""

    outcome: str
    action: str
    symbol: str
    stage: str
    reason: str
    detail: str
    filled_quantity: str
    average_price: str
    slippage_bps: str
    replays: int
    not_kept: int = 0  # The last entry of history that is no longer kept, where the signal had some of those.


def sentence_of(told: Told) -> str:
    """For example "BUY BTC/USDT did not trade: risk refused it, ORDER_NOTIONAL_ABOVE_MAXIMUM (notional 200, the most is 100)"."""
    what = " ".join(filter(None, (told.action, told.symbol))) or "The signal"
    again = f" It was replayed {told.replays} time{'s' * (told.replays > 1)} since." if told.replays else ""
    gone = f" What history had of it up to entry {told.not_kept} is no longer kept." if told.not_kept else ""
    return f"{what} {_outcome(told)}.{again}{gone}"


def _outcome(told: Told) -> str:
    filled = f"{told.filled_quantity.removeprefix('-')} at {told.average_price}" if told.average_price else ""
    match told.outcome:
        case "EXECUTED" if filled:
            return f"was executed: {filled} is filled{_slippage(told.slippage_bps)}"
        case "EXECUTED":
            return f"was executed without a fill: {_why(told) or 'what it asked for was done'}"
        case "REJECTED":
            refused = _REFUSED_BY.get(told.stage, f"it was refused at the stage {told.stage or 'unknown'}")
            return ", ".join(filter(None, (f"did not trade: {refused}", _why(told))))
        case "FAILED":
            part = f", of which {filled} is filled" if filled else ""
            return f"should have run and could not{part}: {_why(told) or 'no reason was given'}"
        case "ACCEPTED":
            last = f" at the stage {told.stage}" if told.stage else ""
            return f"has not ended yet: it is{last or ' on its way'}{f', {filled} is filled' if filled else ''}"
    return f"ended with a status that this version does not know: {_why(told) or 'no reason was given'}"


def _why(told: Told) -> str:
    detail = told.detail.strip().rstrip(".")
    if not detail and told.reason in REASONS:
        detail = REASONS[told.reason].meaning
    return f"{told.reason} ({detail})" if told.reason and detail else told.reason or detail


def _slippage(bps: str) -> str:
    if not bps:
        return ""
    if bps.startswith("-"):
        return f", {bps[1:]} bps better than the signal's price"
    return f", {bps} bps worse than the signal's price"
