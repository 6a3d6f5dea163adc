"""Statistics of signals: counts by status and reason, how long each phase took, and slippage; by group and over time.

A percentile is read from a histogram whose buckets are 1 % wide: it is at most 1 % too high and never too low. So what is in
memory does not grow with the number of signals. The rows are counted here, column by column: SQLite, which sorts to group, needs
twice the time for it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import repeat
from math import ceil, exp, floor, log
from operator import mul
from typing import Any, NamedTuple

import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2
from vantixs.runtime.errors import invalid

from vantixs_audit.signal_filter import condition_of
from vantixs_audit.tables import SIGNALS

MOST_CELLS = 2000
DAY = timedelta(days=1)
PHASES = {
    "emit_to_receive": "receive_latency_us",
    "receive_to_accept": "accept_latency_us",
    "accept_to_decide": "decide_latency_us",
    "decide_to_send": "send_latency_us",
    "send_to_fill": "fill_latency_us",
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
ROWS_AT_ONCE = 10_000
# Of 101 steps to a power of e each is 0.995 %.
STEPS, BELOW = 101, 10_000
SLIPPAGE = "slippage"


class Cell(NamedTuple):
    """A group's value, and the microsecond since 1970 at which its hour or day begins, 0 for all together."""

    key: str
    start_us: int


class _Found:
    """What was counted for a cell. A histogram has how many values are in each bucket, by the bucket's number."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.histograms: list[Counter[int]] = [Counter() for _ in (SLIPPAGE, *PHASES)]
        self.slippage_sum = 0

    def add(self, rows: Sequence[Any]) -> None:
        """Counts rows of a cell, column by column: that is several times faster than row by row."""
        _, _, outcomes, reasons, *columns = zip(*rows, strict=True)
        self.counts.update(zip(outcomes, reasons, strict=True))
        for histogram, column in zip(self.histograms, columns, strict=True):
            values = [value for value in column if value is not None]
            if values and min(values) > 0:
                # By the same rule as `_bucket`, without a call for each value.
                histogram.update(map(int, map(mul, map(log, values), repeat(STEPS))))
            else:
                histogram.update(map(_bucket, values))
        self.slippage_sum += sum(value for value in columns[0] if value is not None)


def read_statistics(
    connection: sa.Connection, request: audit_pb2.GetStatisticsRequest, now: datetime
) -> list[audit_pb2.SignalStatistics]:
    """Statistics of the signals that are meant, by group and time in their order.

    Raises:
        ServiceError: INVALID_ARGUMENT where the filter is none, or there are more than 2,000 groups and times.
    """
    asked = _bounded(request.filter, now)
    columns: list[sa.ColumnElement[Any]] = [_key(request.group).label("key"), _start(request.bucket).label("start")]
    columns += [SIGNALS.c.outcome, SIGNALS.c.reason, sa.type_coerce(SIGNALS.c.slippage_bps, sa.BigInteger)]
    query = sa.select(*columns, *(SIGNALS.c[name] for name in PHASES.values())).where(condition_of(asked))
    cells: dict[Cell, _Found] = defaultdict(_Found)
    result = connection.execute(query, execution_options={"yield_per": ROWS_AT_ONCE})
    for rows in result.partitions():
        for cell, values in _by_cell(rows).items():
            cells[cell].add(values)
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
        end = asked.until.ToDatetime(tzinfo=UTC) if asked.HasField("until") else now
        asked.since.FromDatetime(end - DAY)
    return asked


def _key(group: "audit_pb2.StatisticsGroup") -> "sa.ColumnElement[str]":
    return SIGNALS.c[_GROUPS[group]] if group in _GROUPS else sa.literal_column("''", sa.Text)


def _start(bucket: "audit_pb2.StatisticsBucket") -> "sa.ColumnElement[int]":
    if bucket not in _BUCKETS_US:
        return sa.literal_column("0", sa.BigInteger)
    size = sa.literal_column(str(_BUCKETS_US[bucket]), sa.BigInteger)
    received = sa.func.coalesce(sa.type_coerce(SIGNALS.c.receive_time, sa.BigInteger), 0)
    return received - received % size


def _by_cell(rows: Sequence[Any]) -> dict[Cell, Sequence[Any]]:
    first = Cell(rows[0][0], int(rows[0][1]))
    if all(row[0] == first.key and row[1] == first.start_us for row in rows):
        return {first: rows}
    found: dict[Cell, list[Any]] = defaultdict(list)
    for row in rows:
        found[Cell(row[0], int(row[1]))].append(row)
    return dict(found)


def _bucket(value: int) -> int:
    """The number of a value's bucket: its logarithm in steps of 1 %. Those of values below 0 are far below the others."""
    if value > 0:
        return int(log(value) * STEPS)
    return -BELOW - int(log(-value) * STEPS) if value else -1


def _top(bucket: int) -> int:
    """The highest whole value of a bucket; below 0 that is the one nearest to 0."""
    if bucket >= 0:
        return floor(exp((bucket + 1) / STEPS))
    return 0 if bucket == -1 else -ceil(exp((-BELOW - bucket) / STEPS))


def percentile(histogram: Counter[int], percent: int) -> int:
    """The top of the least bucket that so many percent of the values are within (nearest rank); 0 of an empty histogram."""
    rank = -(-histogram.total() * percent // 100)
    reached = 0
    for bucket in sorted(histogram):
        reached += histogram[bucket]
        if reached >= rank:
            return _top(bucket)
    return 0


def _message(cell: Cell, found: _Found) -> audit_pb2.SignalStatistics:
    told = audit_pb2.SignalStatistics(key=cell.key, count=found.counts.total())
    for (outcome, reason), count in sorted(found.counts.items(), key=lambda item: (-item[1], item[0])):
        status: Any = common_pb2.SignalStatus.Value(f"SIGNAL_STATUS_{outcome}")
        told.counts.add(status=status, reason=reason, count=count)
    if cell.start_us:
        told.start_time.FromMicroseconds(cell.start_us)
    slippage, *phases = found.histograms
    for phase, histogram in zip(PHASES, phases, strict=True):
        if histogram:
            p50, p90, p99 = (percentile(histogram, percent) for percent in (50, 90, 99))
            told.latencies.add(phase=phase, count=histogram.total(), p50_us=p50, p90_us=p90, p99_us=p99)
    if count := slippage.total():
        told.slippage.count, told.slippage.mean_bps = count, _bps(Decimal(found.slippage_sum) / count)
        for name, percent in (("p50_bps", 50), ("p90_bps", 90), ("p99_bps", 99)):
            setattr(told.slippage, name, _bps(Decimal(percentile(slippage, percent))))
    return told


def _bps(hundredths: Decimal) -> str:
    return str((hundredths / 100).quantize(Decimal("0.01")))
