"""A stream held against what was seen of it."""

import pytest
from nats.js.api import StreamConfig, StreamInfo, StreamState
from vantixs.runtime.continuity import (
    LONGEST_REPORT,
    NOTHING_SEEN,
    Mark,
    Report,
    StreamFacts,
    difference,
    facts_of,
    followed,
    gap_id,
    kept_metadata,
    report_entry,
)


def facts(epoch: int = 0, stream: str = "a", last: int = 900, reports: tuple[Report, ...] = ()) -> StreamFacts:
    return StreamFacts(epoch, stream, 1, last, last, 0, 0, reports)


@pytest.mark.parametrize(
    ("mark", "found", "missing"),
    [
        (NOTHING_SEEN, facts(), ""),
        (NOTHING_SEEN, facts(epoch=3, last=0), ""),
        (Mark(0, "a", 900), facts(), ""),
        (Mark(0, "a", 900), facts(last=901), ""),
        (Mark(0, "a", 900), facts(last=899), "ends at message 899, and 900 was seen"),
        (Mark(0, "", 900), facts(), ""),
        (Mark(0, "", 900), facts(last=0), "ends at message 0, and 900 was seen"),
        (Mark(0, "a", 900), facts(stream="b", last=2000), "another one"),
        (Mark(1, "b", 900), facts(epoch=0, stream="b", last=2000), "older than the gap that was accepted as number 1"),
        (Mark(0, "a", 900), facts(epoch=1, stream="b", last=5), ""),
    ],
)
def test_what_was_seen_and_is_not_there_is_named(mark: Mark, found: StreamFacts, missing: str) -> None:
    told = difference(mark, found)
    assert bool(told) == bool(missing)
    assert missing in told


def test_an_accepted_gap_and_a_first_identity_are_taken_over() -> None:
    assert followed(Mark(0, "a", 900), facts(epoch=2, stream="b", last=7)) == Mark(2, "b", 7)
    assert followed(Mark(0, "", 900), facts(last=950)) == Mark(0, "a", 900)


def test_reports_outlive_the_servers_answer_and_are_bounded() -> None:
    report = Report("ingress-0", 900, "the journal ends at message 728" + "x" * 1000)
    key, text = report_entry(report)
    metadata = {key: text, "vantixs_stream": "a", "vantixs_epoch": "2", "_nats.ver": "2.15.1"}
    info = StreamInfo(
        StreamConfig(name="x", max_bytes=1000, metadata=metadata),
        StreamState(messages=0, bytes=250, first_seq=0, last_seq=6, consumer_count=0),
    )
    found = facts_of(info)
    assert (found.epoch, found.stream, found.first, found.last, found.used_ratio) == (2, "a", 7, 6, 0.25)
    assert found.reports == (report._replace(detail=report.detail[:LONGEST_REPORT]),)
    assert found.gap.startswith("ingress-0: the journal ends")
    assert "_nats.ver" not in kept_metadata(metadata)
    assert gap_id("") == ""
    assert len(gap_id(found.gap)) == 8
