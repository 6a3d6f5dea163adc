"""An account's rules as values: what it may do, its limits, its breakers. Pure."""

from dataclasses import dataclass, field
from decimal import Decimal

from vantixs_risk.domain.windows import TradingWindow

ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Sizing:
    """How an entry's quantity is found.

    Attributes:
        method: FIXED_QUANTITY, FIXED_NOTIONAL, EQUITY_PERCENT, RISK_PERCENT, KELLY or SIGNAL_QUANTITY.
        value: base units (FIXED_QUANTITY; the most, for SIGNAL_QUANTITY), quote units (FIXED_NOTIONAL), percent of
            equity (EQUITY_PERCENT, RISK_PERCENT), fraction of Kelly, 0 to 1 (KELLY). None where not given.
        win_rate: KELLY: share of trades that win, between 0 and 1.
        payoff: KELLY: average win over average loss, above 0.
        maximum_equity_percent: KELLY: ceiling of the result.
    """

    method: str
    value: Decimal | None = None
    win_rate: Decimal | None = None
    payoff: Decimal | None = None
    maximum_equity_percent: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """An account's limits; None is no limit. Names and units are those of `vantixs.api.risk.v1.Limits`."""

    min_order_notional: Decimal | None = None
    max_order_notional: Decimal | None = None
    max_position_notional: Decimal | None = None
    max_gross_exposure: Decimal | None = None
    max_open_positions: int | None = None
    max_leverage: Decimal | None = None
    max_daily_loss: Decimal | None = None
    max_drawdown_percent: Decimal | None = None
    loss_cooldown_s: int | None = None
    max_orders_per_minute: int | None = None
    max_price_deviation_bps: int | None = None
    max_price_age_ms: int | None = None
    min_order_quantity: Decimal | None = None
    max_order_quantity: Decimal | None = None
    duplicate_order_window_s: int | None = None
    max_mark_age_s: int | None = None


@dataclass(frozen=True, slots=True)
class Breakers:
    """What sets the account's trading state by itself; a state of ACTIVE, or a number of None, is no breaker."""

    daily_loss_state: str = "REDUCING"
    drawdown_state: str = "REDUCING"
    max_failures_in_a_row: int | None = None
    failures_state: str = "REDUCING"
    max_repeated_orders: int | None = None
    repeated_orders_window_s: int | None = None
    repeated_orders_state: str = "REDUCING"


@dataclass(frozen=True, slots=True)
class Rules:
    """What an account may do. Empty lists allow everything."""

    account_id: str
    mode: str
    currency: str
    enabled: bool = True
    live_enabled: bool = False
    credential_id: str = ""
    may_short: bool = False
    instruments: frozenset[str] = frozenset()
    strategies: frozenset[str] = frozenset()
    sizing: Sizing | None = None
    limits: Limits = field(default_factory=Limits)
    breakers: Breakers = field(default_factory=Breakers)
    windows: tuple[TradingWindow, ...] = ()
    day_start_s: int = 0
    day_zone: str = "UTC"
    margin_leverage: Decimal | None = None

    @property
    def leverage(self) -> Decimal:
        """What margin is divided by, at least 1: the account's own leverage, else its highest one."""
        return max(self.margin_leverage or self.limits.max_leverage or ONE, ONE)
