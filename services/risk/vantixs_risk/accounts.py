"""CreateAccount, UpdateAccount and GetAccount as units of work."""

import json
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any

import sqlalchemy as sa
from google.protobuf import json_format
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.model.ids import NAME
from vantixs.runtime.errors import already_exists, invalid, not_found, revision_conflict
from vantixs.runtime.grpc_server import Role

from vantixs_risk import store
from vantixs_risk.account_state import Account, load, new_account
from vantixs_risk.conversion import position_message, state_message
from vantixs_risk.domain.exact import BOOKS, ZERO, divide_down, total
from vantixs_risk.domain.headroom import headroom
from vantixs_risk.domain.ledger import CASH, FEES, FUNDING, HOLDING, open_books
from vantixs_risk.existence import check_currency, check_instruments
from vantixs_risk.fields import at_least_zero, identity, show, text
from vantixs_risk.locks import lock_books
from vantixs_risk.postings import write_transfers
from vantixs_risk.rule_conversion import rules_of
from vantixs_risk.seeded_books import opening_of, write_seed
from vantixs_risk.trading import MOST_SHOWN, open_order_message
from vantixs_risk.unit_context import UnitContext

_FIXED = ("mode", "currency", "balance", "scratch_of")
_ID_FORM = "1 to 40 of a-z, 0-9 and '-', a letter first"


def create_account(
    connection: sa.Connection, context: UnitContext, request: risk_pb2.CreateAccountRequest, actor: str, now: datetime
) -> risk_pb2.Account:
    """Creates an account with its opening balance, or a scratch copy of another. The same request_id creates it once."""
    lock_books(connection)
    message, source = risk_pb2.Account(), request.copy_from_account_id
    account_id = text("account.account_id", request.account.account_id, NAME, _ID_FORM)
    there = store.READ_ACCOUNT.first(connection, account_id=account_id)
    if there is not None:
        if there.request_id and there.request_id == request.request_id:
            return risk_pb2.Account.FromString(there.data)
        raise already_exists("account", account_id)
    copied = load(connection, identity("copy_from_account_id", source)) if source else None
    seed = _seed_of(request)
    message.CopyFrom(seed.account if seed else copied.message if copied else request.account)
    message.account_id, message.scratch_of, message.revision = account_id, source, 0
    if not copied and message.live_enabled:
        raise invalid("account.live_enabled", "expected false: live trading is enabled by EnableLive", "LIVE_NOT_READY")
    if not copied:
        check_currency("account.currency", message.currency)
        check_instruments("account.instruments", message.instruments)
    if seed:
        message.balance = show(opening_of(seed))
    balance = at_least_zero("account.balance", message.balance)
    message.create_time.FromDatetime(now)
    _store(connection, context, None, message, request.request_id, actor, now)
    account = new_account(message, now, balance)
    if seed:
        write_seed(connection, account, seed)
    elif copied:
        _copy_books(connection, copied, account)
    else:
        write_transfers(connection, account, "opening", open_books(message.currency, balance))
    context.sample(connection, account, now, booked=True)
    context.cache.save(connection, account)
    return message


def _seed_of(request: risk_pb2.CreateAccountRequest) -> risk_pb2.DecisionInputs | None:
    if not request.HasField("seed"):
        return None
    source, of = request.copy_from_account_id, request.seed.account.account_id
    if not source or source != of:
        raise invalid("seed.account.account_id", f"expected {source[:40]!r}, was {of[:40]!r}", "FIELD_CONFLICT")
    return request.seed


def update_account(
    connection: sa.Connection, context: UnitContext, message: risk_pb2.Account, role: Role, actor: str, now: datetime
) -> risk_pb2.Account:
    """Replaces an account's rules, if they still have the revision that the caller read."""
    lock_books(connection)
    row = store.READ_ACCOUNT.first(connection, account_id=message.account_id)
    if row is None:
        raise not_found("account", message.account_id[:60])
    before = risk_pb2.Account.FromString(row.data)
    if message.revision != before.revision:
        raise revision_conflict("account", before.account_id, before.revision, message.revision)
    after = risk_pb2.Account()
    after.CopyFrom(message)
    for name in _FIXED:
        setattr(after, name, getattr(before, name))
    if role < Role.SERVICE:
        after.live_enabled = before.live_enabled
    check_instruments("account.instruments", after.instruments, before.instruments)
    after.create_time.CopyFrom(before.create_time)
    _store(connection, context, before, after, row.request_id, actor, now)
    account = load(connection, after.account_id)
    context.cache.save(connection, account)
    return after


