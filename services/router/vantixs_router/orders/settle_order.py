"""What was filled of an order is booked by risk, and what is left of its reservation released once it has ended."""

from vantixs_router.orders.answers import has_ended
from vantixs_router.risk_client import RiskClient, asking_risk
from vantixs_router.store import OrderRow


async def settle_order(risk: RiskClient, row: OrderRow) -> OrderRow:
    """Books the fills so far; repeating it changes nothing. The row is settled once the order has ended.

    Raises:
        RiskFailed: risk did not book them.
    """
    ended = has_ended(row.order)
    with asking_risk():
        position = await risk.settle(row.order, row.fills, final=ended)
    return row._replace(position=position) if ended else row
