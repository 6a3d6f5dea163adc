"""Random signals, prices, crashes and lost leases: an account is protected, and nothing is exited twice, after every step."""

import os
from pathlib import Path

import pytest

from tests.support.router_rig import router_on
from tests.support.working_rig import Rig
from tests.support.working_walk import Script, Walk

SEEDS = [int(seed) for seed in os.environ.get("WALK_SEEDS", "").split(",") if seed] or [1, 2, 3, 1018, 1027, 1148]


async def walk(seed: int, tmp_path: Path, steps: int = 30) -> None:
    tmp_path.mkdir(exist_ok=True)
    async with router_on(f"sqlite:///{tmp_path / 'test.db'}", tmp_path) as router:
        walked = Walk(Rig(router))
        await walked.rig.price("100")
        try:
            for step in Script(seed).steps(steps):
                await walked.step(step)
                await walked.check()
            await walked.end()
        except Exception as error:
            lines = "\n".join(walked.done)
            raise AssertionError(f"seed {seed}, step {len(walked.done)}: {error!r}\n{lines}") from error


@pytest.mark.parametrize("seed", SEEDS)
async def test_walk_keeps_the_account_protected_and_exits_once(seed: int, tmp_path: Path) -> None:
    await walk(seed, tmp_path / "walk")


@pytest.mark.long
@pytest.mark.timeout(7200)
async def test_many_walks(tmp_path: Path) -> None:
    first, last = (int(part) for part in os.environ.get("WALK_RANGE", "1000-1300").split("-"))
    for seed in range(first, last):
        await walk(seed, tmp_path / str(seed))
