"""What every unit of work of risk needs: the cache of accounts, trading states, breakers, the journal's outbox."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import grpc
import sqlalchemy as sa
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import event_subject
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.journal import Message
from vantixs.runtime.outbox import Outbox
from vantixs.runtime.timestamps import set_time

from vantixs_risk import store
from vantixs_risk.account_cache import AccountCache
from vantixs_risk.account_state import Account
from vantixs_risk.conversion import STATES
from vantixs_risk.domain.breakers import raises, trips
from vantixs_risk.settings import RiskSettings


class AccountBusy(ServiceError):
    """Another process has locked the account. Nothing was done, and the caller has to try again."""

    def __init__(self, account_id: str) -> None:
        detail = f"account {account_id} is worked on by another process"
        super().__init__(grpc.StatusCode.UNAVAILABLE, "STORAGE_BUSY", detail)


@dataclass(slots=True)
class UnitContext:
    """Settings, cache and outbox of the units of work. There is one in a process, and only the writer's thread uses it."""

    settings: RiskSettings
    outbox: Outbox
    cache: AccountCache = field(default_factory=AccountCache)

    def publish(
        self, connection: sa.Connection, event_id: str, actor: str, now: datetime, *, signal_id: str = "", **event: Any
    ) -> None:
        """Puts a journal entry into the outbox, in the same transaction. `event` is the field of the entry that is set."""
        entry = journal_pb2.JournalEntry(event_id=event_id, signal_id=signal_id, actor=actor, **event)
        set_time(entry.event_time, now)
        payload = journal_pb2.JournalBatch(entries=[entry]).SerializeToString()
        self.outbox.put(connection, Message(event_subject("risk"), payload, event_id))

    def set_trading_state(
        self, connection: sa.Connection, scope: str, state: str, comment: str, actor: str, now: datetime
    ) -> str:
        """Sets the trading state of a scope and publishes the change. Returns the state before."""
        row = store.READ_TRADING_STATE.first(connection, scope=scope)
        before = row.state if row else "ACTIVE"
        store.WRITE_TRADING_STATE.run(
            connection, scope=scope, state=state, comment=comment, actor=actor, update_time=now
        )
        version = self.cache.new_version()
        store.WRITE_STAMP.run(connection, name=store.TRADING, stamp=version)
        event = journal_pb2.TradingStateChanged(
            scope=scope, before=STATES[before], after=STATES[state], comment=comment
        )
        # The version makes the id of the event unique, also where the clock goes back.
        self.publish(connection, f"trading-state:{scope}:{version}", actor, now, trading_state_changed=event)
        return before

    def trip_breakers(self, connection: sa.Connection, account: Account, now: datetime, repeats: int = 0) -> bool:
        """Sets the account's trading state where one of its breakers trips, and returns whether the state changed.

        The state only ever becomes stricter. `repeats` is how often the entry just requested was requested in the window.
        """
        equity, tripped = account.valuation().equity, False
        for trip in trips(account.rules, account.equity_history, equity, account.activity, repeats):
            scope = f"account:{account.account_id}"
            row = store.READ_TRADING_STATE.first(connection, scope=scope)
            if raises(row.state if row else "ACTIVE", trip.state):
                self.set_trading_state(connection, scope, trip.state, trip.comment, f"breaker:{trip.breaker}", now)
                tripped = True
        return tripped

    def sample(self, connection: sa.Connection, account: Account, now: datetime, *, booked: bool) -> None:
        """Stores a sample of equity: one a minute, and after every booking."""
        if booked or int(now.timestamp()) // 60 != account.minute:
            equity = account.valuation().equity
            account.minute = store.sample_equity(connection, account.account_id, equity, now, account.minute)


def scopes_of(account_id: str, instrument: str, webhook_id: str, strategy_id: str) -> tuple[str, ...]:
    """The trading-state scopes that an order belongs to."""
    optional = ((f"webhook:{webhook_id}", webhook_id), (f"strategy:{strategy_id}", strategy_id))
    return ("global", f"account:{account_id}", f"instrument:{instrument}", *(scope for scope, name in optional if name))
