"""Settings of risk."""

from dataclasses import dataclass

from vantixs.runtime.settings import ServiceSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskSettings(ServiceSettings):
    """What risk adds."""

    max_price_age_ms: int = setting(
        5000,
        doc="age at which a quote is too old to decide on; an account's limit goes first",
        unit="ms",
        minimum=1,
        maximum=86_400_000,
    )
    max_mark_age_s: int = setting(
        300,
        doc="age at which the price of another position is too old to value the account; an account's limit goes first",
        unit="s",
        minimum=1,
        maximum=2_678_400,
    )
    price_buffer_bps: int = setting(
        50,
        doc="added to the reserved cost of an entry, because the price may move",
        unit="bps",
        minimum=0,
        maximum=5000,
    )
