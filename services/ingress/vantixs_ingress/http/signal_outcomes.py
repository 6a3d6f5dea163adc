"""The outcomes of the newest signals, for their senders: bounded, in memory, read from the journal.

No other service is called while a request is answered: ingress knows what it accepted, and reads outcomes from the journal.
"""

import asyncio
from collections import OrderedDict
from functools import lru_cache
from typing import NamedTuple

from google.protobuf.message import DecodeError
from vantixs.api.common.v1 import common_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import LANES, accepted_subject, event_subject
from vantixs.runtime.journal import Journal
from vantixs.runtime.journal_reader import Reader

KEPT = 20_000
LOOK_BACK = 20_000  # Messages of the journal that are read again at start.
LONGEST_DETAIL = 300
OUTCOMES = event_subject("signal")
ACCEPTED = tuple(accepted_subject(lane) for lane in range(LANES))


class Outcome(NamedTuple):
    """A signal's status in lower case, with the reason where something of it was not done, and a sentence about it."""

    webhook_id: str
    status: str
    reason: str = ""
    detail: str = ""


@lru_cache(maxsize=1024)
def _accepted(webhook_id: str) -> Outcome:
    """The outcome with which the signals of a webhook begin; cached per webhook."""
    return Outcome(webhook_id, "accepted")


class SignalOutcomes:
    """The status of the newest signals; audit knows the older ones."""

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
        """Notes an accepted signal, unless its end is known already."""
        if signal_id not in self._known:
            self._keep(signal_id, _accepted(webhook_id))

    def ended(self, webhook_id: str, signal_id: str, status: str, reason: str, detail: str = "") -> None:
        """Notes how a signal ended."""
        self._keep(signal_id, Outcome(webhook_id, status, reason, detail[:LONGEST_DETAIL]))

    def _keep(self, signal_id: str, outcome: Outcome) -> None:
        self._known.pop(signal_id, None)
        self._known[signal_id] = outcome
        if len(self._known) > KEPT:
            self._known.popitem(last=False)

    def read_batch(self, data: bytes) -> None:
        """Reads the outcomes in a batch of the journal."""
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


class OutcomeReader:
    """Reads outcomes from the journal: its newest messages at start, then outcomes as they come."""

    def __init__(self, outcomes: SignalOutcomes, journal: Journal) -> None:
        self._outcomes = outcomes
        self._journal = journal
        self._after = -1  # Not known yet.
        self._back_until = 0  # Up to this sequence accepted signals are read again as well.
        self._looking_back = False
        self._reader = Reader(journal, start_after=lambda: self._after, subjects=self._subjects)

    async def run(self, stopping: asyncio.Event) -> None:
        """Reads until stopped."""
        async for deliveries in self._reader.batches(stopping):
            for delivery in deliveries:
                self._outcomes.read_batch(delivery.data)
            self._after = max(self._after, self._reader.passed)
            if self._looking_back and self._after >= self._back_until:
                self._reader.restart()

    def _subjects(self) -> tuple[str, ...]:
        last = self._journal.facts.last if self._journal.facts else 0
        if not 0 <= self._after <= last:  # This is the first time, or another stream.
            self._after, self._back_until = max(0, last - LOOK_BACK), last
        self._looking_back = self._after < self._back_until
        return (OUTCOMES, *ACCEPTED) if self._looking_back else (OUTCOMES,)
