"""Puts together what carries a signal to its end and what looks after its orders from then on."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime

from vantixs.runtime.database import Database
from vantixs.runtime.outbox import Outbox

from vantixs_router.orders.record_answer import RecordAnswer
from vantixs_router.orders.submit_order import SubmitOrder
from vantixs_router.quotes import Quotes
from vantixs_router.risk_client import RiskClient
from vantixs_router.settings import RouterSettings
from vantixs_router.signals.process_signal import ProcessSignal
from vantixs_router.venues.port import Venue
from vantixs_router.working.follow_orders import FollowOrders
from vantixs_router.working.step_brackets import StepBrackets
from vantixs_router.working.working_orders import Enqueue, WorkingOrders


def assemble(
    *,
    database: Database,
    outbox: Outbox,
    risk: RiskClient,
    venue: Venue,
    quotes: Quotes,
    settings: RouterSettings,
    clock: Callable[[], datetime],
    stopping: asyncio.Event,
    enqueue: Enqueue = lambda lane, key: False,
    monotonic: Callable[[], float] = time.monotonic,
    lost_until_ms: Callable[[], int] = lambda: 0,
    journal_epoch: Callable[[], int] = lambda: 0,
) -> tuple[ProcessSignal, WorkingOrders]:
    """Both work with the same calls to the venue; see their classes for what is given."""
    submit = SubmitOrder(venue, monotonic)
    record = RecordAnswer(database, outbox, clock, venue_keeps_answers=venue.capabilities.idempotent_submits)
    working = WorkingOrders(
        database=database,
        risk=risk,
        venue=venue,
        orders=FollowOrders(database=database, outbox=outbox, risk=risk, submit=submit, record=record, clock=clock),
        brackets=StepBrackets(database=database, outbox=outbox, risk=risk, venue=venue, quotes=quotes, clock=clock),
        clock=clock,
        enqueue=enqueue,
        monotonic=monotonic,
    )
    signals = ProcessSignal(
        database=database,
        outbox=outbox,
        risk=risk,
        venue=venue,
        quotes=quotes,
        settings=settings,
        clock=clock,
        stopping=stopping,
        working=working,
        submit=submit,
        record=record,
        monotonic=monotonic,
        lost_until_ms=lost_until_ms,
        journal_epoch=journal_epoch,
    )
    return signals, working
