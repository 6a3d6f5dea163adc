"""What of an account's position in an instrument belongs to which webhook: pure.

Only webhooks with position_owner WEBHOOK have a share, and the rest of the position nobody owns. A share is what the webhook's
entries opened and its exits did not close yet; what reduces the position in another way takes the rest first, then the oldest
shares. So all shares are of the position's side, and add up to no more than it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext

from vantixs.model.decimals import EXACT, ZERO


@dataclass(frozen=True, slots=True)
class Share:
    """What a webhook owns: signed quantity in base units, and since when, ms since 1970."""

    webhook_id: str
    quantity: Decimal
    since_ms: int


Shares = tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Sender:
    """Who acts: a webhook, or with no id an operator. `owns` says whether it owns what it opens."""

    webhook_id: str = ""
    owns: bool = False


@dataclass(frozen=True, slots=True)
class Filled:
    """What an order of a sender was filled: signed quantity that the position moved by, of an entry or of an exit."""

    sender: Sender
    quantity: Decimal
    entry: bool
    now_ms: int


def fit(shares: Iterable[Share], position: Decimal) -> Shares:
    """The shares as a signed position allows them, the oldest first: those of its other side are gone."""
    kept = sorted(
        (share for share in shares if share.quantity * position > 0), key=lambda s: (s.since_ms, s.webhook_id)
    )
    with localcontext(EXACT):
        lacks = sum((abs(share.quantity) for share in kept), ZERO) - abs(position)
        found = []
        for share in kept:
            taken = min(max(lacks, ZERO), abs(share.quantity))
            lacks -= taken
            left = share.quantity - taken if position > 0 else share.quantity + taken
            if left:
                found.append(replace(share, quantity=left))
    return tuple(found)


def after_fill(shares: Shares, filled: Filled, position: Decimal) -> Shares:
    """The shares after a fill that made the position what it is.

    An exit takes of its own webhook's share first, whether or not the webhook still owns what it opens; an entry adds to
    the share of one that does.
    """
    with localcontext(EXACT):
        by_id = {share.webhook_id: share for share in fit(shares, position - filled.quantity)}
        sender = filled.sender
        own = by_id.get(sender.webhook_id) or Share(sender.webhook_id, ZERO, filled.now_ms)
        quantity = own.quantity + filled.quantity
        if filled.entry:
            if sender.owns:
                by_id[own.webhook_id] = replace(own, quantity=quantity)
        elif own.quantity * filled.quantity < 0:
            by_id[own.webhook_id] = replace(own, quantity=quantity if quantity * own.quantity > 0 else ZERO)
    return fit(by_id.values(), position)


def acts_on(shares: Shares, sender: Sender, position: Decimal) -> Decimal:
    """The signed position that a sender's signals act on.

    All of it for an operator. For a webhook that owns what it opens, its share; for another, what no other webhook owns.
    """
    if not sender.webhook_id:
        return position
    fitting = fit(shares, position)
    own = sum((share.quantity for share in fitting if share.webhook_id == sender.webhook_id), ZERO)
    if sender.owns:
        return own
    with localcontext(EXACT):
        return position - sum((share.quantity for share in fitting), ZERO) + own
