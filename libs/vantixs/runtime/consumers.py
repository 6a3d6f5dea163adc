"""Reading the journal: a lane in strict order with acknowledgement last, or all of it from a sequence one keeps."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from vantixs.runtime.errors import ServiceError
from vantixs.runtime.journal import STREAM, TRANSIENT, Journal
from vantixs.runtime.journal_stream import EARLIER_STREAM, earlier_stream, refuse_drift
from vantixs.runtime.logs import log

FETCH_TIMEOUT_S = 1.0  # A fetch that is out when the broker restarts sits dead until its own time-out.
READ_BATCH = 500
LINGER_S = 0.01  # Between two reads of a busy journal: ten entries stored together cost little more than one.


class Outcome(Enum):
    """What became of a message: done (acknowledged), retry (comes again), dead (recorded elsewhere, never again).

    Parked: it waits for something outside, and is stored as waiting, so that what is behind it can go on.
    """

    DONE = "done"
    RETRY = "retry"
    DEAD = "dead"
    PARKED = "parked"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as delivered. `deliveries` counts from 1."""

    subject: str
    data: bytes
    stream_sequence: int
    deliveries: int
    time: datetime
    headers: dict[str, str]


class LaneConsumer:
    """One durable pull consumer with one message in hand at a time, however many processes pull it.

    While a message is handled the broker hears of it every third of `ack_wait_s`, so that this can be short: it is how
    long a lane stands still after its process was killed.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        durable: str,
        filter_subject: str,
        handle: Callable[[Delivery], Awaitable[Outcome]],
        ack_wait_s: float = 4,
    ) -> None:
        self._journal = journal
        self._durable = durable
        self._handle = handle
        self._ack_wait_s = ack_wait_s
        self._stream = STREAM
        self._config = ConsumerConfig(
            durable_name=durable,
            filter_subject=filter_subject,
            ack_policy=AckPolicy.EXPLICIT,
            deliver_policy=DeliverPolicy.ALL,
            ack_wait=ack_wait_s,
            max_ack_pending=1,
            max_deliver=-1,
        )

    async def run(self, stopping: asyncio.Event) -> None:
        """Handles messages until stopped; the message in hand is finished and acknowledged first."""
        await self._journal.connected()
        self._stream = EARLIER_STREAM if self._journal.earlier else STREAM
        subscription: JetStreamContext.PullSubscription | None = None
        while not stopping.is_set():
            if not await self._journal.whole():
                continue
            try:
                if subscription is None:
                    subscription = await self._bind()
                messages = await subscription.fetch(1, timeout=FETCH_TIMEOUT_S)
            except TimeoutError:
                if self._stream == EARLIER_STREAM and await self._drained():
                    await _unsubscribe(subscription)
                    self._stream, subscription = STREAM, None
            except TRANSIENT:
                # The consumer may be gone with its stream, and a fetch from one that is gone never says so.
                await _unsubscribe(subscription)
                subscription = None
                await asyncio.sleep(0.2)
            else:
                for message in messages:
                    if not self._journal.gap:  # Else it comes again once the gap is accepted.
                        await self._deliver(message)

    async def _drained(self) -> bool:
        """Whether every message of the earlier stream's lane is acknowledged, by whatever process."""
        try:
            found = await self._journal.js.consumer_info(EARLIER_STREAM, self._durable)
        except NotFoundError:
            return True
        except TRANSIENT:
            return False
        return not found.num_pending and not found.num_ack_pending

    async def _bind(self) -> JetStreamContext.PullSubscription:
        js = self._journal.js
        try:
            found = (await js.consumer_info(self._stream, self._durable)).config
        except NotFoundError:
            if self._stream == EARLIER_STREAM and not await earlier_stream(js):
                self._stream = STREAM
            await js.add_consumer(self._stream, self._config)
        else:
            if found.ack_wait != self._ack_wait_s:
                # How long to wait for an acknowledgement is the program's to say, and earlier versions said another time.
                # The server's answer to the change still names the time before.
                found.ack_wait = self._ack_wait_s
                await js.add_consumer(self._stream, found)
                log.info("consumer.updated", consumer=self._durable, ack_wait_s=self._ack_wait_s)
            refuse_drift(f"consumer {self._durable}", self._config, found)
        return await js.pull_subscribe_bind(self._durable, stream=self._stream)

    async def _deliver(self, message: Msg) -> None:
        delivery = to_delivery(message)
        self._journal.note(delivery.stream_sequence)
        beat = asyncio.create_task(self._keep(message))
        try:
            outcome = await self._handle(delivery)
        except Exception as error:
            log.error("lane.failed", lane=self._durable, sequence=delivery.stream_sequence, exc_info=error)
            outcome = Outcome.RETRY
        finally:
            beat.cancel()
        # A lost acknowledgement only means that the message comes again.
        with contextlib.suppress(*TRANSIENT):
            if outcome is Outcome.DONE:
                await message.ack()
            elif outcome is Outcome.DEAD:
                await message.term()
            else:
                await message.nak(delay=min(0.1 * 2 ** min(delivery.deliveries, 10), 5.0))

    async def _keep(self, message: Msg) -> None:
        while True:
            await asyncio.sleep(self._ack_wait_s / 3)
            with contextlib.suppress(*TRANSIENT):
                await message.in_progress()


