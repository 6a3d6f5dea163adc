"""Feeds quotes to the router by PublishQuotes, in one call after another, as long as there are quotes.

A router ends a stream after 25 s. Each call is ended after 20 s, and its response awaited. Quotes that a failed call
did not handle are sent by the next one.
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
MOST_IN_CALL = 50_000  # How many quotes of a call without a response are kept, to be sent again.
PAUSE_S = 0.5
# INTERNAL: if the router ends a call while a request is written, grpc.aio loses the status ("Internal error from Core").
_PASSING = (
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
)
_ENDED = "STREAM_ENDED"


@dataclass(slots=True)
class Fed:
    """The totals of all quotes: taken, refused, and why the first one was refused."""

    taken: int = 0
    refused: int = 0
    detail: str = ""

    def add(self, taken: int, refused: int, detail: str = "") -> None:
        """Adds the totals of a call."""
        self.taken += taken
        self.refused += refused
        self.detail = self.detail or detail


def read_lines(
    lines: Iterable[str], put: Callable[[list[common_pb2.Quote] | None], None], say: Callable[[str], None]
) -> None:
    """Puts the quote of each line into the queue, then None. Reports lines that are not quotes and continues.

    Runs in a thread.
    """
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
    """The quote in a line of JSON. A quote without a time gets the current time, so that sending it twice is recognised.

    Example:
        {"instrument": "BTC/USDT", "bid": "63990", "ask": "64010", "bid_size": "2"}

    Raises:
        ValueError: the line is not a quote.
    """
    try:
        quote = json_format.Parse(text, common_pb2.Quote())
    except json_format.ParseError as error:
        raise ValueError(f"expected a quote as JSON, was {text[:60]!r}: {error}") from None
    if not quote.HasField("quote_time"):
        quote.quote_time.FromNanoseconds(time.time_ns())
    return quote


class QuoteFeed:
    """Sends the quotes that arrive by `queue`, as lists; None is the end.

    `publish` is the stub's PublishQuotes. After a failed call, `recover` is called with the error before the next call.
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

        If a response is lost, its quotes are sent again. Such a quote is refused if the router has a later one by then.

        Raises:
            ServiceError: a call was refused for a reason that a retry cannot change, for example its role.
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
        """Waits for a quote; no call is open during that time."""
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
            pass  # The call has ended; its status is read below.
        response: router_pb2.PublishQuotesResponse = await call
        return response

    async def _parts(self) -> AsyncIterator[list[common_pb2.Quote]]:
        """Yields first the quotes without a response, then new ones, until the call is to end."""
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
