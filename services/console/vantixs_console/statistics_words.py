"""Statistics of signals as people read them: what the page and `vantixs statistics` show."""

from typing import NamedTuple

from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2

from vantixs_console.timeline import short_name


class Shown(NamedTuple):
    """One group and time: its title, counts (status, reason, signals), phases (name, signals, ms), and slippage in words."""

    title: str
    counts: list[tuple[str, str, str]]
    phases: list[tuple[str, str, str, str, str]]
    slippage: str


def describe_statistics(one: audit_pb2.SignalStatistics) -> Shown:
    """Statistics in words; times are milliseconds."""
    named = [one.key] if one.key else []
    named += [one.start_time.ToJsonString()[:16]] if one.HasField("start_time") else []
    counts = [
        (short_name(common_pb2.SignalStatus.Name(count.status)), count.reason, str(count.count)) for count in one.counts
    ]
    phases = [
        (phase.phase.replace("_", " "), str(phase.count), _ms(phase.p50_us), _ms(phase.p90_us), _ms(phase.p99_us))
        for phase in one.latencies
    ]
    slippage = ""
    if one.HasField("slippage"):
        found = one.slippage
        slippage = (
            f"slippage, bps, above 0 is worse: mean {found.mean_bps}, p50 {found.p50_bps}, p90 {found.p90_bps}, "
            f"p99 {found.p99_bps}, of {found.count} signals with a price and fills"
        )
    return Shown(" ".join([*named, f"{one.count} signals"]), counts, phases, slippage)


def _ms(microseconds: int) -> str:
    return f"{microseconds / 1000:.3f}"
