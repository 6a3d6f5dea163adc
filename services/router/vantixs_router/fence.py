"""The right to work on a lane, for the code that works on one."""

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
    """Another replica owns the lane. Its work here is abandoned; the other replica continues from what is stored."""


class Fence(Protocol):
    """A lease on a lane, held by this replica. Fences of one lane and epoch are equal."""

    @property
    def lane(self) -> int:
        """The lane's number, from 0."""
        ...

    def hold(self, connection: sa.Connection) -> Callable[[], None]:
        """Checks the lease; must be the first call in every transaction of the lane's work, and holds until the transaction ends.

        Returns a function that waits for the result of the check.

        Raises:
            LeaseLost: from the returned function; this replica no longer owns the lane.
        """
        ...

    def remaining_s(self) -> float:
        """Seconds for which the lease is certainly valid; 0 or less if that is not certain."""
        ...


Item = tuple[Fence, Callable[[sa.Connection], Any], Claim | None]


async def write_fenced(
    database: Database, fence: Fence, unit: Callable[[sa.Connection], T], claim: Claim | None = None
) -> T:
    """Like `Database.write`, for work on a lane: its transaction checks the lane's lease once for all units of the lane.

    The claim of the unit's signal is stored with it, if it is not stored yet.

    Raises: as `Database.write`.
        LeaseLost: this replica no longer owns the lane; nothing was written.
        IntegrityError: of the driver; another signal has the same claim. Nothing was written.
    """
    return await database.write_batched(_run_fenced, (fence, unit, claim))


@runs_in_pipeline
def _run_fenced(connection: sa.Connection, items: Sequence[Item]) -> list[Any]:
    # Lanes are locked in their order, so that two transactions never wait for each other.
    fences = sorted({fence for fence, _, _ in items}, key=lambda fence: fence.lane)
    with gathering(connection):
        answers = [(fence, fence.hold(connection)) for fence in fences]
    everything = range(len(items))
    if is_pipelined():
        # The work does not wait for these results: a lane is rarely lost, and then the work is rolled back.
        send(connection, "SAVEPOINT held")
        results: list[Any] = []
        failure: Exception | None = None
        try:
            results = _run(connection, items, everything)
        except LookupError as error:  # What a unit read may be the work of the lane's next owner.
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
