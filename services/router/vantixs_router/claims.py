"""Claims: what makes a signal a repeat of another one, namely its key, or its content within its webhook's window.

Each ingress recognises repeats only among the signals that it accepted itself. When two of them accept the same signal, the
journal has two messages, and the router decides. A claim is a row with a unique key, which is stored with the first work on
the signal. Repeats within a window have the same account and instrument, whose signals run in order, so they are found by
reading. A key that is used again for another instrument is in another lane, perhaps of another replica; there the unique
key decides.
"""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import keyed_signal_id
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.logs import log
from vantixs.runtime.statements import Statement

from vantixs_router.tables import CLAIMS

# A repeat may wait in the spool of an ingress without the broker, long after the first signal has ended.
KEEP_WINDOWS_MS = 86_400_000
FORGET_EVERY_S, MOST_FORGOTTEN = 10.0, 500


class Held(NamedTuple):
    """A stored claim: the signal, its content, and when ingress received it."""

    signal_id: str
    fingerprint: bytes
    receive_ms: int


class Claim(NamedTuple):
    """What a signal claims. Times are ms since 1970.

    Attributes:
        claim: what a signal has in common with its repeats.
        signal_id: the signal.
        fingerprint: SHA-256 of the content; a claimed key with another fingerprint is a conflict.
        receive_ms: when ingress received it.
        window_ms: how close in time another signal must be to be a repeat; 0 for any time.
        keep_until_ms: until when the row is kept.
    """

    claim: bytes
    signal_id: str
    fingerprint: bytes
    receive_ms: int
    window_ms: int
    keep_until_ms: int

    @property
    def held(self) -> Held:
        """The claim as a stored one."""
        return Held(self.signal_id, self.fingerprint, self.receive_ms)


def claim_of(accepted: journal_pb2.SignalAccepted, keep_keys_ms: int) -> Claim | None:
    """The signal's claim; None if it has neither key nor window, or comes from an ingress that did not state them."""
    signal, webhook, fingerprint = accepted.signal, accepted.webhook, accepted.fingerprint
    if not fingerprint:
        return None
    received = accepted.request.receive_time.ToMilliseconds()
    if signal.idempotency_key:
        key = signal.signal_id.encode()
        return Claim(key, signal.signal_id, fingerprint, received, 0, received + keep_keys_ms)
    window_ms = webhook.dedupe_window_s * 1000
    if not window_ms:
        return None
    said = hashlib.sha256(webhook.webhook_id.encode() + b"\0" + fingerprint).digest()[:16]
    return Claim(said, signal.signal_id, fingerprint, received, window_ms, received + window_ms + KEEP_WINDOWS_MS)


def is_repeat(claim: Claim | None, held: Held | None) -> bool:
    """Whether another signal made the same claim within the window."""
    if claim is None or held is None or held.signal_id == claim.signal_id:
        return False
    return abs(claim.receive_ms - held.receive_ms) < claim.window_ms


def is_conflict(claim: Claim | None, held: Held | None) -> bool:
    """Whether the key was used before with other content."""
    if claim is None or held is None or held.signal_id != claim.signal_id:
        return False
    return held.fingerprint != claim.fingerprint


def set_key_aside(accepted: journal_pb2.SignalAccepted) -> journal_pb2.SignalAccepted:
    """Makes an exit whose key another signal used a signal of its own: its id is derived from key and content."""
    apart = journal_pb2.SignalAccepted()
    apart.CopyFrom(accepted)
    apart.signal.signal_id = keyed_signal_id(accepted.signal.signal_id, accepted.fingerprint.hex())
    apart.signal.sender_reference = accepted.signal.sender_reference or accepted.signal.idempotency_key
    apart.signal.ClearField("idempotency_key")
    detail = f"was used by {accepted.signal.signal_id} with other content: as this is an exit, it is taken as a signal of its own"
    apart.warnings.add(field="idempotency_key", reason="IDEMPOTENCY_CONFLICT", detail=detail)
    return apart


def _store(insert: Any) -> sa.sql.expression.ClauseElement:
    statement = insert(CLAIMS).values({c.name: sa.bindparam(c.name, type_=c.type) for c in CLAIMS.c})
    new = statement.excluded
    mine = sa.and_(CLAIMS.c.signal_id == new.signal_id, CLAIMS.c.fingerprint == new.fingerprint)
    windowed = new.window_ms > sa.literal_column("0")  # Otherwise it is the claim of a key, which is kept for ever.
    over = sa.and_(windowed, new.receive_ms - CLAIMS.c.receive_ms >= new.window_ms)
    # One that was received long before the one that is held, and comes late: both are right, and the later one is kept.
    late = sa.and_(windowed, CLAIMS.c.receive_ms - new.receive_ms >= new.window_ms)
    # NULL is not allowed: what another one holds fails the statement, as an INSERT without ON CONFLICT would.
    taker = sa.case((sa.or_(mine, over), new.signal_id), else_=sa.null())
    values = {c.name: new[c.name] for c in CLAIMS.c if c.name not in ("claim", "signal_id")}
    # The dialect's `insert` is given as Any: PostgreSQL's and SQLite's have no type in common.
    return statement.on_conflict_do_update(  # type: ignore[no-any-return]
        index_elements=["claim"], set_={"signal_id": taker, **values}, where=sa.not_(late)
    )


_STORE = Statement(_store)
_OLD = sa.select(CLAIMS.c.claim).where(CLAIMS.c.keep_until_ms < sa.bindparam("now_ms", type_=sa.BigInteger))
# Rows that another transaction is storing now are skipped, so that two transactions never wait for each other.
_FORGET = Statement(
    lambda _: sa.delete(CLAIMS).where(
        CLAIMS.c.claim.in_(
            _OLD.order_by(CLAIMS.c.keep_until_ms).limit(MOST_FORGOTTEN).with_for_update(skip_locked=True)
        )
    )
)


def store_claims(connection: sa.Connection, claims: Sequence[Claim]) -> None:
    """Stores the claims of a batch of signals, always in the same order, so that two replicas never wait for each other.

    Raises:
        IntegrityError: of the driver, here or with the commit; another signal has one of the claims.
    """
    _STORE.run_all(connection, [claim._asdict() for claim in sorted(claims)])


async def forget_claims(database: Database, stopping: asyncio.Event) -> None:
    """Removes expired claims, some at a time, until stopped."""
    while not stopping.is_set():
        try:
            while await database.write(_forget, in_pipeline=True) == MOST_FORGOTTEN and not stopping.is_set():
                pass
        except ServiceError as error:
            log.warning("claims.not_forgotten", reason=error.reason, detail=error.detail)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), FORGET_EVERY_S)


def _forget(connection: sa.Connection) -> int:
    return _FORGET.run(connection, now_ms=time.time_ns() // 1_000_000)
