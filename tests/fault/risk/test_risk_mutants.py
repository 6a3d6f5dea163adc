"""Mutation testing of risk's domain: 95 % or more of all changed comparisons and operators are caught by a test."""

import re
import subprocess
import sys

import pytest

from tests.support.paths import ROOT


def run(*modules: str) -> tuple[float, str]:
    command = [sys.executable, "-m", "tests.support.mutants", *modules]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    score = re.search(r"([0-9.]+) %$", done.stdout.strip())
    assert score, done.stdout
    return float(score[1]), done.stdout


@pytest.mark.long
def test_changed_operators_of_the_domain_are_caught() -> None:
    score, output = run()
    print(output)
    assert score >= 95, output
