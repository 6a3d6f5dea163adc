"""One signal in progress: what was delivered, and how far it got."""

from dataclasses import dataclass, field
from decimal import Decimal

from vantixs.api.common.v1 import signal_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.instruments import INSTRUMENTS, Instrument
from vantixs.runtime.journal_reader import Delivery

from vantixs_router.claims import Claim, Held
from vantixs_router.domain.owner_shares import Shares, acts_on
from vantixs_router.fence import Fence
from vantixs_router.owner_shares import owns, sender_of
from vantixs_router.store import OrderRow, SenderState


class OutcomeUnknown(Exception):
    """The signal cannot continue until the venue says what became of an order. The text names the order and says why."""


class WaitsForEarlier(Exception):
    """The signal has to wait for an earlier one of its account and instrument, which itself waits.

    The text says for what.
    """


@dataclass(slots=True)
class SignalRun:
    """A signal while this process works on it.

    Attributes:
        delivery: the delivery by the lane.
        accepted: the signal with its request and its webhook as they were at that time.
        cause: id of the journal entry that causes all entries of this signal.
        fence: the lane's.
        journal_epoch: how many gaps of the journal were accepted before it was delivered.
        plan: the intent's legs as text, empty until risk was asked.
        orders: by leg; the last one may not be stored yet.
        unsettled: orders of other signals of the same account and instrument whose end risk has not booked.
        waits_behind: how many earlier signals of the same account and instrument are parked.
        parked: whether it was parked before.
        superseded: whether a later exit of its account and instrument was carried out while it waited.
        fresh: whether the last order was created in this try and is not sent yet.
        venue_says: the venue's text about the last order.
        sender: what its webhook's signals for the account and instrument have done so far.
        adds: whether one of its entries adds to a position.
        claim: what it has in common with any repeat of it; None if nothing makes another signal a repeat.
        held: the signal that made the same claim before, if known.
        protected: whether one of its entries has a bracket.
        apart: whether its key belongs to another signal, so that it has an id of its own.
        shares: which part of the position in its account and instrument each webhook owns.
        own: the part of the position that its webhook acts on, signed; None if that is the whole position.
        inputs: what its orders were derived from in this process; None if they were not derived here.
    """

    delivery: Delivery
    accepted: journal_pb2.SignalAccepted
    cause: str
    fence: Fence
    journal_epoch: int = 0
    plan: str = ""
    orders: list[OrderRow] = field(default_factory=list)
    unsettled: list[OrderRow] = field(default_factory=list)
    waits_behind: int = 0
    parked: bool = False
    superseded: bool = False
    fresh: bool = False
    venue_says: str = ""
    sender: SenderState = field(default_factory=SenderState)
    adds: bool = False
    claim: Claim | None = None
    held: Held | None = None
    protected: bool = False
    apart: bool = False
    shares: Shares = ()
    own: Decimal | None = None
    inputs: journal_pb2.RoutingInputs | None = None

    @property
    def signal(self) -> signal_pb2.Signal:
        """The signal."""
        return self.accepted.signal

    @property
    def webhook(self) -> webhook_pb2.Webhook:
        """The webhook as it was when the signal was accepted."""
        return self.accepted.webhook

    @property
    def signal_id(self) -> str:
        """Its id."""
        return self.accepted.signal.signal_id

    @property
    def instrument(self) -> Instrument:
        """The instrument that it is about."""
        return INSTRUMENTS.current[self.accepted.signal.instrument]

    @property
    def key(self) -> str:
        """The queue that keeps signals in order: account and instrument."""
        return f"{self.accepted.webhook.account_id}|{self.accepted.signal.instrument}"

    @property
    def sender_name(self) -> str:
        """The key of the sender's state: webhook, account and instrument."""
        return f"{self.accepted.webhook.webhook_id}|{self.key}"

    @property
    def emit_ms(self) -> int:
        """When the sender says that it was sent, in ms since 1970; 0 if the sender does not say."""
        return self.signal.emit_time.ToMilliseconds() if self.signal.HasField("emit_time") else 0

    @property
    def shared(self) -> bool:
        """Whether a part of the position belongs, or may come to belong, to one webhook alone."""
        return bool(self.shares) or owns(self.webhook)

    def act_on(self, position: Decimal) -> Decimal:
        """The part of a signed position that the signal acts on; remembered as `own`."""
        acts = acts_on(self.shares, sender_of(self.webhook), position)
        self.own = None if acts == position else acts
        return acts

    @property
    def owns_orders(self) -> bool:
        """Whether the orders stored under its id belong to its account and instrument. The id alone does not prove that."""
        mine = (self.webhook.account_id, self.signal.instrument)
        return all((row.order.account_id, row.order.instrument) == mine for row in self.orders)

    @property
    def unclaimed(self) -> Claim | None:
        """Its claim, if that is not stored yet."""
        return self.claim if self.claim and self.held != self.claim.held else None

    def note_claimed(self) -> None:
        """Records that the claim is stored."""
        if self.claim:
            self.held = self.claim.held

    @property
    def lane(self) -> int:
        """The lane that delivered it."""
        return lane_number(self.delivery)

    @property
    def next_order_id(self) -> str:
        """The id of the next order, whether or not there will be one."""
        return f"{self.signal_id}.{len(self.orders) + 1}"


def lane_number(delivery: Delivery) -> int:
    """The lane by the subject that delivered, for example 7 for "vantixs.journal.v1.signal.accepted.07"."""
    return int(delivery.subject.rpartition(".")[2])
