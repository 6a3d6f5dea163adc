"""The races of tests/integration/test_risk_races.py, a hundred times on each database."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "integration"))
from risk_processes import RiskProcesses
from test_risk_races import PROCESSES, race


@pytest.fixture
def processes(tmp_path: Path, database_url: str) -> Iterator[RiskProcesses]:
    running = RiskProcesses(tmp_path / "home", database_url, PROCESSES)
    yield running
    running.stop()


@pytest.mark.long
async def test_limit_admits_what_it_admits_a_hundred_times(processes: RiskProcesses) -> None:
    await race(processes, 100)
