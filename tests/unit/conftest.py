"""Fixtures of the unit tests."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "property"))
from risk_fixture import RiskFixture


@pytest.fixture
def risk() -> Iterator[RiskFixture]:
    made = RiskFixture()
    yield made
    made.close()
