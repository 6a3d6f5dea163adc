"""Evaluates one order. Pure: the same inputs give the same decision."""

from decimal import Decimal, localcontext
from typing import NamedTuple

from vantixs_risk.domain.check import Check, CheckContext, run
from vantixs_risk.domain.check_tables import ENTRY, EXIT, LEG
from vantixs_risk.domain.exact import BOOKS, ZERO, divide_up
from vantixs_risk.domain.inputs import Inputs
from vantixs_risk.domain.metrics import RiskMetrics, metrics_of
from vantixs_risk.domain.price_checks import BPS
from vantixs_risk.domain.sizing import size


class Decision(NamedTuple):
    """What was decided. An exit is always reduce-only.

    Attributes:
        quantity: base units, a multiple of the lot; 0 where it is not known.
        notional: quote units, at the highest price that a unit may cost or bring.
        reserved_funds: what an approved entry takes from free funds, quote units; 0 for an exit.
        checks: every check that applies, in the order of the table.
        steps: name and value of each step of the sizing.
        metrics: what the checks looked at.
    """

    approved: bool
    quantity: Decimal
    notional: Decimal
    reserved_funds: Decimal
    checks: tuple[Check, ...]
    steps: dict[str, str]
    metrics: RiskMetrics


def evaluate(inputs: Inputs) -> Decision:
    """Sizes the order and runs every check of its table."""
    with localcontext(BOOKS):
        metrics = metrics_of(inputs)
        sized = size(inputs, metrics)
        quantity = sized.quantity or ZERO
        notional = quantity * metrics.price
        reserved_funds = _reserved_funds(inputs, notional) if inputs.order.entry else ZERO
        context = CheckContext(inputs, metrics, sized, quantity, notional, reserved_funds)
        table = LEG if inputs.order.leg else ENTRY if inputs.order.entry else EXIT
        checks = tuple(run(table, context))
        approved = all(check.passed for check in checks)
        return Decision(approved, quantity, notional, reserved_funds, checks, sized.steps, metrics)


def _reserved_funds(inputs: Inputs, notional: Decimal) -> Decimal:
    """Funds an entry takes: all of it for a spot buy, margin otherwise, with the highest fee and the price buffer.

    A buy at a limit costs the limit or less, so it needs no buffer. An order that has to be triggered may become a market order.
    """
    order = inputs.order
    buffer_bps = ZERO if order.buy and order.order_type == "LIMIT" else inputs.price_buffer_bps
    cost = divide_up(notional * (order.fee_bps + buffer_bps), BPS)
    paid = order.buy and not order.market.perpetual
    return cost + (notional if paid else divide_up(notional, inputs.rules.leverage))
