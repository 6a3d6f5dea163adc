"""The right to work on a lane, as those who work on one see it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from vantixs.runtime.database import Database
from vantixs.runtime.pipeline import gathering, interleaved, is_pipelined, send
from vantixs.runtime.units import runs_in_pipeline

T = TypeVar("T")


class LeaseLost(Exception):
    """Another replica owns the lane by now. What was begun for it is left: the other one goes on from what is stored."""


class Fence(Protocol):
    """A lease on a lane, held by this replica. Fences of one lane and epoch are equal."""

    @property
    def lane(self) -> int:
        """Which lane, from 0."""
        ...

    def hold(self, connection: sa.Connection) -> Callable[[], None]:
        """Called first in every transaction of the lane's work, and holds until that transaction has ended.

        What it returns waits for the answer.

        Raises:
            LeaseLost: by what is returned; this replica does not own the lane any more.
        """
        ...

    def remaining_s(self) -> float:
        """Seconds that are surely left of the lease; 0 or less where nothing is sure."""
        ...


async def write_fenced(database: Database, fence: Fence, unit: Callable[[sa.Connection], T]) -> T:
    """As `Database.write`, for a unit of the lane's work: the lane's lease is checked in its transaction, once for all its units.

    Raises: as `Database.write`.
        LeaseLost: this replica does not own the lane any more; nothing was written.
    """
    return await database.write_with_others(_run_fenced, (fence, unit))


@runs_in_pipeline
def _run_fenced(connection: sa.Connection, items: Sequence[tuple[Fence, Callable[[sa.Connection], Any]]]) -> list[Any]:
    # Held in the lanes' order, so that nobody who takes several waits for one who waits for him.
    fences = sorted({fence for fence, _ in items}, key=lambda fence: fence.lane)
    with gathering(connection):
        answers = [(fence, fence.hold(connection)) for fence in fences]
    units = [partial(unit, connection) for _, unit in items]
    if is_pipelined():
        # They do not wait for the answers: a lane is rarely lost, and what was done for it is then taken back.
        send(connection, "SAVEPOINT held")
        results: list[Any] = []
        failure: Exception | None = None
        try:
            results = interleaved(units, connection)
        except LookupError as error:  # What a unit found may be the work of the lane's next owner.
            failure = error
        lost = {fence: _lost(answer) for fence, answer in answers}
        if not any(lost.values()):
            if failure:
                raise failure
            return results
        send(connection, "ROLLBACK TO SAVEPOINT held")
    else:
        lost = {fence: _lost(answer) for fence, answer in answers}
    results = [lost[fence] for fence, _ in items]
    kept = [place for place, result in enumerate(results) if result is None]
    for place, result in zip(kept, interleaved([units[p] for p in kept], connection), strict=True):
        results[place] = result
    return results


def _lost(answer: Callable[[], None]) -> LeaseLost | None:
    try:
        answer()
    except LeaseLost as lost:
        return lost
    return None
