"""An answer of a venue is stored, and told where the order's outcome is not known."""

from collections.abc import Callable, Sequence
from datetime import datetime

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import event_subject
from vantixs.runtime.database import Database
from vantixs.runtime.journal import Message
from vantixs.runtime.logs import log
from vantixs.runtime.outbox import Outbox

from vantixs_router import store
from vantixs_router.fence import Fence
from vantixs_router.messages import doubt_entries
from vantixs_router.orders.answers import apply_answer, has_ended
from vantixs_router.store import OrderRow
from vantixs_router.venues.port import Answer, Unknown


class RecordAnswer:
    """Writes what a venue says of an order into the order's row."""

    def __init__(
        self, database: Database, outbox: Outbox, clock: Callable[[], datetime], *, venue_keeps_answers: bool
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._venue_keeps_answers = venue_keeps_answers

    async def record(
        self,
        row: OrderRow,
        answer: Answer,
        fence: Fence,
        lane: int,
        *,
        told_before: Sequence[OrderRow] = (),
        cause: str = "",
    ) -> OrderRow:
        """The order after the answer.

        The end of an order that a venue with idempotent submits gives again needs no commit of its own: it is stored with
        the end of its signal. An outcome that is not known is stored and told at once, with what came before it: the signal's
        earlier orders (`told_before`) and what caused them.

        Raises:
            LeaseLost: another replica owns the lane.
        """
        now = self._clock()
        after = apply_answer(row, answer, now)
        in_doubt = common_pb2.ORDER_STATE_IN_DOUBT
        was_in_doubt = row.order.state == in_doubt
        if after is row or (self._venue_keeps_answers and has_ended(after.order) and not was_in_doubt):
            return after
        begins = after.order.state == in_doubt and not was_in_doubt
        entries = doubt_entries([*told_before, after], cause, now) if begins else []
        message = Message(
            event_subject("signal"),
            journal_pb2.JournalBatch(entries=entries).SerializeToString(),
            f"{after.order.order_id}:in-doubt",
        )

        def write(connection: sa.Connection) -> OrderRow:
            fence.check(connection)
            # What is stored by now counts: an exit may have asked for the order as well.
            stored = store.read_order(connection, row.order.order_id) or row
            merged = apply_answer(stored._replace(position=row.position), answer, now)
            store.update_order(connection, merged)
            if begins:
                self._outbox.put(connection, message, lane=lane)
            return merged

        after = await self._database.write(write)
        if begins:
            detail = answer.detail if isinstance(answer, Unknown) else ""
            log.warning("order.in_doubt", order_id=after.order.order_id, detail=detail)
            await self._outbox.send(message)
        return after
