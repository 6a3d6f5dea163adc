"""Whether trading is still restricted is asked once for all keys that look within a second."""

import asyncio
from typing import Any

from vantixs.runtime.errors import unavailable
from vantixs_router.working.restrictions import Restrictions


class Risk:
    """Answers what it was given, and counts."""

    def __init__(self) -> None:
        self.asked = 0
        self.states: dict[str, str] = {"global": "HALTED"}
        self.away = False

    async def restricted(self) -> dict[str, str]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise unavailable("RISK_UNAVAILABLE", "away")
        return dict(self.states)


def made() -> tuple[Any, Risk, list[float]]:
    risk, time = Risk(), [100.0]
    given: Any = risk
    return Restrictions(given, lambda: time[0]), risk, time


async def test_one_answer_is_for_all_that_look_within_a_second() -> None:
    restrictions, risk, time = made()
    restrictions.hear({"global": "HALTED"})
    answers = await asyncio.gather(*(restrictions.confirm() for _ in range(1000)))
    assert (risk.asked, {str(answer) for answer in answers}) == (1, {"{'global': 'HALTED'}"})
    time[0] += 1
    risk.states = {}
    assert (await restrictions.confirm(), risk.asked) == ({}, 2)


async def test_halt_that_is_heard_after_an_answer_is_asked_for_at_once() -> None:
    restrictions, risk, _ = made()
    risk.states = {}
    assert await restrictions.confirm() == {}
    assert restrictions.hear({"global": "HALTED"}) == ["global"]
    risk.states = {"global": "HALTED"}
    assert (await restrictions.confirm(), risk.asked) == ({"global": "HALTED"}, 2)


async def test_what_was_heard_counts_while_risk_does_not_answer_and_it_is_not_asked_by_each() -> None:
    restrictions, risk, _ = made()
    restrictions.hear({"account:a": "REDUCING"})
    risk.away = True
    answers = await asyncio.gather(*(restrictions.confirm() for _ in range(10)))
    assert (risk.asked, answers[-1]) == (1, {"account:a": "REDUCING"})


async def test_halt_that_is_heard_while_risk_is_asked_is_not_overwritten_by_an_older_answer() -> None:
    restrictions, risk, _ = made()
    risk.states = {}
    asking = asyncio.create_task(restrictions.confirm())
    await asyncio.sleep(0)
    restrictions.hear({"global": "HALTED"})
    assert await asking == {"global": "HALTED"}
