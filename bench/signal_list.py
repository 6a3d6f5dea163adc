"""Pages of 50 signals out of a million, by each filter and order: p50 and p99, and CPU, in milliseconds, on either database.

    python bench/signal_list.py sqlite|postgresql [SIGNALS]

The rows are made up, with common and rare values, and rare ones only in the oldest part. Run it by hand; it takes minutes.
"""

import os
import random
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.testing.postgres import PostgresServer
from vantixs_audit.domain.histogram import pack
from vantixs_audit.domain.status import View
from vantixs_audit.list_signals import list_signals
from vantixs_audit.tables import LATENCIES, METADATA, SIGNAL_WORDS, SIGNALS
from vantixs_audit.views import row_of

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
EMPTY = row_of("", 0, 0, View())
BATCH, TURNS = 5_000, 30
FILTERS = (
    "", "status = EXECUTED", "status = ACCEPTED", "status = REPLAYED", "original_status = FAILED", "status != EXECUTED",
    "reason = ORDER_NOTIONAL_ABOVE_MAXIMUM", "reason = OLD_ONLY", "reason = NONE_SUCH", "stage = risk", "stage = strategy",
    "webhook = w3", "webhook = rare", "account = a1", 'instrument = "BTC/USDT"', "instrument = OLD/USDT", "action = BUY",
    "action = CANCEL", "side = BUY", 'side = ""', "mode = PAPER", "mode = LIVE", "strategy = turtle", "source_address = 10.0.0.7",
    "comment:breakout", "comment:rare", "comment:nowhere", "tag:t7", "tag = t7", 'tag:"old only"', "duplicate_of = s5000",
    "duplicate_of:*", "replay_of = s9", "receive_time >= 2026-01-11", "receive_time < 2026-01-02",
    "emit_time < 2026-01-02", "emit_time >= 2026-01-11", "latency > 1.5s", "latency > 0.02s", "latency > 30s",
    "slippage_bps > 10", "duplicates > 0", 'comment = "rare"', "replay = r9", "symbol = BTCUSDT", "symbol = OLDUSDT",
    "end_time < 2026-01-02", "end_time >= 2026-01-11", "NOT source_address = 10.0.0.7",
    "receive_time >= 2026-01-05 AND receive_time < 2026-01-06 AND status = FAILED",
    "status = FAILED OR status = REJECTED", "webhook = w3 AND NOT status = EXECUTED", "status = EXECUTED AND webhook = rare",
    "webhook = w3 AND status = REPLAYED", "webhook = w3 AND comment:rare", "webhook = w3 AND comment:nowhere",
    "account = a1 AND latency > 30s", "account = a1 AND instrument = OLD/USDT", "webhook = w3 AND reason = OLD_ONLY",
    "webhook = calm AND status = REJECTED", "webhook = w3 AND account = a1 AND side = SELL AND mode = LIVE",
)  # fmt: skip
ORDERS = ("receive_time", "latency desc", "slippage_bps desc", "emit_time")


def make_row(rng: random.Random, n: int, *, old: bool) -> dict[str, Any]:
    """The row of the n-th signal, one a second."""
    outcome = rng.choices(("EXECUTED", "REJECTED", "FAILED", "ACCEPTED"), (900, 80, 19.9, 0.1))[0]
    replayed = rng.random() < 0.001
    at = BEGIN + timedelta(seconds=n, milliseconds=rng.randrange(1000))
    took = rng.choice((5_000, 12_000, 18_000, 30_000)) if rng.random() < 0.999 else 2_000_000
    ended = outcome in ("EXECUTED", "ACCEPTED")
    reasons = ("ORDER_NOTIONAL_ABOVE_MAXIMUM", "SIGNAL_EXPIRED", "OLD_ONLY" if old else "TRADING_HALTED")
    tag = f"t{rng.randrange(100)}" if rng.random() < 0.2 else "old only" if old and rng.random() < 0.1 else ""
    emitted = rng.random() < 0.7
    slippage = rng.randrange(-500, 900) if outcome == "EXECUTED" else None
    sent = outcome == "EXECUTED"
    latencies = [
        80_000 if emitted else None,
        rng.randrange(1_000, 9_000),
        rng.randrange(900, 90_000) if sent else None,
        took,
    ]
    webhook_id = "rare" if rng.random() < 0.00005 else f"w{rng.randrange(8)}"
    if webhook_id == "w7" and outcome != "REJECTED":
        webhook_id = "calm"  # Signals of this one are never rejected.
    instrument = "OLD/USDT" if old and rng.random() < 0.1 else rng.choice(("BTC/USDT", "ETH/USDT", "SOL/USDT"))
    return EMPTY | {
        "signal_id": f"s{n}", "number": n + 1, "sequence": n * 6 + 6, "view_sequence": n * 6 + 6,
        "outcome": outcome, "status": "REPLAYED" if replayed else outcome, "original_status": outcome if replayed else "",
        "stage": "strategy" if rng.random() < 0.0001 else "venue" if outcome == "EXECUTED" else "risk",
        "reason": "" if ended else rng.choice(reasons), "detail": "one sentence about what came of it",
        "webhook_id": webhook_id, "account_id": f"a{rng.randrange(4)}",
        "instrument": instrument, "symbol": instrument.replace("/", ""),
        "action": "CANCEL" if rng.random() < 0.0002 else rng.choice(("BUY", "SELL")),
        "side": rng.choice(("BUY", "SELL")) if outcome == "EXECUTED" else "",
        "mode": "LIVE" if rng.random() < 0.0001 else "PAPER", "strategy_id": "turtle" if rng.random() < 0.01 else "",
        "source_address": f"10.0.0.{rng.randrange(12)}",
        "comment": "breakout" if rng.random() < 0.3 else "rare" if rng.random() < 0.0001 else "", "tag": tag,
        "first_signal_id": f"s{n - 1}" if rng.random() < 0.02 else "", "receive_time": at, "update_time": at,
        "first_time": at, "accept_time": at, "end_time": at + timedelta(microseconds=took),
        "emit_time": at - timedelta(milliseconds=80) if emitted else None,
        **{f"{name}_us": value for name, value in zip(LATENCIES, latencies, strict=True)},
        "slippage_bps": None if slippage is None else Decimal(slippage) / 100, "measures": pack((slippage, *latencies)),
        "duplicates": int(rng.random() < 0.0005), "facts": "{}",
    }  # fmt: skip


