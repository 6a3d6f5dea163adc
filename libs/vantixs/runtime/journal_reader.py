"""Reads the journal in order, all of it or some subjects, from a position that the caller keeps.

Nothing is acknowledged to the broker: each service keeps its position in its own database. The broker numbers its deliveries
without gaps, so a message that is lost in transit is noticed and read again.
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

FETCH_TIMEOUT_S = 1.0  # A fetch that is pending when the broker restarts gets no answer until its own time-out.
READ_BATCH = 500
LINGER_S = 0.03  # Between two reads of a busy journal: entries that are stored together cost little more than one.
IDLE_S = 1.0  # How often a reader that has nothing to read asks how far the stream is.


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as delivered. `time` is when the journal stored it."""

    subject: str
    data: bytes
    stream_sequence: int
    time: datetime


class Reader:
    """Reads the journal from the sequence after `start_after()`.

    Without `subjects` it reads everything, and no sequence may be missing. If one is missing, the reader reports that to the
    journal and waits until the gap is accepted. `missing_until` returns the sequence up to which an operator accepted missing
    messages. With `subjects` it reads these subjects only; `restart` calls `subjects` again.
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
        self._subscribed = (-1, -1)  # The connection and the epoch that the subscription belongs to.
        self._suspected = 0
        self._received = 0  # Messages the broker has delivered to this subscription.
        self._asked = 0.0
        self._last = 0  # The stream's last sequence when that was asked.
        # All of the subjects' messages up to this sequence have been yielded.
        self.passed = 0

    def restart(self) -> None:
        """Makes the next read subscribe again, with the values that `start_after` and `subjects` return then."""
        self._subscribed = (-1, -1)

    async def batches(self, stopping: asyncio.Event) -> AsyncIterator[list[Delivery]]:
        """Yields deliveries in stream order. With `subjects`, an empty list now and then while there are none."""
        await self._journal.connected()
        while not stopping.is_set():
            messages = await self._fetch() if await self._journal.whole() else []
            if self._journal.gap or not (messages or self._subjects):
                continue
            arrived, lost = self._before_lost(messages)
            if self._subjects:
                deliveries = self._of_subjects(arrived)
                if deliveries or (not lost and await self._idle()):
                    yield deliveries
            else:
                deliveries = [d for d in map(to_delivery, arrived) if d.stream_sequence > self._start_after()]
                expected = self._start_after() + 1
                deliveries, missing = contiguous(deliveries, expected, self._missing_until())
                if deliveries:
                    self._suspected = 0
                    yield deliveries
                if missing:
                    await self._suspect(missing)
            if lost:
                log.warning("journal.delivery_lost", received=self._received)
                await self._leave()
            if 0 < len(messages) < READ_BATCH and self._linger_s:
                await asyncio.sleep(self._linger_s)

    def _before_lost(self, messages: list[Msg]) -> tuple[list[Msg], bool]:
        """The messages before the first one that was lost in transit, and whether one was lost."""
        for number, message in enumerate(messages):
            if message.metadata.sequence.consumer != self._received + 1:
                return messages[:number], True
            self._received += 1
        return messages, False

    def _of_subjects(self, messages: list[Msg]) -> list[Delivery]:
        """Those of the messages that are of the subjects."""
        # A stream of an earlier version is read whole: it cannot be asked for single subjects any more.
        found = [to_delivery(message) for message in messages if message.subject in self._wanted]
        if found:
            self.passed = max(self.passed, found[-1].stream_sequence)
        return found

    async def _idle(self) -> bool:
        """Asks, once in a while, how far the stream is. Returns True if no message of the subjects is left up to `passed`."""
        subscription, loop = self._subscription, asyncio.get_running_loop()
        if subscription is None or loop.time() - self._asked < IDLE_S:
            return False
        self._asked = loop.time()
        # `passed` moves only up to the end that the previous call saw: those messages have reached the consumer by now. Newer
        # ones may not have, because the broker stores first, and in a cluster the consumer may be on another node.
        before = self._last
        try:
            self._last = (await self._journal.js.stream_info(self._stream)).state.last_seq
            state = await subscription.consumer_info()
        except TRANSIENT:
            await self._leave()  # The consumer may be gone.
            return False
        if state.num_pending or not state.delivered or state.delivered.consumer_seq != self._received:
            return False
        grown, self.passed = before > self.passed, max(self.passed, before)
        if self._stream == EARLIER_STREAM and not grown and self.passed >= self._last:
            await self._leave()  # The earlier stream was read to its end.
        return True

    async def _fetch(self) -> list[Msg]:
        """The next messages; none if there are none or the broker does not answer."""
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
        """Handles a missing sequence: it may be lost in transit or gone from the stream, so it is read once more."""
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
        """A subscription on the stream that has the next messages; None if there is nothing to read now."""
        await self._journal.look()
        subjects = list(self._subjects()) if self._subjects else []
        if self._journal.gap or (self._subjects and not subjects):
            return None
        start, js = self._start_after() + 1, self._journal.js
        self._stream, self._wanted, self._received, self.passed = STREAM, frozenset(subjects), 0, start - 1
        self._last = 0
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
    """The deliveries before the first missing sequence from `expected` on, and that sequence (0 if none is missing).

    Sequences up to `accepted` may be missing.
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
