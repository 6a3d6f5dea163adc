"""The clock that limits are counted with. It does not follow a machine clock that is set."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from vantixs.runtime.health import Health
from vantixs.runtime.logs import log

MOST_DRIFT = timedelta(seconds=1)
REPORT_S = 1.0


def elapsed_s() -> float:
    """Seconds since the machine started, those of its sleep included where the system counts them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def wall() -> datetime:
    """The time of the machine's clock, UTC."""
    return datetime.now(UTC)


class SteadyClock:
    """The machine's clock, as long as it runs evenly.

    This clock follows a difference of up to a second to the time that has really passed, so the machine's clock may be
    slewed. A larger difference means that it was set. From then on this clock counts on from the time before, until the
    machine's clock agrees again or the process is started again (ADR 0011). It never goes back.
    """

    def __init__(self, wall_time: Callable[[], datetime] = wall, elapsed: Callable[[], float] = elapsed_s) -> None:
        self._wall, self._elapsed = wall_time, elapsed
        self._time, self._at = wall_time(), elapsed()
        self._stepped = False

    def now(self) -> datetime:
        """The time, UTC."""
        at = self._elapsed()
        steady = self._time + timedelta(seconds=max(at - self._at, 0.0))
        shown = self._wall()
        stepped = abs(shown - steady) > MOST_DRIFT
        if stepped != self._stepped:
            self._stepped = stepped
            log.warning("clock.set" if stepped else "clock.right", by_s=round((shown - steady).total_seconds(), 3))
        self._time, self._at = (steady if stepped else max(shown, self._time)), at
        return self._time

    async def report(self, health: Health, stopping: asyncio.Event) -> None:
        """Sets the health state `clock` until stopped. While the clock is wrong, quotes look stale and entries are denied."""
        health.tolerate("clock")
        while not stopping.is_set():
            ahead = (self._wall() - self.now()).total_seconds()
            detail = f"the machine's clock was set: it is {ahead:+.0f} s off; set it right, or restart risk to take it"
            health.set("clock", not self._stepped, detail if self._stepped else "")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), REPORT_S)