class Reader:
    """The whole journal in order, from a sequence that the reader's own database keeps.

    Nothing in it may be missing: where a sequence is, the journal is told, and reading waits until the gap is accepted.
    `missing_until` gives the sequence up to which an operator accepted what is missing.
    """

    def __init__(
        self, journal: Journal, *, start_after: Callable[[], int], missing_until: Callable[[], int] = lambda: 0
    ) -> None:
        self._journal = journal
        self._start_after = start_after
        self._missing_until = missing_until
        self._stream = STREAM
        self._subscription: JetStreamContext.PullSubscription | None = None
        self._subscribed = (-1, -1)  # The connection and the epoch it is of.
        self._suspected = 0

    async def batches(self, stopping: asyncio.Event) -> AsyncIterator[list[Delivery]]:
        """Yields deliveries in stream order, none twice as long as `start_after` follows what was stored."""
        await self._journal.connected()
        while not stopping.is_set():
            messages = await self._fetch() if await self._journal.whole() else []
            expected = self._start_after() + 1
            deliveries = [d for d in map(to_delivery, messages) if d.stream_sequence >= expected]
            if not deliveries or self._journal.gap:
                continue
            deliveries, missing = contiguous(deliveries, expected, self._missing_until())
            if deliveries:
                self._suspected = 0
                yield deliveries
            if missing:
                await self._suspect(missing)
            elif len(messages) < READ_BATCH:
                await asyncio.sleep(LINGER_S)

    async def _fetch(self) -> list[Msg]:
        """What comes next, nothing where there is none or the broker does not answer."""
        seen = (self._journal.generation, self._journal.mark.epoch)
        try:
            if self._subscription is None or self._subscribed != seen:
                await self._leave()
                self._subscription, self._subscribed = await self._subscribe(), seen
            return await self._subscription.fetch(READ_BATCH, timeout=FETCH_TIMEOUT_S) if self._subscription else []
        except TimeoutError:
            if self._stream == EARLIER_STREAM:
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
        await _unsubscribe(subscription)

    async def _subscribe(self) -> JetStreamContext.PullSubscription | None:
        """A subscription on the stream that holds what comes next; None where the stream is not the one that was read."""
        await self._journal.look()
        if self._journal.gap:
            return None
        start, js = self._start_after() + 1, self._journal.js
        self._stream = STREAM
        if self._journal.earlier and (earlier := await earlier_stream(js)) and start <= earlier.state.last_seq:
            self._stream = EARLIER_STREAM
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=start,
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


async def _unsubscribe(subscription: JetStreamContext.PullSubscription | None) -> None:
    if subscription is not None:
        with contextlib.suppress(*TRANSIENT):
            await subscription.unsubscribe()


def to_delivery(message: Msg) -> Delivery:
    """A nats-py message as a Delivery."""
    meta = message.metadata
    return Delivery(
        subject=message.subject,
        data=message.data,
        stream_sequence=meta.sequence.stream,
        deliveries=meta.num_delivered,
        time=meta.timestamp,
        headers=dict(message.headers or {}),
    )
