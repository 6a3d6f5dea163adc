"""What a replica has in hand of its lanes: a queue for each key, and how far each lane's cursor may go. No I/O."""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from vantixs.runtime.journal_reader import Delivery


@dataclass(slots=True, eq=False)
class Lane:
    """One lane that is ours.

    `seen` is the highest journal sequence taken in hand, `cursor` the one up to which all is done or parked; both count in
    the stream after `journal_epoch` accepted gaps. `loading`: what the owner before left is not in hand yet. `parked` has
    the identities of those that come again by themselves.
    """

    number: int
    epoch: int
    cursor: int
    journal_epoch: int
    seen: int = 0
    loading: bool = True
    handing_over: bool = False
    parked: set[tuple[int, datetime]] = field(default_factory=set)
    lost: bool = False
    in_hand: int = 0
    _order: deque[int] = field(default_factory=deque)
    _passed: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.seen = self.cursor

    @property
    def read(self) -> int:
        """The sequence after which the lane has to be read."""
        return max(self.seen, self.cursor)

    def add(self, sequence: int) -> None:
        """A delivery is taken in hand; deliveries come in stream order."""
        self._order.append(sequence)
        self.seen = sequence

    def pass_over(self, sequence: int) -> None:
        """A delivery no longer holds the cursor: it is done, or parked."""
        self._passed.add(sequence)
        while self._order and self._order[0] in self._passed:
            passed = self._order.popleft()
            self._passed.discard(passed)
            self.cursor = max(self.cursor, passed)

    def raise_to(self, sequence: int) -> None:
        """The stream was read up to there: a lane with nothing in hand is past it."""
        if not self._order:
            self.cursor = max(self.cursor, self.seen, sequence)

    def park(self, delivery: Delivery) -> bool:
        """A delivery is parked; returns whether that is new, so that it has to be made to come again."""
        known = identity_of(delivery) in self.parked
        self.parked.add(identity_of(delivery))
        return not known

    def begin_again(self, journal_epoch: int) -> None:
        """Another stream: sequences begin again. What is in hand is carried to its end all the same."""
        self.cursor = self.seen = 0
        self.journal_epoch = journal_epoch
        self._order.clear()
        self._passed.clear()


@dataclass(slots=True, eq=False)
class Work:
    """A delivery in a key's queue. `holds`: it holds the cursor; one that was parked before does not.

    Without a delivery it is a look at what rests of the key.
    """

    delivery: Delivery | None
    lane: Lane
    holds: bool = True


class KeyQueues:
    """Deliveries by key, each key's in order."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[Work]] = {}
        self.count = 0

    def add(self, key: str, work: Work) -> bool:
        """Adds to the key's queue; whether the key is a new one, which somebody has to start to work on."""
        self.count += 1
        work.lane.in_hand += 1
        queue = self._queues.get(key)
        if queue is not None:
            queue.append(work)
            return False
        self._queues[key] = deque([work])
        return True

    def head(self, key: str) -> Work | None:
        """The key's next delivery; None where there is none: the key is forgotten then."""
        queue = self._queues.get(key)
        if queue:
            return queue[0]
        self._queues.pop(key, None)
        return None

    def has(self, key: str) -> bool:
        """Whether anything of the key is in hand."""
        return bool(self._queues.get(key))

    def has_look(self, key: str) -> bool:
        """Whether a look at the key waits that has not begun."""
        return any(work.delivery is None for work in islice(self._queues.get(key, ()), 1, None))

    def done(self, key: str) -> None:
        """Takes the head away: it is done."""
        work = self._queues[key].popleft()
        self._forget(work)
        if work.holds and work.delivery:
            work.holds = False
            work.lane.pass_over(work.delivery.stream_sequence)

    def skip(self, key: str) -> None:
        """Takes the head away undone: whoever owns its lane next does it."""
        self._forget(self._queues[key].popleft())

    def drop_waiting(self, lane: Lane) -> None:
        """Forgets what waits of a lane behind the heads, which are being worked on."""
        for queue in self._queues.values():
            if any(work.lane is lane for work in queue):
                head = queue.popleft()
                for work in queue:
                    if work.lane is lane:
                        self._forget(work)
                kept = [head, *(work for work in queue if work.lane is not lane)]
                queue.clear()
                queue.extend(kept)

    def release(self, lane: Lane) -> None:
        """What is in hand of a lane does not hold its cursor any more."""
        for queue in self._queues.values():
            for work in queue:
                if work.lane is lane:
                    work.holds = False

    def _forget(self, work: Work) -> None:
        self.count -= 1
        work.lane.in_hand -= 1


def identity_of(delivery: Delivery) -> tuple[int, datetime]:
    """Tells a delivery from all others. Its sequence does not: sequences begin again after a gap of the journal was accepted."""
    return delivery.stream_sequence, delivery.time