def words_in(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The words of its comment and tag."""
    found = [f"{name}:{word}" for name in ("comment", "tag") for word in row[name].split()]
    return [{"word": word, "receive_time": row["receive_time"], "number": row["number"]} for word in found]


def repeat(connection: sa.Connection, base: int, copies: int) -> None:
    """Adds the rows after the first `base` again and again, later each time: the database is faster at that."""
    later_us = base * 1_000_000
    for table in (SIGNALS, SIGNAL_WORDS):
        columns = []
        for column in table.columns:
            text = column.name
            if text in ("number", "sequence", "view_sequence"):
                text = f"{text} + :n * {base if text == 'number' else base * 6}"
            elif text.endswith("_time"):
                text = f"{text} + :n * {later_us}"
            elif text == "signal_id":
                text = f"'s' || (number - 1 + :n * {base})"
            columns.append(text)
        names = ", ".join(column.name for column in table.columns)
        source = f"SELECT {', '.join(columns)} FROM {table.name} WHERE number > {base} AND number <= {2 * base}"
        for n in range(1, copies + 1):
            connection.execute(sa.text(f"INSERT INTO {table.name} ({names}) {source}"), {"n": n})


def fill(engine: sa.Engine, count: int) -> None:
    """Makes the tables, and their indexes once the rows are there."""
    METADATA.create_all(engine)
    indexes = [index for table in (SIGNALS, SIGNAL_WORDS) for index in table.indexes]
    for index in indexes:
        index.drop(engine)
    base, rng = count // 20, random.Random(1)
    with engine.begin() as connection:
        for begin in range(0, 2 * base, BATCH):
            signals = [make_row(rng, n, old=n < base) for n in range(begin, min(begin + BATCH, 2 * base))]
            connection.execute(sa.insert(SIGNALS), signals)
            connection.execute(sa.insert(SIGNAL_WORDS), [word for row in signals for word in words_in(row)])
        repeat(connection, base, 18)
    for index in indexes:
        index.create(engine)
    if engine.dialect.name == "postgresql":  # Its own daemon does this.
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def cpu_s(backend: int) -> float:
    """CPU of this process and of PostgreSQL's, where there is one: busy machines do not change it much."""
    used = time.process_time()
    if backend:
        fields = Path(f"/proc/{backend}/stat").read_text().rpartition(")")[2].split()
        used += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used


def measure(engine: sa.Engine) -> None:
    """Prints a line for each filter and order: of first pages and of those after them."""
    print(f"{'filter, order':62} {'rows':>5} {'p50':>8} {'p99':>8} {'CPU':>8}")
    cases = [(text, "") for text in FILTERS] + [("", order) for order in ORDERS]
    cases.append(("latency > 1.5s", "latency desc"))
    with engine.connect() as connection:
        postgresql = engine.dialect.name == "postgresql"
        backend = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one() if postgresql else 0
        for text, order in cases:
            request = audit_pb2.ListSignalsRequest(page_size=50, order_by=order)
            request.filter.expression = text
            took = []
            found: list[Any] = []
            before = cpu_s(backend)
            for _ in range(TURNS):
                begin = time.perf_counter()
                found, request.page_token = list_signals(connection, request)
                took.append((time.perf_counter() - begin) * 1000)
            cpu = (cpu_s(backend) - before) / TURNS * 1000
            shown = f"{text or 'all'}{', ' if order else ''}{order}"
            p99 = statistics.quantiles(took, n=100, method="inclusive")[98]
            print(f"{shown:62} {len(found):5} {statistics.median(took):8.1f} {p99:8.1f} {cpu:8.1f}", flush=True)


def main() -> None:
    """Measures one of the databases."""
    dialect, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    with tempfile.TemporaryDirectory() as directory:
        server = PostgresServer(Path(directory) / "postgres") if dialect == "postgresql" else None
        try:
            url = server.new_database() if server else f"sqlite:///{directory}/audit.db"
            engine = sa.create_engine(url)
            begin = time.perf_counter()
            fill(engine, count)
            print(f"{dialect}: {count} signals made in {time.perf_counter() - begin:.0f} s")
            measure(engine)
            engine.dispose()
        finally:
            if server:
                server.stop()


if __name__ == "__main__":
    main()
