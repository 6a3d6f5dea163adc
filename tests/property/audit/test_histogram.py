"""What a signal's row keeps for statistics: buckets of its values, which any number of rows put together count exactly."""

from collections import Counter

from hypothesis import example, given
from hypothesis import strategies as st
from vantixs_audit.domain.histogram import pack, percentiles, top, unpack

LARGEST = 2**63 - 1
VALUES = st.none() | st.integers(-LARGEST - 1, LARGEST) | st.integers(-300, 300)
ROWS = st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=40)


@given(ROWS)
def test_rows_put_together_count_what_each_of_them_counts(rows: list[tuple[int | None, ...]]) -> None:
    text = "".join(map(pack, rows))
    assert len(text) == 6 * len(rows)
    assert text.isascii()
    assert text.isprintable()
    for place in range(3):
        counted: Counter[int] = Counter()
        for row in rows:
            counted.update(unpack(pack(row), place, 3))
        assert unpack(text, place, 3) == counted
        assert counted.total() == sum(row[place] is not None for row in rows)


@given(st.integers(-LARGEST - 1, LARGEST))
@example(0)
@example(1)
@example(-1)
@example(LARGEST)
@example(-LARGEST - 1)
def test_top_of_a_value_s_bucket_is_at_most_one_percent_above_it_and_never_below(value: int) -> None:
    (number,) = unpack(pack([value]), 0, 1)
    # A double has 53 bits of a whole number of 64.
    assert value - (abs(value) >> 50) <= top(number) <= value + abs(value) * 0.01 + (abs(value) >> 50)


@given(
    st.lists(st.integers(-LARGEST - 1, LARGEST) | st.integers(-300, 300), min_size=1, max_size=60),
    st.lists(st.integers(1, 100), min_size=1, max_size=4).map(sorted),
)
def test_percentile_is_the_top_of_the_bucket_of_the_value_at_that_rank(values: list[int], percents: list[int]) -> None:
    expected = []
    for percent in percents:
        exact = sorted(values)[-(-len(values) * percent // 100) - 1]
        (number,) = unpack(pack([exact]), 0, 1)
        expected.append(top(number))
    assert percentiles(unpack(pack(values), 0, 1), *percents) == expected


def test_percentile_of_nothing_is_zero() -> None:
    assert percentiles(unpack(pack([None]), 0, 1), 50, 99) == [0, 0]
