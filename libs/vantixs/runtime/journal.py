"""The journal on JetStream: connection, stream, publishing.

What the choices rest on: a publish acknowledgement is the only proof of storage, and a time-out is no proof against it,
so every retry carries the same message id; `discard: new` refuses rather than forgets.
"""

import asyncio
import contextlib
import random
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import OutboundBufferLimitError
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError
from nats.js.errors import Error as JetStreamError

from vantixs.runtime.health import Health
from vantixs.runtime.lifecycle import Lifecycle, StartupError
from vantixs.runtime.logs import log
from vantixs.runtime.settings import ServiceSettings

STREAM = "VANTIXS_JOURNAL"
SUBJECTS = "vantixs.journal.v1.>"
MESSAGE_ID = "Nats-Msg-Id"
ACK_TIMEOUT_S = 2.0
_FULL = (10077, 10023)  # maximum messages or bytes of the stream, or of the server, exceeded

TRANSIENT = (NatsError, JetStreamError, asyncio.TimeoutError, OSError, ConnectionError)


class Message(NamedTuple):
    """One message to publish; the id makes publishing it again harmless."""

    subject: str
    payload: bytes
    message_id: str


class _Client(Client):
    """nats-py's client, which can also send many messages as one piece."""

    async def publish_frames(self, frames: bytes) -> None:
        """Sends messages that are framed already. `publish` looks each over at 8 us, a third of what a signal costs the relay.

        Raises:
            OutboundBufferLimitError: there is no connection.
        """
        if not self.is_connected:
            raise OutboundBufferLimitError
        await self._send_command(frames)
        await self._flush_pending()


