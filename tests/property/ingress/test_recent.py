"""The spool's newest messages in memory: whatever comes and is taken in whatever order, none is passed over."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vantixs.runtime.journal import Message
from vantixs_ingress.spool import recent

# Positive: so many messages are stored in one commit. Negative: the relay takes so many.
STEPS = st.lists(st.integers(-6, 6).filter(bool), max_size=60)


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recent, "RECENT", 7)
        patch.setattr(recent, "RECENT_BYTES", 40)
        yield


@given(steps=STEPS, first=st.integers(0, 5))
def test_what_memory_gives_is_what_is_on_disk_next(steps: list[int], first: int) -> None:
    kept = recent.Recent()
    # After a restart the relay begins at `first`, and memory has nothing of what is on disk.
    stored = [(n, Message("s", b"x" * (n % 9), str(n))) for n in range(1, first + 3)]
    published = first
    for step in steps:
        if step > 0:
            start = len(stored) + 1
            new = [(n, Message("s", b"x" * (n % 9), str(n))) for n in range(start, start + step)]
            stored += new
            kept.add(new, sum(len(m.payload) for _, m in new))
            continue
        found = kept.after(published, -step, len(stored))
        expected = stored[published : published - step]
        if found is not None:
            assert found == expected[: len(found)]
            assert found or not expected
        taken = expected if found is None else found
        published += len(taken)
