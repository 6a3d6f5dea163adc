"""While one batch is being worked on, the next one gathers.

That is the whole rule: nothing waits for company. An item that comes alone is worked on at once, alone; what comes while
a batch is out shares the next one. So a batch is as large as the load makes it, and the cost of a commit, a call or an
fsync is shared by all who would otherwise have waited for one each.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain
from typing import Any, Generic, NamedTuple, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class BatcherFull(Exception):
    """As many items wait as may: nothing of the refused one was done."""


class BatcherClosed(Exception):
    """It takes nothing more: nothing of the refused item was done."""


class Bounds(NamedTuple):
    """How much a batch and the queue may hold.

    Attributes:
        items: most items in a batch.
        size: most of what `size_of` counts in a batch, for example bytes; an item above it makes a batch by itself.
        waiting: most items that wait for their batch.
    """

    items: int = 256
    size: int = 1 << 62
    waiting: int = 10_000


class Batcher(Generic[Item, Result]):
    """Gathers the items of many callers into batches, which are worked on one at a time, in the order they came.

    Args:
        work: does a batch: a result for each item, in their order. A result that is an exception is raised by that item's
            call. An exception it raises is that of all its items, or, where `singly_after` says so of that exception,
            each item is done again in a batch by itself, in order; `work` must then have done nothing, or nothing that
            doing it again changes.
        size_of: how much an item counts towards `bounds.size`.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        bounds: Bounds | None = None,
        *,
        size_of: Callable[[Item], int] = lambda _: 0,
        singly_after: Callable[[Exception], bool] = lambda _: False,
    ) -> None:
        self._work = work
        self._bounds = bounds or Bounds()
        self._size_of = size_of
        self._singly_after = singly_after
        # In the order they came; a dict, so that one who is cancelled leaves it at no cost.
        self._waiting: dict[asyncio.Future[Result], Item] = {}
        self._urgent: dict[asyncio.Future[Result], Item] = {}
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def submit(self, item: Item, *, urgent: bool = False) -> Result:
        """Has the item worked on in the next batch and returns its result.

        An urgent one does not wait behind those that are not, and there is room for it however many wait.

        Who is cancelled before that batch begins takes the item back; later it is done, and nobody hears of it.

        Raises:
            BatcherFull: too many items wait; it does not wait for room.
            BatcherClosed: after `close`.
            Exception: what `work` answered for the item.
        """
        done = self.put(item, urgent=urgent)
        try:
            return await done
        except asyncio.CancelledError:
            if done.done() and not done.cancelled():
                done.exception()  # asyncio reports exceptions that nobody looked at.
            raise
        finally:
            self._waiting.pop(done, None)
            self._urgent.pop(done, None)

    def put(self, item: Item, *, urgent: bool = False) -> "asyncio.Future[Result]":
        """As `submit`, for callers that keep their order without waiting for one another; the future is the item's result.

        Raises:
            BatcherFull: too many items wait.
            BatcherClosed: after `close`.
        """
        if self._closed:
            raise BatcherClosed
        if not urgent and len(self._waiting) >= self._bounds.waiting:
            raise BatcherFull(f"expected at most {self._bounds.waiting} items to wait")
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        (self._urgent if urgent else self._waiting)[done] = item
        if self._task is None:
            # It begins with the loop's next step: callers that are woken by the same event share the first batch.
            # Not in the context of whoever came first: a batch is nobody's trace.
            self._task = asyncio.create_task(self._run(), name="batch", context=contextvars.Context())
        return done

    async def close(self) -> None:
        """Refuses what comes from now on, and returns once what waits is done."""
        self._closed = True
        if self._task is not None:
            await asyncio.wait((self._task,))

    async def _run(self) -> None:
        """Works until nothing waits."""
        batch: dict[asyncio.Future[Result], Item] = {}
        try:
            while batch := self._next():
                await self._do(batch, again=len(batch) > 1)
        finally:
            self._task = None
            # Only where this task itself was cancelled, at the end of its loop: who waits shall not wait for ever.
            for done in (*batch, *self._urgent, *self._waiting):
                done.cancel()

    def _next(self) -> dict["asyncio.Future[Result]", Item]:
        batch: dict[asyncio.Future[Result], Item] = {}
        size, taken = 0, []
        for done, item in chain(self._urgent.items(), self._waiting.items()):
            if done.done():
                taken.append(done)  # Its caller was cancelled, and has not run since.
                continue
            size += self._size_of(item)
            if len(batch) >= self._bounds.items or (batch and size > self._bounds.size):
                break
            taken.append(done)
            batch[done] = item
        for done in taken:
            (self._urgent if done in self._urgent else self._waiting).pop(done)
        return batch

    async def _do(self, batch: dict["asyncio.Future[Result]", Item], *, again: bool) -> None:
        results: Sequence[Any]
        try:
            results = await self._work(list(batch.values()))
            if len(results) != len(batch):
                raise RuntimeError(f"expected {len(batch)} results, was {len(results)}")
        except Exception as error:
            if again and self._singly_after(error):
                for done, item in batch.items():
                    if not done.done():
                        await self._do({done: item}, again=False)
                return
            results = [error] * len(batch)
        for done, result in zip(batch, results, strict=True):
            if done.done():
                continue  # Its caller was cancelled.
            if isinstance(result, Exception):
                done.set_exception(result)
            else:
                done.set_result(result)
