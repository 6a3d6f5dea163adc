"""How a batch of units of work is run in one transaction: together, or each by itself in a savepoint."""

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from vantixs.runtime.pipeline import interleaved, pipelined

T = TypeVar("T")


class Work(NamedTuple):
    """One item, and the function that is run with it and with all items that wait for the same function."""

    run: Callable[[sa.Connection, Sequence[Any]], Sequence[Any]]
    item: Any


Run = TypeVar("Run", bound=Callable[..., Any])


def runs_in_pipeline(run: Run) -> Run:
    """Marks a function for `write_batched` that uses `Statement` only, so that it may share round trips."""
    run.in_pipeline = True  # type: ignore[attr-defined]  # a function takes attributes, its type does not say so
    return run


def is_in_pipeline(run: Callable[..., Any]) -> bool:
    """Whether the function is marked by `runs_in_pipeline`."""
    return getattr(run, "in_pipeline", False)


@runs_in_pipeline
def run_in_pipeline(connection: sa.Connection, units: Sequence[Callable[[sa.Connection], T]]) -> list[T]:
    """Runs units that use `Statement` only, with shared round trips."""
    return interleaved([partial(unit, connection) for unit in units], connection)


def run_units(connection: sa.Connection, units: Sequence[Callable[[sa.Connection], T]]) -> list[T]:
    """Runs units one after another."""
    return [unit(connection) for unit in units]


def run_first(connection: sa.Connection, units: Sequence[Callable[[sa.Connection], T]]) -> list[T]:
    """Runs units whose lock other units take before all their own locks: they run first in a batch."""
    return run_units(connection, units)


def _turn(run: Callable[..., Any]) -> int:
    """The order of locks in a transaction: first that of `run_first`, then locks of single units, then shared locks.

    Two transactions that take the same locks in different orders would wait for each other.
    """
    return 0 if run is run_first else 1 + is_in_pipeline(run)


def run_together(connection: sa.Connection, batch: Sequence[Work]) -> list[Any]:
    """Calls each `run` once with all its items. The order of items does not matter, because all their callers wait."""
    places: dict[Callable[[sa.Connection, Sequence[Any]], Sequence[Any]], list[int]] = {}
    for place, work in enumerate(batch):
        places.setdefault(work.run, []).append(place)
    results: list[Any] = [None] * len(batch)
    for run, of_run in sorted(places.items(), key=lambda entry: _turn(entry[0])):
        with pipelined(connection) if is_in_pipeline(run) else contextlib.nullcontext():
            found = run(connection, [batch[p].item for p in of_run])
        for place, result in zip(of_run, found, strict=True):
            results[place] = result
    return results


def run_each(connection: sa.Connection, batch: Sequence[Work]) -> list[Any]:
    """Runs each item alone in a savepoint, so that only the failing ones fail; in the order of `run_together`."""
    order = sorted(range(len(batch)), key=lambda place: _turn(batch[place].run))
    results = {place: _run_alone(connection, batch[place]) for place in order}
    return [results[place] for place in range(len(batch))]


def _run_alone(connection: sa.Connection, work: Work) -> Any:
    lost: Any = connection.dialect.loaded_dbapi
    cursor = connection.connection.cursor()
    cursor.execute("SAVEPOINT unit")
    try:
        (result,) = work.run(connection, [work.item])
    except (OperationalError, lost.OperationalError):
        raise
    except Exception as error:
        cursor.execute("ROLLBACK TO SAVEPOINT unit")
        result = error
    cursor.execute("RELEASE SAVEPOINT unit")
    cursor.close()
    return result
