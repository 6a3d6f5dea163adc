"""Quotes of a file, replayed: which is current is a pure function of the time since the replay began."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter


@dataclass(frozen=True, slots=True)
class Tick:
    """A quote at `at_us`, microseconds after the file's first; sizes are empty where not known."""

    at_us: int
    instrument: str
    bid: str
    ask: str
    bid_size: str = ""
    ask_size: str = ""


class Tape:
    """Quotes in order of time, of one time in the order of the file, played `speed` / `per` times as fast as they were."""

    def __init__(self, ticks: Sequence[Tick], speed: int, per: int = 1) -> None:
        self.ticks = sorted(ticks, key=attrgetter("at_us"))
        self._speed, self._per = speed, per
        self._due = [self._due_us(tick) for tick in self.ticks]
        self._places: dict[str, list[int]] = {}
        for place, tick in enumerate(self.ticks):
            self._places.setdefault(tick.instrument, []).append(place)
        self.instruments = frozenset(self._places)

    def __len__(self) -> int:
        return len(self.ticks)

    @property
    def length_us(self) -> int:
        """From the first quote to the last, microseconds of the replay."""
        return self._due[-1]

    def due_us(self, place: int) -> int:
        """When the quote at a place is due, microseconds after the replay began."""
        return self._due[place]

    def passed(self, elapsed_us: int) -> int:
        """How many quotes are due by then."""
        return bisect_right(self._due, elapsed_us)

    def current(self, instrument: str, elapsed_us: int) -> int | None:
        """The place of the instrument's last quote that is due by then; None before its first."""
        places = self._places[instrument]
        number = bisect_right(places, self.passed(elapsed_us) - 1)
        return places[number - 1] if number else None

    def _due_us(self, tick: Tick) -> int:
        return -(-tick.at_us * self._per // self._speed)


def ticks_of_bar(start_us: int, interval_us: int, prices: Sequence[tuple[str, str]], instrument: str) -> list[Tick]:
    """Open, low, high and close (bid and ask of each) at the start and each quarter of the bar.

    In which order a bar saw its low and its high is not known; this one is the worse for whoever is long.
    """
    return [
        Tick(start_us + interval_us * quarter // 4, instrument, bid, ask) for quarter, (bid, ask) in enumerate(prices)
    ]
