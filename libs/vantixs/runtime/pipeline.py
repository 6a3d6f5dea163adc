"""Units of work of one transaction that share their round trips to PostgreSQL.

A unit is plain code: it reads, decides and writes. Run one after another, each of a batch waits for the server as often
as it asks it something. Here a unit that has to wait for an answer lets the others send what they have to ask first; what
they all wait for then comes in one round trip. Each unit still runs its own statements in its own order. Those of
different units mix, so units that run together must not depend on one another.

psycopg's pipeline mode sends statements without waiting for what came before; greenlets (as SQLAlchemy has them for
asyncio) let a unit stop in the midst of a call.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from greenlet import getcurrent, greenlet

T = TypeVar("T")


class _Here(threading.local):
    pipeline: Any = None
    hub: greenlet | None = None


_HERE = _Here()


@contextlib.contextmanager
def pipelined(connection: sa.Connection) -> Iterator[None]:
    """What is sent by `Statement` meanwhile does not wait for its answer before the answer is asked for.

    On a database other than PostgreSQL it changes nothing, nor does one inside another. SQLAlchemy's own `execute` of a
    query does not work in it: it looks for columns that are not there yet.
    """
    if connection.dialect.name != "postgresql" or _HERE.pipeline is not None:
        yield
        return
    driver: Any = connection.connection.driver_connection
    with driver.pipeline() as pipeline:
        _HERE.pipeline = pipeline
        try:
            yield
        finally:
            _HERE.pipeline = None


def interleaved(calls: Sequence[Callable[[], T]]) -> list[T]:
    """The results of the calls, which wait for the server together where there is a pipeline.

    Raises:
        Exception: the first one that a call raised; those that had not ended by then never will.
    """
    if _HERE.pipeline is None or len(calls) == 1:
        return [call() for call in calls]
    results: dict[int, T] = {}

    def run(number: int) -> None:
        results[number] = calls[number]()

    before, _HERE.hub = _HERE.hub, getcurrent()
    try:
        going = deque((greenlet(run), number) for number in range(len(calls)))
        while going:
            unit, number = going.popleft()
            unit.switch(number)
            if not unit.dead:
                going.append((unit, number))
    finally:
        _HERE.hub = before
    return [results[number] for number in range(len(calls))]


def send(connection: sa.Connection, command: str) -> None:
    """Sends a command without an answer, on PostgreSQL; in a pipeline it is not waited for."""
    if connection.dialect.name == "postgresql":
        connection.connection.cursor().execute(command)


def wait_for(cursor: Any) -> None:
    """Returns once the cursor has its result: at once, or after the other units have sent what they have to ask."""
    if cursor.pgresult is not None or _HERE.pipeline is None:
        return
    if _HERE.hub is not None and getcurrent() is not _HERE.hub:
        _HERE.hub.switch()
    if cursor.pgresult is None:
        _HERE.pipeline.sync()
