"""What the scratch accounts of a PAPER replay begin from: the account as the first decision among its signals recorded it."""

from typing import NamedTuple

import sqlalchemy as sa
from vantixs.api.journal.v1 import journal_pb2

from vantixs_audit.tables import ENTRIES, REPLAY_SIGNALS, SIGNALS

AS_IT_IS = "as it is when the replay reaches its first signal, as no decision among its signals recorded it"
MOST_LOOKED_AT, MOST_TOLD = 20, 10


class Seed(NamedTuple):
    """The signal whose first decision recorded the account, and its DecisionInputs, serialised; empty for none."""

    signal_id: str = ""
    inputs: bytes = b""


def seed_of(connection: sa.Connection, replay_id: str, account_id: str) -> Seed:
    """The seed of an account in a replay: of the first of its decisions that recorded inputs, of the first 20."""
    query = (
        sa.select(ENTRIES.c.data)
        .join_from(REPLAY_SIGNALS, SIGNALS, SIGNALS.c.signal_id == REPLAY_SIGNALS.c.signal_id)
        .join(ENTRIES, ENTRIES.c.signal_id == SIGNALS.c.signal_id)
        .where(REPLAY_SIGNALS.c.replay_id == replay_id, SIGNALS.c.account_id == account_id)
        .where(ENTRIES.c.kind == "order_evaluated")
        .order_by(REPLAY_SIGNALS.c.place, ENTRIES.c.sequence)
        .limit(MOST_LOOKED_AT)
    )
    for data in connection.execute(query).scalars():
        entry = journal_pb2.JournalEntry.FromString(data)
        if inputs := entry.order_evaluated.decision.inputs:
            return Seed(entry.signal_id, inputs)
    return Seed()


def describe(connection: sa.Connection, replay_id: str) -> str:
    """What each account of a replay begins from, for people; the first ten."""
    query = (
        sa.select(SIGNALS.c.account_id)
        .join_from(REPLAY_SIGNALS, SIGNALS, SIGNALS.c.signal_id == REPLAY_SIGNALS.c.signal_id)
        .where(REPLAY_SIGNALS.c.replay_id == replay_id, SIGNALS.c.account_id != "")
        .distinct()
        .order_by(SIGNALS.c.account_id)
    )
    accounts = list(connection.execute(query).scalars())
    told = []
    for account_id in accounts[:MOST_TOLD]:
        seed = seed_of(connection, replay_id, account_id)
        told.append(f"{account_id}: {f'as it was when {seed.signal_id} was decided' if seed.inputs else AS_IT_IS}")
    return "; ".join([*told, *(["and others"] if len(accounts) > MOST_TOLD else [])])
