"""The journal's stream: made, taken over from the one of earlier versions, and changed.

Streams of earlier versions deny purges, which cannot be taken back. Such a stream is given other subjects, so that nothing
comes in any more, and a new one goes on with the next sequence; the old one is read to its end and then removed by audit.
"""

import secrets
from dataclasses import replace
from typing import Any

from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig, StreamInfo
from nats.js.errors import NotFoundError

from vantixs.runtime.continuity import EPOCH, IDENTITY, REPORT, Report, kept_metadata, report_entry
from vantixs.runtime.lifecycle import StartupError
from vantixs.runtime.logs import log
from vantixs.runtime.settings import ServiceSettings

STREAM = "VANTIXS_JOURNAL_V2"
SUBJECTS = "vantixs.journal.v1.>"
EARLIER_STREAM = "VANTIXS_JOURNAL"
EARLIER_SUBJECTS = "vantixs.earlier.v1.>"


async def ensure_stream(js: JetStreamContext, settings: ServiceSettings) -> None:
    """Makes the stream where there is none.

    Raises:
        StartupError: it was changed by hand. Its limit may differ: audit sets it.
    """
    wanted = StreamConfig(
        name=STREAM,
        subjects=[SUBJECTS],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        num_replicas=settings.journal_replicas,
        duplicate_window=600.0,
        deny_delete=True,
        allow_atomic=True,
    )
    try:
        found = (await js.stream_info(STREAM)).config
    except NotFoundError:
        await _make(js, settings, wanted)
        return
    refuse_drift(f"stream {STREAM}", wanted, found)


async def _make(js: JetStreamContext, settings: ServiceSettings, wanted: StreamConfig) -> None:
    """Several services may do this at once: the first one's stream counts, and the others find it."""
    made = replace(
        wanted,
        max_bytes=settings.journal_max_bytes or settings.journal_first_bytes,
        metadata={IDENTITY: secrets.token_hex(8), EPOCH: "0"},
    )
    if earlier := await earlier_stream(js):
        if earlier.config.subjects != [EARLIER_SUBJECTS]:
            await js.update_stream(replace(earlier.config, subjects=[EARLIER_SUBJECTS]))
            earlier = await js.stream_info(EARLIER_STREAM)
        made = replace(made, first_seq=earlier.state.last_seq + 1)
    await js.add_stream(made)
    log.info("journal.made", first_sequence=made.first_seq or 1, max_bytes=made.max_bytes)


async def earlier_stream(js: JetStreamContext) -> StreamInfo | None:
    """The stream of an earlier version that is not read to its end yet."""
    try:
        return await js.stream_info(EARLIER_STREAM)
    except NotFoundError:
        return None


async def add_report(js: JetStreamContext, info: StreamInfo, report: Report) -> None:
    """Has the stream tell what a service misses, so that every other service hears of it."""
    key, text = report_entry(report)
    await js.update_stream(replace(info.config, metadata=kept_metadata(info.config.metadata) | {key: text}))


async def accept_gaps(js: JetStreamContext, info: StreamInfo, epoch: int) -> StreamInfo:
    """Has the stream tell that an operator accepted what is missing: a new epoch, and no reports."""
    kept = {k: v for k, v in kept_metadata(info.config.metadata).items() if not k.startswith(REPORT)}
    kept.setdefault(IDENTITY, secrets.token_hex(8))
    return await js.update_stream(replace(info.config, metadata=kept | {EPOCH: str(epoch)}))


async def set_limit(js: JetStreamContext, info: StreamInfo, max_bytes: int) -> None:
    """Changes how many bytes the stream may hold. Less than it holds now refuses publishes until enough is purged."""
    metadata = kept_metadata(info.config.metadata)
    await js.update_stream(replace(info.config, max_bytes=max_bytes, metadata=metadata))


def refuse_drift(what: str, wanted: Any, found: Any) -> None:
    """Raises StartupError where a field that is set in `wanted` differs in `found`."""
    for name, value in vars(wanted).items():
        was = getattr(found, name, None)
        if value is not None and was != value:
            raise StartupError(
                f"{what}: expected {name} = {value}, was {was}; change it by hand or restore the setting"
            )
