"""What was filled of an order is booked by risk, and what is left of its reservation released once it has ended."""

import sqlalchemy as sa
from vantixs.model.decimals import parse_decimal
from vantixs.runtime.database import Database

from vantixs_router.domain.owner_shares import Shares
from vantixs_router.fence import Fence, write_fenced
from vantixs_router.orders.answers import has_ended
from vantixs_router.owner_shares import count_fills, shared
from vantixs_router.risk_client import RiskClient, asking_risk
from vantixs_router.store import OrderRow, update_order


async def settle_order(risk: RiskClient, row: OrderRow) -> OrderRow:
    """Books the fills so far; repeating it changes nothing. The row is settled once the order has ended.

    Raises:
        RiskFailed: risk did not book them.
    """
    ended = has_ended(row.order)
    with asking_risk():
        position = await risk.settle(row.order, row.fills, final=ended)
    return row._replace(position=position) if ended else row


async def settle_and_count(
    risk: RiskClient, database: Database, row: OrderRow, fence: Fence, now_ms: int
) -> tuple[OrderRow, Shares]:
    """Books the fills so far, and moves by them what webhooks own; returns that as well.

    For fills of which the signal does not end now: whoever acts next finds the shares as the position is.

    Raises:
        RiskFailed: risk did not book them.
        LeaseLost: another replica owns the lane.
    """
    ended = has_ended(row.order)
    with asking_risk():
        position = await risk.settle(row.order, row.fills, final=ended)
    key = f"{row.order.account_id}|{row.order.instrument}"
    after = shared(row)

    def write(connection: sa.Connection) -> Shares:
        shares = count_fills(connection, key, [row], parse_decimal(position.quantity), now_ms)
        update_order(connection, after)
        return shares

    shares = await write_fenced(database, fence, write)
    return (after._replace(position=position) if ended else after), shares
