"""Retries with growing pauses."""

import asyncio
import contextlib
import math
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Pauses(NamedTuple):
    """Pauses between attempts, seconds. Each is twice the one before, up to `most_s`, less up to a half by chance.

    The random part keeps callers that failed together from retrying together.
    """

    first_s: float = 0.05
    most_s: float = 1.0


PAUSES = Pauses()


def spread(pauses: Pauses) -> Iterator[float]:
    """The endless sequence of pauses, seconds."""
    pause = pauses.first_s
    while True:
        yield random.uniform(0.5, 1) * pause  # noqa: S311 - jitter
        pause = min(2 * pause, pauses.most_s)


async def retry(
    attempt: Callable[[], Awaitable[T]],
    again: Callable[[Exception], bool],
    pauses: Pauses = PAUSES,
    *,
    limit_s: float = math.inf,
    stopping: asyncio.Event | None = None,
) -> T:
    """Returns the result of the first attempt that succeeds; `again` says whether an error may pass.

    It gives up, and raises the error of the last attempt, if the next attempt would begin more than `limit_s` after
    the first. It also gives up once `stopping` is set, which ends a pause.
    """
    loop = asyncio.get_running_loop()
    deadline, waits = loop.time() + limit_s, spread(pauses)
    while True:
        try:
            return await attempt()
        except Exception as error:
            wait = next(waits)
            stopped = stopping is not None and stopping.is_set()
            if not again(error) or stopped or loop.time() + wait > deadline:
                raise
        if stopping is None:
            await asyncio.sleep(wait)
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), wait)
