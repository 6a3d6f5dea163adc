"""While one batch is being worked on, the next one gathers: nothing is lost, done twice, reordered or kept waiting."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vantixs.runtime import trace
from vantixs.runtime.batching import Batcher, BatcherClosed, BatcherFull, Bounds


class Works:
    """Work that is finished by the test, and keeps what it was given."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.free = asyncio.Event()

    async def __call__(self, items: Sequence[int]) -> Sequence[int | Exception]:
        self.batches.append(list(items))
        await self.free.wait()
        return [item * 10 for item in items]


async def steps(count: int = 5) -> None:
    """Lets everything run that can."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_an_item_alone_is_worked_on_at_once() -> None:
    work = Works()
    submitted = asyncio.create_task(Batcher(work).submit(1))
    # No timer: the loop only takes the steps it has, and no time passes.
    await steps()
    assert work.batches == [[1]]
    work.free.set()
    assert await submitted == 10


async def test_what_comes_while_a_batch_is_out_shares_the_next_one_in_its_order() -> None:
    work = Works()
    batcher = Batcher(work)
    first = asyncio.create_task(batcher.submit(0))
    await steps()
    others = [asyncio.create_task(batcher.submit(n)) for n in range(1, 6)]
    await steps()
    assert work.batches == [[0]]
    work.free.set()
    assert await asyncio.gather(first, *others) == [0, 10, 20, 30, 40, 50]
    assert work.batches == [[0], [1, 2, 3, 4, 5]]


async def test_callers_of_one_moment_share_the_first_batch() -> None:
    work = Works()
    work.free.set()
    batcher = Batcher(work)
    await asyncio.gather(*(batcher.submit(n) for n in range(5)))
    assert work.batches == [[0, 1, 2, 3, 4]]


async def test_who_puts_without_waiting_keeps_the_order_and_takes_back_what_is_cancelled() -> None:
    work = Works()
    batcher = Batcher(work, Bounds(waiting=2))
    out = batcher.put(0)
    await steps()
    first, second = batcher.put(1), batcher.put(2)
    with pytest.raises(BatcherFull):
        batcher.put(3)
    first.cancel()
    work.free.set()
    assert (await out, await second) == (0, 20)
    assert work.batches == [[0], [2]]
    # What was cancelled left its place.
    assert await asyncio.gather(batcher.put(4), batcher.put(5)) == [40, 50]


async def test_a_batch_keeps_its_bounds() -> None:
    work = Works()
    work.free.set()
    batcher = Batcher(work, Bounds(items=3, size=10), size_of=lambda item: item)
    await asyncio.gather(*(batcher.submit(n) for n in (1, 1, 1, 1, 9, 2, 50, 1)))
    # Three items; 1 + 9 are 10; what is too large by itself goes by itself.
    assert work.batches == [[1, 1, 1], [1, 9], [2], [50], [1]]


async def test_a_batch_runs_in_no_callers_context() -> None:
    async def work(items: Sequence[int]) -> Sequence[str | Exception]:
        return [trace.current()] * len(items)

    batcher = Batcher(work)
    trace.enter(None)
    assert trace.current()
    assert await batcher.submit(1) == ""


async def test_a_full_queue_refuses_and_goes_on() -> None:
    work = Works()
    batcher = Batcher(work, Bounds(waiting=2))
    out = asyncio.create_task(batcher.submit(0))
    await steps()
    waiting = [asyncio.create_task(batcher.submit(n)) for n in (1, 2)]
    await steps()
    with pytest.raises(BatcherFull):
        await batcher.submit(3)
    work.free.set()
    assert await asyncio.gather(out, *waiting) == [0, 10, 20]
    assert await batcher.submit(4) == 40


async def test_an_exception_as_a_result_is_that_items_alone() -> None:
    async def work(items: Sequence[int]) -> Sequence[int | Exception]:
        return [LookupError("odd") if item % 2 else item for item in items]

    batcher: Batcher[int, int] = Batcher(work)
    results = await asyncio.gather(*(batcher.submit(n) for n in range(4)), return_exceptions=True)
    assert [type(result) for result in results] == [int, LookupError, int, LookupError]


async def test_a_batch_that_fails_is_done_singly_only_where_the_user_says_so() -> None:
    batches: list[list[int]] = []

    async def work(items: Sequence[int]) -> Sequence[int | Exception]:
        batches.append(list(items))
        if 2 in items:
            raise LookupError
        if 9 in items:
            raise TimeoutError
        return list(items)

    batcher = Batcher(work, singly_after=lambda error: isinstance(error, LookupError))
    results = await asyncio.gather(*(batcher.submit(n) for n in range(4)), return_exceptions=True)
    assert [results[0], results[1], type(results[2]), results[3]] == [0, 1, LookupError, 3]
    assert batches == [[0, 1, 2, 3], [0], [1], [2], [3]]
    results = await asyncio.gather(*(batcher.submit(n) for n in (8, 9)), return_exceptions=True)
    assert [type(result) for result in results] == [TimeoutError, TimeoutError]
    assert batches[5:] == [[8, 9]]
    assert await batcher.submit(5) == 5


async def test_too_few_results_are_an_error_of_all_and_it_goes_on() -> None:
    async def work(items: Sequence[int]) -> Sequence[int | Exception]:
        return list(items)[:1]

    batcher = Batcher(work)
    results = await asyncio.gather(*(batcher.submit(n) for n in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [RuntimeError] * 3
    assert await batcher.submit(7) == 7


async def test_who_is_cancelled_while_waiting_takes_the_item_back_and_later_only_the_answer_is_lost() -> None:
    work = Works()
    batcher = Batcher(work)
    tasks = [asyncio.create_task(batcher.submit(0))]
    await steps()
    tasks += [asyncio.create_task(batcher.submit(n)) for n in (1, 2, 3)]
    await steps()
    tasks[0].cancel()
    tasks[2].cancel()
    work.free.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError, int, asyncio.CancelledError, int]
    assert work.batches == [[0], [1, 3]]


async def test_closing_finishes_what_waits_and_refuses_what_comes() -> None:
    work = Works()
    batcher = Batcher(work)
    tasks = [asyncio.create_task(batcher.submit(n)) for n in range(3)]
    await steps()
    tasks.append(asyncio.create_task(batcher.submit(3)))
    await steps()
    closing = asyncio.create_task(batcher.close())
    await steps()
    with pytest.raises(BatcherClosed):
        await batcher.submit(4)
    assert not closing.done()
    work.free.set()
    await closing
    assert await asyncio.gather(*tasks) == [0, 10, 20, 30]


async def test_at_the_end_of_the_loop_nobody_waits_for_ever() -> None:
    work = Works()
    batcher = Batcher(work)
    tasks = [asyncio.create_task(batcher.submit(0))]
    await steps()
    tasks.append(asyncio.create_task(batcher.submit(1)))
    await steps()
    (worker,) = (task for task in asyncio.all_tasks() if task.get_name() == "batch")
    worker.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 2


# What callers do between the loop's steps: so many come, one of those there is cancelled, the batch that is out ends.
STEP = st.tuples(st.just("come"), st.integers(1, 6)) | st.tuples(st.sampled_from(["cancel", "end"]), st.integers(0, 30))


@given(plan=st.lists(STEP, max_size=40), most=st.integers(1, 5), bad=st.sets(st.integers(0, 60)), singly=st.booleans())
def test_no_item_is_lost_done_twice_or_overtaken(
    plan: list[tuple[str, int]], most: int, bad: set[int], singly: bool
) -> None:
    async def run() -> None:
        done: list[int] = []
        gate = asyncio.Semaphore(0)

        async def work(items: Sequence[int]) -> Sequence[int | Exception]:
            assert 1 <= len(items) <= most
            await gate.acquire()
            if bad.intersection(items):
                raise LookupError(items)
            done.extend(items)
            return [-item for item in items]

        batcher = Batcher(work, Bounds(items=most), singly_after=lambda _: singly)
        tasks: list[asyncio.Task[int]] = []
        for what, number in plan:
            if what == "come":
                tasks += [asyncio.create_task(batcher.submit(len(tasks) + n)) for n in range(number)]
            elif what == "cancel" and number < len(tasks):
                tasks[number].cancel()
            else:
                gate.release()
            await steps(2)
        gate._value = 10_000
        gate.release()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await batcher.close()
        assert done == sorted(set(done))
        for number, result in enumerate(results):
            if isinstance(result, int):
                assert result == -number
                assert number in done
            elif isinstance(result, LookupError):
                assert number not in done
                assert result.args[0] == [number] if singly else number in result.args[0]
            else:
                assert isinstance(result, asyncio.CancelledError)

    asyncio.run(run())


async def test_urgent_item_is_in_the_next_batch_however_many_wait() -> None:
    batches: list[list[str]] = []

    async def work(items: Sequence[str]) -> list[None]:
        batches.append(list(items))
        await asyncio.sleep(0)
        return [None] * len(items)

    batcher: Batcher[str, None] = Batcher(work, Bounds(items=2, waiting=4))
    waiting = [asyncio.create_task(batcher.submit(f"n{n}")) for n in range(4)]
    await asyncio.sleep(0)
    waiting.append(asyncio.create_task(batcher.submit("urgent", urgent=True)))
    await asyncio.gather(*waiting)
    assert batches[0][0] == "urgent" or batches[1][0] == "urgent"
    assert sorted(item for batch in batches for item in batch) == ["n0", "n1", "n2", "n3", "urgent"]
