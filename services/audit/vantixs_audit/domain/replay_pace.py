"""How fast replays may run: by a rate, and in a share of the time while live signals come. Pure; times are seconds."""

LIVE_FOR_S = 2.0
MOST_PAUSE_S = 5.0


class ReplayPace:
    """Says when the next signal of a replay may run.

    A rate alone does not bound what live signals lose: on a busy machine a replayed signal costs as much and takes longer. So
    after one that took 20 ms comes a pause of 180 ms at a share of 0.1, while live signals come.
    """

    def __init__(self, per_second: float, share: float) -> None:
        """`share` is above 0 and at most 1, which is the rate alone."""
        self._least_s = 1 / per_second
        self._pauses = 1 / share - 1
        self._signals: int | None = None
        self._live_until = float("-inf")
        self.free_at = 0.0

    def saw(self, signals: int, now: float) -> None:
        """Says how many signals history has. Where they have become more, live signals come for the next two seconds."""
        if self._signals not in (None, signals):
            self._live_until = now + LIVE_FOR_S
        self._signals = signals

    def ran(self, began: float, ended: float) -> None:
        """Says that a signal ran; the pause after it is at most 5 s."""
        self.free_at = began + self._least_s
        if began < self._live_until:
            self.free_at = max(self.free_at, ended + min((ended - began) * self._pauses, MOST_PAUSE_S))
