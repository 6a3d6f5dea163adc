"""Takes over what the first commits wrote under revision 0001, before revisions spelled out their tables.

Revision 0001 made whatever tables the program had at the time. So a database that says 0001 is one of three:

- the first tables: `decisions`, `reservations` and one-sided `postings`, and no state of an account. Their rows are
  rewritten below into today's tables;
- today's tables, with `entries` in the JSON of account states, where `asked` and `approved` are now;
- today's tables as they are. Nothing is done.

All of it happens in the transaction of the migration. The first tables are read into memory: they were written for one day.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Context, Decimal, Inexact, localcontext
from importlib import import_module
from typing import Any, NamedTuple

import sqlalchemy as sa
from alembic import op
from vantixs.api.common.v1 import order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.lifecycle import StartupError

revision = "0002"
down_revision = "0001"

FIRST_TABLES = (
    "accounts", "balances", "decisions", "fills", "outbox", "positions", "postings", "reservations", "trading_states",
)  # fmt: skip
EXACT = Context(prec=400, traps=[Inexact])
UP = Context(prec=80, rounding=ROUND_CEILING)
ZERO = Decimal(0)
MOST_ASKED, MOST_APPROVED = 100, 500
Row = Mapping[str, Any]


def upgrade() -> None:
    """Rewrites the first tables where they are, else the JSON of account states."""
    connection = op.get_bind()
    with localcontext(EXACT):
        if sa.inspect(connection).has_table("decisions"):
            _rewrite_tables(connection)
        else:
            _rewrite_states(connection)


def _rewrite_states(connection: sa.Connection) -> None:
    states = sa.table("account_states", sa.column("account_id"), sa.column("data"))
    for account_id, data in connection.execute(sa.select(states.c.account_id, states.c.data)).all():
        state = json.loads(data)
        if "entries" in state:
            written = json.dumps(_split_entries(state))
            connection.execute(sa.update(states).where(states.c.account_id == account_id).values(data=written))


def _split_entries(state: dict[str, Any]) -> dict[str, Any]:
    """`entries` are [what, microseconds, approved]; today's approved ones are the latest of each `what`."""
    entries = state.pop("entries")
    approved: dict[str, int] = {}
    for what, time, was_approved in entries:
        if was_approved:
            approved.pop(what, None)
            approved[what] = time
    asked = [[what, time] for what, time, _ in entries]
    return {**state, "asked": asked[-MOST_ASKED:], "approved": list(map(list, approved.items()))[-MOST_APPROVED:]}


def _rewrite_tables(connection: sa.Connection) -> None:
    found = {name: _read(connection, name) for name in FIRST_TABLES}
    for name in FIRST_TABLES:
        op.drop_table(name)
    # They are made by the frozen revision itself, so that they cannot differ from those of a new database.
    import_module("vantixs_risk.migrations.versions.0001_start").upgrade()
    tables = sa.MetaData()
    tables.reflect(connection)
    for name, rows in _rewritten(found).items():
        if rows:
            connection.execute(sa.insert(tables.tables[name]), rows)


def _read(connection: sa.Connection, name: str) -> list[Row]:
    """A table's rows, in the order in which they were written where the table has one."""
    table = sa.Table(name, sa.MetaData(), autoload_with=connection)
    numbers = [column for column in table.columns if column.name in ("posting_id", "position")]
    return [dict(row) for row in connection.execute(sa.select(table).order_by(*numbers)).mappings()]


class _Fills(NamedTuple):
    """The fills of an order."""

    quantity: Decimal
    buy: bool


