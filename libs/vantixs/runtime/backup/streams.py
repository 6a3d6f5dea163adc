"""Copies of JetStream streams, journal and buckets, by the server's own snapshots.

Source: https://docs.nats.io/reference/reference-protocols/nats_api_reference (STREAM.SNAPSHOT, STREAM.RESTORE)
"""

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.js.api import AckPolicy, ConsumerConfig

from vantixs.runtime.journal import STREAM
from vantixs.runtime.journal_stream import EARLIER_STREAM, SUBJECTS
from vantixs.runtime.nats_client import MESSAGE_ID

TIMEOUT_S = 30.0
ATTEMPTS = 3
WINDOW = 256  # Messages on their way; the order in which they are sent is that in which they are stored.
DEDUPLICATED_S = 500.0  # Shorter than the time for which the journal knows a message's id.
_SIZES = struct.Struct(">II")
CHUNK_BYTES = 128 << 10
# Stands for a message that was purged between others while a journal is made, at most so many at a time.
FILLER, MOST_FILLERS = f"{SUBJECTS.removesuffix('>')}filler", 10_000


class Extent(NamedTuple):
    """How far the journal is at a moment: its last sequence, and how many messages it has."""

    last: int
    messages: int


async def save_stream(client: Client, stream: str, target: Path) -> int:
    """Writes a stream as it is now into `<stream>.json` and `<stream>.snapshot`; returns how many messages it has.

    Consumers are left out: what they had acknowledged may be newer than the databases of the same copy, and would be lost.

    Raises:
        LookupError: there is no such stream.
        OSError: the server refuses, or a file cannot be written.
    """
    inbox = client.new_inbox()
    chunks = await client.subscribe(inbox)
    request = {"deliver_subject": inbox, "no_consumers": True, "jsck": True, "chunk_size": CHUNK_BYTES}
    answer = await _ask(client, f"$JS.API.STREAM.SNAPSHOT.{stream}", json.dumps(request).encode())
    (target / f"{stream}.json").write_text(json.dumps({"config": answer["config"], "state": answer["state"]}))
    with (target / f"{stream}.snapshot").open("wb") as file:
        while data := (message := await chunks.next_msg(timeout=TIMEOUT_S)).data:
            file.write(data)
            # The server asks for a word back where it wants to know that it may go on.
            if message.reply:
                await message.respond(b"")
    # The last message is empty; where the server gave up, its headers say why.
    status = (message.headers or {}).get("Status", "204")
    if status not in ("", "204"):
        raise OSError(f"stream {stream}: the server ended the copy with {status} {message.headers}")
    await chunks.unsubscribe()
    return int(answer["state"]["messages"])


async def load_stream(client: Client, stream: str, source: Path) -> int:
    """Makes a stream from what `save_stream` wrote; returns how many messages it has.

    Raises:
        OSError: the server refuses, for example because the stream is there; or it has not all the messages.
    """
    saved = json.loads((source / f"{stream}.json").read_text())
    for attempt in range(ATTEMPTS):
        try:
            state = await _send(client, stream, saved, source / f"{stream}.snapshot")
            break
        except NoRespondersError:
            # A server that has just started now and then lets go of a transfer; of one that is cut nothing is kept.
            if attempt == ATTEMPTS - 1:
                raise
            await asyncio.sleep(0.5)
    if state["messages"] != saved["state"]["messages"]:
        raise OSError(f"stream {stream}: expected {saved['state']['messages']} messages, was {state['messages']}")
    return int(state["messages"])


async def _send(client: Client, stream: str, saved: dict[str, Any], snapshot: Path) -> dict[str, Any]:
    """One transfer; returns the state of the stream that came of it."""
    answer = await _ask(client, f"$JS.API.STREAM.RESTORE.{stream}", json.dumps(saved).encode())
    with snapshot.open("rb") as file:
        while data := file.read(CHUNK_BYTES):
            await client.request(answer["deliver_subject"], data, timeout=TIMEOUT_S)
    done = await client.request(answer["deliver_subject"], b"", timeout=TIMEOUT_S)
    state: dict[str, Any] = _content(stream, done.data)["state"]
    return state


async def journal_extent(client: Client) -> Extent:
    """How far the journal is, and how many messages it has up to there."""
    state = (await _ask(client, f"$JS.API.STREAM.INFO.{STREAM}", b""))["state"]
    return Extent(int(state["last_seq"]), int(state["messages"]))


