"""Which signals a filter means: as a condition of SQL, and of a signal's row as a message. List, watch, export, statistics and
replay all ask here."""

from datetime import UTC

import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2

from vantixs_audit.tables import SIGNALS


def condition_of(filter_: audit_pb2.SignalFilter) -> "sa.ColumnElement[bool]":
    """The condition on rows of `SIGNALS`; all hold that of an empty filter.

    Raises:
        ServiceError: INVALID_ARGUMENT where the expression is none.
    """
    found: list[sa.ColumnElement[bool]] = []
    if filter_.status:
        found.append(_status_is(common_pb2.SignalStatus.Name(filter_.status).removeprefix("SIGNAL_STATUS_")))
    for name in ("webhook_id", "account_id", "instrument", "reason"):
        if value := getattr(filter_, name):
            found.append(SIGNALS.c[name] == value)
    if filter_.HasField("since"):
        found.append(SIGNALS.c.receive_time >= filter_.since.ToDatetime(tzinfo=UTC))
    if filter_.HasField("until"):
        found.append(SIGNALS.c.receive_time < filter_.until.ToDatetime(tzinfo=UTC))
    return sa.and_(sa.true(), *found)


def _status_is(status: str) -> "sa.ColumnElement[bool]":
    """A replayed signal is REPLAYED, and stays what it was before."""
    return (SIGNALS.c.status if status == "REPLAYED" else SIGNALS.c.outcome) == status


def matches(filter_: audit_pb2.SignalFilter, signal: audit_pb2.SignalSummary) -> bool:
    """Whether a filter means a signal; the same rule as `condition_of`."""
    if filter_.status and filter_.status not in (signal.status, signal.original_status):
        return False
    names = ("webhook_id", "account_id", "instrument", "reason")
    if any(getattr(filter_, n) and getattr(filter_, n) != getattr(signal, n) for n in names):
        return False
    received = signal.receive_time.ToNanoseconds()
    since, until = filter_.since.ToNanoseconds(), filter_.until.ToNanoseconds()
    return (not filter_.HasField("since") or received >= since) and (not filter_.HasField("until") or received < until)
