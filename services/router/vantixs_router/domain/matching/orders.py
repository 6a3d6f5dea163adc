"""Orders of a matching book: what was ordered, and how an open one stands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self

from vantixs.model.decimals import ZERO, format_decimal
from vantixs.model.instruments import Instrument

from vantixs_router.domain.matching.steps import (
    BASIS_POINTS,
    add,
    ceil_to,
    floor_to,
    is_multiple,
    is_positive,
    of_bps,
    subtract,
)


class OrderType(StrEnum):
    """Types of orders. STOP and TRAILING_STOP become a market order once they trigger, STOP_LIMIT a limit order."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"
    TRAILING_STOP = "TRAILING_STOP"


class TimeInForce(StrEnum):
    """How long an order works. It counts from its first market, of a stop from the market after its trigger."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTD = "GTD"


class Reference(StrEnum):
    """What triggers a stop. QUOTE is the bid for a sell and the ask for a buy."""

    QUOTE = "QUOTE"
    LAST = "LAST"
    MARK = "MARK"


class Stage(StrEnum):
    """Where an open order stands.

    ARMED: a stop that has not triggered. ENTERING: takes at the next market. RESTING: a limit that waits for takers.
    """

    ARMED = "ARMED"
    ENTERING = "ENTERING"
    RESTING = "RESTING"


STOPS = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP})
LIMITS = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
_RESTING_TIMES = frozenset({TimeInForce.GTC, TimeInForce.GTD})


class _Stored:
    """A dataclass as a dict of texts and numbers, and back; a field that is None is left out."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            field.name: _plain(value)
            for field in fields(self)  # type: ignore[arg-type]
            if (value := getattr(self, field.name)) is not None
        }


@dataclass(frozen=True, slots=True)
class OrderTerms(_Stored):
    """What was ordered.

    Attributes:
        quantity: base units.
        placed_time: when it was sent; it reaches the market later, by the latency that the book assumes.
        trail_amount: distance of a trailing stop from its water mark, in the quote asset; or
        trail_bps: the same in basis points of the water mark.
        activation_price: a trailing stop begins to follow when its reference is here or better; None for at once.
        expire_time: of GTD: works before this time, not at it.
        post_only: rejected where it would take.
        reference: what triggers a stop, and what a trailing stop follows.
        triggered_timeout_s: what is left of a stop-limit this long after its trigger becomes a market order.
        max_slippage_bps: what would execute as a market order further than this from the first price that it meets is
            canceled; None for no limit. A gap before that price is not slippage: a stop has to get out.
    """

    order_id: str
    buy: bool
    type: OrderType
    quantity: Decimal
    placed_time: datetime
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_bps: Decimal | None = None
    activation_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    expire_time: datetime | None = None
    post_only: bool = False
    reference: Reference = Reference.QUOTE
    triggered_timeout_s: int | None = None
    max_slippage_bps: Decimal | None = None

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """What `to_dict` made."""
        return cls(**_parsed(stored))


