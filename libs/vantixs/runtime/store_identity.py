"""Which store it is and how far it is: one row in every database and spool, compared with what was recorded elsewhere.

The table belongs to the kit, as Alembic's own does: it is there before a service's tables are, and is the same in all.
"""

import secrets
from typing import NamedTuple

TABLE = "store_identity"
CREATE = (
    f"CREATE TABLE IF NOT EXISTS {TABLE} (id INTEGER PRIMARY KEY, store_id TEXT NOT NULL, epoch BIGINT NOT NULL, "
    "accepted BIGINT NOT NULL, replaced TEXT NOT NULL, restore_ms BIGINT NOT NULL)"
)
SELECT = f"SELECT store_id, epoch, accepted, replaced, restore_ms FROM {TABLE} WHERE id = 1"  # noqa: S608 - our own name
DELETE = f"DELETE FROM {TABLE}"  # noqa: S608 - our own name


class Identity(NamedTuple):
    """Who a store is. Only ids made here are in it, so it can stand in a statement as text.

    `epoch` grows while its service commits. `accepted` counts how often an operator took the store in place of another,
    `replaced` is the id of the last one that it took the place of. `restore_ms` is when it last became one that may lack what
    its service did (accepted, or restored from a copy), in milliseconds since 1970; 0 for never.
    """

    store_id: str
    epoch: int = 0
    accepted: int = 0
    replaced: str = ""
    restore_ms: int = 0

    @property
    def text(self) -> str:
        """For people, for example "store 9f86d081884c7d65 at epoch 12"."""
        return f"store {self.store_id} at epoch {self.epoch}"

    @property
    def age(self) -> tuple[int, int]:
        """What orders records of one store."""
        return self.accepted, self.epoch

    @property
    def insert(self) -> str:
        """The statement that stores it."""
        return (
            f"INSERT INTO {TABLE} VALUES (1, '{self.store_id}', {self.epoch}, {self.accepted}, "  # noqa: S608 - ids and numbers of ours
            f"'{self.replaced}', {self.restore_ms})"
        )

    def next(self) -> "Identity":
        """The same store, one epoch on."""
        return self._replace(epoch=self.epoch + 1)


class Found(NamedTuple):
    """What was there at start. A `new` store was made just now; an `adopted` one is of a version that had no identities."""

    identity: Identity
    new: bool = False
    adopted: bool = False


def make_identity() -> Identity:
    """The identity of a new store."""
    return Identity(secrets.token_hex(8))


def difference(seen: Identity | None, found: Found) -> str:
    """What of a record the store does not fulfil, one sentence; empty where it is the store that was recorded, or a later one.

    >>> difference(Identity("a", 9), Found(Identity("a", 7)))
    'expected store a at epoch 9 or later, found it at epoch 7: an older copy'
    >>> difference(Identity("a", 9, accepted=1), Found(Identity("a", 20)))
    'expected store a as it was accepted in place of another (1 such change), found one with 0 changes: a copy of before'
    """
    is_ = found.identity
    if seen is None:
        return ""
    if is_.accepted > seen.accepted and seen.store_id in (is_.store_id, is_.replaced):
        return ""
    if found.new:
        return f"expected {seen.text}, found none: it is missing or empty"
    if found.adopted:
        return f"expected {seen.text}, found one without an identity: an older copy"
    if is_.store_id != seen.store_id:
        return f"expected {seen.text}, found {is_.text}: another one"
    if is_.accepted < seen.accepted:
        changes = f"({seen.accepted} such change{'s' if seen.accepted > 1 else ''})"
        expected = f"store {seen.store_id} as it was accepted in place of another {changes}"
        return f"expected {expected}, found one with {is_.accepted} changes: a copy of before"
    if is_.age < seen.age:
        return f"expected {seen.text} or later, found it at epoch {is_.epoch}: an older copy"
    return ""
