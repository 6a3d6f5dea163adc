"""The `vantixs` command where it cannot do what it was told: one line, and an exit code."""

import getpass
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from vantixs.runtime.settings import SERVICES, describe, env_name
from vantixs_console import commands
from vantixs_console.cli import main
from vantixs_console.terminal import service_settings, user_name


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["frobnicate"], 2, "No such command 'frobnicate'"),
        (["webhook", "create"], 2, "Missing option '--account-id'"),
        (["signals", "list", "--page-size", "many"], 2, "--page-size"),
        (["serve", "rsk"], 2, "was 'rsk'"),
        (["signals", "list", "--home", "/nothing/here"], 2, "no service runs in /nothing/here"),
        (["up", "--scale", "venue=2"], 2, "was 'venue=2'"),
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


@pytest.mark.parametrize("content", ["[]", "null", "{}", '{"fields": {}}', '"text"', '{"field": {}}', "x"])
def test_mapping_without_fields_is_an_error_that_says_what_was_expected(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mapping.json"
    file.write_text(content)
    assert main(["webhook", "create", "--account-id", "paper", "--mapping", str(file), "--home", str(tmp_path)]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("vantixs: --mapping: expected a JSON file with fields and values")


@pytest.mark.parametrize("service", SERVICES)
def test_settings_of_a_service_are_not_refused_by_commands(
    service: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cls = getattr(importlib.import_module(f"vantixs_{service}.settings"), f"{service.capitalize()}Settings")
    table = [f"[{service}]"]
    for key, kind, default, meta in describe(cls):
        if key != "home" and not meta["secret"]:
            monkeypatch.setenv(env_name(key, service), default)
            table.append(f"{key} = {json.dumps(default) if kind in ('str', 'Path', 'Decimal') else default.lower()}")
    (tmp_path / "settings.toml").write_text("\n".join(table))
    assert service_settings(str(tmp_path)).home == tmp_path


def test_user_without_a_name_is_called_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert user_name() == f"uid-{os.getuid()}"


def test_health_imports_no_command() -> None:
    """Containers ask every few seconds: typer and rich would be most of what that costs."""
    code = (
        "import sys; from vantixs_console.cli import main; code = main(['health', '127.0.0.1:1']);"
        "print(code, sorted({'typer', 'rich', 'vantixs_console.commands'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split(maxsplit=1) == ["1", "[]\n"]


def test_call_that_was_not_answered_in_time_may_have_been_carried_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Late:
        def main(self, *_: object, **__: object) -> int:
            raise grpc.aio.AioRpcError(
                grpc.StatusCode.DEADLINE_EXCEEDED, grpc.aio.Metadata(), grpc.aio.Metadata(), "Deadline Exceeded"
            )

    monkeypatch.setattr(commands, "_command", Late)
    assert commands.run_commands(["halt"]) == 1
    assert "may be done all the same" in capsys.readouterr().err
