"""Replays: signals run again, and how that differs from the first time."""

import getpass
import os
import uuid
from collections.abc import AsyncIterator, Sequence

from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.client.blocking import Blocking, blocking, iterating
from vantixs.client.calls import Calls, enum_number
from vantixs.client.errors import DeadlineExceeded


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid-{os.getuid()}"


class AsyncReplays:
    """Replays of a system."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def start(
        self,
        signal_ids: Sequence[str],
        *,
        mode: str = "verify",
        comment: str,
        name: str = "",
        current: bool = False,
        speed: float = 0.0,
        request_id: str = "",
    ) -> audit_pb2.Replay:
        """Begins to replay signals in their first order; the same `request_id` once.

        Args:
            signal_ids: which; for a filter make a ReplaySignalsRequest and give it to `begin`.
            mode: "verify" decides them again from the record, and changes nothing; "paper" runs them on a scratch copy of
                their account.
            comment: why, 1 to 500 characters.
            name: who asks; empty for the user of this process.
            current: whether a VERIFY takes the configuration as it is now, and not as recorded.
            speed: 0 for as fast as possible, 1 for the gaps there were, n for n times as fast.

        Raises:
            NotPossibleNow: REPLAY_REFUSED where the mode may not run one of them.
        """
        request = audit_pb2.ReplaySignalsRequest(
            request_id=request_id,
            signal_ids=signal_ids,
            comment=comment,
            name=name,
            current=current,
            speed=speed,
        )
        request.mode = enum_number(journal_pb2.ReplayMode, "REPLAY_MODE_", "mode", mode)
        return await self.begin(request)

    async def begin(self, request: audit_pb2.ReplaySignalsRequest) -> audit_pb2.Replay:
        """Begins what a request asks for; see `start`."""
        asked = audit_pb2.ReplaySignalsRequest()
        asked.CopyFrom(request)
        asked.request_id = request.request_id or str(uuid.uuid4())
        asked.name = request.name or _user_name()
        response: audit_pb2.ReplaySignalsResponse = await self._calls.ask(asked)
        return response.replay

    async def count(self, filter_: audit_pb2.SignalFilter) -> int:
        """How many signals a filter means now."""
        request = audit_pb2.ReplaySignalsRequest(filter=filter_, count_only=True)
        response: audit_pb2.ReplaySignalsResponse = await self._calls.ask(request)
        return response.count

    async def get(self, replay_id: str, *, timeout_s: float | None = None) -> audit_pb2.Replay:
        """A replay with all of its results so far."""
        found: audit_pb2.Replay | None = None
        request = audit_pb2.GetReplayRequest(replay_id=replay_id)
        while True:
            response: audit_pb2.GetReplayResponse = await self._calls.ask(request, timeout_s)
            if found is None:
                found = response.replay
            else:
                found.results.extend(response.replay.results)
            request.page_token = response.next_page_token
            if not request.page_token:
                return found

    async def progress(self, replay_id: str, *, timeout_s: float | None = None) -> audit_pb2.Replay:
        """A replay with its first result alone: how far it is."""
        request = audit_pb2.GetReplayRequest(replay_id=replay_id, page_size=1)
        response: audit_pb2.GetReplayResponse = await self._calls.ask(request, timeout_s)
        return response.replay

    async def pause(self, replay_id: str) -> audit_pb2.Replay:
        """Holds a replay after the signal it is at."""
        response: audit_pb2.PauseReplayResponse = await self._calls.ask(
            audit_pb2.PauseReplayRequest(replay_id=replay_id)
        )
        return response.replay

    async def resume(self, replay_id: str) -> audit_pb2.Replay:
        """Goes on with a replay that is held."""
        response: audit_pb2.ResumeReplayResponse = await self._calls.ask(
            audit_pb2.ResumeReplayRequest(replay_id=replay_id)
        )
        return response.replay

    async def cancel(self, replay_id: str) -> audit_pb2.Replay:
        """Stops a replay for good, after the signal it is at."""
        response: audit_pb2.CancelReplayResponse = await self._calls.ask(
            audit_pb2.CancelReplayRequest(replay_id=replay_id)
        )
        return response.replay

    async def wait(self, replay_id: str, *, timeout_s: float = 300.0) -> audit_pb2.Replay:
        """A replay once it has ended.

        Raises:
            DeadlineExceeded: it has not within the time; the reason is REPLAY_NOT_ENDED.
        """

        async def look(left_s: float) -> audit_pb2.Replay | None:
            found = await self.progress(replay_id, timeout_s=left_s)
            if found.state in (audit_pb2.REPLAY_STATE_RUNNING, audit_pb2.REPLAY_STATE_PAUSED):
                return None
            return await self.get(replay_id)

        late = DeadlineExceeded(
            "REPLAY_NOT_ENDED", f"expected replay {replay_id} to end within {timeout_s:g} s", service="audit"
        )
        ended: audit_pb2.Replay = await self._calls.until(look, timeout_s, late)
        return ended

    async def run(
        self,
        signal_ids: Sequence[str],
        *,
        mode: str = "verify",
        comment: str,
        current: bool = False,
        timeout_s: float = 300.0,
    ) -> audit_pb2.Replay:
        """Replays signals and waits for the end, as `start` and `wait`."""
        started = await self.start(signal_ids, mode=mode, comment=comment, current=current)
        return await self.wait(started.replay_id, timeout_s=timeout_s)

    async def list(self) -> AsyncIterator[audit_pb2.Replay]:
        """Replays without their results, newest first."""
        async for item in self._calls.pages(audit_pb2.ListReplaysRequest()):
            yield item


class Replays(Blocking[AsyncReplays]):
    """`AsyncReplays` for programs without an event loop."""

    start = blocking(AsyncReplays.start)
    begin = blocking(AsyncReplays.begin)
    count = blocking(AsyncReplays.count)
    progress = blocking(AsyncReplays.progress)
    pause = blocking(AsyncReplays.pause)
    resume = blocking(AsyncReplays.resume)
    cancel = blocking(AsyncReplays.cancel)
    get = blocking(AsyncReplays.get)
    wait = blocking(AsyncReplays.wait)
    run = blocking(AsyncReplays.run)
    list = iterating(AsyncReplays.list)
