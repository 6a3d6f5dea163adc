"""Statistics of signals: counts by status and reason, how long each phase took, and slippage; by group and over time.

Percentiles are read from histograms (`domain/histogram.py`). The row of a signal has the bucket of each of its values as text,
which the database joins into one for each group: a row of Python's for each signal took several times as long.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2
from vantixs.runtime.errors import invalid
from vantixs.runtime.timestamps import moment_of

from vantixs_audit.domain.histogram import percentiles, unpack
from vantixs_audit.signal_filter import condition_of
from vantixs_audit.tables import LATENCIES, SIGNALS

MOST_CELLS = 2000
DAY = timedelta(days=1)
FIRST_DAY_ENDS = datetime.min.replace(tzinfo=UTC) + DAY  # Nothing is a day earlier than what is before.
# Entries have one time for receipt and acceptance, as what is accepted is made before it is stored, and one for decision and
# sending, as both are stored in one commit. So no time passes between them in the record, and none is told.
PHASES = {
    "emit_to_receive": "receive_latency_us",
    "receive_to_decide": "decide_latency_us",
    "decide_to_fill": "fill_latency_us",
    "receive_to_end": "latency_us",
}
_GROUPS = {
    audit_pb2.STATISTICS_GROUP_WEBHOOK: "webhook_id",
    audit_pb2.STATISTICS_GROUP_ACCOUNT: "account_id",
    audit_pb2.STATISTICS_GROUP_STRATEGY: "strategy_id",
}
_BUCKETS_US = {
    audit_pb2.STATISTICS_BUCKET_HOUR: 3_600_000_000,
    audit_pb2.STATISTICS_BUCKET_DAY: 86_400_000_000,
}
# A row has up to a day of signals in a text.
ROWS_AT_ONCE = 10
# There may be that much for each of 2,000 cells.
TEXT_AT_ONCE = 1 << 14
# Values in the measures of a row: slippage, and the latencies in their order.
MEASURES = 1 + len(LATENCIES)


class Cell(NamedTuple):
    """A group's value, and the microsecond since 1970 at which its hour or day begins, 0 for all together."""

    key: str
    start_us: int


class _Found:
    """What was counted for a cell. A histogram has how many values are in each bucket, by the bucket's number."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.histograms: list[Counter[int]] = [Counter() for _ in range(MEASURES)]
        self.slippage_sum = 0
        self._measures = ""

    def add(self, row: Any) -> None:
        """Counts the signals of a row, which are of the same outcome and reason."""
        self.counts[row.outcome, row.reason] += row.count
        self.slippage_sum += int(row.slippage or 0)
        self._measures += row.measures
        if len(self._measures) > TEXT_AT_ONCE:
            self.unpack()

    def unpack(self) -> None:
        """Brings the histograms up to what was added: of few signals at a time it costs much more for each."""
        for place, histogram in enumerate(self.histograms):
            histogram.update(unpack(self._measures, place, MEASURES))
        self._measures = ""


def read_statistics(
    connection: sa.Connection, request: audit_pb2.GetStatisticsRequest, now: datetime
) -> list[audit_pb2.SignalStatistics]:
    """Statistics of the signals that are meant, by group and time in their order.

    Raises:
        ServiceError: INVALID_ARGUMENT where the filter is none, or there are more than 2,000 groups and times.
    """
    asked = _bounded(request.filter, now)
    by = [_start(request.bucket).label("start"), SIGNALS.c.outcome, SIGNALS.c.reason]
    by += [SIGNALS.c[_GROUPS[request.group]].label("key")] if request.group in _GROUPS else []
    counted = [
        sa.func.count().label("count"),
        sa.func.sum(sa.type_coerce(SIGNALS.c.slippage_bps, sa.BigInteger)).label("slippage"),
        sa.func.aggregate_strings(SIGNALS.c.measures, "").label("measures"),
    ]
    query = sa.select(*by, *counted).where(condition_of(asked)).group_by(*(column.name for column in by))
    cells: dict[Cell, _Found] = defaultdict(_Found)
    result = connection.execute(query, execution_options={"yield_per": ROWS_AT_ONCE})
    for row in result:
        start_us = int(row.start) if request.bucket in _BUCKETS_US else 0
        cells[Cell(row.key if request.group in _GROUPS else "", start_us)].add(row)
        if len(cells) > MOST_CELLS:
            result.close()
            detail = f"expected at most {MOST_CELLS} groups and times, was more: ask for less"
            raise invalid("bucket", detail)
    return [_message(cell, cells[cell]) for cell in sorted(cells)]


def add_counts(found: Iterable[audit_pb2.SignalStatistics]) -> list[audit_pb2.StatusCount]:
    """How many signals of each status and reason there are in all of them, most first."""
    counted: Counter[tuple[Any, str]] = Counter()
    for one in found:
        for told in one.counts:
            counted[told.status, told.reason] += told.count
    return [audit_pb2.StatusCount(status=s, reason=r, count=n) for (s, r), n in counted.most_common()]


def _bounded(filter_: audit_pb2.SignalFilter, now: datetime) -> audit_pb2.SignalFilter:
    """The filter, with the 24 hours before its end where it has no beginning."""
    asked = audit_pb2.SignalFilter()
    asked.CopyFrom(filter_)
    if not asked.HasField("since"):
        end = moment_of(asked.until, "filter.until") if asked.HasField("until") else now
        asked.since.FromDatetime(max(end, FIRST_DAY_ENDS) - DAY)
    return asked


def _start(bucket: "audit_pb2.StatisticsBucket") -> "sa.ColumnElement[int]":
    """When its hour begins, or its day; that too where no bucket is asked for, so that a text has no more than a day."""
    size_us = _BUCKETS_US.get(bucket, _BUCKETS_US[audit_pb2.STATISTICS_BUCKET_DAY])
    size = sa.literal_column(str(size_us), sa.BigInteger)
    received = sa.func.coalesce(sa.type_coerce(SIGNALS.c.receive_time, sa.BigInteger), sa.literal_column("0"))
    return received - received % size


def _message(cell: Cell, found: _Found) -> audit_pb2.SignalStatistics:
    found.unpack()
    told = audit_pb2.SignalStatistics(key=cell.key, count=found.counts.total())
    for (outcome, reason), count in sorted(found.counts.items(), key=lambda item: (-item[1], item[0])):
        status: Any = common_pb2.SignalStatus.Value(f"SIGNAL_STATUS_{outcome}")
        told.counts.add(status=status, reason=reason, count=count)
    if cell.start_us:
        told.start_time.FromMicroseconds(cell.start_us)
    slippage, *phases = found.histograms
    measured = dict(zip((f"{name}_us" for name in LATENCIES), phases, strict=True))
    for phase, column in PHASES.items():
        if histogram := measured[column]:
            p50, p90, p99 = percentiles(histogram, 50, 90, 99)
            told.latencies.add(phase=phase, count=histogram.total(), p50_us=p50, p90_us=p90, p99_us=p99)
    if count := slippage.total():
        told.slippage.count, told.slippage.mean_bps = count, _bps(Decimal(found.slippage_sum) / count)
        for name, value in zip(("p50_bps", "p90_bps", "p99_bps"), percentiles(slippage, 50, 90, 99), strict=True):
            setattr(told.slippage, name, _bps(Decimal(value)))
    return told


def _bps(hundredths: Decimal) -> str:
    return str((hundredths / 100).quantize(Decimal("0.01")))
