"""Settings of the router."""

from dataclasses import dataclass
from decimal import Decimal

from vantixs.runtime.settings import ServiceSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterSettings(ServiceSettings):
    """What the router adds."""

    lease_s: float = setting(
        4.0, doc="silence of a replica after which others take its lanes", unit="s", minimum=1, maximum=60
    )
    simulated_seed: int = setting(1, doc="seed of the simulated quotes")
    simulated_spread_bps: Decimal = setting(Decimal(2), doc="spread of simulated quotes", unit="bps", minimum=0)
    quote_file: str = setting(
        "",
        doc="CSV file, or Parquet file (*.parquet, needs the extra `parquet`), of quotes or bars that is replayed in place of "
        "simulated prices of its instruments; empty for none",
    )
    quote_file_speed: Decimal = setting(
        Decimal(1), doc="how many times as fast as it was quote_file is replayed", minimum=0.001, maximum=100_000
    )
    quote_file_start: str = setting(
        "",
        doc="when the replay begins (RFC 3339 with zone), the same for all replicas; empty is the first start, "
        "or the first one after its end",
    )
    quote_file_interval_s: Decimal = setting(
        Decimal(0),
        doc="length of a bar of quote_file; 0 takes the least distance of two bars of the instrument",
        unit="s",
        minimum=0,
        maximum=604_800,
    )
    quote_file_spread_bps: Decimal = setting(
        Decimal(0), doc="spread of quotes that are made of bars", unit="bps", minimum=0, maximum=1000
    )
    bar_timeframes: str = setting(
        "1m,5m,15m,1h,4h,1d",
        doc="timeframes of which closed bars are built of quotes, in UTC, the same at all replicas; empty for none",
    )
    bar_grace_s: float = setting(
        2.0, doc="how long after its end a bar waits for late quotes", unit="s", minimum=0, maximum=60
    )
    bars_kept: int = setting(
        300, doc="closed bars kept in memory of each instrument and timeframe", minimum=1, maximum=1000
    )
    paper_slippage_bps: Decimal = setting(
        Decimal(1), doc="what a paper market order pays beyond the quote", unit="bps", minimum=0, maximum=1000
    )
    paper_fee_bps: Decimal = setting(
        Decimal(10), doc="fee of the paper venue for what takes", unit="bps", minimum=0, maximum=1000
    )
    paper_buy_fee_asset: str = setting(
        "quote",
        doc="what a spot buy of the paper venue pays its fee in: `base` takes it of what is bought, as venues do, which can "
        "leave less than a lot when the position is closed",
        choices=("quote", "base"),
    )
    paper_maker_fee_bps: Decimal = setting(
        Decimal(10),
        doc="its fee for what rested and was filled; below 0 it pays",
        unit="bps",
        minimum=-100,
        maximum=1000,
    )
    paper_participation_ratio: Decimal = setting(
        Decimal(1),
        doc="share of a size that a quote shows which an order can have",
        minimum=0.001,
        maximum=1,
    )
    paper_funding_rate_ratio: Decimal = setting(
        Decimal("0.0001"),
        doc="share of its worth that a paper position in a perpetual pays at each funding time, an assumption and no venue's "
        "rate; below 0 shorts pay longs, 0 switches it off",
        minimum=-0.01,
        maximum=0.01,
    )
    paper_funding_interval_s: int = setting(
        28_800,
        doc="time between funding times of the paper venue, which are whole multiples since 1970 UTC: 0:00, 8:00, 16:00",
        unit="s",
        minimum=60,
        maximum=604_800,
    )
    paper_latency_ms: int = setting(
        0, doc="how long an order takes to the paper venue", unit="ms", minimum=0, maximum=5000
    )
    paper_fault_instrument: str = setting(
        "", doc="instrument of which the paper venue answers late, to try what a slow venue does; empty for none"
    )
    paper_fault_kind: str = setting(
        "late",
        doc="what happens to its orders: `late` answers late, `lost` loses the answer of each new order, `rejected` refuses them",
        choices=("late", "lost", "rejected"),
    )
    paper_fault_delay_s: float = setting(
        5.0, doc="how late it answers on a new order of that instrument", unit="s", minimum=0, maximum=60
    )
    refresh_marks_s: float = setting(
        5.0,
        doc="how often positions are valued at current quotes while no signal comes, 0 for never",
        unit="s",
        minimum=0,
        maximum=300,
    )
    key_retention_days: int = setting(
        90, doc="time in which a key that is used again with other content is told from a repeat", unit="d", minimum=1
    )
    risk_timeout_s: float = setting(2.0, doc="deadline of one call to risk", unit="s", minimum=0.1, maximum=60)
    park_after_s: float = setting(
        10.0,
        doc="time for which a signal is tried that waits for a venue or for risk, before its lane goes on without it",
        unit="s",
        minimum=0,
    )
