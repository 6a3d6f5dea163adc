"""What became of this webhook's signals, for senders: a bounded memory, fed by the journal.

Ingress asks nobody while it serves. It knows what it accepted itself, and reads outcomes from the journal like anyone else.
"""

import asyncio
import contextlib
from collections import OrderedDict
from functools import lru_cache
from typing import NamedTuple

from google.protobuf.message import DecodeError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from vantixs.api.common.v1 import common_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import LANES, accepted_subject, event_subject
from vantixs.runtime.journal import STREAM, TRANSIENT, Journal

KEPT = 20_000
LOOK_BACK = 20_000  # Messages of the journal that are read again at start.
LONGEST_DETAIL = 300
FETCH, FETCH_S = 100, 1.0
SUBJECTS = (event_subject("signal"), *(accepted_subject(lane) for lane in range(LANES)))


class Outcome(NamedTuple):
    """A signal's status in lower case, with the reason where something of it was not done, and a sentence about it."""

    webhook_id: str
    status: str
    reason: str = ""
    detail: str = ""


@lru_cache(maxsize=1024)
def _accepted(webhook_id: str) -> Outcome:
    """The outcome that all signals of a webhook begin with."""
    return Outcome(webhook_id, "accepted")


class Statuses:
    """The newest signals' status; what is older is for audit to tell."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Outcome] = OrderedDict()

    def get(self, webhook_id: str, signal_id: str) -> dict[str, str] | None:
        """Status and reason of a signal of this webhook, None where it has none such or it is too long ago."""
        found = self._known.get(signal_id)
        if found is None or found.webhook_id != webhook_id:
            return None
        shown = {"status": found.status, "reason": found.reason, "detail": found.detail}
        return {name: text for name, text in shown.items() if text}

    def accepted(self, webhook_id: str, signal_id: str) -> None:
        """A signal is on its way, unless its end is known."""
        if signal_id not in self._known:
            self._keep(signal_id, _accepted(webhook_id))

    def ended(self, webhook_id: str, signal_id: str, status: str, reason: str, detail: str = "") -> None:
        """A signal came to its end."""
        self._keep(signal_id, Outcome(webhook_id, status, reason, detail[:LONGEST_DETAIL]))

    def _keep(self, signal_id: str, outcome: Outcome) -> None:
        self._known.pop(signal_id, None)
        self._known[signal_id] = outcome
        if len(self._known) > KEPT:
            self._known.popitem(last=False)

    def learn(self, data: bytes) -> None:
        """Takes what a batch of the journal says about outcomes."""
        try:
            entries = journal_pb2.JournalBatch.FromString(data).entries
        except DecodeError:
            return
        for entry in entries:
            match entry.WhichOneof("event"):
                case "signal_accepted":
                    self.accepted(entry.signal_accepted.webhook.webhook_id, entry.signal_id)
                case "signal_rejected":
                    rejected = entry.signal_rejected
                    self.ended(rejected.webhook.webhook_id, entry.signal_id, "rejected", rejected.reason)
                case "duplicate_suppressed" if entry.duplicate_suppressed.HasField("webhook"):
                    repeat = entry.duplicate_suppressed
                    reason = "DUPLICATE_SUPPRESSED" if repeat.rule == "same_bytes" else "DUPLICATE_SIGNAL"
                    self.ended(repeat.webhook.webhook_id, entry.signal_id, "rejected", reason)
                case "signal_completed":
                    done = entry.signal_completed
                    status = common_pb2.SignalStatus.Name(done.status).removeprefix("SIGNAL_STATUS_").lower()
                    known = self._known.get(entry.signal_id)
                    webhook_id = done.webhook_id or (known.webhook_id if known else "")
                    self.ended(webhook_id, entry.signal_id, status, done.reason, done.detail)


class StatusReader:
    """Feeds `Statuses` from the journal: the tail of it at start, then outcomes as they come."""

    def __init__(self, statuses: Statuses, journal: Journal) -> None:
        self._statuses = statuses
        self._journal = journal
        self._next = 0

    async def run(self, stopping: asyncio.Event) -> None:
        """Reads until stopped; a reader that a restart of the broker broke off starts where it was."""
        await self._journal.connected()
        subscription: JetStreamContext.PullSubscription | None = None
        generation = -1
        while not stopping.is_set():
            try:
                if subscription is None or generation != self._journal.generation:
                    generation = self._journal.generation
                    subscription = await self._subscribe()
                messages = await subscription.fetch(FETCH, timeout=FETCH_S)
            except TimeoutError:
                continue
            except TRANSIENT:
                subscription = None
                await asyncio.sleep(0.5)
                continue
            for message in messages:
                self._next = message.metadata.sequence.stream + 1
                self._statuses.learn(message.data)

    async def _subscribe(self) -> JetStreamContext.PullSubscription:
        """Outcomes from where it was; the first time, from a while back, what was accepted then included."""
        last = (await self._journal.js.stream_info(STREAM)).state.last_seq
        if not self._next or self._next > last + 1:  # The first time, or the stream is another one.
            self._next = last + 1
            with contextlib.suppress(*TRANSIENT):
                await self._look_back(last)
        return await self._pull([event_subject("signal")], self._next)

    async def _look_back(self, last: int) -> None:
        subscription = await self._pull(list(SUBJECTS), max(1, last - LOOK_BACK))
        while True:
            try:
                messages = await subscription.fetch(FETCH, timeout=FETCH_S)
            except TimeoutError:
                break
            for message in messages:
                self._statuses.learn(message.data)
            if not messages or messages[-1].metadata.sequence.stream >= last or not messages[-1].metadata.num_pending:
                break
            await asyncio.sleep(0)
        await subscription.unsubscribe()

    async def _pull(self, subjects: list[str], start: int) -> JetStreamContext.PullSubscription:
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=start,
            filter_subjects=subjects,
            inactive_threshold=30.0,
        )
        return await self._journal.js.pull_subscribe("", stream=STREAM, config=config)
