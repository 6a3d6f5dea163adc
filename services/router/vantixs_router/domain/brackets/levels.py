"""Where a level lies: prices, percents and distances from an entry, rounded to the tick."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum

HUNDRED = Decimal(100)


class PlanError(ValueError):
    """A plan that cannot be carried out.

    Attributes:
        field: which of its fields, for example `take_profits[1].share`.
        expected: what would be right.
        value: what it is, as text.
    """

    def __init__(self, field: str, expected: str, value: object) -> None:
        super().__init__(f"{field}: expected {expected}, was {value}")
        self.field, self.expected, self.value = field, expected, str(value)


class LevelKind(StrEnum):
    """How a level is said."""

    PRICE = "PRICE"
    PERCENT = "PERCENT"
    AMOUNT = "AMOUNT"


@dataclass(frozen=True, slots=True)
class Level:
    """A price in the quote asset, a percent of the entry, or a distance from it in the quote asset; above 0."""

    kind: LevelKind
    value: Decimal


def level_price(level: Level, entry: Decimal, tick: Decimal, *, above: bool) -> Decimal:
    """The price of a level above or below the entry, on the tick, rounded towards the entry.

    So a stop protects no later than was asked for, and a target is reached no later; each less than one tick earlier. The
    stop of a long at 5 percent of 101.03 is 95.9785, which is 95.98 on ticks of 0.01; its target at 106.0815 is 106.08.
    """
    if level.kind is LevelKind.PRICE:
        return round_price(level.value, tick, up=not above)
    distance = level.value if level.kind is LevelKind.AMOUNT else entry * level.value / HUNDRED
    return round_price(entry + distance if above else entry - distance, tick, up=not above)


def round_price(price: Decimal, tick: Decimal, *, up: bool) -> Decimal:
    """The price on the next tick in that direction; itself where it is on one."""
    return (price / tick).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR) * tick


def round_down(quantity: Decimal, lot: Decimal) -> Decimal:
    """The quantity in whole lots."""
    return (quantity / lot).to_integral_value(ROUND_FLOOR) * lot


def is_better(price: Decimal, than: Decimal, *, long: bool) -> bool:
    """Whether a price is further in the direction of profit."""
    return price > than if long else price < than
