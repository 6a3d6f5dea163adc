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
    """One item, and what is run with it and those others that wait for the same."""

    run: Callable[[sa.Connection, Sequence[Any]], Sequence[Any]]
    item: Any


Run = TypeVar("Run", bound=Callable[..., Any])


def runs_in_pipeline(run: Run) -> Run:
    """Marks what is given to `write_batched` as sending everything by `Statement`: it then shares round trips."""
    run.in_pipeline = True  # type: ignore[attr-defined]  # a function takes attributes, its type does not say so
    return run


def is_in_pipeline(run: Callable[..., Any]) -> bool:
    """Whether it is marked so."""
    return getattr(run, "in_pipeline", False)


@runs_in_pipeline
def run_in_pipeline(connection: sa.Connection, units: Sequence[Callable[[sa.Connection], T]]) -> list[T]:
    """Units that send everything by `Statement`, with shared round trips."""
    return interleaved([partial(unit, connection) for unit in units], connection)


def run_units(connection: sa.Connection, units: Sequence[Callable[[sa.Connection], T]]) -> list[T]:
    """Units, one after another."""
    return [unit(connection) for unit in units]


def run_first(connection: sa.Connection, units: Sequence[Callable[[sa.Connection], T]]) -> list[T]:
    """Units that take a lock which others take before all their own: they go before what else is in the batch."""
    return run_units(connection, units)


def _turn(run: Callable[..., Any]) -> int:
    """Which locks come before which: that of `run_first`, those that units take alone, those that many share.

    Two transactions that took two of them each in another order would wait for one another.
    """
    return 0 if run is run_first else 1 + is_in_pipeline(run)


def run_together(connection: sa.Connection, batch: Sequence[Work]) -> list[Any]:
    """What has the same `run` goes to it at once; all these callers wait, so none of them can tell the order."""
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
    """Each by itself in a savepoint, so that those which fail fail alone; in the same order as together."""
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
