"""What recording costs: microseconds of CPU an entry, with the database's, and entries a second, on either database.

    python bench/record.py sqlite|postgresql [ENTRIES_AT_ONCE] [SIGNALS]

A signal has six entries in three messages, and 64 signals run at a time. A quarter of them is recorded first and not
measured. The messages are handed over as the journal's reader does, without a broker.
"""

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from signal_list import cpu_s
from vantixs.api.common.v1 import common_pb2, order_pb2, signal_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import new_signal_id, order_id
from vantixs.runtime.continuity import Mark
from vantixs.runtime.database import Database
from vantixs.runtime.journal_reader import Delivery
from vantixs.runtime.settings import ServiceSettings
from vantixs.testing.postgres import PostgresServer
from vantixs_audit import store
from vantixs_audit.main import MIGRATIONS

BEGIN = datetime(2026, 11, 27, tzinfo=UTC)
AT_ONCE, SIGNALS, RUNNING = 100, 12_000, 64
MODE, BUY, SELL = common_pb2.MODE_PAPER, common_pb2.SIDE_BUY, common_pb2.SIDE_SELL


def messages_of(rng: random.Random, number: int) -> list[tuple[bytes, int]]:
    """The three messages of a signal that is filled, and how many entries each has."""
    at = BEGIN + timedelta(milliseconds=number * 50)
    signal_id = new_signal_id(int(at.timestamp() * 1000), rng.randbytes(10))
    instrument, side = rng.choice(("BTC/USDT", "ETH/USDT", "SOL/USDT")), rng.choice((BUY, SELL))
    account_id, webhook_id = f"a{rng.randrange(4)}", f"w{rng.randrange(8)}"
    signal = signal_pb2.Signal(
        signal_id=signal_id, action=common_pb2.ACTION_BUY if side == BUY else common_pb2.ACTION_SELL, price="100.5",
        symbol=instrument.replace("/", ""), instrument=instrument, quantity="1", comment=f"breakout of bar {number}",
        tag=f"t{rng.randrange(100)}" if rng.random() < 0.2 else "", emit_time=at - timedelta(milliseconds=80),
    )  # fmt: skip
    request = signal_pb2.ReceivedRequest(
        payload=b'{"action": "buy", "symbol": "BTCUSDT", "quantity": "1", "price": "100.5", "comment": "breakout"}',
        payload_sha256=rng.randbytes(32), receive_time=at, source_address=f"10.0.0.{rng.randrange(12)}",
        content_type="application/json", token_fingerprint="0123456789abcdef", instance="ingress",
    )  # fmt: skip
    webhook = {"webhook_id": webhook_id, "account_id": account_id, "enabled": True, "mode": MODE, "dedupe_window_s": 20}
    order = order_pb2.Order(
        order_id=order_id(signal_id, 1), signal_id=signal_id, account_id=account_id, instrument=instrument, mode=MODE,
        client_order_id=f"vx{number}", side=side, quantity="1", order_type=1, time_in_force=1, create_time=at,
    )  # fmt: skip
    filled = order_pb2.Order()
    filled.CopyFrom(order)
    filled.filled_quantity, filled.average_price = "1", f"100.{rng.randrange(10, 99)}"
    filled.state = common_pb2.ORDER_STATE_FILLED
    decision = order_pb2.RiskDecision(order_id=order.order_id, quantity="1", decide_time=at, inputs=rng.randbytes(200))
    for name in ("QUANTITY", "ORDER_NOTIONAL", "POSITION_NOTIONAL", "LEVERAGE", "DAILY_LOSS"):
        decision.checks.add(reason=f"{name}_ABOVE_MAXIMUM", passed=True, limit="5000")
    fill = order_pb2.Fill(
        execution_id=f"x{number}", order_id=order.order_id, side=side, quantity="1", price=filled.average_price,
        fee="0.1", fee_asset="USDT", execute_time=at, assumptions=["no queue"],
    )  # fmt: skip
    position = {"account_id": account_id, "instrument": instrument, "quantity": "1", "average_price": "100.5"}
    done = journal_pb2.SignalCompleted(status=common_pb2.SIGNAL_STATUS_EXECUTED, stage="venue", detail="was filled")
    told: tuple[tuple[tuple[str, dict[str, Any]], ...], ...] = (
        (("accepted", {"signal_accepted": {"signal": signal, "request": request, "webhook": webhook}}),),
        (
            ("evaluated", {"order_evaluated": {"order": order, "decision": decision, "intent": "buys what was asked"}}),
            ("submitted", {"order_submitted": {"order": order}}),
        ),
        (
            ("updated", {"order_updated": {"order": filled}}),
            ("filled", {"fill_recorded": {"fill": fill, "position": position}}),
            ("completed", {"signal_completed": done}),
        ),
    )
    made = []
    for events in told:
        batch = journal_pb2.JournalBatch()
        for name, event in events:
            at += timedelta(milliseconds=rng.randrange(1, 9), microseconds=rng.randrange(1000))
            batch.entries.add(
                event_id=f"{signal_id}:{name}", event_time=at, signal_id=signal_id, actor="service:router",
                cause_event_id=f"{signal_id}:before", trace_parent=f"00-{rng.randbytes(16).hex()}-00f067aa0ba902b7-01",
                **event,
            )  # fmt: skip
        made.append((batch.SerializeToString(), len(events)))
    return made


