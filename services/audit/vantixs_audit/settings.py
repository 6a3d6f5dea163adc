"""Settings of audit."""

from dataclasses import dataclass

from vantixs.runtime.settings import ServiceSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings(ServiceSettings):
    """What audit adds."""

    watchers_max: int = setting(100, doc="most WatchSignals calls at once", minimum=1)
    replay_max: int = setting(10_000, doc="most signals of one replay", minimum=1, maximum=100_000)
    replay_signals_per_s: float = setting(
        100.0,
        doc="highest rate of all replays together, so that live signals are not slowed down",
        unit="/s",
        minimum=0.1,
    )
    replay_share: float = setting(
        0.1,
        doc="share of the time that replays may use while live signals arrive; 1 limits them by their rate only",
        minimum=0.001,
        maximum=1,
    )
    journal_keep_hours: float = setting(
        168.0,
        doc="age at which recorded messages that every lane has passed are purged from the journal",
        unit="h",
        minimum=0,
        maximum=876_000,
    )
    journal_keep_bytes: int = setting(
        0,
        doc="size of the journal above which they are purged at any age; 0: half of its limit",
        unit="bytes",
        minimum=0,
    )
    history_keep_days: float = setting(
        0.0,
        doc="days that history keeps its entries; older ones go, their hashes and the rows of their signals stay; "
        "0: everything is kept",
        unit="d",
        minimum=0,
        maximum=36_500,
    )
    checkpoint_entries: int = setting(1000, doc="new entries after which history is signed", unit="entries", minimum=1)
    checkpoint_s: float = setting(
        10.0, doc="time after which new entries are signed", unit="s", minimum=0.5, maximum=86_400
    )
    straggler_s: float = setting(
        60.0,
        doc="time after which an accepted signal without an end is shown and counted",
        unit="s",
        minimum=1,
        maximum=31_536_000,
    )
    witness_file: str = setting(
        "",
        doc="file with the last signed checkpoint, best where nobody who can change the database may write; "
        "empty: `witness/audit.checkpoint` in the home",
    )
    payload_key: str = setting(
        "", doc="32 bytes in URL-safe base64 that open sealed payloads; the same for ingress and audit", secret=True
    )
