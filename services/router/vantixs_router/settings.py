"""Settings of the router."""

from dataclasses import dataclass
from decimal import Decimal

from vantixs.runtime.settings import ServiceSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterSettings(ServiceSettings):
    """What the router adds."""

    lease_s: float = setting(
        4.0,
        doc="after this time without a renewal from a replica, others take its lanes",
        unit="s",
        minimum=1,
        maximum=60,
    )
    simulated_seed: int = setting(1, doc="seed of the simulated quotes")
    simulated_spread_bps: Decimal = setting(
        Decimal(2), doc="spread of simulated quotes", unit="bps", minimum=0, maximum=10_000
    )
    quote_file: str = setting(
        "",
        doc="CSV file, or Parquet file (*.parquet, needs the extra `parquet`), of quotes or bars; it is replayed in place of "
        "simulated quotes of its instruments; empty for none",
    )
    quote_file_speed: Decimal = setting(
        Decimal(1), doc="speed at which quote_file is replayed; 1 is the original speed", minimum=0.001, maximum=100_000
    )
    quote_file_start: str = setting(
        "",
        doc="when the replay begins (RFC 3339 with zone), the same for all replicas; empty begins it at the first start, "
        "and again at the first start after its end",
    )
    quote_file_interval_s: Decimal = setting(
        Decimal(0),
        doc="length of a bar of quote_file; 0 takes the shortest time between two bars of the instrument",
        unit="s",
        minimum=0,
        maximum=604_800,
    )
    quote_file_spread_bps: Decimal = setting(
        Decimal(0), doc="spread of the quotes that are made from bars", unit="bps", minimum=0, maximum=1000
    )
    bar_timeframes: str = setting(
        "1m,5m,15m,1h,4h,1d",
        doc="timeframes of the closed bars that are built from quotes, in UTC, the same at all replicas; empty for none",
    )
    bar_grace_s: float = setting(
        2.0, doc="how long after its end a bar waits for late quotes", unit="s", minimum=0, maximum=60
    )
    bars_kept: int = setting(
        300, doc="closed bars kept in memory for each instrument and timeframe", minimum=1, maximum=1000
    )
    paper_slippage_bps: Decimal = setting(
        Decimal(1), doc="slippage of a paper market order, beyond the quote", unit="bps", minimum=0, maximum=1000
    )
    paper_fee_bps: Decimal = setting(
        Decimal(10),
        doc="fee of the paper venue for orders that are filled at once (taker)",
        unit="bps",
        minimum=0,
        maximum=1000,
    )
    paper_buy_fee_asset: str = setting(
        "quote",
        doc="asset in which the paper venue takes the fee of a spot buy: `base` takes it from the bought quantity, as venues "
        "do, which can leave less than a lot when the position is closed",
        choices=("quote", "base"),
    )
    paper_maker_fee_bps: Decimal = setting(
        Decimal(10),
        doc="fee of the paper venue for orders that rested (maker); below 0 it is paid to the account",
        unit="bps",
        minimum=-100,
        maximum=1000,
    )
    paper_participation_ratio: Decimal = setting(
        Decimal(1),
        doc="part of a quote's size that a paper order can be filled with",
        minimum=0.001,
        maximum=1,
    )
    paper_funding_rate_ratio: Decimal = setting(
        Decimal("0.0001"),
        doc="part of its value that a long paper position in a perpetual pays to shorts at each funding time; an assumption, "
        "not the rate of a venue; below 0 shorts pay longs, 0 switches funding off",
        minimum=-0.01,
        maximum=0.01,
    )
    paper_funding_interval_s: int = setting(
        28_800,
        doc="time between funding times of the paper venue, counted from 1970 in UTC; the default gives 0:00, 8:00, 16:00",
        unit="s",
        minimum=60,
        maximum=604_800,
    )
    paper_latency_ms: int = setting(
        0, doc="how long an order takes to reach the paper venue", unit="ms", minimum=0, maximum=5000
    )
    paper_fault_instrument: str = setting(
        "", doc="instrument for which the paper venue misbehaves, to test the effect of a faulty venue; empty for none"
    )
    paper_fault_kind: str = setting(
        "late",
        doc="its fault: `late` answers late, `lost` loses the answer of each new order, `rejected` refuses every order",
        choices=("late", "lost", "rejected"),
    )
    paper_fault_delay_s: float = setting(
        5.0, doc="delay of the answer to a new order of that instrument", unit="s", minimum=0, maximum=60
    )
    refresh_marks_s: float = setting(
        5.0,
        doc="interval at which positions are valued at current quotes while no signal arrives, 0 for never",
        unit="s",
        minimum=0,
        maximum=300,
    )
    key_retention_days: int = setting(
        90,
        doc="for how long a key that is used again with other content can be told apart from a repeat",
        unit="d",
        minimum=1,
        maximum=36_500,
    )
    risk_timeout_s: float = setting(2.0, doc="deadline of one call to risk", unit="s", minimum=0.1, maximum=60)
    park_after_s: float = setting(
        10.0,
        doc="how long a signal may wait for a venue or for risk before it is parked and its lane continues",
        unit="s",
        minimum=0,
        maximum=86_400,
    )
