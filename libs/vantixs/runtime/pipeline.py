"""Units of work of one transaction that share their round trips to PostgreSQL, and their statements.

A unit is plain code: it reads, decides and writes. Run one after another, each of a batch waits for the server as often
as it asks it something. Here a unit that has to wait for an answer lets the others send what they have to ask first; what
they all wait for then comes in one round trip. What they send meanwhile is gathered: where several send the same statement
it goes as one, if that statement can be about many rows. Each unit still has its own statements run in its own order.
Those of different units mix, so units that run together must not depend on one another.

psycopg's pipeline mode sends statements without waiting for what came before; greenlets (as SQLAlchemy has them for
asyncio) let a unit stop in the midst of a call.
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
    """A statement of one kind: what it is asked for makes it another one."""

    def send(self, connection: sa.Connection, values: Mapping[str, Any]) -> Callable[[], Any]:
        """Sends it; what is returned waits for its answer."""
        ...

    def key_of(self, values: Mapping[str, Any]) -> Hashable:
        """What has to differ between rows that go as one statement; None where it cannot be about many rows."""
        ...

    def send_many(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> list[Callable[[], Any]]:
        """Sends it once for all of the rows; what is returned waits for the answer of each."""
        ...


class _Line:
    """psycopg's pipeline of a connection, there while something is on its way."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._pipeline: Any = None

    def open(self) -> None:
        if self._pipeline is None:
            self._pipeline = self._driver.pipeline()
            self._pipeline.__enter__()

    def wait(self, error: BaseException | None = None) -> None:
        """Waits for what is on its way. Ending the pipeline does that too, so nothing is waited for once more at the end.

        Raises:
            psycopg.Error: a statement failed.
        """
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            pipeline.__exit__(type(error) if error else None, error, None)


class _Gathered:
    """What units have to send, in each one's order."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._queues: dict[greenlet, deque[Asked]] = {}

    def add(self, asked: "Asked") -> None:
        self._queues.setdefault(getcurrent(), deque()).append(asked)

    def send(self) -> None:
        """Sends all of it: what is next for a unit, with the same that is next for others."""
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
    """A statement that was given to be sent; called, it gives its answer."""

    __slots__ = ("answer", "sendable", "values")

    def __init__(self, sendable: Sendable, values: Mapping[str, Any]) -> None:
        self.sendable = sendable
        self.values = values
        self.answer: Callable[[], Any] | None = None

    def __call__(self) -> Any:
        """Waits for the answer."""
        if self.answer is None:
            _wait_for_others()
        if self.answer is None:  # It is not a unit that asks, or it is the only one.
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
    """What is sent by `Statement` meanwhile does not wait for its answer before the answer is asked for.

    On a database other than PostgreSQL it changes nothing, nor does one inside another. SQLAlchemy's own `execute` of a
    query does not work in it: it looks for columns that are not there yet.
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
    """Whether what is sent here does not wait for its answer."""
    return _HERE.line is not None


@contextlib.contextmanager
def gathering(connection: sa.Connection) -> Iterator[None]:
    """What is given to be sent in a pipeline meanwhile is sent at the end, and the same statements as one."""
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
    """The results of the calls, which wait for the server together where there is a pipeline.

    Raises:
        Exception: the first one that a call raised; those that had not ended by then never will.
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
    """Gives a statement to be sent with those of other units; None where nothing is gathered, and it has to be sent now."""
    if _HERE.gathered is None:
        return None
    asked = Asked(sendable, values)
    _HERE.gathered.add(asked)
    return asked


def send_gathered() -> None:
    """Sends what was given to be sent so far."""
    if _HERE.gathered is not None:
        gathered, _HERE.gathered = _HERE.gathered, None
        try:
            gathered.send()
        finally:
            _HERE.gathered = gathered


def send(connection: sa.Connection, command: str) -> None:
    """Sends a command without an answer, on PostgreSQL; in a pipeline it is not waited for."""
    if connection.dialect.name == "postgresql":
        begin_sending()
        connection.connection.cursor().execute(command)


def begin_sending() -> None:
    """Called before anything is given to the driver: what was gathered goes first."""
    if _HERE.line is not None:
        send_gathered()
        _HERE.line.open()


def wait_for(cursor: Any) -> None:
    """Returns once the cursor has its result: at once, or after the other units have sent what they have to ask."""
    if cursor.pgresult is not None or _HERE.line is None:
        return
    _wait_for_others()
    if cursor.pgresult is None:
        _HERE.line.wait()


def _wait_for_others() -> None:
    """Lets the other units run until all of them wait."""
    if _HERE.hub is not None and getcurrent() is not _HERE.hub:
        _HERE.hub.switch()
