"""Reading the journal in order, all of it or some subjects, from a place that the reader itself keeps.

Nothing is acknowledged: whoever reads keeps in a database of its own how far it is. What the broker says was delivered
counts without a break, so a message lost on the wire is noticed, and read again.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.client import JetStreamContext

from vantixs.runtime.errors import ServiceError
from vantixs.runtime.journal import STREAM, TRANSIENT, Journal
from vantixs.runtime.journal_stream import EARLIER_STREAM, earlier_stream
from vantixs.runtime.logs import log

FETCH_TIMEOUT_S = 1.0  # A fetch that is out when the broker restarts sits dead until its own time-out.
READ_BATCH = 500
LINGER_S = 0.01  # Between two reads of a busy journal: ten entries stored together cost little more than one.
IDLE_S = 2.0  # How often a reader that has nothing to read asks how far the stream is.


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as delivered. `time` is when the journal stored it."""

    subject: str
    data: bytes
    stream_sequence: int
    time: datetime


class Reader:
    """Reads the journal from the sequence after `start_after()`.

    Without `subjects` it reads everything, and no sequence may be missing: where one is, the journal is told, and reading
    waits until the gap is accepted; `missing_until` gives the sequence up to which an operator accepted what is missing.
    With `subjects`, which are asked for anew by `restart`, it reads those.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        start_after: Callable[[], int],
        subjects: Callable[[], Sequence[str]] | None = None,
        missing_until: Callable[[], int] = lambda: 0,
        linger_s: float = LINGER_S,
    ) -> None:
        self._journal = journal
        self._start_after = start_after
        self._subjects = subjects
        self._missing_until = missing_until
        self._linger_s = linger_s
        self._stream = STREAM
        self._wanted: frozenset[str] = frozenset()
        self._subscription: JetStreamContext.PullSubscription | None = None
        self._subscribed = (-1, -1)  # The connection and the epoch it is of.
        self._suspected = 0
        self._received = 0  # Messages the broker has delivered to this subscription.
        self._asked = 0.0
        # All of the subjects' messages up to this sequence have been yielded.
        self.passed = 0

    def restart(self) -> None:
        """Has the next read begin anew after `start_after`, with the subjects of then."""
        self._subscribed = (-1, -1)

    async def batches(self, stopping: asyncio.Event) -> AsyncIterator[list[Delivery]]:
        """Yields deliveries in stream order, an empty list where only `passed` has grown."""
        await self._journal.connected()
        while not stopping.is_set():
            messages = await self._fetch() if await self._journal.whole() else []
            if self._journal.gap or not (messages or self._subjects):
                continue
            if self._subjects:
                deliveries, lost = self._of_subjects(messages)
                if deliveries or (not lost and await self._idle()):
                    yield deliveries
                if lost:
                    log.warning("journal.delivery_lost", received=self._received)
                    await self._leave()
            else:
                deliveries = [d for d in map(to_delivery, messages) if d.stream_sequence > self._start_after()]
                expected = self._start_after() + 1
                deliveries, missing = contiguous(deliveries, expected, self._missing_until())
                if deliveries:
                    self._suspected = 0
                    yield deliveries
                if missing:
                    await self._suspect(missing)
            if 0 < len(messages) < READ_BATCH and self._linger_s:
                await asyncio.sleep(self._linger_s)

    def _of_subjects(self, messages: list[Msg]) -> tuple[list[Delivery], bool]:
        """The deliveries up to the first that was lost on its way to us, and whether one was."""
        found: list[Delivery] = []
        for message in messages:
            if message.metadata.sequence.consumer != self._received + 1:
                return found, True
            self._received += 1
            # A stream of an earlier version is read whole: it cannot be asked for single subjects any more.
            if message.subject in self._wanted:
                found.append(to_delivery(message))
        if found:
            self.passed = max(self.passed, found[-1].stream_sequence)
        return found, False

    async def _idle(self) -> bool:
        """Whether it is known by now that nothing of the subjects is left up to a later sequence than before."""
        subscription, loop = self._subscription, asyncio.get_running_loop()
        if subscription is None or loop.time() - self._asked < IDLE_S:
            return False
        self._asked = loop.time()
        try:
            # The stream first: what is stored after that may be pending and is not counted.
            last = (await self._journal.js.stream_info(self._stream)).state.last_seq
            state = await subscription.consumer_info()
        except TRANSIENT:
            return False
        if state.num_pending or not state.delivered or state.delivered.consumer_seq != self._received:
            return False
        if self._stream == EARLIER_STREAM:
            await self._leave()
        grown, self.passed = last > self.passed, max(self.passed, last)
        return grown

    async def _fetch(self) -> list[Msg]:
        """What comes next, nothing where there is none or the broker does not answer."""
        seen = (self._journal.generation, self._journal.mark.epoch)
        try:
            if self._subscription is None or self._subscribed != seen:
                await self._leave()
                self._subscribed = seen
                self._subscription = await self._subscribe()
            if self._subscription is None:
                await asyncio.sleep(0.1)
                return []
            return await self._subscription.fetch(READ_BATCH, timeout=FETCH_TIMEOUT_S)
        except TimeoutError:
            if self._stream == EARLIER_STREAM and not self._subjects:
                await self._leave()
        except (*TRANSIENT, ServiceError) as error:
            log.debug("journal.read_retry", error=repr(error))
            await self._leave()
            await asyncio.sleep(0.2)
        return []

    async def _suspect(self, missing: int) -> None:
        """A sequence was lost on the way to us, or is gone from the stream: it is asked for again, once."""
        log.warning("journal.sequence_missing", sequence=missing)
        if self._suspected == missing:
            self._suspected = 0
            await self._journal.miss(f"message {missing} is missing in the journal")
        else:
            self._suspected = missing
        await self._leave()

    async def _leave(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with contextlib.suppress(*TRANSIENT):
                await subscription.unsubscribe()

    async def _subscribe(self) -> JetStreamContext.PullSubscription | None:
        """A subscription on the stream that holds what comes next; None where there is nothing to read now."""
        await self._journal.look()
        subjects = list(self._subjects()) if self._subjects else []
        if self._journal.gap or (self._subjects and not subjects):
            return None
        start, js = self._start_after() + 1, self._journal.js
        self._stream, self._wanted, self._received, self.passed = STREAM, frozenset(subjects), 0, start - 1
        if self._journal.earlier and (earlier := await earlier_stream(js)) and start <= earlier.state.last_seq:
            self._stream, subjects = EARLIER_STREAM, []
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=start,
            filter_subjects=subjects or None,
            inactive_threshold=30.0,
        )
        return await js.pull_subscribe("", stream=self._stream, config=config)


def contiguous(deliveries: list[Delivery], expected: int, accepted: int) -> tuple[list[Delivery], int]:
    """The deliveries up to the first sequence from `expected` on that is missing, and that sequence, 0 where none is.

    What is missing up to the sequence `accepted` is passed over.
    """
    for number, delivery in enumerate(deliveries):
        if (missing := max(expected, accepted + 1)) < delivery.stream_sequence:
            return deliveries[:number], missing
        expected = delivery.stream_sequence + 1
    return deliveries, 0


def to_delivery(message: Msg) -> Delivery:
    """A nats-py message as a Delivery."""
    meta = message.metadata
    return Delivery(message.subject, message.data, meta.sequence.stream, meta.timestamp)
