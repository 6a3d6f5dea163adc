"""The newest messages of the spool in memory: the relay reads them from disk only where it is behind."""

from collections import deque
from collections.abc import Sequence
from itertools import islice

from vantixs.runtime.journal import Message

RECENT = 4096
RECENT_BYTES = 8 << 20


class Recent:
    """Messages with their sequences, without a gap, of bounded number and size."""

    def __init__(self) -> None:
        self._messages: deque[tuple[int, Message]] = deque()
        self._bytes = 0

    def add(self, messages: Sequence[tuple[int, Message]], size: int) -> None:
        """Keeps the messages of a commit, with `size` bytes of payload, where there is room for them.

        Behind messages that were not kept nothing is kept, until the relay has read them from disk.
        """
        follows = not self._messages or self._messages[-1][0] + 1 == messages[0][0]
        if follows and len(self._messages) < RECENT and self._bytes < RECENT_BYTES:
            self._messages.extend(messages)
            self._bytes += size

    def after(self, sequence: int, limit: int, last: int) -> list[tuple[int, Message]] | None:
        """Messages behind a sequence, oldest first; None where they have to be read from disk. `last` is the newest stored."""
        messages = self._messages
        while messages and messages[0][0] <= sequence:
            self._bytes -= len(messages.popleft()[1].payload)
        if sequence >= last:
            return []
        if not messages or messages[0][0] != sequence + 1:
            return None
        return list(islice(messages, limit))