async def save_journal(client: Client, extent: Extent, target: Path) -> None:
    """Writes the messages that the journal had when it was of that extent into a file.

    Not the server's snapshot: that is of its own moment, and what the journal tells of later ones does not fit the databases.

    Raises:
        OSError: the server refuses, a file cannot be written, some of the messages were purged since, or the stream of an
            earlier version is not read to its end yet.
    """
    with contextlib.suppress(LookupError):
        await _ask(client, f"$JS.API.STREAM.INFO.{EARLIER_STREAM}", b"")
        raise OSError(
            f"{EARLIER_STREAM}, of an earlier version, is still being read: try again when audit has removed it"
        )
    info = await _ask(client, f"$JS.API.STREAM.INFO.{STREAM}", b"")
    first, count = int(info["state"]["first_seq"]), 0
    config = {key: value for key, value in info["config"].items() if key != "first_seq"}
    (target / "journal.json").write_text(json.dumps({"config": config, "first": first, "last": extent.last}))
    with (target / "journal.messages").open("wb") as file:
        async for message in _messages_up_to(client, extent.last):
            head = {"subject": message.subject, "time_s": message.metadata.timestamp.timestamp()}
            head["id"] = (message.headers or {}).get(MESSAGE_ID, "")
            head["sequence"] = message.metadata.sequence.stream
            text = json.dumps(head).encode()
            file.write(_SIZES.pack(len(text), len(message.data)) + text + message.data)
            count += 1
    # The databases of the same copy may not have what was purged since: audit's history goes on after it was copied.
    if count != extent.messages:
        raise OSError(f"journal: expected {extent.messages} messages, was {count}: it was purged meanwhile, try again")


async def _messages_up_to(client: Client, last: int) -> AsyncIterator[Msg]:
    """The journal's messages up to a sequence, in order. Between them there may be some that were purged."""
    js = client.jetstream(timeout=TIMEOUT_S)
    reader = await js.pull_subscribe("", stream=STREAM, config=ConsumerConfig(ack_policy=AckPolicy.NONE))
    left = (await reader.consumer_info()).num_pending or 0
    while left:
        for message in await reader.fetch(500, timeout=TIMEOUT_S):
            if message.metadata.sequence.stream <= last:
                yield message
            left = message.metadata.num_pending if message.metadata.sequence.stream < last else 0
    await reader.unsubscribe()


async def load_journal(client: Client, source: Path) -> int:
    """Makes the journal from what `save_journal` wrote, with the sequences it had; returns how many messages it has.

    Raises:
        OSError: the server refuses, for example because the journal is there; or a message got another sequence.
    """
    saved = json.loads((source / "journal.json").read_text())
    config = saved["config"] | {"first_seq": max(saved["first"], 1)}
    await _ask(client, f"$JS.API.STREAM.CREATE.{STREAM}", json.dumps(config).encode())
    following = config["first_seq"]
    count, newest, fillers = 0, 0.0, 0
    for head, _ in _messages(source):
        newest = max(newest, head["time_s"])
    acks: list[tuple[int, asyncio.Future[Msg]]] = []

    async def put(subject: str, data: bytes, headers: dict[str, str] | None) -> None:
        nonlocal following
        acks.append((following, asyncio.ensure_future(_publish(client, subject, data, headers))))
        following += 1
        if len(acks) == WINDOW:
            await _check(acks)

    for head, data in _messages(source):
        # A sequence that was purged between others is used up by a message that is purged as well.
        for _ in range(following, head.get("sequence", following)):
            await put(FILLER, b"", None)
            fillers += 1
            if fillers % MOST_FILLERS == 0:
                await _remove_fillers(client, acks)
        # What may come again out of a spool or an outbox is of the end. Earlier ids may be there twice, which the server would
        # drop now.
        recent = head["id"] and newest - head["time_s"] < DEDUPLICATED_S
        await put(head["subject"], data, {MESSAGE_ID: head["id"]} if recent else None)
        count += 1
    await _remove_fillers(client, acks)
    return count


async def _remove_fillers(client: Client, acks: "list[tuple[int, asyncio.Future[Msg]]]") -> None:
    await _check(acks)
    await _ask(client, f"$JS.API.STREAM.PURGE.{STREAM}", json.dumps({"filter": FILLER}).encode())


async def _publish(client: Client, subject: str, data: bytes, headers: dict[str, str] | None) -> Msg:
    return await client.request(subject, data, timeout=TIMEOUT_S, headers=headers)


async def _check(acks: "list[tuple[int, asyncio.Future[Msg]]]") -> None:
    for expected, answer in acks:
        content = _content(STREAM, (await answer).data)
        if content.get("seq") != expected:
            raise OSError(f"journal: expected message {expected}, was stored as {content.get('seq')}")
    acks.clear()


def _messages(source: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Head and data of each message of the file. The heads of earlier versions have no sequence: none is missing there."""
    with (source / "journal.messages").open("rb") as file:
        while sizes := file.read(_SIZES.size):
            head, data = _SIZES.unpack(sizes)
            yield json.loads(file.read(head)), file.read(data)


async def _ask(client: Client, subject: str, request: bytes) -> dict[str, Any]:
    return _content(subject, (await client.request(subject, request, timeout=TIMEOUT_S)).data)


def _content(what: str, data: bytes) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(data)
    if error := content.get("error"):
        text = f"{what}: {error.get('description', error)}"
        raise LookupError(text) if error.get("code") == 404 else OSError(text)
    return content
