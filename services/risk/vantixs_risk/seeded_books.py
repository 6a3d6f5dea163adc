"""The books of a scratch account that begins from what a decision recorded, in place of the account as it is."""

from decimal import Decimal

import sqlalchemy as sa
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.errors import invalid

from vantixs_risk.account_state import Account
from vantixs_risk.decision_inputs import inputs_of
from vantixs_risk.domain.exact import total
from vantixs_risk.domain.inputs import Books
from vantixs_risk.domain.ledger import CASH, CONTRACTS, HOLDING, OPENING, Booking, transfer
from vantixs_risk.postings import Postings


def opening_of(seed: risk_pb2.DecisionInputs) -> Decimal:
    """The opening balance with which equity is what it was: cash, and what spot positions cost."""
    books = _books_of(seed)
    costs = (h.position.cost for h in books.holdings.values() if not h.market.perpetual)
    return total((books.cash, *costs))


def write_seed(connection: sa.Connection, account: Account, seed: risk_pb2.DecisionInputs) -> None:
    """Writes cash and positions as they were, each against the opening. What was realised and paid before is not in them."""
    books, postings = _books_of(seed), Postings()
    postings.transfer(account, "seed", transfer(OPENING, CASH, account.rules.currency, books.cash))
    for held in books.holdings.values():
        market, quantity = held.market, held.position.quantity
        book, asset = (CONTRACTS, market.instrument) if market.perpetual else (HOLDING, market.base)
        account.holdings[market.instrument] = held
        postings.book(account, market, "seed", Booking(held.position, transfer(OPENING, book, asset, quantity)))
    account.equity_history = books.equity_history
    postings.write(connection)


def _books_of(seed: risk_pb2.DecisionInputs) -> Books:
    if "held" in seed.left_out:
        raise invalid("seed.left_out", "expected all positions, was without them")
    return inputs_of(seed).books
