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

from vantixs.runtime.journal import STREAM, SUBJECTS, TRANSIENT, Journal, refuse_drift
from vantixs.runtime.lifecycle import StartupError
from vantixs.runtime.logs import log

FETCH_TIMEOUT_S = 1.0  # A fetch that is out when the broker restarts sits dead until its own time-out.
READ_BATCH = 500
LINGER_S = 0.01  # Between two reads of a busy journal: ten entries stored together cost little more than one.


class Outcome(Enum):
    """What became of a message: done (acknowledged), retry (comes again), dead (recorded elsewhere, never again)."""

    DONE = "done"
    RETRY = "retry"
    DEAD = "dead"


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
        subscription: JetStreamContext.PullSubscription | None = None
        while not stopping.is_set():
            try:
                if subscription is None:
                    subscription = await self._bind()
                messages = await subscription.fetch(1, timeout=FETCH_TIMEOUT_S)
            except TimeoutError:
                continue
            except NotFoundError:
                subscription = None
            except TRANSIENT:
                await asyncio.sleep(0.2)
            else:
                for message in messages:
                    await self._deliver(message)

    async def _bind(self) -> JetStreamContext.PullSubscription:
        js = self._journal.js
        try:
            found = (await js.consumer_info(STREAM, self._durable)).config
        except NotFoundError:
            await js.add_consumer(STREAM, self._config)
        else:
            if found.ack_wait != self._ack_wait_s:
                # How long to wait for an acknowledgement is the program's to say, and earlier versions said another time.
                # The server's answer to the change still names the time before.
                found.ack_wait = self._ack_wait_s
                await js.add_consumer(STREAM, found)
                log.info("consumer.updated", consumer=self._durable, ack_wait_s=self._ack_wait_s)
            refuse_drift(f"consumer {self._durable}", self._config, found)
        return await js.pull_subscribe_bind(self._durable, stream=STREAM)

    async def _deliver(self, message: Msg) -> None:
        delivery = to_delivery(message)
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
    """The whole journal in order, from a sequence that the reader's own database keeps."""

    def __init__(self, journal: Journal, *, start_after: Callable[[], int]) -> None:
        self._journal = journal
        self._start_after = start_after

    async def batches(self, stopping: asyncio.Event) -> AsyncIterator[list[Delivery]]:
        """Yields deliveries in stream order, none twice as long as `start_after` follows what was stored."""
        await self._journal.connected()
        subscription: JetStreamContext.PullSubscription | None = None
        generation = -1
        while not stopping.is_set():
            try:
                if subscription is None or generation != self._journal.generation:
                    generation = self._journal.generation
                    subscription = await self._subscribe()
                messages = await subscription.fetch(READ_BATCH, timeout=FETCH_TIMEOUT_S)
            except TimeoutError:
                continue
            except StartupError:
                raise
            except TRANSIENT as error:
                log.debug("journal.read_retry", error=repr(error))
                subscription = None
                await asyncio.sleep(0.2)
                continue
            expected = self._start_after() + 1
            deliveries = [d for d in map(to_delivery, messages) if d.stream_sequence >= expected]
            if not deliveries:
                continue
            if deliveries[0].stream_sequence > expected:
                # Either something was lost on the way to us, or it is gone from the stream: ask again from there.
                log.warning("journal.gap", expected=expected, was=deliveries[0].stream_sequence)
                first = (await self._journal.js.stream_info(STREAM)).state.first_seq
                if first <= expected:
                    subscription = None
                    continue
            yield deliveries
            if len(messages) < READ_BATCH:
                await asyncio.sleep(LINGER_S)

    async def _subscribe(self) -> JetStreamContext.PullSubscription:
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self._start_after() + 1,
            inactive_threshold=30.0,
        )
        return await self._journal.js.pull_subscribe(SUBJECTS, stream=STREAM, config=config)


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
