"""kill -9 between any two statements of what removes old entries: the next process goes on, and history is whole."""

import json
from pathlib import Path

import pytest

from tests.support.started import run_module


def check(database_url: str, directory: Path, step: int, least: int) -> None:
    done = run_module("tests.support.kill_history_child", [database_url, str(directory), str(step)])
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])  # What is logged stands before it.
    assert [r["killed"] for r in results] == [True] * (len(results) - 1) + [False]
    assert len(results) >= least
    print(f"{database_url.partition(':')[0]}: killed {len(results) - 1} times, every {step} statements")
    for number, result in enumerate(results):
        where = f"killed before statement {number * step}: {result}"
        assert not result["fault"], where
        assert not result["unlisted"], where
        others = {f"other{n % 2}": f"a{n}" for n in (number - 1, number) if n >= 0}
        assert result["webhooks"] == {"w1": f"a{number}", **others}, where
        assert (result["dropped"], result["first"]) == (result["last"], result["last"] + 1), where
        assert not result["left"], where
        assert not result["twice"], where
        assert result["told"] >= 1, where


@pytest.mark.timeout(600)
def test_killed_between_statements_what_is_too_old_goes_all_the_same(database_url: str, tmp_path: Path) -> None:
    check(database_url, tmp_path, 61, 5)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_killed_before_every_statement_what_is_too_old_goes_all_the_same(database_url: str, tmp_path: Path) -> None:
    check(database_url, tmp_path, 1, 60)
