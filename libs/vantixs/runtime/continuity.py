"""Whether the journal still holds what a service has seen of it.

A stream can be deleted and made again, restored from an older copy, or lose its last blocks; publishing to it and reading
from it work on as if nothing had happened. So every service keeps a mark of what it has seen and holds it against what the
stream says of itself. The stream's own metadata carry its identity, how many gaps were accepted (the epoch), and what each
service misses (reports): they are part of the stream, so they cannot be newer or older than it.
"""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from nats.js.api import StreamInfo

IDENTITY, EPOCH, REPORT = "vantixs_stream", "vantixs_epoch", "vantixs_gap_"
LONGEST_REPORT = 400
REMEDY = "run `vantixs journal show`, then `vantixs journal accept-gap`"


class Mark(NamedTuple):
    """What a service has seen: accepted gaps, the stream's identity (empty: not known yet), the highest sequence."""

    epoch: int = 0
    stream: str = ""
    sequence: int = 0


NOTHING_SEEN = Mark()


class Report(NamedTuple):
    """What a service misses: its name, the highest sequence it has seen, and one sentence."""

    service: str
    sequence: int
    detail: str


class StreamFacts(NamedTuple):
    """What a stream says of itself. `first` is one more than `last` while it is empty; sizes are in bytes."""

    epoch: int
    stream: str
    first: int
    last: int
    messages: int
    size_bytes: int
    limit_bytes: int
    reports: tuple[Report, ...] = ()

    @property
    def used_ratio(self) -> float:
        """How full it is, from 0 to 1."""
        return self.size_bytes / self.limit_bytes if self.limit_bytes > 0 else 0.0

    @property
    def gap(self) -> str:
        """What is missing, by every service that misses something; empty where nothing is."""
        return "; ".join(f"{r.service}: {r.detail}" for r in self.reports)


def facts_of(info: StreamInfo) -> StreamFacts:
    """The facts in what the server answers."""
    metadata = info.config.metadata or {}
    state = info.state
    return StreamFacts(
        epoch=int(metadata.get(EPOCH, "0")),
        stream=metadata.get(IDENTITY, ""),
        first=state.first_seq or state.last_seq + 1,
        last=state.last_seq,
        messages=state.messages,
        size_bytes=state.bytes,
        limit_bytes=info.config.max_bytes or 0,
        reports=tuple(_report(key, value) for key, value in sorted(metadata.items()) if key.startswith(REPORT)),
    )


def difference(mark: Mark, facts: StreamFacts) -> str:
    """What of the mark the stream does not have, one sentence; empty where it has all, or where a gap was accepted since.

    >>> difference(Mark(0, "a", 900), StreamFacts(0, "a", 1, 728, 728, 0, 0))
    'the journal ends at message 728, and 900 was seen'
    """
    if facts.epoch > mark.epoch:
        return ""
    if facts.epoch < mark.epoch:
        return f"the journal is older than the gap that was accepted as number {mark.epoch}: it ends at message {facts.last}"
    if mark.stream and facts.stream != mark.stream:
        return f"the journal is another one: it ends at message {facts.last}, and {mark.sequence} of the one before was seen"
    if facts.last < mark.sequence:
        return f"the journal ends at message {facts.last}, and {mark.sequence} was seen"
    return ""


def followed(mark: Mark, facts: StreamFacts) -> Mark:
    """The mark where nothing differs: it takes the stream's identity and accepted gaps for its own."""
    if facts.epoch > mark.epoch:
        return Mark(facts.epoch, facts.stream, facts.last)
    return mark._replace(stream=facts.stream)


def report_entry(report: Report) -> tuple[str, str]:
    """The report as it stands in a stream's metadata."""
    return f"{REPORT}{report.service}", f"{report.sequence} {report.detail[:LONGEST_REPORT]}"


def kept_metadata(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """What of a stream's metadata is ours: the server adds its own to every answer."""
    return {key: value for key, value in (metadata or {}).items() if key.startswith("vantixs_")}


def gap_id(gap: str) -> str:
    """A short name of a gap, so that an operator accepts the one that was shown."""
    return hashlib.sha256(gap.encode()).hexdigest()[:8] if gap else ""


def _report(key: str, value: str) -> Report:
    sequence, _, detail = value.partition(" ")
    return Report(key.removeprefix(REPORT), int(sequence) if sequence.isdecimal() else 0, detail)
