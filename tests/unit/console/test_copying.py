"""Copies where NATS is not there, or does not answer: one line that names it, and no traceback."""

import asyncio
import errno
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
    monkeypatch.setattr(copying.copies, "take_databases", lambda _settings, _target, at_moment: at_moment())
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