@dataclass(slots=True)
class OpenOrder(_Stored):
    """An open order as its book holds it: read it, and change it through the book alone.

    Attributes:
        sequence: its place among the orders of the book, in the order of placing.
        since: when it came to its stage. What was seen earlier does nothing to it.
        quantity: filled and what may still be filled; below what was ordered where the order was shrunk.
        executions: how many fills there were.
        at_market: whether it takes at any price: a market order, or what became one.
        stop_price: of a stop; of a trailing one it follows the water mark, and is None before there is one.
        water_mark: best reference since a trailing stop began to follow.
        triggered_time: when it triggered.
        arrival_price: the first price that a market order met; its slippage is measured from it.
        queue_ahead: size that was shown at its price when it came to rest and has not traded since; None if not known.
    """

    terms: OrderTerms
    sequence: int
    stage: Stage
    since: datetime
    quantity: Decimal
    at_market: bool
    stop_price: Decimal | None = None
    filled: Decimal = ZERO
    executions: int = 0
    water_mark: Decimal | None = None
    triggered_time: datetime | None = None
    arrival_price: Decimal | None = None
    queue_ahead: Decimal | None = None

    @property
    def leaves(self) -> Decimal:
        """What may still be filled."""
        return subtract(self.quantity, self.filled)

    @property
    def rests(self) -> bool:
        """Whether what it cannot take waits."""
        return self.terms.time_in_force in _RESTING_TIMES

    def follow(self, price: Decimal, tick: Decimal) -> None:
        """Moves a trailing stop to a new water mark. Its distance is never less than was ordered: it is rounded outwards."""
        terms, self.water_mark = self.terms, price
        distance = terms.trail_amount if terms.trail_amount is not None else of_bps(price, terms.trail_bps or ZERO)
        raw = add(price, distance) if terms.buy else subtract(price, distance)
        self.stop_price = ceil_to(raw, tick) if terms.buy else floor_to(raw, tick)

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it; with the terms."""
        # The class without slots that dataclass replaced is what a bare super() would name.
        return _Stored.to_dict(self) | {"terms": self.terms.to_dict()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """What `to_dict` made."""
        return cls(**_parsed(stored) | {"terms": OrderTerms.from_dict(stored["terms"])})


def problem_of(terms: OrderTerms, instrument: Instrument) -> str:
    """Why a venue would reject the order before it looks at the market; nothing where it would not."""
    type_, tick = terms.type, instrument.tick_size
    if not is_positive(terms.quantity) or not is_multiple(terms.quantity, instrument.lot_size):
        return f"expected a quantity above 0 in steps of {instrument.lot_size}, was {terms.quantity}"
    given = {
        "limit_price": (terms.limit_price, type_ in LIMITS),
        "stop_price": (terms.stop_price, type_ in {OrderType.STOP, OrderType.STOP_LIMIT}),
    }
    for name, (price, wanted) in given.items():
        if (price is not None) != wanted:
            return f"expected {'a' if wanted else 'no'} {name} of a {type_} order"
    for name in ("limit_price", "stop_price", "activation_price"):
        price = getattr(terms, name)
        if price is not None and (not is_positive(price) or not is_multiple(price, tick)):
            return f"expected a {name} above 0 in steps of {tick}, was {price}"
    return _trail_problem(terms) or _time_problem(terms)


def _trail_problem(terms: OrderTerms) -> str:
    trails = [value for value in (terms.trail_amount, terms.trail_bps) if value is not None]
    if terms.type is not OrderType.TRAILING_STOP:
        return "expected no trail" if trails or terms.activation_price is not None else ""
    if len(trails) != 1 or not is_positive(trails[0]):
        return "expected either trail_amount or trail_bps, above 0"
    if terms.trail_bps is not None and terms.trail_bps >= BASIS_POINTS:
        return f"expected a trail_bps below {BASIS_POINTS}, was {terms.trail_bps}"
    return ""


def _time_problem(terms: OrderTerms) -> str:
    gtd = terms.time_in_force is TimeInForce.GTD
    if (terms.expire_time is not None) != gtd:
        return "expected an expire_time with GTD and with nothing else"
    if terms.expire_time is not None and terms.expire_time <= terms.placed_time:
        return "expected an expire_time after placed_time"
    waits = terms.time_in_force in _RESTING_TIMES
    if terms.post_only and not (terms.type is OrderType.LIMIT and waits):
        return "expected post_only of limit orders that may rest"
    if terms.triggered_timeout_s is None:
        return ""
    if terms.type is not OrderType.STOP_LIMIT or not waits or terms.triggered_timeout_s <= 0:
        return "expected a triggered_timeout_s above 0, and of stop-limit orders that may rest"
    return ""


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format_decimal(value)
    return value.isoformat() if isinstance(value, datetime) else value


_PARSERS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(
        (
            "quantity", "limit_price", "stop_price", "trail_amount", "trail_bps", "activation_price",
            "max_slippage_bps", "filled", "water_mark", "arrival_price", "queue_ahead",
        ),
        Decimal,
    ),
    **dict.fromkeys(("placed_time", "expire_time", "since", "triggered_time"), datetime.fromisoformat),
    "type": OrderType,
    "time_in_force": TimeInForce,
    "reference": Reference,
    "stage": Stage,
}  # fmt: skip


def _parsed(stored: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _PARSERS[name](value) if name in _PARSERS else value for name, value in stored.items()}
