"""The connection to NATS: nats-py's client with the options that were measured, and a way to send many messages at once."""

import ssl
from typing import Any, NamedTuple

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import OutboundBufferLimitError

from vantixs.runtime.settings import ServiceSettings
from vantixs.runtime.tls import nats_tls

MESSAGE_ID = "Nats-Msg-Id"


class Message(NamedTuple):
    """One message to publish; the id makes publishing it again harmless."""

    subject: str
    payload: bytes
    message_id: str


class TlsNotOfferedError(NatsError):
    """TLS is set, and the server has none."""

    def __str__(self) -> str:
        return "nats: expected a server with TLS, was one with plain text"


class NatsClient(Client):
    """nats-py's client, which can also send many messages as one piece, and speaks TLS or not at all where it is set."""

    def _connect_command(self) -> bytes:
        # It holds the token. nats-py uses TLS where the server asks for it, and would send it in plain text where it does not.
        if "tls" in self.options:
            if not self._server_info.get("tls_required"):
                raise TlsNotOfferedError
            # nats-py makes a protocol for connections that may be closed on one side. TLS has none: asyncio would print a line
            # at the end of each.
            self._transport._io_writer.transport.get_protocol()._over_ssl = True  # type: ignore[union-attr]
        return super()._connect_command()

    async def publish_frames(self, frames: bytes) -> None:
        """Sends messages that are framed already. `publish` looks each over at 8 us, a third of what a signal costs the relay.

        Raises:
            OutboundBufferLimitError: there is no connection.
        """
        if not self.is_connected:
            raise OutboundBufferLimitError
        await self._send_command(frames)
        await self._flush_pending()


def frame_of_batch(message: Message, batch: str, number: int) -> bytes:
    """A message of an atomic batch on the wire. Subject and id are printable: a line end in one would begin another command.

    Source: https://docs.nats.io/reference/reference-protocols/nats-protocol (HPUB)
    """
    subject, payload, message_id = message
    lines = f"NATS/1.0\r\n{MESSAGE_ID}: {message_id}\r\nNats-Batch-Id: {batch}\r\nNats-Batch-Sequence: {number}\r\n\r\n"
    head = lines.encode()
    return b"%b%b%b\r\n" % (f"HPUB {subject} {len(head)} {len(head) + len(payload)}\r\n".encode(), head, payload)


def tls_refusal(error: Exception) -> str:
    """Why there is no connection, where that is TLS; else empty."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the NATS server's certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS with the NATS server failed: {error.reason or error}"
    return str(error) if isinstance(error, TlsNotOfferedError) else ""


async def nats_connect(
    settings: ServiceSettings, client: Client, reconnected: Any, disconnected: Any, failed: Any
) -> None:
    """Connects with the options that were measured to recover fast.

    Raises:
        SettingsError: TLS is set in half, or a file of it cannot be used.
    """
    await client.connect(
        servers=settings.nats_url.split(","),
        token=settings.nats_token or None,
        tls=nats_tls(settings),
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
