"""The legs of a signal as text, the form in which they are stored: a crash between two legs changes nothing."""

from vantixs_router.domain.intent import Leg


def encode_plan(legs: tuple[Leg, ...]) -> str:
    """Legs as text, for example "sell exit whole,buy entry part"."""
    return ",".join(
        f"{'buy' if leg.buy else 'sell'} {'entry' if leg.entry else 'exit'} {'whole' if leg.whole else 'part'}"
        for leg in legs
    )


def decode_plan(plan: str) -> tuple[Leg, ...]:
    """The legs of `encode_plan`."""
    return tuple(
        Leg(buy="buy" in leg.split(), entry="entry" in leg.split(), whole="whole" in leg.split())
        for leg in plan.split(",")
    )
