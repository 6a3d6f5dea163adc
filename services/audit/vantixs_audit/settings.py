"""Settings of audit."""

from dataclasses import dataclass

from vantixs.runtime.settings import ServiceSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings(ServiceSettings):
    """What audit adds."""

    watchers_max: int = setting(100, doc="most WatchSignals calls at once", minimum=1)
    replay_max: int = setting(1000, doc="most signals of one replay", minimum=1, maximum=100_000)
    journal_keep_hours: float = setting(
        168.0, doc="age at which the journal may forget what history has and every lane is past", unit="h", minimum=0
    )
    journal_keep_bytes: int = setting(
        0,
        doc="size beyond which the journal forgets that, however young; 0: half of its limit",
        unit="bytes",
        minimum=0,
    )
