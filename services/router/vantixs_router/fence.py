"""What a lane's work holds on to: proof, in each of its transactions, that the lane is still this replica's."""

from typing import Protocol

import sqlalchemy as sa


class LeaseLost(Exception):
    """The lane belongs to another replica by now, which goes on from what is stored."""


class Fence(Protocol):
    """Given to whoever works on a lane."""

    def check(self, connection: sa.Connection) -> None:
        """Called first in every transaction of the lane's work.

        Raises:
            LeaseLost: this replica does not own the lane any more; nothing of the transaction may stay.
        """
        ...

    def remaining_s(self) -> float:
        """Seconds that are surely left of the lease; not more than 0 once none are."""
        ...


class NoFence:
    """For work outside lanes, and tests."""

    def check(self, connection: sa.Connection) -> None:
        """Passes."""

    def remaining_s(self) -> float:
        """A lease without an end."""
        return float("inf")
