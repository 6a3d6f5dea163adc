"""A clock that was set is told by health."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from vantixs.runtime.health import Health
from vantixs_risk import clock
from vantixs_risk.clock import SteadyClock


async def test_clock_that_was_set_is_told_until_it_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "REPORT_S", 0.001)
    start, ahead = datetime(2026, 1, 2, tzinfo=UTC), 0.0
    health, stopping = Health(), asyncio.Event()
    steady = SteadyClock(lambda: start + timedelta(seconds=ahead), lambda: 0.0)
    task = asyncio.create_task(steady.report(health, stopping))

    async def until(ok: bool) -> str:
        async with asyncio.timeout(5):
            while (state := health.snapshot().get("clock")) is None or state[0] != ok:
                await asyncio.sleep(0)
        return state[1]

    await until(True)
    ahead = -3600.0
    assert "-3600 s off" in await until(False)
    assert health.ready, "risk decides all the same"
    ahead = 0.0
    await until(True)
    stopping.set()
    await task
