"""Statistics of signals: counts by status and reason, how long each phase took, and slippage; by group and over time.

The database counts. A percentile is read from a histogram whose buckets have three significant digits: up to 999 it is exact,
above that at most 1 % too high and never too low. So what is in memory does not grow with the number of signals.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
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
# Powers of ten up to which a bucket has three digits: 999 days are 8.6e13 microseconds.
_HIGHEST = 15


class Cell(NamedTuple):
    """A group's value, and the microsecond since 1970 at which its hour or day begins, 0 for all together."""

    key: str
    start_us: int


@dataclass(slots=True)
class _Found:
    """What was counted for a cell."""

    counts: list[audit_pb2.StatusCount] = field(default_factory=list)
    latencies: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    slippage: list[tuple[int, int]] = field(default_factory=list)
    slippage_sum: int = 0


def read_statistics(
    connection: sa.Connection, request: audit_pb2.GetStatisticsRequest, now: datetime
) -> list[audit_pb2.SignalStatistics]:
    """Statistics of the signals that are meant, by group and time in their order.

    Raises:
        ServiceError: INVALID_ARGUMENT where the filter is none, or there are more than 2,000 groups and times.
    """
    asked = _bounded(request.filter, now)
    columns: dict[str, sa.ColumnElement[Any]] = {"key": _key(request.group), "start": _start(request.bucket)}
    columns |= {name: SIGNALS.c[name] for name in ("outcome", "reason")}
    columns |= {name: SIGNALS.c[name] for name in PHASES.values()}
    columns["slippage"] = sa.type_coerce(SIGNALS.c.slippage_bps, sa.BigInteger)
    query = sa.select(*(column.label(name) for name, column in columns.items())).where(condition_of(asked))
    # Read once, whatever is counted of it: a row is wide, and what is counted of it is not.
    meant = query.cte("meant")
    cells: dict[Cell, _Found] = defaultdict(_Found)
    _count(connection, meant, cells)
    if len(cells) > MOST_CELLS:
        raise invalid("bucket", f"expected at most {MOST_CELLS} groups and times, was {len(cells)}: ask for less")
    for cell, kind, value, count, total in _histograms(connection, meant):
        found = cells[cell]
        if kind == "slippage":
            found.slippage.append((value, count))
            found.slippage_sum += total
        else:
            found.latencies[kind].append((value, count))
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


def _count(connection: sa.Connection, meant: "sa.CTE", cells: dict[Cell, _Found]) -> None:
    columns = (meant.c.key, meant.c.start, meant.c.outcome, meant.c.reason)
    count = sa.func.count().label("count")
    query = sa.select(*columns, count).group_by(*columns).order_by(count.desc(), meant.c.outcome, meant.c.reason)
    for row in connection.execute(query):
        status: Any = common_pb2.SignalStatus.Value(f"SIGNAL_STATUS_{row.outcome}")
        told = audit_pb2.StatusCount(status=status, reason=row.reason, count=row[4])
        cells[Cell(row.key, int(row.start))].counts.append(told)


def _histograms(connection: sa.Connection, meant: "sa.CTE") -> Iterator[tuple[Cell, str, int, int, int]]:
    """Cell, phase or "slippage", upper end of a bucket, how many are in it, and their sum; in rising order of the bucket."""
    parts = []
    for kind, name in (PHASES | {"slippage": "slippage"}).items():
        value = meant.c[name]
        top = _top(value).label("top")
        parts.append(
            sa.select(
                meant.c.key,
                meant.c.start,
                sa.literal_column(f"'{kind}'", sa.Text).label("kind"),
                top,
                sa.func.count().label("count"),
                sa.func.sum(value).label("total"),
            )
            .where(value.is_not(None))
            .group_by(meant.c.key, meant.c.start, top)
        )
    query = sa.union_all(*parts).order_by("top")
    for key, start, kind, top, count, total in connection.execute(query):
        yield Cell(key, int(start)), kind, int(top), count, int(total)


def _top(value: "sa.ColumnElement[int]") -> "sa.ColumnElement[int]":
    """The highest value with the same first three digits; below 0 that is the one nearest to 0."""

    def number(of: int) -> "sa.ColumnElement[int]":
        return sa.literal_column(str(of), sa.BigInteger)

    above, below = [], []
    for power in range(3, _HIGHEST):
        size = number(10 ** (power - 2))
        above.append((value < number(10 ** (power + 1)), value - value % size + size - number(1)))
        below.append((value > number(-(10 ** (power + 1))), value - value % size))
    small = value.between(number(-999), number(999))
    # The remainder has the sign of the value in both databases.
    return sa.case((small, value), *((sa.and_(value >= number(0), c), v) for c, v in above), *below, else_=value)


def percentile(histogram: Iterable[tuple[int, int]], percent: int) -> int:
    """The least bucket that so many percent of the values are within (nearest rank); the buckets are in rising order."""
    buckets = list(histogram)
    rank = -(-sum(count for _, count in buckets) * percent // 100)
    reached = 0
    for value, count in buckets:
        reached += count
        if reached >= rank:
            return value
    return 0


def _message(cell: Cell, found: _Found) -> audit_pb2.SignalStatistics:
    told = audit_pb2.SignalStatistics(key=cell.key, counts=found.counts, count=sum(c.count for c in found.counts))
    if cell.start_us:
        told.start_time.FromMicroseconds(cell.start_us)
    for phase in PHASES:
        if buckets := found.latencies.get(phase):
            p50, p90, p99 = (percentile(buckets, percent) for percent in (50, 90, 99))
            told.latencies.add(phase=phase, count=sum(n for _, n in buckets), p50_us=p50, p90_us=p90, p99_us=p99)
    if found.slippage:
        count = sum(n for _, n in found.slippage)
        told.slippage.count, told.slippage.mean_bps = count, _bps(Decimal(found.slippage_sum) / count)
        for name, percent in (("p50_bps", 50), ("p90_bps", 90), ("p99_bps", 99)):
            setattr(told.slippage, name, _bps(Decimal(percentile(found.slippage, percent))))
    return told


def _bps(hundredths: Decimal) -> str:
    return str((hundredths / 100).quantize(Decimal("0.01")))
