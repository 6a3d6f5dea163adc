"""What webhooks own of positions, in the router's database: written in the commits that count what was filled."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal, localcontext

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.model.decimals import EXACT, ZERO, format_decimal, parse_decimal
from vantixs.model.instruments import INSTRUMENTS, Instrument
from vantixs.runtime.statements import Statement, insert_or_replace, where

from vantixs_router.domain.dust import without_dust
from vantixs_router.domain.intent import Intent, Leg
from vantixs_router.domain.owner_shares import Filled, Sender, Share, Shares, after_fill
from vantixs_router.store import OrderRow
from vantixs_router.tables import OWNER_SHARES

OWNED = "POSITION_OWNED_BY_OTHERS"
OPERATOR = Sender()
# Stands for all webhooks that own nothing: what none of the others owns is theirs together. No webhook has this id.
NO_OWNER = Sender("|")
_READ = Statement(lambda _: sa.select(OWNER_SHARES).where(where(OWNER_SHARES, "key")))
_SAVE = insert_or_replace(OWNER_SHARES)
_DROP = Statement(lambda _: sa.delete(OWNER_SHARES).where(where(OWNER_SHARES, "key", "webhook_id")))


def owns(webhook: webhook_pb2.Webhook) -> bool:
    """Whether the webhook owns what its entries open."""
    return webhook.position_owner == webhook_pb2.POSITION_OWNER_WEBHOOK


def sender_of(webhook: webhook_pb2.Webhook) -> Sender:
    """Who sends by the webhook; one without an id is an operator."""
    return Sender(webhook.webhook_id, owns(webhook))


def sender_of_order(order: order_pb2.Order) -> Sender:
    """Who sent the order, as their webhook was then."""
    return Sender(order.webhook_id, order.owned)


def group_of(order: order_pb2.Order) -> Sender:
    """Whose part of the position the order is for: its webhook's own, the one that nobody owns, or an operator's all."""
    return sender_of_order(order) if order.owned else NO_OWNER if order.webhook_id else OPERATOR


def of_own(intent: Intent, own: Decimal | None, position: Decimal) -> Intent:
    """The intent, and in words what of the position it is about where that is not all of it (`own`)."""
    if own is None:
        return intent
    acts, held = format_decimal(own), format_decimal(position)
    return replace(intent, text=f"{intent.text}; the webhook acts on {acts} of the position of {held}")


def against_others(leg: Leg, own: Decimal | None, position: Decimal, instrument: Instrument) -> str:
    """Why an entry may not be: it would close what others hold in the account. "" where it may.

    `own` is what of the signed position its sender acts on; None is all of it.
    """
    if own is None or not leg.entry:
        return ""
    with localcontext(EXACT):
        others = without_dust(position - own, instrument)
    if not others or (others > 0) is leg.buy:
        return ""
    side = "long" if others > 0 else "short"
    return f"others hold {format_decimal(abs(others))} {side} of the account's position, which the entry would close"


def moved_by(row: OrderRow) -> Decimal:
    """By what the position moved through the order's fills, signed base units; a fee in the base asset counts."""
    base = INSTRUMENTS.current[row.order.instrument].base_asset
    buys = row.order.side == common_pb2.SIDE_BUY
    with localcontext(EXACT):
        moved = ZERO
        for fill in row.fills:
            quantity = parse_decimal(fill.quantity)
            moved += quantity if buys else -quantity
            if fill.fee and fill.fee_asset == base:
                moved -= parse_decimal(fill.fee)
        return moved


def not_shared(row: OrderRow) -> Decimal:
    """What of `moved_by` its owner's share has not moved by yet."""
    with localcontext(EXACT):
        return moved_by(row) - parse_decimal(row.shared or "0")


def with_fills(shares: Shares, rows: Iterable[OrderRow], position: Decimal, now_ms: int) -> Shares:
    """The shares once the fills of these orders count that do not count yet; `position` is the one after the last of them."""
    rows = [row for row in rows if row.fills]
    with localcontext(EXACT):
        before = position - sum((not_shared(row) for row in rows), ZERO)
        for row in rows:
            if moved := not_shared(row):
                before += moved
                entry = row.order.effect == order_pb2.ORDER_EFFECT_ENTRY
                shares = after_fill(shares, Filled(sender_of_order(row.order), moved, entry, now_ms), before)
    return shares


def shared(row: OrderRow) -> OrderRow:
    """The order once all of its fills count; the same one where they do."""
    return row._replace(shared=format_decimal(moved_by(row))) if row.fills and not_shared(row) else row


def read_shares(connection: sa.Connection, key: str) -> Shares:
    """What webhooks own in an account and instrument ("paper|BTC/USDT"), the oldest first."""
    rows = _READ.rows(connection, key=key)
    found = [Share(row.webhook_id, parse_decimal(row.quantity), row.since_ms) for row in rows]
    return tuple(sorted(found, key=lambda share: (share.since_ms, share.webhook_id)))


def save_shares(connection: sa.Connection, key: str, before: Shares, after: Shares) -> None:
    """Writes what changed; a webhook that owns nothing any more has no row."""
    left = {share.webhook_id for share in after}
    for share in after:
        if share not in before:
            quantity = format_decimal(share.quantity)
            _SAVE.send(connection, key=key, webhook_id=share.webhook_id, quantity=quantity, since_ms=share.since_ms)
    for share in before:
        if share.webhook_id not in left:
            _DROP.send(connection, key=key, webhook_id=share.webhook_id)


def count_fills(
    connection: sa.Connection, key: str, rows: Iterable[OrderRow], position: Decimal, now_ms: int
) -> Shares:
    """Moves the shares by what these orders were filled; `rows` are as they are before they are written as `shared`."""
    before = read_shares(connection, key)
    after = with_fills(before, rows, position, now_ms)
    save_shares(connection, key, before, after)
    return after
