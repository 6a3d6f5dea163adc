"""kill -9 between any two statements of risk, then the same calls again: the same decisions, the same books."""

import json

import pytest

from tests.support.started import run_module


def check(database_url: str, step: int, least: int) -> None:
    done = run_module("tests.support.kill_child", [database_url, str(step)])
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])  # What is logged of migrations stands before it.
    assert [r["killed"] for r in results] == [True] * (len(results) - 1) + [False]
    assert len(results) >= least
    print(f"killed at {len(results) - 1} places")
    undisturbed = results[-1]["content"]
    for number, result in enumerate(results):
        assert result["content"] == undisturbed, f"killed before statement {number * step}"


def test_killed_between_statements_everything_comes_out_the_same(database_url: str) -> None:
    check(database_url, 9, 8)


@pytest.mark.long
def test_killed_before_every_statement_everything_comes_out_the_same(database_url: str) -> None:
    check(database_url, 1, 60)
