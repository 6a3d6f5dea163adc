"""How fast replays run: never above the rate, and in a share of the time while live signals come."""

from hypothesis import given, settings
from hypothesis import strategies as st
from vantixs_audit.domain.replay_pace import LIVE_FOR_S, MOST_PAUSE_S, ReplayPace


def test_without_live_signals_the_rate_alone_counts() -> None:
    pace = ReplayPace(100, 0.1)
    pace.saw(7, 50.0)
    pace.saw(7, 51.0)
    pace.ran(51.0, 51.004)
    assert pace.free_at == 51.01
    pace.ran(52.0, 53.0)
    assert pace.free_at == 52.01, "one that took longer than the rate allows is followed at once"


def test_live_signals_leave_replays_a_share_of_the_time() -> None:
    pace = ReplayPace(100, 0.1)
    pace.saw(7, 50.0)
    pace.saw(8, 50.5)
    pace.ran(50.5, 50.52)
    assert round(pace.free_at, 6) == 50.7
    pace.ran(51.0, 53.0)
    assert pace.free_at == 53.0 + MOST_PAUSE_S
    over = 50.5 + LIVE_FOR_S
    pace.ran(over, over + 0.02)
    assert pace.free_at == over + 0.01, "no signal has come for a while"


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.001, 0.1), st.booleans()), min_size=1, max_size=40),
    st.floats(0.05, 1),
    st.sampled_from((1.0, 20.0, 100.0)),
)
def test_replays_never_have_more_than_rate_and_share(
    runs: list[tuple[float, bool]], share: float, per_second: float
) -> None:
    pace, now, signals, busy, began_last = ReplayPace(per_second, share), 0.0, 0, 0.0, None
    pace.saw(signals, now)
    pauses = 0.0
    for took, live in runs:
        if live:
            signals += 1
        pace.saw(signals, now)
        if began_last is not None:
            assert now - began_last >= 1 / per_second - 1e-9
        began_last = now
        pace.ran(now, now + took)
        if live:
            busy, pauses = busy + took, pauses + pace.free_at - (now + took)
        now = max(pace.free_at, now + took)
    assert busy <= share * (busy + pauses) + 1e-6
