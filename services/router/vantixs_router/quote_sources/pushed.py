"""Quotes that arrive by calls. They are stored in the KV bucket and sent to every replica.

A quote of `PublishQuote` is stored before the call is answered, and the replicas read it from their watch of the
bucket. Quotes of a stream are sent by core NATS; once a second the last one of each instrument is stored. A later
time always wins, so the order of arrival does not matter, and a quote may arrive twice. Clearing an instrument stores
a quote without prices with the time of the call, so that older quotes which are still in transit change nothing.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import grpc
from nats.errors import Error as NatsError
from vantixs.api.common.v1 import common_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs.model.ids import QUOTE_SUBJECTS, quote_subject
from vantixs.model.instruments import INSTRUMENTS, is_name, key_of_instrument
from vantixs.runtime.errors import ServiceError, invalid, not_found, unavailable
from vantixs.runtime.journal import Journal
from vantixs.runtime.kv import KvTable
from vantixs.runtime.logs import log

from vantixs_router.domain.quotes import check_prices, follows, time_of

R = TypeVar("R")
KEEP_EVERY_S = 1.0
MOST_IN_REQUEST = 1000
PART = 100  # Quotes of a stream that are taken in one turn of the event loop.
# How many quotes may be in transit to the broker, and how many received ones may wait here.
MOST_SENT = 1000
MOST_WAITING = 65_536
KNOWN_WITHIN_S = 2.0
STORED_WITHIN_S = 2.0
PUSHES = 5
FLUSHED_WITHIN_S = 2
# A call that never ended would keep its sender at this replica for ever, and would never tell it that quotes were stored.
# Senders end their calls earlier by themselves.
STREAM_S = 25.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LOST = (grpc.StatusCode.ABORTED, grpc.StatusCode.ALREADY_EXISTS)


class PushedQuotes:
    """The last pushed quote of every instrument, or since when it is cleared."""

    def __init__(self, table: KvTable[common_pb2.Quote], journal: Journal, clock: Callable[[], datetime]) -> None:
        self._table = table
        self._journal = journal
        self._clock = clock
        self._held: dict[str, common_pb2.Quote] = {}  # A quote without a bid: cleared at its time.
        self._unkept: dict[
            str, None
        ] = {}  # Instruments with a quote that arrived here by a stream and is not stored yet.
        self._listeners: list[Callable[[common_pb2.Quote], None]] = []
        self.stream_s = STREAM_S

    def listen(self, listener: Callable[[common_pb2.Quote], None]) -> None:
        """Sets the function that is called with every accepted quote, of this replica or another."""
        self._listeners.append(listener)

    def get(self, instrument: str) -> common_pb2.Quote | None:
        """The current quote, or None. The caller must not change it."""
        held = self._held.get(instrument)
        return held if held is not None and held.bid else None

    def items(self) -> list[common_pb2.Quote]:
        """All current quotes, by instrument."""
        return [held for _, held in sorted(self._held.items()) if held.bid]

    async def push(self, quote: common_pb2.Quote) -> common_pb2.Quote:
        """Stores a quote and returns it as accepted. Every replica sees it within milliseconds.

        Raises:
            ServiceError: NOT_FOUND; INVALID_ARGUMENT for impossible prices, sizes or times; UNAVAILABLE.
        """
        await self._known()
        for _ in range(PUSHES):
            taken = self._checked(quote)
            if await self._store(taken):
                return taken
            # Another replica stored a later quote in between: the next try refuses this quote, or uses a later time.
        raise unavailable(
            "JOURNAL_UNAVAILABLE", f"the quote of {quote.instrument} could not be stored: others came first"
        )

    async def clear(self, instrument: str) -> common_pb2.Quote | None:
        """Removes the current quote and returns it; None if there is none, also when the call is repeated.

        Raises:
            ServiceError: NOT_FOUND; UNAVAILABLE.
        """
        if instrument not in INSTRUMENTS.current:
            raise not_found("instrument", instrument)
        await self._known()
        cleared, held = self.get(instrument), self._held.get(instrument)
        held_ns = held.quote_time.ToNanoseconds() if held is not None else 0
        nothing = common_pb2.Quote(instrument=instrument, source="cleared")
        nothing.quote_time.FromNanoseconds(time_of(None, held_ns, self._now_ns(), cleared=True))
        # Stored in any case, because another replica may have a quote that is not known here yet.
        await self._store(nothing)
        return cleared

    async def publish(self, requests: AsyncIterator[router_pb2.PublishQuotesRequest]) -> Any:
        """Accepts quotes as they arrive until the sender ends the stream. A bad quote is counted, and the stream continues.

        The next request is read only after the one before was handled, and at most 1,000 quotes are in transit to the
        broker. So gRPC's flow control slows down a faster sender.

        Raises:
            ServiceError: INVALID_ARGUMENT for a request of more than 1,000 quotes; UNAVAILABLE while NATS is down,
                and once the stream is 25 s old. Each error says how many quotes were handled before.
        """
        done = router_pb2.PublishQuotesResponse()
        ends = asyncio.get_running_loop().time() + self.stream_s
        try:
            await self._known()
            sent = 0
            async for request in _until(ends, requests):
                if len(request.quotes) > MOST_IN_REQUEST:
                    raise invalid("quotes", f"expected at most {MOST_IN_REQUEST}, was {len(request.quotes)}")
                for first in range(0, len(request.quotes), PART):
                    sent += await self._send(request.quotes[first : first + PART], done)
                    if sent >= MOST_SENT:
                        sent = 0
                        await self._flush()
            await self._flush()
        except (NatsError, OSError) as error:
            raise _with_counts(unavailable("JOURNAL_UNAVAILABLE", "NATS does not take quotes"), done) from error
        except ServiceError as error:
            raise _with_counts(error, done) from None
        return done

    def stored(self, key: str, quote: common_pb2.Quote | None) -> None:
        """Handles a change of a key in the bucket; None if it was deleted, which cleared an instrument in earlier versions."""
        if quote is not None:
            # Also for an instrument that this replica does not know yet: otherwise its quotes would be simulated here.
            if is_name(quote.instrument):
                self._take(quote)
            return
        for name, held in list(self._held.items()):
            if held.bid and quote_key(name) == key:
                nothing = common_pb2.Quote(instrument=name, source="cleared")
                nothing.quote_time.FromNanoseconds(max(self._now_ns(), held.quote_time.ToNanoseconds() + 1))
                self._take(nothing)

    async def run(self, stopping: asyncio.Event) -> None:
        """Receives quotes of other replicas, and stores quotes of streams once a second, until stopped."""
        await self._journal.connected()
        # nats-py subscribes again at every connection. It drops quotes beyond the limit; the last one also comes by the bucket.
        await self._journal.client.subscribe(
            QUOTE_SUBJECTS, cb=self._hear, pending_msgs_limit=MOST_WAITING, pending_bytes_limit=MOST_WAITING * 256
        )
        while not stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), KEEP_EVERY_S)
            await self.keep()

    async def keep(self) -> None:
        """Stores the last quote of each instrument that had one by a stream here.

        After a failure it is tried again next time.
        """
        for name in list(self._unkept) if self._journal.client.is_connected else ():
            held = self._held[name]
            try:
                await self._store(held)
            except ServiceError as error:
                log.warning("quotes.not_kept", instrument=name, detail=error.detail)
                return
            if self._held[name] is held:
                self._unkept.pop(name, None)

    async def _flush(self) -> None:
        """Waits for the broker.

        A cancelled call does not interrupt it, because nats-py would report the next answer as an error.
        """
        await asyncio.shield(self._journal.client.flush(FLUSHED_WITHIN_S))

    async def _send(self, quotes: Any, done: router_pb2.PublishQuotesResponse) -> int:
        """Handles quotes of a stream and sends them to the other replicas; returns how many were sent."""
        if not self._journal.client.is_connected:
            raise unavailable("JOURNAL_UNAVAILABLE", "NATS cannot be reached")
        frames = []
        for quote in quotes:
            try:
                taken = self._checked(quote)
            except ServiceError as error:
                done.refused += 1
                done.detail = done.detail or f"{quote.instrument[:40]}: {error.detail}"
                continue
            done.taken += 1
            if self._take(taken):
                self._unkept[taken.instrument] = None
                content = taken.SerializeToString()
                subject = quote_subject(quote_key(taken.instrument))
                frames.append(b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(content), content))
        if frames:
            # The connection was checked above and nothing was awaited since, so this does not fail.
            await self._journal.client.publish_frames(b"".join(frames))
        await asyncio.sleep(0)
        return len(frames)

    async def _hear(self, message: Any) -> None:
        """Handles a quote of a stream, from another replica or returned to this one."""
        try:
            quote = common_pb2.Quote.FromString(message.data)
        except Exception:
            log.warning("quotes.unreadable", subject=message.subject)
            return
        if is_name(quote.instrument) and quote.bid:
            self._take(quote)

    def _checked(self, quote: common_pb2.Quote) -> common_pb2.Quote:
        """The quote as it is accepted, or the current quote if it is the same."""
        if quote.instrument not in INSTRUMENTS.current:
            raise not_found("instrument", quote.instrument[:40])
        try:
            check_prices(quote.bid, quote.ask, quote.bid_size, quote.ask_size)
        except ValueError as error:
            raise invalid("quote", str(error)) from None
        held = self._held.get(quote.instrument)
        held_ns = held.quote_time.ToNanoseconds() if held is not None else 0
        given = quote.quote_time if quote.HasField("quote_time") else None
        given_ns = given.seconds * 1_000_000_000 + given.nanos if given is not None else None
        if held is not None and given_ns is not None and given_ns // 1000 == held_ns // 1000 and _is_same(quote, held):
            return held
        taken = common_pb2.Quote()
        taken.CopyFrom(quote)
        taken.source = "pushed"
        try:
            time_ns = time_of(given_ns, held_ns, self._now_ns(), cleared=held is not None and not held.bid)
        except ValueError as error:
            raise invalid("quote_time", str(error)) from None
        taken.quote_time.FromNanoseconds(time_ns)
        return taken

    def _take(self, quote: common_pb2.Quote) -> bool:
        held = self._held.get(quote.instrument)
        if held is not None and not follows(
            quote.quote_time.ToNanoseconds(), held.quote_time.ToNanoseconds(), self._now_ns()
        ):
            return False
        self._held[quote.instrument] = quote
        if quote.bid:
            tell(self._listeners, quote)
        return True

    async def _store(self, quote: common_pb2.Quote) -> bool:
        """Stores the quote unless the bucket has a later one; returns whether the bucket has this quote now.

        Each write replaces the revision that was read, so that the later quote wins if replicas store at the same time.
        """
        key = quote_key(quote.instrument)
        for number in self._tries():
            if number:
                await asyncio.sleep(0.02)  # The watch delivers the quote that was stored instead.
            found = self._table.get(key)
            try:
                if found is None:
                    await self._table.create(key, quote)
                elif found.value != quote:
                    if not self._replaces(quote, found.value):
                        return False
                    await self._table.update(key, quote, found.revision)
            except ServiceError as error:
                if error.code not in _LOST:
                    raise
            else:
                return True
        raise unavailable("JOURNAL_UNAVAILABLE", f"the quote of {quote.instrument} could not be stored")

    def _replaces(self, quote: common_pb2.Quote, found: common_pb2.Quote) -> bool:
        return follows(quote.quote_time.ToNanoseconds(), found.quote_time.ToNanoseconds(), self._now_ns())

    def _tries(self) -> Iterator[int]:
        loop = asyncio.get_running_loop()
        ends = loop.time() + STORED_WITHIN_S
        number = 0
        while loop.time() < ends:
            yield number
            number += 1

    async def _known(self) -> None:
        """Waits until the bucket was read. Before that, a quote older than the stored one could be accepted."""
        try:
            await asyncio.wait_for(self._table.loaded.wait(), KNOWN_WITHIN_S)
        except TimeoutError:
            raise unavailable("JOURNAL_UNAVAILABLE", "what was pushed before is not known yet") from None

    def _now_ns(self) -> int:
        return (self._clock() - _EPOCH) // _MICROSECOND * 1000


def quote_key(instrument: str) -> str:
    """The KV key of an instrument, for example "btc-usdt" and "btc-usdt-usdt"."""
    return key_of_instrument(instrument)


def tell(listeners: list[Callable[[common_pb2.Quote], None]], quote: common_pb2.Quote) -> None:
    """Calls all listeners. An error of one must not stop the source of quotes, because other listeners need it."""
    for listener in listeners:
        try:
            listener(quote)
        except Exception as error:
            log.error("quotes.listener_failed", instrument=quote.instrument, exc_info=error)


async def _until(ends: float, requests: AsyncIterator[R]) -> AsyncIterator[R]:
    """Yields requests until a time of the event loop. Only waiting for a request is cut short, never handling one.

    Raises:
        ServiceError: UNAVAILABLE, STREAM_ENDED at that time.
    """
    loop = asyncio.get_running_loop()
    with contextlib.suppress(TimeoutError):
        while loop.time() < ends:
            try:
                async with asyncio.timeout_at(ends):
                    request = await anext(requests)
            except StopAsyncIteration:
                return
            yield request
    raise unavailable("STREAM_ENDED", "the stream was open for as long as one may be: begin another")


def _is_same(quote: common_pb2.Quote, held: common_pb2.Quote) -> bool:
    return (quote.bid, quote.ask, quote.bid_size, quote.ask_size) == (
        held.bid,
        held.ask,
        held.bid_size,
        held.ask_size,
    )


def _with_counts(error: ServiceError, done: router_pb2.PublishQuotesResponse) -> ServiceError:
    counts = {"taken": str(done.taken), "refused": str(done.refused)}
    detail = f"{error.detail}; taken before: {done.taken}, refused: {done.refused}"
    return ServiceError(error.code, error.reason, detail, metadata=counts, violations=error.violations)
