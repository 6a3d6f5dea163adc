"""Trying again: until it works, for so long, and not once the service stops."""

import asyncio

import pytest
from vantixs.runtime.retry import Pauses, retry

SHORT = Pauses(first_s=0.0001, most_s=0.0002)


class Attempts:
    """Fails with the given errors, then returns how often it was called."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.count = 0

    async def __call__(self) -> int:
        self.count += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.count


def may_pass(error: Exception) -> bool:
    return isinstance(error, TimeoutError)


async def test_what_may_pass_is_tried_until_it_works() -> None:
    assert await retry(Attempts(TimeoutError(), TimeoutError()), may_pass, SHORT) == 3


async def test_what_does_not_pass_is_raised_at_once() -> None:
    attempts = Attempts(TimeoutError(), LookupError())
    with pytest.raises(LookupError):
        await retry(attempts, may_pass, SHORT)
    assert attempts.count == 2


async def test_the_last_failure_is_raised_at_the_limit() -> None:
    attempts = Attempts(*(TimeoutError(n) for n in range(1000)))
    with pytest.raises(TimeoutError) as raised:
        await retry(attempts, may_pass, SHORT, limit_s=0.01)
    assert raised.value.args == (attempts.count - 1,)
    attempts = Attempts(TimeoutError(0), TimeoutError(1))
    with pytest.raises(TimeoutError):
        await retry(attempts, may_pass, SHORT, limit_s=0)
    assert attempts.count == 1


async def test_stopping_ends_a_pause_and_leaves_one_more_attempt() -> None:
    stopping, attempts = asyncio.Event(), Attempts(*(TimeoutError(n) for n in range(1000)))
    trying = asyncio.create_task(retry(attempts, may_pass, Pauses(first_s=600, most_s=600), stopping=stopping))
    while attempts.count == 0:
        await asyncio.sleep(0)
    stopping.set()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(trying, 10)
    assert attempts.count == 2


async def test_pauses_grow_to_the_most_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    await retry(Attempts(*(TimeoutError() for _ in range(8))), may_pass, Pauses(first_s=1, most_s=8))
    for seconds, most in zip(waited, (1, 2, 4, 8, 8, 8, 8, 8), strict=True):
        assert most / 2 <= seconds <= most
    assert len(set(waited)) == 8
