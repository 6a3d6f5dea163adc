"""A copy of everything while it runs, and a home from one."""

import asyncio
import contextlib
import os
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from nats.aio.client import Client
from nats.errors import Error as NatsError
from vantixs.runtime import backup as copies
from vantixs.runtime.addresses import port_of, reserve_port
from vantixs.runtime.home import Home, write_atomically
from vantixs.runtime.journal import STREAM
from vantixs.runtime.lifecycle import StartupError
from vantixs.runtime.log_output import LogFile
from vantixs.runtime.nats_client import NatsClient
from vantixs.runtime.nats_config import server_binary, server_config
from vantixs.runtime.retry import Pauses, retry
from vantixs.runtime.settings import ServiceSettings, SettingsError
from vantixs.runtime.tls import nats_tls

from vantixs_console.clients import read_endpoints
from vantixs_console.settings import ConsoleSettings

START_S = 20.0
CONNECT_S = 5
_NOT_THERE = (NatsError, OSError, TimeoutError)
LOG_BYTES = 16 << 20
_NATS = "VANTIXS_NATS_URL"


def take_copy(settings: ConsoleSettings, directory: Path) -> int:
    """Copies what runs in a home into a directory; returns how many messages of the journal that are.

    Raises:
        StartupError: the directory is not empty, or something could not be copied.
    """
    ours = "" if os.environ.get(_NATS) else str(read_endpoints(settings.home).get("nats", ""))
    # On machines that serve together nothing was started by `vantixs up`, and the settings say where the broker is.
    url = ours or (settings.nats_url if settings.nats_url != ServiceSettings().nats_url else "")
    if not url:
        raise SettingsError(f"backup: nothing runs in {settings.home}; a home that is stopped is copied as it is")

    # The broker of `vantixs up` is on this machine and has none.
    tls = None if ours else nats_tls(settings)

    async def ask() -> copies.streams.Extent:
        async with _connected(url, settings.nats_token, tls) as client:
            return await copies.streams.journal_extent(client)

    async def take(extent: copies.streams.Extent) -> dict[str, int]:
        async with _connected(url, settings.nats_token, tls) as client:
            return await copies.take_streams(client, extent, directory)

    with _told():
        messages = copies.take_databases(
            settings, directory, lambda: asyncio.run(ask()), lambda extent: asyncio.run(take(extent))
        )
        copies.finish(settings, directory, messages)
    return messages[STREAM]


def make_home(directory: Path, path: Path, settings: ConsoleSettings, operator: str) -> int:
    """Makes a home from a copy; returns how many messages its journal has.

    Raises:
        StartupError: the home is not empty, the copy is not whole, or the database or the broker refuses it; then nothing is
            left of the home.
    """
    copies.check_target(directory, path, settings.database_url)
    url = os.environ.get(_NATS, "")

    async def run(made: Home) -> dict[str, int]:
        names, token = copies.buckets_of(directory), made.secret("nats-token")
        if url:
            async with _connected(url, token, nats_tls(settings)) as client:
                return await copies.put_streams(names, directory, client)
        async with _own_broker(made, token) as own, _connected(own, token) as client:
            return await copies.put_streams(names, directory, client)

    try:
        with _told("the home could not be made"):
            made = copies.put_files(directory, path, settings.database_url, url, operator)
            return asyncio.run(run(made))[STREAM]
    except BaseException:
        copies.remove_content(path)  # Half a home would be started as a whole one.
        raise


@contextmanager
def _told(what: str = "the copy is not whole") -> Iterator[None]:
    """Says in one line what went wrong."""
    try:
        yield
    except (NatsError, TimeoutError, OSError, *copies.DATABASE_ERRORS) as error:
        detail = str(error).strip().splitlines()[:1] or [type(error).__name__]
        # Only NATS is waited for with a limit. The system's ETIMEDOUT, of a file for example, is a TimeoutError with a number.
        waited = isinstance(error, TimeoutError) and error.errno is None
        text = "NATS did not answer in time" if waited else detail[0]
        raise StartupError(f"{what}: {text}") from None


async def _told_by_the_call(_: Exception) -> None:
    """Prints nothing: the call that failed raises. nats-py would print a traceback, also while a broker is still starting."""


@asynccontextmanager
async def _connected(url: str, token: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    client = NatsClient()
    try:
        await client.connect(
            url.split(","),
            token=token or None,
            tls=tls,
            allow_reconnect=False,
            connect_timeout=CONNECT_S,
            error_cb=_told_by_the_call,
        )
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def _own_broker(home: Home, token: str) -> AsyncIterator[str]:
    """The home's broker for as long as it takes, at a free port; yields its URL."""
    held = reserve_port()
    port = port_of(held)
    config = home.run / "nats.conf"
    write_atomically(
        config,
        server_config(home.data / "nats", "127.0.0.1", port, token, LogFile(home.logs / "nats.log", LOG_BYTES, 2)),
        mode=0o600,
    )
    with (home.logs / "nats.log").open("ab") as log:
        process = subprocess.Popen([server_binary(), "-c", str(config)], stdout=log, stderr=log, start_new_session=True)  # noqa: ASYNC220, S603 - our own broker, once
    url = f"nats://127.0.0.1:{port}"

    async def connect() -> None:
        async with _connected(url, token):
            pass

    def may_come(error: Exception) -> bool:
        return isinstance(error, _NOT_THERE) and process.poll() is None

    try:
        try:
            await retry(connect, may_come, Pauses(0.05, 0.05), limit_s=START_S)
        except _NOT_THERE:
            raise StartupError(f"restore: the broker did not start, see {home.logs / 'nats.log'}") from None
        yield url
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(process.wait, 10)
        held.close()
