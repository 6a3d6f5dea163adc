"""Fixtures of the unit tests."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "property"))
from ledger_office import Office


@pytest.fixture
def office() -> Iterator[Office]:
    made = Office()
    yield made
    made.close()
