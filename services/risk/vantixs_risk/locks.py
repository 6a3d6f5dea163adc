"""Locks of the units of work on PostgreSQL. On SQLite no two transactions write at the same time, so there these do nothing.

Decisions and bookings share one advisory lock and lock the rows of their accounts (ADR 0027).
"""

from collections.abc import Callable, Container, Iterable

import sqlalchemy as sa
from vantixs.runtime.database_setup import ADVISORY_LOCK, SHARED_LOCK, lock_number
from vantixs.runtime.sql_elements import Among
from vantixs.runtime.statements import Statement

from vantixs_risk.store import STATES

_BOOKS = lock_number("risk-books")
_LOCK_ACCOUNTS = Statement(
    lambda _: (
        sa.select(STATES.c.account_id)
        .where(Among(STATES.c.account_id, "account_ids"))
        .order_by(STATES.c.account_id)
        .with_for_update(skip_locked=True)
    )
)


def lock_books_shared(connection: sa.Connection) -> None:
    """Keeps rules and trading states as they are until the transaction ends. Many transactions may hold this lock at once."""
    if connection.dialect.name == "postgresql":
        SHARED_LOCK.send(connection, key=_BOOKS)


def lock_books(connection: sa.Connection) -> None:
    """Waits until no other process decides or books, and keeps others from it until the transaction ends.

    So a halt returns only when nothing that was decided under the state before it can still be committed.
    """
    if connection.dialect.name == "postgresql":
        ADVISORY_LOCK.send(connection, key=_BOOKS)


def lock_accounts(connection: sa.Connection, account_ids: Iterable[str]) -> Callable[[], Container[str]]:
    """Locks the rows of accounts until the transaction ends. Accounts that another transaction has locked are left out.

    Returns a function that gives the accounts that were locked. What is read of an account has to be read after this, by
    another statement. On SQLite every account counts as locked.
    """
    if connection.dialect.name != "postgresql":
        return lambda: _ALL
    rows = _LOCK_ACCOUNTS.ask(connection, account_ids=sorted(set(account_ids)))
    return lambda: {row.account_id for row in rows()}


class _All:
    def __contains__(self, _: object) -> bool:
        return True


_ALL = _All()
