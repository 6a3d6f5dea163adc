"""Statistics on both databases: counts, latencies and slippage against those counted from the rows."""

import math
from collections import Counter
from datetime import timedelta
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2, order_pb2, signal_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.runtime.continuity import Mark
from vantixs_audit import store
from vantixs_audit.statistics import PHASES, read_statistics
from vantixs_audit.tables import SIGNALS

from tests.support.history_reads import START, Reads, delivered


def timed(random: Random, number: int) -> list[journal_pb2.JournalEntry]:
    """A signal's entries with times of their own, some without price, fill or end."""
    at = START + timedelta(seconds=random.randint(0, 86_399), microseconds=random.randint(0, 999_999))
    signal_id = f"s{number}"

    def entry(name: str, after_us: int, **event: Any) -> journal_pb2.JournalEntry:
        nonlocal at
        at += timedelta(microseconds=after_us)
        made = journal_pb2.JournalEntry(event_id=f"{signal_id}:{name}", signal_id=signal_id, **event)
        made.event_time.FromDatetime(at)
        return made

    def lag() -> int:
        return int(10 ** random.uniform(0, 7))

    signal = signal_pb2.Signal(signal_id=signal_id, price="100" if random.random() < 0.7 else "")
    signal.emit_time.FromDatetime(at - timedelta(microseconds=random.randint(-2000, 5_000_000)))
    event = journal_pb2.SignalAccepted(signal=signal)
    event.webhook.webhook_id, event.webhook.account_id = random.choice(("w1", "w2")), random.choice(("a", "b"))
    event.request.receive_time.FromDatetime(at)
    told = [entry("accepted", lag(), signal_accepted=event)]
    if random.random() < 0.2:
        return told
    order = order_pb2.Order(
        order_id=f"{signal_id}.1", signal_id=signal_id, side=random.choice((common_pb2.SIDE_BUY, common_pb2.SIDE_SELL))
    )
    told.append(entry("evaluated", lag(), order_evaluated=journal_pb2.OrderEvaluated(order=order)))
    told.append(entry("submitted", lag(), order_submitted=journal_pb2.OrderSubmitted(order=order)))
    order.filled_quantity, order.average_price = "1", str(random.randint(9000, 11000) / 100)
    fill = order_pb2.Fill(order_id=order.order_id, quantity="1", price=order.average_price)
    told.append(entry("filled", lag(), fill_recorded=journal_pb2.FillRecorded(fill=fill)))
    told.append(entry("updated", 0, order_updated=journal_pb2.OrderUpdated(order=order)))
    status = random.choice((common_pb2.SIGNAL_STATUS_EXECUTED, common_pb2.SIGNAL_STATUS_FAILED))
    done = journal_pb2.SignalCompleted(status=status, reason=random.choice(("", "WHY")), stage="venue")
    return [*told, entry("completed", lag(), signal_completed=done)]


def nearest_rank(values: list[int], percent: int) -> int:
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


@pytest.mark.parametrize("group", [0, 1, 2])
@pytest.mark.parametrize("bucket", [0, 1, 2])
async def test_statistics_are_what_the_rows_say(reads: Reads, group: int, bucket: int) -> None:
    random = Random(7)
    entries = [entry for number in range(150) for entry in timed(random, number)]
    await reads.database.write(lambda c: store.record(c, delivered(*entries), Mark(0, "stream", len(entries))))
    request = audit_pb2.GetStatisticsRequest(group=group, bucket=bucket)  # type: ignore[arg-type]
    request.filter.until.FromDatetime(START + timedelta(days=1))
    found = await reads.database.read(lambda c: read_statistics(c, request, START))
    rows = await reads.database.read(lambda c: c.execute(sa.select(SIGNALS)).all())
    cells: dict[tuple[str, int], list[Any]] = {}
    for row in rows:
        key = ("", row.webhook_id, row.account_id)[group]
        seconds = int(row.receive_time.timestamp())
        start = (0, seconds // 3600 * 3600, seconds // 86400 * 86400)[bucket]
        cells.setdefault((key, start), []).append(row)
    assert [(s.key, s.start_time.seconds) for s in found] == sorted(cells)
    for told, members in zip(found, (cells[cell] for cell in sorted(cells)), strict=True):
        assert told.count == len(members)
        counted = Counter((f"SIGNAL_STATUS_{row.outcome}", row.reason) for row in members)
        assert {(common_pb2.SignalStatus.Name(c.status), c.reason): c.count for c in told.counts} == counted
        latencies = {one.phase: one for one in told.latencies}
        for phase, column in PHASES.items():
            values = [v for row in members if (v := getattr(row, column)) is not None]
            assert (phase in latencies) == bool(values)
            if values:
                one = latencies[phase]
                assert one.count == len(values)
                for percent, given in ((50, one.p50_us), (90, one.p90_us), (99, one.p99_us)):
                    exact = nearest_rank(values, percent)
                    assert exact <= given <= exact + abs(exact) * 0.01, (phase, percent)
        slips = [int(row.slippage_bps * 100) for row in members if row.slippage_bps is not None]
        assert told.slippage.count == len(slips)
        if slips:
            assert abs(float(told.slippage.mean_bps) * 100 - sum(slips) / len(slips)) <= 0.5
            for percent, text in ((50, told.slippage.p50_bps), (99, told.slippage.p99_bps)):
                exact = nearest_rank(slips, percent)
                assert exact - 0.5 <= float(text) * 100 <= exact + abs(exact) * 0.01 + 0.5