def _rewritten(found: Mapping[str, Sequence[Row]]) -> dict[str, list[dict[str, Any]]]:
    """Rows of today's tables, by table."""
    decided = {row["order_id"]: row for row in found["decisions"]}
    holds = {row["order_id"]: row for row in found["reservations"]}
    by_order: dict[str, _Fills] = {}
    paid: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in found["fills"]:
        quantity, price = Decimal(row["quantity"]), Decimal(row["price"])
        before = by_order.get(row["order_id"])
        filled = before.quantity + quantity if before else quantity
        by_order[row["order_id"]] = _Fills(filled, bool(row["buy"]))
        key = (row["account_id"], decided[row["order_id"]]["instrument"])
        paid[key] += (quantity if row["buy"] else -quantity) * price
    accounts = {row["account_id"]: risk_pb2.Account.FromString(row["data"]) for row in found["accounts"]}
    positions = [
        _position(
            row, paid.get((row["account_id"], row["instrument"])), scratch=bool(accounts[row["account_id"]].scratch_of)
        )
        for row in found["positions"]
    ]
    perpetuals = [row for row in positions if row["perpetual"] and Decimal(row["quantity"])]
    latest: dict[str, int] = defaultdict(int)
    for row in found["decisions"]:
        latest[row["account_id"]] = max(latest[row["account_id"]], row["decide_time"])
    return {
        "accounts": [dict(row) for row in found["accounts"]],
        "account_states": [
            _state(account, found["balances"], positions, latest[account_id])
            for account_id, account in accounts.items()
        ],
        "balances": [dict(row) for row in found["balances"]] + [b for row in perpetuals for b in _contracts(row)],
        "positions": positions,
        "orders": [
            _order(row, holds.get(row["order_id"]), by_order.get(row["order_id"])) for row in found["decisions"]
        ],
        "fills": [_fill(row, decided[row["order_id"]]) for row in found["fills"]],
        "transfers": [*_transfers(found["postings"]), *(_opened(row) for row in perpetuals)],
        "trading_states": [dict(row) for row in found["trading_states"]],
        "outbox": [{k: row[k] for k in ("message_id", "subject", "payload")} for row in found["outbox"]],
    }


def _position(row: Row, paid: Decimal | None, *, scratch: bool) -> dict[str, Any]:
    """The position with the cost of what is open in place of an average price, which was rounded at 18 decimals.

    On spot the cost is what all fills paid, plus what closing realised: so equity is exact again. A scratch account's fills
    are those of the account that it was copied from, and a perpetual's realised profit is settled in cash: there the
    average price counts.
    """
    pair, _, settle = row["instrument"].partition(":")
    base, _, quote = pair.partition("/")
    quantity, realized = Decimal(row["quantity"]), Decimal(row["realized_profit"])
    cost = quantity * Decimal(row["average_price"])
    if paid is not None and not settle and not scratch:
        if quantity:
            cost = paid + realized
        else:
            cost, realized = ZERO, -paid
    return {
        "account_id": row["account_id"],
        "instrument": row["instrument"],
        "base_asset": base,
        "quote_asset": quote,
        "perpetual": bool(settle),
        "quantity": row["quantity"],
        "cost": _text(cost),
        "realized_profit": _text(realized),
        "fees": row["fees"],
    }


def _contracts(position: Row) -> list[dict[str, Any]]:
    """Balances of a perpetual position, which the first books did not have."""
    quantity = Decimal(position["quantity"])
    amounts = {"contracts": quantity, "counterparty": -quantity}
    return [
        {"account_id": position["account_id"], "book": book, "asset": position["instrument"], "amount": _text(amount)}
        for book, amount in amounts.items()
    ]


def _opened(position: Row) -> dict[str, Any]:
    """The transfer that made those balances."""
    return _transfer(
        position["account_id"],
        revision,
        "counterparty",
        "contracts",
        position["instrument"],
        Decimal(position["quantity"]),
    )


def _transfers(postings: Sequence[Row]) -> list[dict[str, Any]]:
    """Postings were written in pairs: what one book loses and the other gains.

    Raises:
        StartupError: they are not; nothing was changed.
    """
    made = []
    if len(postings) % 2:
        raise StartupError(f"database of risk: expected postings in pairs, were {len(postings)}; restore a backup")
    for lost, gained in zip(postings[::2], postings[1::2], strict=True):
        same = all(lost[name] == gained[name] for name in ("account_id", "source", "asset"))
        amount = Decimal(gained["amount"])
        if not same or amount != -Decimal(lost["amount"]):
            numbers = f"{lost['posting_id']} and {gained['posting_id']}"
            raise StartupError(f"database of risk: expected postings in pairs, were {numbers}; restore a backup")
        made.append(_transfer(lost["account_id"], lost["source"], lost["book"], gained["book"], lost["asset"], amount))
    return made


