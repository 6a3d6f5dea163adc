"""Settings of risk."""

from dataclasses import dataclass

from vantixs.runtime.settings import ServiceSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskSettings(ServiceSettings):
    """What risk adds."""

    max_price_age_ms: int = setting(
        5000, doc="age at which a quote is too old to decide on; an account's limit goes first", unit="ms", minimum=1
    )
    price_buffer_bps: int = setting(
        50,
        doc="added to an entry's cost when it is reserved, for the price may move",
        unit="bps",
        minimum=0,
        maximum=5000,
    )
