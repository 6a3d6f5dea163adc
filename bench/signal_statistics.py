"""Statistics of a day and of everything, out of a million signals: milliseconds, and those of CPU in this process.

    python bench/signal_statistics.py sqlite|postgresql [SIGNALS]

The rows are those of `bench/signal_list.py`, one a second. Run it by hand; it takes minutes.
"""

import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from signal_list import BEGIN, fill
from vantixs.api.audit.v1 import audit_pb2
from vantixs.testing.postgres import PostgresServer
from vantixs_audit.statistics import read_statistics

TURNS = 7


def measure(engine: sa.Engine, count: int) -> None:
    """Prints a line for each question."""
    end = BEGIN + timedelta(seconds=count)
    print(f"{'signals, by':40} {'cells':>6} {'median':>8} {'most':>8} {'CPU':>8}")
    with engine.connect() as connection:
        for days in (1, 7, count / 86_400):
            # The hours of all signals are more than a question may have.
            for group, bucket in ((0, 0), (1, 0), (1, 1)) if days <= 7 else ((0, 0), (1, 0)):
                # Numbers of the two enums: mypy knows only their names.
                request = audit_pb2.GetStatisticsRequest(group=group, bucket=bucket)  # type: ignore[arg-type]
                request.filter.until.FromDatetime(end)
                request.filter.since.FromDatetime(end - timedelta(days=days))
                took, cpu, cells = [], [], 0
                for _ in range(TURNS if days == 1 else 1):
                    begin, used = time.perf_counter(), time.process_time()
                    cells = len(read_statistics(connection, request, end))
                    took.append((time.perf_counter() - begin) * 1000)
                    cpu.append((time.process_time() - used) * 1000)
                by = f"{days:.1f} days, {('all', 'webhook')[group]}{', hour' if bucket else ''}"
                print(
                    f"{by:40} {cells:6} {statistics.median(took):8.0f} {max(took):8.0f} {statistics.median(cpu):8.0f}",
                    flush=True,
                )


def main() -> None:
    """Measures one of the databases."""
    dialect, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    with tempfile.TemporaryDirectory() as directory:
        server = PostgresServer(Path(directory) / "postgres") if dialect == "postgresql" else None
        try:
            engine = sa.create_engine(server.new_database() if server else f"sqlite:///{directory}/audit.db")
            fill(engine, count)
            measure(engine, count)
            engine.dispose()
        finally:
            if server:
                server.stop()


if __name__ == "__main__":
    main()