def batches(rng: random.Random, signals: range, at_once: int) -> Iterator[tuple[list[Delivery], int]]:
    """Messages of the signals, mixed, about that many entries at once, and how many these are."""
    numbers, running = iter(signals), list[list[tuple[bytes, int]]]()
    batch, entries = list[Delivery](), 0
    while True:
        running += [messages_of(rng, n) for n in islice(numbers, RUNNING - len(running))]
        if not running:
            break
        chosen = rng.choice(running)
        data, count = chosen.pop(0)
        if not chosen:
            running.remove(chosen)
        batch.append(Delivery("vantixs.journal.v1.event.order", data, len(batch) + 1, BEGIN))
        entries += count
        if entries >= at_once:
            yield batch, entries
            batch, entries = [], 0
    if batch:
        yield batch, entries


async def record(database: Database, made: list[tuple[list[Delivery], int]]) -> int:
    """Records all of it, and returns how many entries that were."""
    head, running = await database.read(store.read_head), store.Running()
    for batch, _ in made:
        begin = head.mark.sequence
        deliveries = [replace(d, stream_sequence=begin + d.stream_sequence) for d in batch]
        mark = Mark(0, "stream", deliveries[-1].stream_sequence)
        head, _ = await database.write(partial(store.record, deliveries=deliveries, mark=mark, running=running))
    return sum(count for _, count in made)


def backend_of(connection: Any) -> int:
    """The process of PostgreSQL that writes; 0 on SQLite."""
    if connection.dialect.name == "sqlite":
        return 0
    return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())


async def measure(url: str, home: Path, at_once: int, signals: int) -> None:
    """Prints the figures."""
    database = await Database.open(ServiceSettings(home=home, database_url=url), "audit", MIGRATIONS)
    rng, first = random.Random(1), signals // 4
    await record(database, list(batches(rng, range(first), at_once)))
    made = list(batches(rng, range(first, signals), at_once))
    backend = await database.write(backend_of)
    own, used, begin = time.process_time(), cpu_s(backend), time.perf_counter()
    entries = await record(database, made)
    took, used, own = time.perf_counter() - begin, cpu_s(backend) - used, time.process_time() - own
    each_us = used / entries * 1e6
    print(f"{each_us:.1f} us of CPU an entry, {own / entries * 1e6:.1f} of it here; {entries / took:.0f} entries/s")
    await database.close()


def main() -> None:
    """Measures one of the databases."""
    dialect = sys.argv[1]
    at_once = int(sys.argv[2]) if len(sys.argv) > 2 else AT_ONCE
    signals = int(sys.argv[3]) if len(sys.argv) > 3 else SIGNALS
    with tempfile.TemporaryDirectory() as directory:
        server = PostgresServer(Path(directory) / "postgres") if dialect == "postgresql" else None
        try:
            url = server.new_database() if server else ""
            (Path(directory) / "data").mkdir()
            asyncio.run(measure(url, Path(directory), at_once, signals))
        finally:
            if server:
                server.stop()


if __name__ == "__main__":
    main()
