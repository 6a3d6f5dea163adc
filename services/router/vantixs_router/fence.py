"""The right to work on a lane, as those who work on one see it."""

import math
from typing import Protocol

import sqlalchemy as sa


class LeaseLost(Exception):
    """Another replica owns the lane by now. What was begun for it is left: the other one goes on from what is stored."""


class Fence(Protocol):
    """A lease on a lane, held by this replica."""

    def check(self, connection: sa.Connection) -> None:
        """Called first in every transaction of the lane's work, and holds until that transaction has ended.

        Raises:
            LeaseLost: this replica does not own the lane any more.
        """
        ...

    def remaining_s(self) -> float:
        """Seconds that are surely left of the lease; 0 or less where nothing is sure."""
        ...


class NoFence:
    """The lane is this replica's for ever: somebody else sees to it that nobody else works on it."""

    def check(self, connection: sa.Connection) -> None:
        """Passes."""

    def remaining_s(self) -> float:
        """Without end."""
        return math.inf
