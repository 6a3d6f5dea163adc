"""`vantixs init --export` and `--import`: one file carries what machines share, and no secret is given up or shown."""

import json
import os
import pty
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vantixs.runtime.home import SHARED, Home, read_export
from vantixs.runtime.lifecycle import StartupError
from vantixs.runtime.store_identity import make_identity
from vantixs.runtime.store_records import HomeRecords
from vantixs.testing.stack import COMMANDS

ENVIRON = {"PATH": os.environ["PATH"]}


def init(*arguments: str, answer: str = "") -> "subprocess.CompletedProcess[str]":
    return COMMANDS.run(["init", *arguments], ENVIRON, answer=answer)


def refused(*arguments: str, answer: str = "") -> str:
    """The one line with which it ends."""
    done = init(*arguments, answer=answer)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    return done.stderr.strip()


def secrets_of(home: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (home / "secrets").iterdir()}


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    file = tmp_path / "secrets.json"
    done = init("--home", str(tmp_path / "first"), "--export", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert not any(secret.strip() in done.stdout for secret in secrets_of(tmp_path / "first").values())
    return file


def test_another_machine_has_the_same_secrets_and_the_forms_made_of_them(exported: Path, tmp_path: Path) -> None:
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600
    assert list(tmp_path.glob(".*")) == []
    done = init("--home", str(tmp_path / "second"), "--import", str(exported))
    assert (done.returncode, done.stderr) == (0, "")
    first, second = secrets_of(tmp_path / "first"), secrets_of(tmp_path / "second")
    assert first == second
    assert set(SHARED) < set(first)
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in (tmp_path / "second" / "secrets").iterdir())
    # Again, and over secrets that were made by mistake where nothing has run yet.
    assert init("--home", str(tmp_path / "third")).returncode == 0
    assert init("--home", str(tmp_path / "third"), "--import", str(exported)).returncode == 0
    assert secrets_of(tmp_path / "third") == first


def test_secrets_go_through_a_pipe(tmp_path: Path) -> None:
    sent = init("--home", str(tmp_path / "first"), "--export", "-")
    assert (sent.returncode, sent.stderr) == (0, "")
    taken = init("--home", str(tmp_path / "second"), "--import", "-", answer=sent.stdout)
    assert taken.returncode == 0, taken.stderr
    assert secrets_of(tmp_path / "first") == secrets_of(tmp_path / "second")


def test_secrets_are_not_shown_on_a_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "vantixs_console", "init", "--home", str(tmp_path / "home"), "--export", "-"]
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 2
    assert "expected a pipe or a file as standard output, was a terminal" in done.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("place", ["spool", "record"])
def test_home_that_was_used_keeps_its_secrets(exported: Path, tmp_path: Path, place: str) -> None:
    home = tmp_path / "used"
    assert init("--home", str(home)).returncode == 0
    if place == "spool":
        (home / "data" / "ingress-0.spool").touch()
    else:  # What is left here of a service whose database is on a PostgreSQL server.
        HomeRecords(home / "data").write("risk", make_identity())
    before = secrets_of(home)
    line = refused("--home", str(home), "--import", str(exported))
    assert "secrets/nats-token: expected the one of the file, was another one" in line
    assert secrets_of(home) == before
    assert not any(v.strip() in line for v in (*before.values(), *secrets_of(tmp_path / "first").values()))
    # Its own secrets, and one that was lost, it takes.
    (home / "secrets" / "viewer-token").unlink()
    own = json.loads(exported.read_text())
    own["secrets"] = {name: before[name].strip() for name in SHARED if name in before} | {
        name: value for name, value in own["secrets"].items() if name not in before
    }
    done = init("--home", str(home), "--import", "-", answer=json.dumps(own))
    assert (done.returncode, done.stderr) == (0, "")
    assert secrets_of(home)["viewer-token"] == before["viewer-token"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda c: None, "expected what `vantixs init --export` wrote, was another thing"),
        (lambda c: [], "expected what `vantixs init --export` wrote, was another thing"),
        (lambda c: c | {"vantixs-secrets": 2}, "expected vantixs-secrets 1 with secrets, was '2'"),
        (lambda c: c | {"secrets": []}, "expected vantixs-secrets 1 with secrets, was '1'"),
        (lambda c: c | {"secrets": {}}, "secrets.nats-token: expected text of one line, was missing"),
    ],
)
def test_file_that_is_another_thing_is_refused_and_no_home_is_made(
    exported: Path, tmp_path: Path, change: Callable[[Any], Any], line: str
) -> None:
    content = json.loads(exported.read_text())
    made = change(content)
    answer = "{" if made is None else json.dumps(made)
    home = tmp_path / "new"
    assert refused("--home", str(home), "--import", "-", answer=answer) == f"vantixs: -: {line}"
    assert not home.exists()


@pytest.mark.parametrize(("value", "was"), [("", "empty"), (7, "another thing"), ("S3cret\nS3cret", "another thing")])
def test_secret_that_cannot_be_one_is_refused_by_its_name(
    exported: Path, tmp_path: Path, value: object, was: str
) -> None:
    content = json.loads(exported.read_text())
    content["secrets"]["signing-key"] = value
    line = refused("--home", str(tmp_path / "new"), "--import", "-", answer=json.dumps(content))
    assert line == f"vantixs: -: secrets.signing-key: expected text of one line, was {was}"
    content["secrets"] |= {"signing-key": "x", "another": "S3cret"}
    line = refused("--home", str(tmp_path / "new"), "--import", "-", answer=json.dumps(content))
    assert line.endswith("was one more: 'another'")
    assert "S3cret" not in line


def test_files_that_cannot_be_read_or_written_are_one_line(exported: Path, tmp_path: Path) -> None:
    home, nowhere = str(tmp_path / "new"), str(tmp_path / "none" / "file")
    assert "--import: expected a text file that this user can read" in refused("--home", home, "--import", nowhere)
    assert "--export: expected a file that does not exist yet" in refused("--home", home, "--export", str(exported))
    assert "was both" in refused("--home", home, "--export", nowhere, "--import", str(exported))
    assert not Path(home).exists()
    assert "No such file or directory" in refused("--home", home, "--export", nowhere)


def test_routes_of_nats_nodes_are_written_with_their_password(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert init("--home", str(home), "--nats-routes", "nats-1:6222, nats-2:6222").returncode == 0
    found = secrets_of(home)
    password = found["nats-route-password"].strip()
    assert f'"nats-route://routes:{password}@nats-2:6222"' in found["nats-routes.conf"]
    assert f'authorization {{ user: "routes", password: "{password}" }}' in found["nats-routes.conf"]
    other = str(tmp_path / "other")
    assert "expected host:port, was 'nats-1'" in refused("--home", other, "--nats-routes", "nats-1")
    assert "expected a host name or address" in refused("--home", other, "--nats-routes", 'a"b:1')


def test_import_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home", create=True)
    given = {name: "x" for name in SHARED}
    home.import_secrets(given)
    (home.data / "risk.db").touch()
    with pytest.raises(StartupError, match="nats-route-password"):
        home.import_secrets(given | {"signing-key": "x", "nats-route-password": "y"})
    assert home.secret("signing-key") == "x"


def test_export_of_a_version_without_the_key_of_history_is_taken(tmp_path: Path) -> None:
    given = {name: "x" for name in SHARED if name != "history-key"}
    assert read_export(json.dumps({"vantixs-secrets": 1, "secrets": given}), "file") == given