class Journal:
    """A connection to NATS that never gives up, and the journal stream on it."""

    def __init__(self, settings: ServiceSettings, health: Health) -> None:
        self._settings = settings
        self._health = health
        self.client = _Client()
        self._connected = asyncio.Event()
        self.generation = 0
        self._closing = False
        health.set("journal", False, "connecting")

    def start(self, life: Lifecycle) -> None:
        """Connects in the background, for as long as it takes."""
        life.spawn(self._connect(), name="journal-connect")

    async def connected(self) -> None:
        """Returns once there is a connection and the stream is as it should be."""
        await self._connected.wait()

    @property
    def js(self) -> JetStreamContext:
        """JetStream on the connection."""
        return self.client.jetstream(timeout=ACK_TIMEOUT_S)

    async def publish(self, subject: str, payload: bytes, message_id: str) -> int:
        """Publishes one message and returns its stream sequence; tries until it is stored.

        A message whose id is stored already is not stored again, and the first one's sequence is returned.
        """
        attempt = 0
        while True:
            try:
                # A fresh header dict each time: nats-py changes the one it is given.
                ack = await self.js.publish(subject, payload, timeout=ACK_TIMEOUT_S, headers={MESSAGE_ID: message_id})
            except TRANSIENT as error:
                attempt += 1
                self._note_refusal(error)
                await asyncio.sleep(random.uniform(0.5, 1) * min(0.05 * 2**attempt, 1.0))  # noqa: S311 - jitter
            else:
                self._health.set("journal", True)
                return ack.seq

    async def publish_batch(self, messages: Sequence[Message]) -> None:
        """Publishes the messages in order, as one atomic batch where the server takes it, else one by one."""
        if len(messages) > 1 and await self._publish_atomically(messages):
            return
        for message in messages:
            await self.publish(*message)

    async def close(self) -> None:
        """Sends what is on its way and disconnects.

        Not by `drain`: a pull that is out holds it for its whole time-out, and publishes are acknowledged already.
        """
        self._closing = True
        with contextlib.suppress(*TRANSIENT):
            if self.client.is_connected:
                await self.client.flush(timeout=1)
        with contextlib.suppress(*TRANSIENT):
            await self.client.close()

    def _note_refusal(self, error: Exception) -> None:
        full = isinstance(error, APIError) and error.err_code in _FULL
        self._health.set("journal", False, "journal full" if full else "not reachable")

    async def _publish_atomically(self, messages: Sequence[Message]) -> bool:
        """Whether the batch was stored. A refusal or time-out is not final: the same ids go again one by one."""
        batch = uuid.uuid4().hex
        first, *between, last = messages
        if not all(m.subject.isprintable() and m.message_id.isprintable() for m in between):
            return False
        try:
            if await self._request(first, batch, 1):
                return False  # The server speaks up where it has something against it.
            if between:
                await self.client.publish_frames(b"".join([_frame(m, batch, n) for n, m in enumerate(between, 2)]))
            return b'"error"' not in await self._request(last, batch, len(messages), commit="1")
        except TRANSIENT:
            return False

    async def _request(self, message: Message, batch: str, number: int, commit: str = "") -> bytes:
        headers = {MESSAGE_ID: message.message_id, "Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)}
        if commit:
            headers["Nats-Batch-Commit"] = commit
        reply = await self.client.request(message.subject, message.payload, timeout=ACK_TIMEOUT_S, headers=headers)
        return bytes(reply.data)

    async def _connect(self) -> None:
        async def reconnected() -> None:
            self.generation += 1
            self._health.set("journal", True)
            log.info("journal.reconnected")

        async def disconnected() -> None:
            self._health.set("journal", False, "disconnected")

        async def failed(_: Exception) -> None:
            """Connection errors show in health; nats-py would print a traceback for each."""

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
                # nats-py swallows a cancellation now and then, so that is not enough to end this.
                if self._closing:
                    return
                self.client = _Client()
                await asyncio.sleep(0.1)
        while True:
            try:
                await self._ensure_stream()
                break
            except TRANSIENT as error:
                log.warning("journal.stream_unavailable", error=repr(error))
                await asyncio.sleep(0.2)
        self.generation += 1
        self._health.set("journal", True)
        self._connected.set()

    async def _ensure_stream(self) -> None:
        wanted = StreamConfig(
            name=STREAM,
            subjects=[SUBJECTS],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            max_bytes=self._settings.journal_max_bytes,
            num_replicas=self._settings.journal_replicas,
            duplicate_window=600.0,
            deny_delete=True,
            deny_purge=True,
            allow_atomic=True,
        )
        try:
            found = (await self.js.stream_info(STREAM)).config
        except NotFoundError:
            await self.js.add_stream(wanted)
            return
        refuse_drift(f"stream {STREAM}", wanted, found)


def _frame(message: Message, batch: str, number: int) -> bytes:
    """A message of an atomic batch on the wire. Subject and id are printable: a line end in one would begin another command.

    Source: https://docs.nats.io/reference/reference-protocols/nats-protocol (HPUB)
    """
    subject, payload, message_id = message
    lines = f"NATS/1.0\r\n{MESSAGE_ID}: {message_id}\r\nNats-Batch-Id: {batch}\r\nNats-Batch-Sequence: {number}\r\n\r\n"
    head = lines.encode()
    return b"%b%b%b\r\n" % (f"HPUB {subject} {len(head)} {len(head) + len(payload)}\r\n".encode(), head, payload)


def refuse_drift(what: str, wanted: Any, found: Any) -> None:
    """Raises StartupError where a field that is set in `wanted` differs in `found`."""
    for name, value in vars(wanted).items():
        was = getattr(found, name, None)
        if value is not None and was != value:
            raise StartupError(
                f"{what}: expected {name} = {value}, was {was}; change it by hand or restore the setting"
            )


async def nats_connect(
    settings: ServiceSettings, client: Client, reconnected: Any, disconnected: Any, failed: Any
) -> None:
    """Connects with the options that were measured to recover fast."""
    await client.connect(
        servers=settings.nats_url.split(","),
        token=settings.nats_token or None,
        allow_reconnect=True,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.1,  # type: ignore[arg-type]  # a float works, and the default of 2 s is slow
        connect_timeout=2,
        ping_interval=1,
        max_outstanding_pings=2,
        pending_size=0,
        reconnected_cb=reconnected,
        disconnected_cb=disconnected,
        error_cb=failed,
        name=f"vantixs-{settings.instance}",
    )
