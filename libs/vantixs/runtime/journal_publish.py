"""Publishing to the journal: what waits goes together, in atomic batches where the server takes them.

A publish acknowledgement is the only proof of storage, and a time-out is no proof against it: every retry carries the same
message id.
"""

import asyncio
import json
import uuid
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Protocol

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import APIError
from nats.js.errors import Error as JetStreamError

from vantixs.runtime.batching import Batcher, BatcherFull, Bounds
from vantixs.runtime.health import Health
from vantixs.runtime.nats_client import MESSAGE_ID, Message, NatsClient, frame_of_batch
from vantixs.runtime.retry import retry

ACK_TIMEOUT_S = 2.0
# An atomic batch costs two round trips and four syncs whatever is in it, of 1,000 messages at most. Below so many, single
# messages that are all on their way at once take the broker no longer.
ATOMIC_FROM = 12
PART = Bounds(items=500, size=800_000)
TRANSIENT = (NatsError, JetStreamError, asyncio.TimeoutError, OSError, ConnectionError)
_FULL = (10077, 10023)  # maximum messages or bytes of the stream, or of the server, exceeded


class Connection(Protocol):
    """The journal, as publishing needs it."""

    client: NatsClient
    is_whole: asyncio.Event

    @property
    def js(self) -> JetStreamContext:
        """JetStream on the connection that there is now."""
        ...

    def note(self, sequence: int) -> None:
        """A message with that sequence was stored."""
        ...


class Publisher:
    """Publishes on a journal's connection, for as long as it takes, while nothing is missing from the stream."""

    def __init__(self, journal: Connection, health: Health) -> None:
        self._journal = journal
        self._health = health
        self._publishes = Batcher(self._publish_together, PART, size_of=lambda message: len(message.payload))

    def _may_pass(self, error: Exception) -> bool:
        """Whether publishing again may work; health is told why it did not."""
        if isinstance(error, TRANSIENT):
            self._health.set("journal", False, refusal(error))
        return isinstance(error, (*TRANSIENT, BatcherFull))

    async def publish(self, message: Message) -> int:
        """Publishes one message, together with those that wait as well, and returns its sequence; see `Journal.publish`."""
        return await retry(lambda: self._publishes.submit(message), self._may_pass)

    async def publish_batch(self, messages: Sequence[Message]) -> None:
        """Publishes the messages in order: in atomic batches where the server takes them, else one by one."""
        for part in _parts(messages):
            if len(part) == 1 or not await self._publish_atomically(part):
                for message in part:
                    # The next one only once this one is stored: a journal that is full may have room for a smaller one.
                    await retry(partial(self._publish_once, message), self._may_pass)

    async def _publish_together(self, messages: Sequence[Message]) -> list[int | Exception]:
        """One attempt at messages whose callers all wait, in whatever order: the sequence of each, or why it has none."""
        await self._journal.is_whole.wait()
        if len(messages) >= ATOMIC_FROM and (last := await self._publish_atomically(messages)):
            return list(range(last - len(messages) + 1, last + 1))

        async def attempt(message: Message) -> int | Exception:
            try:
                return await self._publish_once(message)
            except Exception as error:
                return error

        return await asyncio.gather(*map(attempt, messages))

    async def _publish_once(self, message: Message) -> int:
        await self._journal.is_whole.wait()
        subject, payload, message_id = message
        # A fresh header dict each time: nats-py changes the one it is given.
        ack = await self._journal.js.publish(subject, payload, timeout=ACK_TIMEOUT_S, headers={MESSAGE_ID: message_id})
        self._health.set("journal", True)
        self._journal.note(ack.seq)
        return int(ack.seq)

    async def _publish_atomically(self, messages: Sequence[Message]) -> int:
        """The sequence of the last one where the batch was stored, and those before it have the ones before; else 0.

        A refusal or time-out is not final: the same ids go again one by one. One id that is stored already refuses all.
        """
        await self._journal.is_whole.wait()
        batch = uuid.uuid4().hex
        first, *between, last = messages
        if not all(m.subject.isprintable() and m.message_id.isprintable() for m in between):
            return 0
        try:
            if await self._request(first, batch, 1):
                return 0  # The server speaks up where it has something against it.
            if between:
                await self._journal.client.publish_frames(
                    b"".join([frame_of_batch(m, batch, n) for n, m in enumerate(between, 2)])
                )
            answer = await self._request(last, batch, len(messages), commit="1")
        except TRANSIENT:
            return 0
        if b'"error"' in answer:
            return 0
        sequence = int(json.loads(answer).get("seq", 0))
        self._health.set("journal", True)
        self._journal.note(sequence)
        return sequence

    async def _request(self, message: Message, batch: str, number: int, commit: str = "") -> bytes:
        headers = {MESSAGE_ID: message.message_id, "Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)}
        if commit:
            headers["Nats-Batch-Commit"] = commit
        reply = await self._journal.client.request(
            message.subject, message.payload, timeout=ACK_TIMEOUT_S, headers=headers
        )
        return bytes(reply.data)


def _parts(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """The messages in order, as many at a time as a batch takes."""
    start, size = 0, 0
    for number, message in enumerate(messages):
        size += len(message.payload)
        if number > start and (number - start >= PART.items or size > PART.size):
            yield messages[start:number]
            start, size = number, len(message.payload)
    if messages:
        yield messages[start:]


def refusal(error: Exception) -> str:
    """What a failed request means for an operator. The code of a full journal is also that of a directory that is read-only."""
    if not isinstance(error, APIError):
        return "not reachable"
    description = error.description or f"error {error.err_code}"
    if error.err_code in _FULL and "writable" not in description:
        return "journal full"
    return f"the broker refuses it: {description}; make data/nats writable, or put a copy of it back"
