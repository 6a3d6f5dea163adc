"""A lane's cursor never passes what is not done, in whatever order keys end; shares of lanes add up."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from vantixs.runtime.journal_reader import Delivery
from vantixs_router.lanes.queues import KeyQueues, Lane, Work
from vantixs_router.lanes.share import fair_share, to_hand_over, to_take

NOW = datetime(2026, 11, 26, tzinfo=UTC)
KEYS = "abc"
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.sampled_from(KEYS), st.integers(1, 3)),
        st.tuples(st.sampled_from(("done", "skip")), st.sampled_from(KEYS), st.just(0)),
        st.tuples(st.sampled_from(("idle", "drop")), st.just(""), st.integers(0, 5)),
    ),
    max_size=60,
)


@given(STEPS)
def test_cursor_passes_only_what_is_done_and_each_key_ends_in_order(steps: list[tuple[str, str, int]]) -> None:
    lane, queues, last = Lane(0, 1, 10, 0), KeyQueues(), 10
    done: dict[int, bool] = {}
    ended: dict[str, list[int]] = {key: [] for key in KEYS}
    for what, key, number in steps:
        if what == "read":
            last += number  # Other lanes have the sequences between.
            done[last] = False
            lane.add(last)
            queues.add(key, Work(Delivery("s", b"", last, NOW), lane))
        elif what == "idle":
            lane.raise_to(last + number)
            last += number
        elif what == "drop":
            queues.drop_waiting(lane)
        elif work := queues.head(key):
            if what == "done":
                done[work.delivery.stream_sequence] = True
                ended[key].append(work.delivery.stream_sequence)
                queues.done(key)
            else:
                queues.skip(key)
        open_ones = [sequence for sequence, is_done in done.items() if not is_done]
        assert lane.cursor < min(open_ones, default=last + 1)
    assert all(of_key == sorted(of_key) for of_key in ended.values())
    assert lane.in_hand == queues.count


def test_delivery_that_comes_later_than_the_idle_cursor_is_run_and_moves_nothing_back() -> None:
    lane, queues = Lane(0, 1, 10, 0), KeyQueues()
    lane.raise_to(100)
    assert (lane.cursor, lane.read) == (100, 100)
    assert lane.seen < 90, "the runner takes what is above `seen`"
    lane.add(90)
    queues.add("a", Work(Delivery("s", b"", 90, NOW), lane))
    queues.done("a")
    assert lane.cursor == 100


@given(st.lists(st.text("abcdef", min_size=1, max_size=3), min_size=1, max_size=8, unique=True))
def test_replicas_that_take_turns_end_with_their_shares_and_no_lane_free(names: list[str]) -> None:
    owners = dict.fromkeys(range(32), "")
    for name in [*names, *names, *names]:
        for lane in to_hand_over(owners, names, name):
            owners[lane] = ""
        for lane in to_take(owners, names, name):
            assert owners[lane] not in names, "taken from nobody who is there"
            owners[lane] = name
    for name in names:
        assert sum(1 for owner in owners.values() if owner == name) == fair_share(32, names, name)
