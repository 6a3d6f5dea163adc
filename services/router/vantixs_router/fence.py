"""The right to work on a lane, as those who work on one see it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from vantixs.runtime.database import Database
from vantixs.runtime.pipeline import gathering, interleaved, is_pipelined, send
from vantixs.runtime.units import runs_in_pipeline

from vantixs_router.claims import Claim, store_claims

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


Item = tuple[Fence, Callable[[sa.Connection], Any], Claim | None]


async def write_fenced(
    database: Database, fence: Fence, unit: Callable[[sa.Connection], T], claim: Claim | None = None
) -> T:
    """As `Database.write`, for a unit of the lane's work: the lane's lease is checked in its transaction, once for all its units.

    With the unit goes what its signal claims, where that is not stored yet.

    Raises: as `Database.write`.
        LeaseLost: this replica does not own the lane any more; nothing was written.
        IntegrityError: the driver's; another signal holds the claim. Nothing was written.
    """
    return await database.write_batched(_run_fenced, (fence, unit, claim))


@runs_in_pipeline
def _run_fenced(connection: sa.Connection, items: Sequence[Item]) -> list[Any]:
    # Held in the lanes' order, so that nobody who takes several waits for one who waits for him.
    fences = sorted({fence for fence, _, _ in items}, key=lambda fence: fence.lane)
    with gathering(connection):
        answers = [(fence, fence.hold(connection)) for fence in fences]
    everything = range(len(items))
    if is_pipelined():
        # Nobody waits for the answers: a lane is rarely lost, and what was done for it is then taken back.
        send(connection, "SAVEPOINT held")
        results: list[Any] = []
        failure: Exception | None = None
        try:
            results = _run(connection, items, everything)
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
    results = [lost[fence] for fence, _, _ in items]
    kept = [place for place in everything if results[place] is None]
    for place, result in zip(kept, _run(connection, items, kept), strict=True):
        results[place] = result
    return results


def _run(connection: sa.Connection, items: Sequence[Item], places: Sequence[int]) -> list[Any]:
    store_claims(connection, [claim for place in places if (claim := items[place][2])])
    return interleaved([partial(items[place][1], connection) for place in places], connection)


def _lost(answer: Callable[[], None]) -> LeaseLost | None:
    try:
        answer()
    except LeaseLost as lost:
        return lost
    return None
