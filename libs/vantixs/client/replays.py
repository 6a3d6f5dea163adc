"""Replays: signals run again, and how that differs from the first time."""

import uuid
from collections.abc import AsyncIterator, Sequence

from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.client.blocking import Blocking, blocking, iterating
from vantixs.client.calls import Calls, enum_number
from vantixs.client.errors import DeadlineExceeded


class AsyncReplays:
    """Replays of a system."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def start(
        self, signal_ids: Sequence[str], *, mode: str = "paper", comment: str = "", request_id: str = ""
    ) -> audit_pb2.Replay:
        """Begins to run signals again in their first order, on a scratch copy of their account; the same `request_id` once.

        Raises:
            NotBuilt: a mode that the service does not have.
        """
        request = audit_pb2.ReplaySignalsRequest(
            request_id=request_id or str(uuid.uuid4()), signal_ids=signal_ids, comment=comment
        )
        request.mode = enum_number(journal_pb2.ReplayMode, "REPLAY_MODE_", "mode", mode)
        response: audit_pb2.ReplaySignalsResponse = await self._calls.ask(request)
        return response.replay

    async def get(self, replay_id: str, *, timeout_s: float | None = None) -> audit_pb2.Replay:
        """A replay with its results so far."""
        response: audit_pb2.GetReplayResponse = await self._calls.ask(
            audit_pb2.GetReplayRequest(replay_id=replay_id), timeout_s
        )
        return response.replay

    async def wait(self, replay_id: str, *, timeout_s: float = 300.0) -> audit_pb2.Replay:
        """A replay once it has ended.

        Raises:
            DeadlineExceeded: it has not within the time; the reason is REPLAY_NOT_ENDED.
        """

        async def look(left_s: float) -> audit_pb2.Replay | None:
            found = await self.get(replay_id, timeout_s=left_s)
            return None if found.state == audit_pb2.REPLAY_STATE_RUNNING else found

        late = DeadlineExceeded(
            "REPLAY_NOT_ENDED", f"expected replay {replay_id} to end within {timeout_s:g} s", service="audit"
        )
        ended: audit_pb2.Replay = await self._calls.until(look, timeout_s, late)
        return ended

    async def run(
        self, signal_ids: Sequence[str], *, mode: str = "paper", comment: str = "", timeout_s: float = 300.0
    ) -> audit_pb2.Replay:
        """Runs signals again and waits for the end, as `start` and `wait`."""
        return await self.wait(
            (await self.start(signal_ids, mode=mode, comment=comment)).replay_id, timeout_s=timeout_s
        )

    async def list(self) -> AsyncIterator[audit_pb2.Replay]:
        """Replays, newest first."""
        async for item in self._calls.pages(audit_pb2.ListReplaysRequest()):
            yield item


class Replays(Blocking[AsyncReplays]):
    """`AsyncReplays` for programs without an event loop."""

    start = blocking(AsyncReplays.start)
    get = blocking(AsyncReplays.get)
    wait = blocking(AsyncReplays.wait)
    run = blocking(AsyncReplays.run)
    list = iterating(AsyncReplays.list)
