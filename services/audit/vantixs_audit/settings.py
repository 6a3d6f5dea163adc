"""Settings of audit."""

from dataclasses import dataclass

from vantixs.runtime.settings import ServiceSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings(ServiceSettings):
    """What audit adds."""

    watchers_max: int = setting(100, doc="most WatchSignals calls at once", minimum=1)
    replay_max: int = setting(1000, doc="most signals of one replay", minimum=1, maximum=100_000)