def _transfer(account_id: str, cause: str, source: str, target: str, asset: str, amount: Decimal) -> dict[str, Any]:
    if amount < 0:
        source, target, amount = target, source, -amount
    names = {"account_id": account_id, "cause": cause, "source": source, "target": target, "asset": asset}
    return {**names, "amount": _text(amount)}


def _order(decided: Row, hold: Row | None, fills: _Fills | None) -> dict[str, Any]:
    """An order with what is held for it. The side was not kept: fills tell it, else the decision's own record."""
    decision = order_pb2.RiskDecision.FromString(decided["data"])
    exits = any(step.name == "closable" for step in decision.sizing_steps)
    entry = bool(decided["account_id"]) and not exits
    # A sale was checked for being allowed, a purchase was not.
    sold = (
        any(check.reason == "SHORT_NOT_ALLOWED" for check in decision.checks)
        if entry
        else (Decimal(decision.position_quantity or "0") > 0)
    )
    filled = fills.quantity if fills else ZERO
    quantity = Decimal(decision.quantity or "0")
    notional = amount_held = ZERO
    if hold is not None:
        entry, left = bool(hold["entry"]), Decimal(hold["quantity"])
        quantity = left + filled
        notional, amount_held = (_whole(Decimal(hold[name]), left, quantity) for name in ("notional", "hold"))
    return {
        "order_id": decided["order_id"],
        "signal_id": decided["order_id"].rpartition(".")[0] if decided["account_id"] else "",
        "account_id": decided["account_id"],
        "webhook_id": "",
        "strategy_id": "",
        "instrument": decided["instrument"],
        "base_asset": decided["base_asset"],
        "quote_asset": decided["quote_asset"],
        "perpetual": decided["perpetual"],
        "entry": entry,
        "buy": fills.buy if fills else bool(decided["account_id"]) and not sold,
        "approved": decision.verdict == order_pb2.RISK_VERDICT_APPROVED,
        "open": hold is not None,
        "quantity": _text(quantity),
        "notional": _text(notional),
        "hold": _text(amount_held),
        "filled": _text(filled),
        "decide_time": decided["decide_time"],
        "data": decided["data"],
    }


def _whole(held: Decimal, left: Decimal, quantity: Decimal) -> Decimal:
    """What was held for the whole order, of which fills took their share since; rounded up."""
    return held if left == quantity else UP.divide(UP.multiply(held, quantity), left)


def _fill(row: Row, decided: Row) -> dict[str, Any]:
    """A fill under its order's instrument. Every fee was in the quote asset."""
    return {**row, "instrument": decided["instrument"], "fee_asset": decided["quote_asset"], "flag": ""}


def _state(
    account: risk_pb2.Account, balances: Sequence[Row], positions: Sequence[Row], clock_us: int
) -> dict[str, Any]:
    """How the account stands: its worth at cost, for no price was kept. The day and the peak begin with that."""
    mine = [row for row in positions if row["account_id"] == account.account_id and Decimal(row["quantity"])]
    equity = ZERO
    for row in mine:
        if not row["perpetual"]:
            equity += Decimal(row["cost"])
    for row in balances:
        if (row["account_id"], row["book"], row["asset"]) == (account.account_id, "cash", account.currency):
            equity += Decimal(row["amount"])
    day = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=clock_us)).date()
    state = {
        "clock": clock_us,
        "day": day.isoformat(),
        "day_equity": _text(equity),
        "peak": _text(max(equity, Decimal(account.balance))),
        "adjusted": "0",
        "minute": 0,
        "seconds": [],
        "asked": [],
        "approved": [],
        "failures": 0,
        "last_loss": None,
        "marks": {},
    }
    return {"account_id": account.account_id, "stamp": f"revision-{revision}", "data": json.dumps(state)}


def _text(amount: Decimal) -> str:
    """Plain notation, as `vantixs.runtime.columns.Amount` writes it."""
    return format(amount or ZERO, "f")
