"""Histograms whose buckets are 1 % wide, and what a signal's row keeps for them: the bucket of each of its values.

A percentile that is read from one is at most 1 % too high and never too low.
"""

import sys
from array import array
from collections import Counter
from collections.abc import Iterable
from math import ceil, exp, floor, log

# Of 101 steps to a power of e each is 0.995 %.
STEPS = 101
# One more than the number of buckets above 0: the logarithm of the largest whole number of 64 bits, in steps.
_BELOW = 4411
_DIGITS = "".join(map(chr, range(33, 127)))
# A value is written as two printable ASCII characters, which every database takes: none, 0, the buckets above 0, those below.
PAIRS = [first + second for first in _DIGITS for second in _DIGITS][: 2 * _BELOW + 2]
# By the two characters as one number of 16 bits, as the machine reads them.
_NUMBERS = {int.from_bytes(pair.encode(), sys.byteorder): number for number, pair in enumerate(PAIRS)}


def pack(values: Iterable[int | None]) -> str:
    """The buckets of whole numbers of 64 bits, two characters each; None has no bucket."""
    return "".join([PAIRS[_number(value)] for value in values])


def unpack(texts: str, place: int, width: int) -> Counter[int]:
    """How many values are in each bucket, by its number: those at `place` of packed texts of `width` values, put together."""
    counted = Counter(array("H", texts.encode("ascii"))[place::width])
    found = Counter({_NUMBERS[pair]: count for pair, count in counted.items()})
    del found[0]
    return found


def percentiles(histogram: Counter[int], *percents: int) -> list[int]:
    """For each, the top of the least bucket that so many percent of the values are within (nearest rank); 0 of an empty one.

    The percents ascend.
    """
    total, reached, found = histogram.total(), 0, []
    numbers = sorted(histogram, key=lambda number: -number if number > _BELOW + 1 else number)
    at = 0
    for percent in percents:
        rank = -(-total * percent // 100)
        while at < len(numbers) and reached < rank:
            reached += histogram[numbers[at]]
            at += 1
        found.append(top(numbers[at - 1]) if at else 0)
    return found


def top(number: int) -> int:
    """The highest whole value of a bucket; below 0 that is the one nearest to 0."""
    if number > _BELOW + 1:
        return -ceil(exp((number - _BELOW - 2) / STEPS))
    return floor(exp((number - 1) / STEPS)) if number > 1 else 0


def _number(value: int | None) -> int:
    if value is None:
        return 0
    if value > 0:
        return 2 + int(log(value) * STEPS)
    return _BELOW + 2 + int(log(-value) * STEPS) if value else 1
