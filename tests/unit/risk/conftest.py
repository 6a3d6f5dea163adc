"""Fixtures of the unit tests."""

from collections.abc import Iterator

import pytest

from tests.support.risk_fixture import RiskFixture


@pytest.fixture
def risk() -> Iterator[RiskFixture]:
    made = RiskFixture()
    yield made
    made.close()
