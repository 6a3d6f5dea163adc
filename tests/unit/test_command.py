"""The `vantixs` command where it cannot do what it was told: one line, and an exit code."""

import pytest
from vantixs_console.cli import main


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["frobnicate"], 2, "No such command 'frobnicate'"),
        (["webhook", "create"], 2, "Missing option '--account-id'"),
        (["signals", "list", "--page-size", "many"], 2, "--page-size"),
        (["serve", "rsk"], 2, "was 'rsk'"),
        (["signals", "list", "--home", "/nothing/here"], 2, "no service runs in /nothing/here"),
        (["up", "--scale", "risk=2"], 2, "was 'risk=2'"),
        (["send", "/nothing/here"], 2, "expected a file, was /nothing/here"),
    ],
)
def test_wrong_call_is_one_line_that_says_what_was_expected(
    arguments: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    shown = capsys.readouterr().err
    assert says in shown
    assert shown.startswith("vantixs: ")
    assert shown.count("\n") == 1
