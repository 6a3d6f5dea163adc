"""The place in a file of quotes is a pure function of the time since the replay began."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from vantixs_router.domain.quotes import FORGOTTEN_AHEAD_NS, follows, time_of
from vantixs_router.domain.replay import Tape, Tick

NAMES = st.sampled_from(["BTC/USDT", "ETH/USDT"])
TICKS = st.lists(st.tuples(st.integers(0, 10**7), NAMES), min_size=1, max_size=30)
SPEEDS = st.tuples(st.integers(1, 5000), st.integers(1, 1000))


def tape(rows: Sequence[tuple[int, str]], speed: tuple[int, int]) -> Tape:
    return Tape([Tick(at, name, str(n), str(n)) for n, (at, name) in enumerate(rows, 1)], *speed)


@settings(max_examples=60)
@given(TICKS, SPEEDS, st.lists(st.integers(-10, 10**10), min_size=1, max_size=10))
def test_current_quote_depends_on_nothing_but_time(
    rows: list[tuple[int, str]], speed: tuple[int, int], times: list[int]
) -> None:
    """One replica that was asked often and one that was never asked say the same, and what a slow search of the rows says."""
    asked = tape(rows, speed)
    by_time = sorted(enumerate(rows, 1), key=lambda row: row[1][0])
    for time in times:
        for name in asked.instruments:
            place, fresh = asked.current(name, time), tape(rows, speed).current(name, time)
            assert place == fresh
            # A row is due where the time of the file, played at the speed, has reached it.
            due = [str(n) for n, (at, row) in by_time if row == name and time >= 0 and at * speed[1] <= time * speed[0]]
            assert (None if place is None else asked.ticks[place].bid) == (due[-1] if due else None)


@settings(max_examples=60)
@given(TICKS, SPEEDS)
def test_every_quote_is_due_once_and_in_order(rows: list[tuple[int, str]], speed: tuple[int, int]) -> None:
    played = tape(rows, speed)
    dues = [played.due_us(place) for place in range(len(played))]
    assert dues == sorted(dues)
    for place, due in enumerate(dues):
        assert played.passed(due) > place >= played.passed(due - 1)
    assert played.passed(played.length_us) == len(rows)


@settings(max_examples=200)
@given(
    st.integers(0, 3 * 10**10), st.one_of(st.none(), st.integers(1, 3 * 10**10)), st.integers(1, 3 * 10**10),
    st.booleans(),
)  # fmt: skip
def test_what_is_taken_takes_the_place_of_what_is_held(
    held: int, given_ns: int | None, now: int, cleared: bool
) -> None:
    """At every replica, and a time that is not given is always taken."""
    try:
        taken = time_of(given_ns, held, now, cleared=cleared)
    except ValueError:
        assert given_ns is not None
        return
    assert follows(taken, held, now)
    # The one before does not come back, unless it is one from before the clock was set back.
    assert not follows(held, taken, now) or held > now + FORGOTTEN_AHEAD_NS
