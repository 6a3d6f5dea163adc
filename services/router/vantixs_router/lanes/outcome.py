"""What may become of a delivery."""

from enum import Enum


class Outcome(Enum):
    """DONE: nothing is left to do. RETRY: it comes again, and what is behind it in its key's queue waits.

    PARKED: it waits for something outside and is stored as waiting; what is behind it goes on, and it comes again later.
    """

    DONE = "done"
    RETRY = "retry"
    PARKED = "parked"
