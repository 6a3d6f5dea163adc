"""Limit orders that rest: what trades through them, and what queue is ahead of them."""

from collections.abc import Sequence
from decimal import Decimal

from vantixs.model.decimals import ZERO, format_decimal
from vantixs.model.instruments import Instrument

from vantixs_router.domain.matching.market import Level, Trade, View
from vantixs_router.domain.matching.orders import OpenOrder
from vantixs_router.domain.matching.steps import subtract
from vantixs_router.domain.matching.taking import Assumptions, Eaten, is_beyond, participation

UNKNOWN_QUEUE = "no queue known: traded through"


def queue_at(view: View, price: Decimal, *, buy: bool) -> Decimal | None:
    """The size ahead of an order that comes to rest at a price; None if not known.

    It is what is shown at the price: 0 within the spread and between levels, unknown below the last level that is shown. Where
    the far side is at the price or beyond, the order is a rest of one that took: the trades at its price are others' takes.
    """
    far, near = view.far(buy=buy), view.near(buy=buy)
    if not near or any(size is None for _, size in near):
        return None
    if far and not is_beyond(far[0][0], price, buy=buy):
        return None
    for level, size in near:
        if level == price:
            return size
    return None if is_beyond(near[-1][0], price, buy=buy) else ZERO


def through_of_levels(
    order: OpenOrder, price: Decimal, levels: Sequence[Level], eaten: Eaten, instrument: Instrument, share: Assumptions
) -> tuple[Decimal, list[tuple[Decimal, Decimal]]]:
    """What levels strictly beyond the price of a resting order fill of it, and what of which level that takes."""
    left, taken = order.leaves, list[tuple[Decimal, Decimal]]()
    for level, size in levels:
        if not left or not is_beyond(price, level, buy=order.terms.buy):
            break
        if size is None:
            return order.leaves, taken
        ours = eaten.left(share.share_of(size, instrument.lot_size), level, buy=order.terms.buy)
        if quantity := min(ours, left):
            taken.append((quantity, level))
            left = subtract(left, quantity)
    return subtract(order.leaves, left), taken


def share_of_trade(
    order: OpenOrder, price: Decimal, trade: Trade, used: Decimal, instrument: Instrument, share: Assumptions
) -> tuple[Decimal, tuple[str, ...]]:
    """What a trade at or beyond the price of a resting order fills of it, and the words for it; moves its queue.

    `used` is what the trade filled of our other orders already.
    """
    queue = order.queue_ahead
    if trade.price != price:
        order.queue_ahead = ZERO
        words = ("traded through",) if queue is not None else (UNKNOWN_QUEUE,)
        if trade.size is None:
            return order.leaves, words
        ours = share.share_of(trade.size, instrument.lot_size)
    elif queue is None or trade.size is None:
        return ZERO, ()
    else:
        beyond = subtract(trade.size, queue)
        order.queue_ahead = max(beyond.copy_negate(), ZERO)
        words = (f"queue of {format_decimal(queue)} ahead traded",)
        ours = share.share_of(max(beyond, ZERO), instrument.lot_size)
    return min(max(subtract(ours, used), ZERO), order.leaves), (*words, *participation(share))
