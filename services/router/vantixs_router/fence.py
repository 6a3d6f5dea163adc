"""The right to work on a lane, as those who work on one see it."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from vantixs.runtime.database import Database

T = TypeVar("T")


class LeaseLost(Exception):
    """Another replica owns the lane by now. What was begun for it is left: the other one goes on from what is stored."""


class Fence(Protocol):
    """A lease on a lane, held by this replica. Fences of one lane and epoch are equal."""

    def check(self, connection: sa.Connection) -> None:
        """Called first in every transaction of the lane's work, and holds until that transaction has ended.

        Raises:
            LeaseLost: this replica does not own the lane any more.
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


def _run_fenced(connection: sa.Connection, items: Sequence[tuple[Fence, Callable[[sa.Connection], Any]]]) -> list[Any]:
    checked: dict[Fence, LeaseLost | None] = {}
    results: list[Any] = []
    for fence, unit in items:
        if fence not in checked:
            checked[fence] = _lost(connection, fence)
        lost = checked[fence]
        results.append(unit(connection) if lost is None else lost)
    return results


def _lost(connection: sa.Connection, fence: Fence) -> LeaseLost | None:
    try:
        fence.check(connection)
    except LeaseLost as lost:
        return lost
    return None
