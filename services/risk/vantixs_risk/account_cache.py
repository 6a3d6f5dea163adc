"""Accounts in memory, each for as long as its version says that nothing of it has changed (ADR 0013).

Reading an account takes five statements and hundreds of decimals. Every unit of work that changes anything of an account
writes a version that was never used before, in the same transaction. Every decision reads the version, so it knows
whether what this process remembers is what is committed. This holds for several processes on one database as well. What a
unit of work changed and then failed to commit has a version that is in no database, so it is never used.
"""

import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from functools import partial

import sqlalchemy as sa
from vantixs.runtime.pipeline import interleaved

from vantixs_risk import store
from vantixs_risk.account_state import Account, encode, load
from vantixs_risk.order_lookup import OrderLookup

MOST_ACCOUNTS = 1000


class AccountCache:
    """The accounts that a process remembers. Only the thread of the units of work may use it."""

    def __init__(self) -> None:
        self._nonce, self._count = os.urandom(9).hex(), 0
        self._accounts: OrderedDict[str, Account] = OrderedDict()
        # The version of the trading states, and those that are not ACTIVE. There is no version before the first change.
        self._trading: tuple[str | None, Mapping[str, str]] | None = None

    def new_version(self) -> str:
        """A version that was never used, by this process or any other."""
        self._count += 1
        return f"{self._nonce}-{self._count}"

    def take(self, connection: sa.Connection, account_id: str, lookup: OrderLookup) -> Account:
        """Takes the account out of the cache, as `lookup` says that it is committed; reads it where it is not remembered so.

        It is out of the cache until it is put back, so that an account that fails half way is forgotten.

        Raises:
            ServiceError: NOT_FOUND.
        """
        found = self._accounts.pop(account_id, None)
        if found is not None and found.version == lookup.versions.get(account_id):
            return found
        return load(connection, account_id)

    def fetch(self, connection: sa.Connection, account_ids: Iterable[str], lookup: OrderLookup) -> None:
        """Reads at once all of the accounts that are not remembered as committed. Accounts that do not exist are left out."""
        stale = [
            account_id
            for account_id in dict.fromkeys(account_ids)
            if (version := lookup.versions.get(account_id)) is not None
            and ((found := self._accounts.get(account_id)) is None or found.version != version)
        ]
        for account in interleaved([partial(load, connection, account_id) for account_id in stale], connection):
            self._accounts[account.account_id] = account

    def put(self, account: Account) -> None:
        """Puts an account back. Where there are more than MOST_ACCOUNTS, the one used longest ago is forgotten."""
        self._accounts[account.account_id] = account
        if len(self._accounts) > MOST_ACCOUNTS:
            self._accounts.popitem(last=False)

    def has(self, account_id: str) -> bool:
        """Whether the account is remembered, possibly as it was some time ago."""
        return account_id in self._accounts

    def save(self, connection: sa.Connection, *accounts: Account) -> None:
        """Writes the state of accounts, each under a new version, and puts them back."""
        self.write(connection, accounts)
        for account in accounts:
            self.put(account)

    def write(self, connection: sa.Connection, accounts: Iterable[Account]) -> None:
        """Writes the state of accounts, each under a new version, and leaves them out of the cache."""
        rows = []
        for account in accounts:
            account.version = self.new_version()
            account.forget_lots()
            rows.append({"account_id": account.account_id, "stamp": account.version, "data": encode(account)})
        store.WRITE_STATE.run_all(connection, rows)

    def trading_states(self, connection: sa.Connection, version: str | None) -> Mapping[str, str]:
        """Every scope that is not ACTIVE, with its state."""
        if self._trading is None or version != self._trading[0]:
            restricted = {row.scope: row.state for row in store.READ_RESTRICTED.rows(connection)}
            self._trading = (version, restricted)
        return self._trading[1]

    def changed_trading_states(self, connection: sa.Connection) -> Mapping[str, str]:
        """The same after this transaction has changed them. Nothing of it is remembered, as it may not be committed."""
        self._trading = None
        return {row.scope: row.state for row in store.READ_RESTRICTED.rows(connection)}
