"""Feeds quotes to the router by PublishQuotes for as long as they come, in call after call.

A connection lives for five minutes, so no stream can be open for ever. Each call is ended here, after 20 s, and its response
waited for; what a call that failed did not take goes with the next one.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import json_format
from vantixs.api.common.v1 import common_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs.runtime.errors import ServiceError, from_rpc_error

STREAM_S = 20.0  # The router ends a stream after 25 s.
ANSWERED_WITHIN_S = 20.0
MOST_IN_REQUEST = 500
MOST_IN_CALL = 50_000  # Quotes of a call that has no response are kept, to be sent again.
PAUSE_S = 0.5
# INTERNAL: where the router ends a call while a request is written, grpc.aio loses the status ("Internal error from Core").
_PASSING = (
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
)
_ENDED = "STREAM_ENDED"


@dataclass(slots=True)
class Fed:
    """What became of all quotes: taken or refused, and why the first was refused."""

    taken: int = 0
    refused: int = 0
    detail: str = ""

    def add(self, taken: int, refused: int, detail: str = "") -> None:
        """Adds a call's."""
        self.taken += taken
        self.refused += refused
        self.detail = self.detail or detail


def read_lines(
    lines: Iterable[str], put: Callable[[list[common_pb2.Quote] | None], None], say: Callable[[str], None]
) -> None:
    """Puts the quote of each line, then None, for a thread of its own; says which lines are no quotes and goes on."""
    try:
        for number, line in enumerate(lines, 1):
            try:
                found = [read_quote_line(line)] if line.strip() else []
            except ValueError as error:
                say(f"line {number}: {error}")
                continue
            if found:
                put(found)
    finally:
        put(None)


def read_quote_line(text: str) -> common_pb2.Quote:
    """A quote of a line of JSON; without a time it gets that of now, so that sending it again is no other quote.

    Example:
        {"instrument": "BTC/USDT", "bid": "63990", "ask": "64010", "bid_size": "2"}

    Raises:
        ValueError: it is no quote.
    """
    try:
        quote = json_format.Parse(text, common_pb2.Quote())
    except json_format.ParseError as error:
        raise ValueError(f"expected a quote as JSON, was {text[:60]!r}: {error}") from None
    if not quote.HasField("quote_time"):
        quote.quote_time.FromNanoseconds(time.time_ns())
    return quote


class QuoteFeed:
    """Sends what comes through `queue`, lists of quotes and None for the end.

    `publish` is the stub's PublishQuotes; `recover` is called after a call that failed, before the next one, with the error.
    """

    def __init__(
        self,
        publish: Callable[..., Any],
        queue: "asyncio.Queue[list[common_pb2.Quote] | None]",
        recover: Callable[[ServiceError], Awaitable[None]],
        *,
        stream_s: float = STREAM_S,
    ) -> None:
        self._publish = publish
        self._queue = queue
        self._recover = recover
        self._stream_s = stream_s
        self._unanswered: list[common_pb2.Quote] = []  # In the order in which they are sent.
        self._ended = False
        self.fed = Fed()

    async def run(self) -> Fed:
        """Returns once every quote was taken or refused.

        A quote that was taken, and is sent again because no response came, is refused where a later one is held already.

        Raises:
            ServiceError: a call was refused for what it is, for example for its role.
        """
        while await self._has_quotes():
            try:
                response = await self._call()
            except grpc.aio.AioRpcError as failed:
                error = from_rpc_error(failed)
                if error.code not in _PASSING:
                    raise error from None
                taken, refused = (int(error.metadata.get(name, 0)) for name in ("taken", "refused"))
                self.fed.add(taken, refused)
                del self._unanswered[: taken + refused]
                if error.reason != _ENDED:
                    await self._recover(error)
            else:
                self.fed.add(response.taken, response.refused, response.detail)
                self._unanswered.clear()
        return self.fed

    async def _has_quotes(self) -> bool:
        """Waits for a quote; no call is open meanwhile."""
        while not self._unanswered and not self._ended:
            self._take(await self._queue.get())
        return bool(self._unanswered)

    async def _call(self) -> router_pb2.PublishQuotesResponse:
        call = self._publish(None, timeout=self._stream_s + ANSWERED_WITHIN_S)
        try:
            async for quotes in self._parts():
                await call.write(router_pb2.PublishQuotesRequest(quotes=quotes))
            await call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass  # The call has ended, and says how below.
        response: router_pb2.PublishQuotesResponse = await call
        return response

    async def _parts(self) -> AsyncIterator[list[common_pb2.Quote]]:
        """What was not answered, then what comes, until the call is to end."""
        loop = asyncio.get_running_loop()
        ends, sent = loop.time() + self._stream_s, 0
        while True:
            while sent < len(self._unanswered):
                part = self._unanswered[sent : sent + MOST_IN_REQUEST]
                sent += len(part)
                yield part
            if self._ended or sent >= MOST_IN_CALL or loop.time() >= ends:
                return
            try:
                async with asyncio.timeout_at(ends):
                    self._take(await self._queue.get())
            except TimeoutError:
                return

    def _take(self, quotes: list[common_pb2.Quote] | None) -> None:
        if quotes is None:
            self._ended = True
        else:
            self._unanswered += quotes
