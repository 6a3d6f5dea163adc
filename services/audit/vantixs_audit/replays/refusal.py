"""Which signals a replay may run."""

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2
from vantixs.api.journal.v1 import journal_pb2

from vantixs_audit.replays import rows
from vantixs_audit.tables import SIGNALS

_RUNS = (journal_pb2.REPLAY_MODE_PAPER, journal_pb2.REPLAY_MODE_LIVE)


def refusal(connection: sa.Connection, signal_id: str, mode: "journal_pb2.ReplayMode") -> str:
    """Why a replay in this mode may not run the signal, one sentence; empty where it may. VERIFY always may."""
    if mode not in _RUNS:
        return ""
    row = connection.execute(sa.select(SIGNALS).where(SIGNALS.c.signal_id == signal_id)).first()
    if row is None:
        return "it is not in history"
    if row.outcome == "ACCEPTED":
        if _is_in_doubt(connection, signal_id):
            return "it is in doubt: the venue has not said what became of its order"
        return "it is still running"
    live = row.mode == "LIVE"
    if live and _reached_venue(connection, signal_id):
        return "its order was sent to a venue live"
    if mode == journal_pb2.REPLAY_MODE_LIVE and not live:
        return "it was not live: its webhook was in mode PAPER"
    return ""


def _is_in_doubt(connection: sa.Connection, signal_id: str) -> bool:
    told = rows.entries_of(connection, signal_id, ("order_updated",))
    last = {entry.order_updated.order.order_id: entry.order_updated.order.state for entry in told}
    return common_pb2.ORDER_STATE_IN_DOUBT in last.values()


def _reached_venue(connection: sa.Connection, signal_id: str) -> bool:
    return bool(rows.entries_of(connection, signal_id, ("order_submitted", "order_updated", "fill_recorded")))
