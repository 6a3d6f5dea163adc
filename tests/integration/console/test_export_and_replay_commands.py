"""Exports that are not complete, and replays that have nothing to do: what the commands say, and their exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest
from vantixs.api.audit.v1 import audit_pb2

from tests.support.console_services import Services


def exported(signal_id: str, *, kept: bool, accepted: bool = True) -> audit_pb2.ExportSignalsResponse:
    made = audit_pb2.ExportSignalsResponse(entries_not_kept=not kept, total=3)
    made.signal.signal_id = signal_id
    if kept:
        entry = made.timeline.add().entry
        (entry.signal_accepted if accepted else entry.signal_rejected).request.payload = b"{}"
        made.timeline.add().entry.signal_completed.inputs.SetInParent()
    return made


@pytest.fixture
def history(services: Services) -> Services:
    found = [exported("s1", kept=False), exported("s2", kept=True), exported("s3", kept=True, accepted=False)]
    for number, made in enumerate(found, 1):
        made.exported = number
    services.exported = found
    return services


@pytest.mark.parametrize("option", ["--timeline", "--payloads", "--proof"])
def test_export_says_which_signals_have_no_entries(option: str, history: Services, run: Any, tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    done = run("signals", "export", "--output", str(path), option)
    assert (done.returncode, done.stdout) == (0, f"{path}: 3 signals\n")
    assert done.stderr == "vantixs: 1 signals without entries: no longer kept\n"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line.get("entries_not_kept") for line in lines] == [True, None, None]


def test_export_of_rows_alone_lacks_nothing(history: Services, run: Any, tmp_path: Path) -> None:
    done = run("signals", "export", "--output", str(tmp_path / "s.jsonl"))
    assert (done.returncode, done.stderr) == (0, "")


def test_fixture_counts_its_lines_and_says_what_was_left_out(history: Services, run: Any, tmp_path: Path) -> None:
    path = tmp_path / "fixture"
    done = run("signals", "export", "--output", str(path), "--fixture")
    assert (done.returncode, done.stdout) == (0, f"{path}: 1 signals\n")
    assert done.stderr.splitlines() == [
        "vantixs: 1 signals without entries: no longer kept",
        "vantixs: 1 signals left out of the fixture: a replay cannot verify them, see docs/replay.md",
    ]
    assert [json.loads(line)["signal_id"] for line in path.read_text().splitlines()] == ["s2"]


@pytest.mark.parametrize("output", [".", "/"])
@pytest.mark.parametrize("command", [("export",), ("proof", "s1")])
def test_directory_as_output_is_one_line(command: tuple[str, ...], output: str, services: Services, run: Any) -> None:
    done = run("signals", *command, "--output", output)
    expected = f"vantixs: --output: expected a file that can be written, was a directory: {output}\n"
    assert (done.returncode, done.stderr, services.asked) == (2, expected, [])


def test_request_id_of_a_replay_is_a_uuid(services: Services, run: Any) -> None:
    done = run("replay", "start", "s1", "--comment", "x", "--request-id", "notuuid")
    assert (done.returncode, services.asked) == (2, [])
    assert done.stderr == "vantixs: --request-id: expected a UUID, was 'notuuid'\n"


@pytest.mark.parametrize("yes", [("--yes",), ()])
def test_replay_of_differences_says_that_there_are_none(yes: tuple[str, ...], services: Services, run: Any) -> None:
    done = run("replay", "start", "--of", "r1", "--different-only", "--comment", "x", *yes)
    assert done.returncode == 1
    assert done.stderr == "vantixs: no signal of replay r1 has differences\n"
    assert [request.count_only for request in services.asked] == [True]
