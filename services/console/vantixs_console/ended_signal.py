"""What an operator asked for is a signal: its end is waited for and printed."""

import grpc
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2
from vantixs.client import DeadlineExceeded

from vantixs_console.clients import Clients
from vantixs_console.plain_text import complain
from vantixs_console.terminal import out, show
from vantixs_console.timeline import short_name

WAIT_S = 30.0
# What was asked for may have been done.
NOT_KNOWN = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)


async def wait_for_end(clients: Clients, signal_id: str) -> audit_pb2.GetSignalResponse | None:
    """The signal once history has its end; nothing where that takes too long, or audit does not answer for so long."""
    try:
        return await clients.client.signals.wait(signal_id, timeout_s=WAIT_S)
    except DeadlineExceeded:
        return None


def show_end(signal_id: str, found: audit_pb2.GetSignalResponse | None, *, as_json: bool) -> int:
    """Prints how the signal ended; the exit code, which is 0 where it was carried out."""
    if found is None:
        detail = f"it has not ended within {WAIT_S:g} s; see `vantixs signals show {signal_id}`"
        complain(detail)
        return 1
    ended = found.signal

    def text() -> None:
        filled = f"{ended.filled_quantity} at {ended.average_price}" if ended.average_price else ""
        words = (short_name(common_pb2.SignalStatus.Name(ended.status)), filled, ended.reason, ended.detail)
        out.print(" ".join(filter(None, words)))

    show(found, as_json=as_json, text=text)
    return 0 if ended.status == common_pb2.SIGNAL_STATUS_EXECUTED else 1
