"""Ends connections of a PostgreSQL server that does not answer.

The server's own time-outs do not help against a server that is frozen, and those of TCP not where the other end's kernel, or
a proxy, still acknowledges what it takes: libpq then waits for ever. Here a thread looks at the connections that others
wait on, and shuts the socket of one that took too long, so that the one who waits gets the driver's error.
"""

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from vantixs.runtime.logs import log

LOOK_EVERY_S = 0.5


class Wait:
    """One piece of work that waits for its connection's answers."""

    __slots__ = ("connection", "deadline", "limit_s")

    def __init__(self, connection: sa.Connection, limit_s: float) -> None:
        self.connection: Any = connection.connection.driver_connection
        self.limit_s = limit_s
        self.goes_on()

    def goes_on(self) -> None:
        """The server has answered: the limit counts from here again."""
        self.deadline = time.monotonic() + self.limit_s


class AnswerLimit:
    """Watches the connections of one database, in a thread of its own."""

    def __init__(self) -> None:
        self._waits: dict[int, Wait] = {}
        self._numbers = itertools.count()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._look, name="database-answers", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def within(self, connection: sa.Connection, limit_s: float) -> Iterator[Wait]:
        """While it lasts, the connection is ended where no answer has come for `limit_s`."""
        number, wait = next(self._numbers), Wait(connection, limit_s)
        self._waits[number] = wait
        try:
            yield wait
        finally:
            del self._waits[number]

    def close(self) -> None:
        """Watches no more."""
        self._stopping.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            now = time.monotonic()
            for wait in list(self._waits.values()):
                if now >= wait.deadline:
                    wait.goes_on()
                    _end(wait)


def _end(wait: Wait) -> None:
    """Shuts the connection's socket; the thread that waits on it closes the rest."""
    log.error("database.no_answer", detail=f"no answer in {wait.limit_s:g} s: the connection is ended")
    # It may have been closed by now: then there is nothing left to do.
    with (
        contextlib.suppress(Exception),
        socket.fromfd(wait.connection.fileno(), socket.AF_UNSPEC, socket.SOCK_STREAM) as shared,
    ):
        shared.shutdown(socket.SHUT_RDWR)
