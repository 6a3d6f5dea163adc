"""Lets the units of work of one transaction share their round trips to PostgreSQL, and their statements.

A unit is plain code: it reads, decides and writes. If the units of a batch ran one after another, each query would cost a
round trip. Here, a unit that waits for a result lets the other units run first, until all of them wait. Then one round
trip brings the results of all. Statements that units send in between are gathered. Several sendings of the same statement
become one statement for many rows, if the statement has such a form.

The statements of one unit run in its own order. Statements of different units are mixed, so units that run together must
not depend on one another.

psycopg's pipeline mode sends statements without waiting for the results of earlier ones. Greenlets, which SQLAlchemy uses
for asyncio as well, let a unit pause in the middle of a call.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from greenlet import getcurrent, greenlet

T = TypeVar("T")


class Sendable(Protocol):
    """A statement together with the kind of result that is wanted: its rows, the number of rows it touched, or nothing."""

    def send(self, connection: sa.Connection, values: Mapping[str, Any]) -> Callable[[], Any]:
        """Sends the statement; returns a function that waits for its result."""
        ...

    def key_of(self, values: Mapping[str, Any]) -> Hashable:
        """The key of a row; rows of one statement must have different keys. None if it has no form for many rows."""
        ...

    def send_many(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> list[Callable[[], Any]]:
        """Sends the statement once for all rows; returns for each row a function that waits for its result."""
        ...


class _Line:
    """psycopg's pipeline of a connection. It is open while results are outstanding."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._pipeline: Any = None

    def open(self) -> None:
        if self._pipeline is None:
            self._pipeline = self._driver.pipeline()
            self._pipeline.__enter__()

    def wait(self, error: BaseException | None = None) -> None:
        """Waits for the outstanding results by ending the pipeline, which does that by itself.

        Raises:
            psycopg.Error: a statement failed.
        """
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            pipeline.__exit__(type(error) if error else None, error, None)


class _Gathered:
    """The statements that units have given to be sent, for each unit in its order."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._queues: dict[greenlet, deque[Asked]] = {}

    def add(self, asked: "Asked") -> None:
        self._queues.setdefault(getcurrent(), deque()).append(asked)

    def send(self) -> None:
        """Sends all statements. Units whose next statement is the same send it together."""
        queues = list(self._queues.values())
        self._queues.clear()
        while queues:
            sendable = queues[0][0].sendable
            batch: dict[Hashable, Asked] = {}
            for queue in queues:
                while queue and queue[0].sendable is sendable and None not in batch:
                    key = sendable.key_of(queue[0].values)
                    if key in batch:
                        break
                    batch[key] = queue.popleft()
            if len(batch) == 1:
                (one,) = batch.values()
                one.answer = sendable.send(self._connection, one.values)
            else:
                answers = sendable.send_many(self._connection, [asked.values for asked in batch.values()])
                for asked, answer in zip(batch.values(), answers, strict=True):
                    asked.answer = answer
            queues = [queue for queue in queues if queue]


class Asked:
    """A statement that was given to be sent. Calling it waits for its result and returns it."""

    __slots__ = ("answer", "sendable", "values")

    def __init__(self, sendable: Sendable, values: Mapping[str, Any]) -> None:
        self.sendable = sendable
        self.values = values
        self.answer: Callable[[], Any] | None = None

    def __call__(self) -> Any:
        """Waits for the result."""
        if self.answer is None:
            _wait_for_others()
        if self.answer is None:  # The caller is not a unit, or is the only one.
            send_gathered()
        assert self.answer is not None  # noqa: S101 - sending sets it
        return self.answer()


class _Here(threading.local):
    line: _Line | None = None
    hub: greenlet | None = None
    gathered: _Gathered | None = None


_HERE = _Here()


@contextlib.contextmanager
def pipelined(connection: sa.Connection) -> Iterator[None]:
    """Within this context, a `Statement` waits for its result only when the result is read.

    It has no effect on a database other than PostgreSQL, or inside another such context. SQLAlchemy's own `execute` of a
    query fails in it, because it looks for columns of a result that has not arrived.
    """
    if connection.dialect.name != "postgresql" or _HERE.line is not None:
        yield
        return
    line = _HERE.line = _Line(connection.connection.driver_connection)
    try:
        yield
    except BaseException as error:
        line.wait(error)
        raise
    else:
        line.wait()
    finally:
        _HERE.line = None


def is_pipelined() -> bool:
    """Whether this thread is inside `pipelined`."""
    return _HERE.line is not None


@contextlib.contextmanager
def gathering(connection: sa.Connection) -> Iterator[None]:
    """Gathers the statements that are sent within this context in a pipeline, and sends them at its end."""
    if _HERE.line is None:
        yield
        return
    before, _HERE.gathered = _HERE.gathered, _Gathered(connection)
    try:
        yield
        send_gathered()
    finally:
        _HERE.gathered = before


def interleaved(calls: Sequence[Callable[[], T]], connection: sa.Connection) -> list[T]:
    """The results of the calls. In a pipeline the calls share their round trips.

    Raises:
        Exception: the first one that a call raised. Calls that have not ended by then are abandoned.
    """
    if _HERE.line is None:
        return [call() for call in calls]
    results: dict[int, T] = {}

    def run(number: int) -> None:
        results[number] = calls[number]()

    before, _HERE.hub = _HERE.hub, getcurrent()
    try:
        with gathering(connection):
            going = [(greenlet(run), number) for number in range(len(calls))]
            while going:
                for unit, number in going:
                    unit.switch(number)
                going = [(unit, number) for unit, number in going if not unit.dead]
                send_gathered()
    finally:
        _HERE.hub = before
    return [results[number] for number in range(len(calls))]


def gather(sendable: Sendable, values: Mapping[str, Any]) -> Asked | None:
    """Adds a statement to those that are sent together; returns None outside `gathering`, where it must be sent at once."""
    if _HERE.gathered is None:
        return None
    asked = Asked(sendable, values)
    _HERE.gathered.add(asked)
    return asked


def send_gathered() -> None:
    """Sends the statements gathered so far."""
    if _HERE.gathered is not None:
        gathered, _HERE.gathered = _HERE.gathered, None
        try:
            gathered.send()
        finally:
            _HERE.gathered = gathered


def send(connection: sa.Connection, command: str) -> None:
    """Sends a command that has no result, on PostgreSQL only. In a pipeline it does not wait."""
    if connection.dialect.name == "postgresql":
        begin_sending()
        connection.connection.cursor().execute(command)


def begin_sending() -> None:
    """Sends gathered statements and opens the pipeline. Must be called before anything is given to the driver."""
    if _HERE.line is not None:
        send_gathered()
        _HERE.line.open()


def wait_for(cursor: Any) -> None:
    """Returns once the cursor has its result; if it must wait, the other units send their statements first."""
    if cursor.pgresult is not None or _HERE.line is None:
        return
    _wait_for_others()
    if cursor.pgresult is None:
        _HERE.line.wait()


def _wait_for_others() -> None:
    """Lets the other units run until all of them wait."""
    if _HERE.hub is not None and getcurrent() is not _HERE.hub:
        _HERE.hub.switch()
