"""The journal on JetStream: connection, stream, publishing.

A publish acknowledgement is the only proof that a message is stored. After a time-out the message may be stored or not, so
every retry carries the same message id. With `discard: new` a full stream refuses new messages and never drops old ones.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence

from nats.errors import SlowConsumerError
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from vantixs.runtime.continuity import NOTHING_SEEN, REMEDY, Mark, Report, StreamFacts, difference, facts_of, followed
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.health import Health
from vantixs.runtime.journal_publish import ACK_TIMEOUT_S, TRANSIENT, Publisher, refusal
from vantixs.runtime.journal_stream import STREAM, SUBJECTS, accept_gaps, add_report, earlier_stream, ensure_stream
from vantixs.runtime.lifecycle import Lifecycle, StartupError
from vantixs.runtime.logs import log
from vantixs.runtime.nats_client import Message, NatsClient, nats_connect, tls_refusal
from vantixs.runtime.retry import retry
from vantixs.runtime.settings import ServiceSettings

__all__ = ["STREAM", "SUBJECTS", "TRANSIENT", "Inspect", "Journal", "Message"]

# In a cluster of NATS the node that is asked may not have yet what another node delivered. So a message counts as missing
# only if it is still missing after this time.
CONFIRM_S = 3.0
# When one of several audit processes accepts a gap, the stream says so first, and their common history a moment later.
_HISTORY_BEHIND = "history is older than the gap that was accepted as number"
LOOK_EVERY_S = 1.0  # A stream that is replaced while the connection stays up is noticed after this time at most.

Inspect = Callable[[JetStreamContext, StreamFacts], Awaitable[tuple[Mark, str]]]


class Journal:
    """A connection to NATS that is retried for ever, and the journal stream on it.

    `mark` is how far the service has seen the stream. At every connection, and once a second, the stream is compared with
    the mark. If the stream has lost messages, nothing is published until an operator accepts the gap; the stream itself
    records that.

    Audit passes `inspect`, a function that reads the mark from history, which all audit processes share, and says what
    else is missing. A service with `inspect` accepts gaps itself; the others follow what the stream says.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        health: Health,
        *,
        service: str = "",
        mark: Mark = NOTHING_SEEN,
        inspect: Inspect | None = None,
        confirm_s: float | None = None,
    ) -> None:
        self._settings = settings
        self._service = f"{service}-{settings.instance}" if service else ""
        self._inspect = inspect
        self._missing = ""
        self._confirm_s = (CONFIRM_S if settings.journal_replicas > 1 else 0.0) if confirm_s is None else confirm_s
        self._doubted_at: float | None = None  # Since when messages are missing that may still appear.
        self._told = False  # Whether the stream has a report of this service about missing messages.
        self._looking = asyncio.Lock()
        self.is_whole = asyncio.Event()  # Set while the stream is known to have every message that was seen.
        self._look_soon = asyncio.Event()
        self.mark = mark
        self.facts: StreamFacts | None = None
        self.earlier = False  # Whether a stream of an earlier version was there at start.
        self.gap = ""
        self._health = health
        self.client = NatsClient()
        self._publisher = Publisher(self, health)
        self._connected = asyncio.Event()
        self.generation = 0
        self.dropped = 0  # Messages of plain subjects (no stream) that were lost because they were read too slowly.
        self._closing = False
        health.set("journal", False, "connecting")
        health.set("journal-gap", True)

    def start(self, life: Lifecycle) -> None:
        """Connects in the background, and retries until it succeeds."""
        life.spawn(self._connect(life.stopping), name="journal-connect")

    async def whole(self, timeout_s: float = 0.5) -> bool:
        """Whether the journal has every message that was seen. Waits at most `timeout_s` for that to be known."""
        if self.is_whole.is_set():
            return True
        try:
            await asyncio.wait_for(self.is_whole.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def note(self, sequence: int) -> None:
        """Records that the message with this sequence was seen."""
        if sequence > self.mark.sequence:
            self.mark = self.mark._replace(sequence=sequence)

    async def look(self) -> StreamFacts:
        """Compares the stream with what was seen of it. Afterwards `gap` says what is missing.

        Raises:
            nats.errors.Error: the broker does not answer.
            ServiceError: `inspect` cannot read what it compares with.
        """
        async with self._looking:
            return await self._look()

    async def miss(self, detail: str) -> None:
        """Records that a reader found messages missing which the comparison of sequences cannot notice."""
        if not self._missing:
            self._missing = detail
        with contextlib.suppress(*TRANSIENT, ServiceError):
            await self.look()

    async def accept_gap(self, recorded: Callable[[StreamFacts, int], Awaitable[None]]) -> StreamFacts:
        """Accepts the stream as it is: raises its epoch, which the other services follow, then awaits `recorded`.

        `recorded` stores the acceptance in history; its arguments are the facts of the stream and the new epoch. The stream
        is changed first. If the service ends before `recorded`, history is older than the stream, and the gap is reported
        again.
        """
        async with self._looking:
            found = facts_of(info := await self.js.stream_info(STREAM))
            epoch = max(found.epoch, self.mark.epoch) + 1
            found = facts_of(await accept_gaps(self.js, info, epoch))
            await recorded(found, epoch)
            self.mark = Mark(epoch, found.stream, found.last)
            self._missing = ""
            self._judge(found)
            return found

    async def connected(self) -> None:
        """Returns once there is a connection and the stream has its configuration."""
        await self._connected.wait()

    @property
    def js(self) -> JetStreamContext:
        """JetStream on the connection."""
        return self.client.jetstream(timeout=ACK_TIMEOUT_S)

    async def publish(self, subject: str, payload: bytes, message_id: str) -> int:
        """Publishes one message and returns its stream sequence. Retries until the message is stored.

        Messages that are published while a publish is in progress share the next one. A message whose id is stored already is
        not stored again; then the sequence of the stored message is returned.
        """
        return await self._publisher.publish(Message(subject, payload, message_id))

    async def publish_batch(self, messages: Sequence[Message]) -> None:
        """Publishes the messages in order: in atomic batches if the server supports them, else one by one."""
        await self._publisher.publish_batch(messages)

    async def close(self) -> None:
        """Flushes what was written to the connection, and disconnects.

        `drain` is not used: it would wait for the whole time-out of a pending pull, and every publish has its acknowledgement
        already.
        """
        self._closing = True
        with contextlib.suppress(*TRANSIENT):
            if self.client.is_connected:
                await self.client.flush(timeout=1)
        with contextlib.suppress(*TRANSIENT):
            await self.client.close()

    def _unprepared(self, error: Exception) -> bool:
        """Whether preparing the stream may succeed later. Sets health to the reason of the failure."""
        passing = isinstance(error, (*TRANSIENT, ServiceError))
        if passing:
            log.warning("journal.stream_unavailable", error=repr(error), detail=refusal(error))
            self._health.set("journal", False, refusal(error))
        return passing

    async def _look(self) -> StreamFacts:
        mark = self.mark  # Read before the call: the answer may not include messages that are stored during the call.
        try:
            info = await self.js.stream_info(STREAM)
        except NotFoundError:
            await ensure_stream(self.js, self._settings)
            info = await self.js.stream_info(STREAM)
        found = facts_of(info)
        followed_by_others = self._inspect is None and found.epoch > mark.epoch
        if followed_by_others:
            if self._missing or mark.stream:
                log.warning("journal.gap_accepted", epoch=found.epoch, missed=self._missing, seen=mark.sequence)
            self._missing = ""
        missing = await self._compare(mark, found)
        if self.mark.epoch > mark.epoch:
            # Another process of the service accepted a gap, perhaps after the stream was asked.
            return await self._look()
        if self._may_come(missing):
            return found
        told = self._service in {report.service for report in found.reports}
        if missing and not self._missing:
            log.error("journal.gap_found", detail=missing, remedy=REMEDY)
            self._missing = missing
        elif self._told and not told and not missing:
            self._missing = ""  # The right stream is back: nothing is missing, and it has no report of this service.
        if self._missing and self._service and not told:
            await add_report(self.js, info, Report(self._service, mark.sequence, self._missing))
            found = facts_of(await self.js.stream_info(STREAM))
        self._told = bool(self._missing)
        if not self._missing:
            self.mark = followed(self.mark, found)
        self._judge(found)
        return found

    def _may_come(self, missing: str) -> bool:
        """Whether the missing messages may still appear. Until that is decided, nothing is published or reported."""
        now = time.monotonic()
        behind = missing.startswith(_HISTORY_BEHIND)
        if not missing or (self._missing and not behind):
            self._doubted_at = None
            return False
        confirm_s = max(self._confirm_s, CONFIRM_S) if behind else self._confirm_s
        if self._doubted_at is None:
            self._doubted_at = now
            if confirm_s:
                log.warning("journal.gap_suspected", detail=missing, for_s=confirm_s)
        if now - self._doubted_at < confirm_s:
            self.is_whole.clear()
            return True
        self._doubted_at = None
        return False

    async def _compare(self, mark: Mark, found: StreamFacts) -> str:
        if self._inspect is None:
            return difference(mark, found)
        history, missing = await self._inspect(self.js, found)
        if history.epoch > mark.epoch:
            # Another process of the service accepted a gap, and history has it.
            self.mark = mark = history
            self._missing = ""
        if mark.stream and found.epoch > mark.epoch:
            return f"{_HISTORY_BEHIND} {found.epoch}"
        return difference(mark, found) or missing

    def _judge(self, found: StreamFacts) -> None:
        """Sets `gap`, health and `is_whole` from the stream's facts and reports."""
        self.facts = found
        self.gap = found.gap or (self._missing and f"{self._service or 'here'}: {self._missing}")
        self._health.set("journal-gap", not self.gap, f"{self.gap}; {REMEDY}" if self.gap else "")
        if self.gap or not self.client.is_connected:
            self.is_whole.clear()
        else:
            self.is_whole.set()

    async def _watch(self, stopping: asyncio.Event) -> None:
        """Looks at the stream once a second, and at once after a new connection."""
        while not stopping.is_set():
            self._look_soon.clear()
            try:
                await self.look()
                pause = LOOK_EVERY_S if self._doubted_at is None else 0.2
            except (*TRANSIENT, ServiceError) as error:
                log.debug("journal.not_looked_at", error=repr(error))
                pause = 0.2
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look_soon.wait(), pause)

    async def _prepare(self) -> None:
        """Creates or updates the stream, and compares it with the mark for the first time."""
        await ensure_stream(self.js, self._settings)
        self.earlier = await earlier_stream(self.js) is not None
        await self.look()
        while self._doubted_at is not None:
            await asyncio.sleep(0.2)
            await self.look()

    async def _connect(self, stopping: asyncio.Event) -> None:
        async def reconnected() -> None:
            self.generation += 1
            self._health.set("journal", True)
            log.info("journal.reconnected")
            self._look_soon.set()

        async def disconnected() -> None:
            # The next connection may reach another stream, so nothing is published before the stream was compared.
            self.is_whole.clear()
            self._health.set("journal", False, "disconnected")

        refused = ""

        async def failed(error: Exception) -> None:
            """Shows connection errors in health, where nats-py would print a traceback for each; logs a refusal once."""
            nonlocal refused
            self.dropped += isinstance(error, SlowConsumerError)
            if (detail := tls_refusal(error)) and not self.client.is_connected:
                self._health.set("journal", False, detail)
                if detail != refused:
                    log.error("journal.tls_refused", detail=detail)
                refused = detail

        while not self.client.is_connected:
            try:
                await nats_connect(self._settings, self.client, reconnected, disconnected, failed)
            except TRANSIENT as error:
                if "authorization" in str(error).lower():
                    raise StartupError(
                        "NATS: the token is not accepted (secrets/nats-token, VANTIXS_NATS_TOKEN)"
                    ) from None
                with contextlib.suppress(*TRANSIENT):
                    await self.client.close()
                # nats-py sometimes swallows a cancellation, so this loop also ends by a flag.
                if self._closing:
                    return
                self.client = NatsClient()
                await asyncio.sleep(0.1)
        await retry(self._prepare, self._unprepared)
        self.generation += 1
        self._health.set("journal", True)
        self._connected.set()
        await self._watch(stopping)