def get_account(connection: sa.Connection, account_id: str, now: datetime) -> risk_pb2.GetAccountResponse:
    """The account with its balances, positions, equity and headroom as of `now`. Nothing is stored."""
    with localcontext(BOOKS):
        return _shown(connection, load(connection, account_id), now)


def _shown(connection: sa.Connection, account: Account, now: datetime) -> risk_pb2.GetAccountResponse:
    account_id, time = account.account_id, account.time(now)
    account.begin(time)
    valuation, history, currency = account.valuation(), account.equity_history, account.rules.currency
    orders, _ = store.open_orders(connection, store.ORDERS.c.account_id == account_id, MOST_SHOWN)
    reserved = total(order.reserved_funds_left for order in account.orders.values() if order.entry)
    scopes = ("global", f"account:{account_id}")
    free = total((account.balances.get((CASH, currency), ZERO), -reserved, -valuation.margin))
    percent = divide_down(history.drawdown(valuation.equity) * 100, history.peak) if history.peak > 0 else ZERO
    return risk_pb2.GetAccountResponse(
        account=account.message,
        balances=_balances(account, reserved),
        positions=[position_message(account_id, h) for _, h in sorted(account.holdings.items()) if h.position.quantity],
        realized_profit=show(total(h.position.realized_profit for h in account.holdings.values())),
        fees=show(total(h.position.fees for h in account.holdings.values())),
        equity=show(valuation.equity),
        unrealized_profit=show(valuation.unrealized_profit),
        adjusted=show(account.adjusted),
        # The book of funding is the other side, so what it received is what the account paid.
        funding=show(-account.balances.get((FUNDING, currency), ZERO)),
        daily_profit=show(-history.daily_loss(valuation.equity)),
        day=history.day.isoformat(),
        peak_equity=show(history.peak),
        drawdown_percent=show(percent),
        free_funds=show(free),
        gross_exposure=show(valuation.gross_exposure),
        headroom=[
            risk_pb2.Headroom(name=h.name, limit=show(h.limit), used=show(h.used), unit=h.unit, reason=h.reason)
            for h in headroom(account.rules, account.books(), time)
        ],
        open_orders=[open_order_message(order) for order in orders],
        restricted=[state_message(r) for r in store.READ_RESTRICTED.rows(connection) if r.scope in scopes],
        fees_by_asset=[
            risk_pb2.Balance(asset=asset, total=show(amount), reserved="0")
            for (book, asset), amount in sorted(account.balances.items())
            if book == FEES
        ],
    )


def _balances(account: Account, reserved: Decimal) -> list[risk_pb2.Balance]:
    """Cash and spot holdings by asset. An asset that is both is one row."""
    amounts: dict[str, Decimal] = {}
    for (book, asset), amount in account.balances.items():
        if book in (CASH, HOLDING):
            amounts[asset] = total((amounts.get(asset, ZERO), amount))
    return [
        risk_pb2.Balance(
            asset=asset, total=show(amount), reserved=show(reserved if asset == account.rules.currency else ZERO)
        )
        for asset, amount in sorted(amounts.items())
    ]


def _store(
    connection: sa.Connection,
    context: UnitContext,
    before: risk_pb2.Account | None,
    after: risk_pb2.Account,
    request_id: str,
    actor: str,
    now: datetime,
) -> None:
    """Checks and writes the rules, and publishes what changed."""
    rules_of(after)
    after.update_time.FromDatetime(now)
    after.revision += 1
    values = {
        "account_id": after.account_id,
        "revision": after.revision,
        "scratch_of": after.scratch_of,
        "request_id": request_id,
        "data": after.SerializeToString(),
    }
    store.WRITE_ACCOUNT.run(connection, **values)
    event = journal_pb2.ConfigurationChanged(
        kind="account",
        id=after.account_id,
        revision=after.revision,
        before_json=_json(before) if before else "",
        after_json=_json(after),
    )
    event_id = f"account:{after.account_id}:{after.revision}"
    context.publish(connection, event_id, actor, now, configuration_changed=event)


def _copy_books(connection: sa.Connection, source: Account, target: Account) -> None:
    """Copies balances and positions to a scratch account. Open orders are not copied."""
    for table in (store.BALANCES, store.POSITIONS):
        query = sa.select(table).where(table.c.account_id == source.account_id)
        for row in connection.execute(query).mappings().all():
            connection.execute(sa.insert(table).values(**{**row, "account_id": target.account_id}))
    target.balances, target.holdings = dict(source.balances), dict(source.holdings)
    target.equity_history, target.activity, target.adjusted = source.equity_history, source.activity, source.adjusted
    target.clock, target.lots = source.time(target.clock), dict(source.lots)


def _json(message: Any) -> str:
    return json.dumps(json_format.MessageToDict(message, preserving_proto_field_name=True), sort_keys=True)
