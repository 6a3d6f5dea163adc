"""Copies and restores that fail: one line that names why, no traceback, and nothing half made."""

import asyncio
import errno
import json
import logging
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from vantixs.runtime.lifecycle import StartupError
from vantixs.runtime.settings import load
from vantixs_console import copying
from vantixs_console.settings import ConsoleSettings


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a server that takes connections and never says anything, as a NATS that is frozen."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"nats://127.0.0.1:{server.getsockname()[1]}"


def test_backup_names_nats_where_it_does_not_answer(
    silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "CONNECT_S", 0.2)
    monkeypatch.setattr(copying.copies, "take_databases", lambda _settings, _target, at_moment, _then: at_moment())
    loaded = load("console", ConsoleSettings, overrides={"home": str(tmp_path)})
    with pytest.raises(StartupError, match=r"^the copy is not whole: NATS did not answer in time$"):
        copying.take_copy(replace(loaded, nats_url=silent), tmp_path / "copy")


async def test_broker_that_is_still_starting_prints_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused, quiet = asyncio.Event(), copying._told_by_the_call

    async def note(error: Exception) -> None:
        await quiet(error)
        refused.set()

    monkeypatch.setattr(copying, "_told_by_the_call", note)

    async def connect(port: int) -> None:
        async with copying._connected(f"nats://127.0.0.1:{port}", ""):
            pass

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # Nothing listens there.
        connecting = asyncio.create_task(connect(held.getsockname()[1]))
        async with asyncio.timeout(20):
            await refused.wait()
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_file_that_cannot_be_reached_in_time_is_not_called_nats() -> None:
    with pytest.raises(StartupError, match=r"Connection timed out"), copying._told():
        raise OSError(errno.ETIMEDOUT, "Connection timed out")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """What there is of every copy on PostgreSQL, without a database."""
    source = tmp_path / "copy"
    (source / "secrets").mkdir(parents=True)
    settings = (
        "[common]",
        'database_url = "postgresql+psycopg://old.example/vantixs"',
        '"nats_url" = "nats://old.example:4222"',
        'log_level = "debug"',
        "[router]",
        'risk_addresses = "old.example:57200"',
    )
    (source / "settings.toml").write_text("\n".join(settings))
    (source / "backup.json").write_text(json.dumps({"format": 1, "postgresql": True, "messages": {}}))
    return source


@pytest.mark.parametrize(
    ("nats_url", "expected"),
    [
        ("", ["[common]", 'database_url = "postgresql://new"', 'log_level = "debug"', "[router]"]),
        (
            "nats://new",
            [
                "[common]",
                'database_url = "postgresql://new"',
                'nats_url = "nats://new"',
                'log_level = "debug"',
                "[router]",
            ],
        ),
    ],
)
def test_restored_home_names_nothing_of_the_system_that_was_copied(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nats_url: str, expected: list[str]
) -> None:
    monkeypatch.setattr(copying.copies, "_put_schemas", lambda *_: None)
    made = copying.copies.put_files(copied, tmp_path / "home", "postgresql://new", nats_url, "operator:x")
    assert (made.path / "settings.toml").read_text().splitlines() == expected


def test_restore_that_fails_leaves_no_home_and_does_not_blame_the_copy(copied: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # Nothing listens there.
        url = f"postgresql+psycopg://vantixs@127.0.0.1:{held.getsockname()[1]}/vantixs"
        settings = replace(load("console", ConsoleSettings, overrides={"home": str(home)}), database_url=url)
        with pytest.raises(StartupError, match=r"^the home could not be made: .*[Cc]onnection refused"):
            copying.make_home(copied, home, settings, "operator:x")
    assert not home.exists() or not list(home.iterdir())


def test_restore_to_a_home_that_is_used_leaves_it_as_it_is(copied: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "notes").write_text("mine")
    settings = load("console", ConsoleSettings, overrides={"home": str(tmp_path / "home")})
    with pytest.raises(StartupError, match=r"expected no directory or an empty one"):
        copying.make_home(copied, tmp_path / "home", replace(settings, database_url="postgresql://new"), "operator:x")
    assert (tmp_path / "home" / "notes").read_text() == "mine"
