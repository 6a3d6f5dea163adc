"""Batching: while one batch is processed, the next one collects.

There is no other rule, and no item waits for others to join it. A single item is processed at once, alone. Items that
arrive while a batch is in progress share the next batch. So a batch grows with the load, and the cost of a commit, a
call or an fsync is shared by all items that would otherwise have waited for one each.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain
from typing import Any, Generic, NamedTuple, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class BatcherFull(Exception):
    """The queue is full. The refused item was not processed."""


class BatcherClosed(Exception):
    """The batcher is closed. The refused item was not processed."""


class Bounds(NamedTuple):
    """Limits of a batch and of the queue.

    Attributes:
        items: highest number of items in a batch.
        size: highest total of `size_of` in a batch, for example bytes; a larger item is a batch by itself.
        waiting: highest number of items that wait for their batch.
    """

    items: int = 256
    size: int = 1 << 62
    waiting: int = 10_000


class Batcher(Generic[Item, Result]):
    """Collects items of many callers into batches, which are processed one at a time, in order of arrival.

    Args:
        work: processes a batch; returns a result for each item, in order. If a result is an exception, it is raised by that
            item's call. If `work` raises, the exception is raised for all items. But if `singly_after` returns True for the
            exception, each item is processed again in a batch by itself; then `work` must not have changed anything,
            or nothing that a second run would change again.
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
        # In order of arrival; a dict, so that a cancelled item is removed at no cost.
        self._waiting: dict[asyncio.Future[Result], Item] = {}
        self._urgent: dict[asyncio.Future[Result], Item] = {}
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def submit(self, item: Item, *, urgent: bool = False) -> Result:
        """Processes the item in the next batch and returns its result.

        An urgent item does not wait behind items that are not urgent, and is accepted even if the queue is full.

        If the caller is cancelled before the batch begins, the item is removed. Later, the item is processed and its
        result dropped.

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
                done.exception()  # asyncio reports exceptions that were never retrieved.
            raise
        finally:
            self._waiting.pop(done, None)
            self._urgent.pop(done, None)

    def put(self, item: Item, *, urgent: bool = False) -> "asyncio.Future[Result]":
        """Like `submit`, for callers that need their order kept but do not wait: returns a future of the item's result.

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
            # The batch begins with the loop's next step, so that callers woken by the same event share it.
            # Without the context of the first caller: a batch belongs to no single trace.
            self._task = asyncio.create_task(self._run(), name="batch", context=contextvars.Context())
        return done

    async def close(self) -> None:
        """Refuses new items, and returns once the waiting ones are processed."""
        self._closed = True
        if self._task is not None:
            await asyncio.wait((self._task,))

    async def _run(self) -> None:
        """Processes batches until nothing waits."""
        batch: dict[asyncio.Future[Result], Item] = {}
        try:
            while batch := self._next():
                await self._do(batch, again=len(batch) > 1)
        finally:
            self._task = None
            # Only if this task itself was cancelled, at the end of the loop: its callers must not wait for ever.
            for done in (*batch, *self._urgent, *self._waiting):
                done.cancel()

    def _next(self) -> dict["asyncio.Future[Result]", Item]:
        batch: dict[asyncio.Future[Result], Item] = {}
        size, taken = 0, []
        for done, item in chain(self._urgent.items(), self._waiting.items()):
            if done.done():
                taken.append(done)  # The caller was cancelled, and has not run since.
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
