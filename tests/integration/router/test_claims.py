"""What two ingress took of one signal is one signal: by its key, or by what it says within the window."""

import asyncio
import hashlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
import vantixs_router
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import accepted_subject, keyed_signal_id, lane_of
from vantixs.runtime.database import Database
from vantixs.runtime.journal_reader import Delivery
from vantixs.testing.venue import NoFence
from vantixs_router import claims, tables
from vantixs_router.claims import Claim, store_claims
from vantixs_router.lanes.outcome import Outcome
from vantixs_router.settings import RouterSettings

from tests.support.router_rig import BTC, EXECUTED, REJECTED, Router, now, parked, router_on

WINDOW_S = 10
DRIVERS = (sqlite3.IntegrityError, psycopg.IntegrityError)
Change = Callable[[journal_pb2.SignalAccepted], Any]


@pytest.fixture
async def router(database_url: str, tmp_path: Path) -> AsyncIterator[Router]:
    async with router_on(database_url, tmp_path) as made:
        yield made


def changed(delivery: Delivery, change: Change) -> Delivery:
    """The delivery with another content, in the lane that is its own."""
    batch = journal_pb2.JournalBatch.FromString(delivery.data)
    accepted = batch.entries[0].signal_accepted
    change(accepted)
    batch.entries[0].signal_id = accepted.signal.signal_id
    batch.entries[0].event_id = f"{accepted.signal.signal_id}:accepted:{delivery.stream_sequence}"
    subject = accepted_subject(lane_of(accepted.webhook.account_id, accepted.signal.instrument))
    return replace(delivery, subject=subject, data=batch.SerializeToString())


def taken(router: Router, action: str, content: str, *, key: str = "", later_s: float = 0, **more: Any) -> Delivery:
    """A signal as an ingress of its own stores it, which knows nothing of what the others took."""

    def change(accepted: journal_pb2.SignalAccepted) -> None:
        if key:
            accepted.signal.idempotency_key = key
            accepted.signal.signal_id = keyed_signal_id("w", key)
        accepted.webhook.dedupe_window_s = WINDOW_S
        accepted.fingerprint = hashlib.sha256(content.encode()).digest()
        accepted.reduces = action == "CLOSE"
        accepted.request.receive_time.FromDatetime(now() + timedelta(seconds=later_s))

    return changed(router.signal(action, **more), change)


async def filled(router: Router, account: str = "a") -> int:
    return sum(len(held.fills) for held in router.venue.held.values() if held.order.account_id == account)


async def test_same_content_within_the_window_is_one_order_and_told_as_a_repeat(router: Router) -> None:
    first, repeat = taken(router, "BUY", "buy"), taken(router, "BUY", "buy", later_s=WINDOW_S - 1)
    for delivery in (first, repeat, repeat, first):
        assert await router.handle(delivery) is Outcome.DONE
    assert await filled(router) == 1
    end = await router.end("s2")
    assert (end.status, end.stage, end.reason) == (REJECTED, "duplicate", "DUPLICATE_SUPPRESSED")
    assert "s1" in end.detail
    (own,) = [e.duplicate_suppressed for e in await router.journal("s2") if e.HasField("duplicate_suppressed")]
    (mark,) = [e.duplicate_suppressed for e in await router.journal("s1") if e.HasField("duplicate_suppressed")]
    assert own == mark == journal_pb2.DuplicateSuppressed(
        first_signal_id="s1", rule="same_bytes", duplicate_signal_id="s2"
    )  # fmt: skip
    await router.check_books()


async def test_same_content_after_the_window_is_another_order_and_begins_a_window(router: Router) -> None:
    for later_s in (0, WINDOW_S, 2 * WINDOW_S - 1):
        assert await router.handle(taken(router, "BUY", "buy", later_s=later_s)) is Outcome.DONE
    assert [(await router.end(f"s{n}")).status for n in (1, 2, 3)] == [EXECUTED, EXECUTED, REJECTED]
    assert "s2" in (await router.end("s3")).detail


async def test_one_that_comes_late_counts_by_when_it_was_received(router: Router) -> None:
    """It lay in the spool of an ingress that did not reach the broker: what came long after it is no reason to drop it."""
    assert await router.handle(taken(router, "BUY", "buy", later_s=100)) is Outcome.DONE
    assert await router.handle(taken(router, "BUY", "buy", later_s=0)) is Outcome.DONE
    assert await router.handle(taken(router, "BUY", "buy", later_s=101)) is Outcome.DONE
    assert [(await router.end(f"s{n}")).status for n in (1, 2, 3)] == [EXECUTED, EXECUTED, REJECTED]


@pytest.mark.parametrize("without", ["window", "fingerprint"])
async def test_no_window_and_no_word_of_ingress_make_no_repeat(router: Router, without: str) -> None:
    def change(accepted: journal_pb2.SignalAccepted) -> None:
        accepted.webhook.dedupe_window_s *= without != "window"
        accepted.fingerprint *= without != "fingerprint"

    for _ in range(2):
        assert await router.handle(changed(taken(router, "BUY", "buy"), change)) is Outcome.DONE
    assert await filled(router) == 2


async def test_key_used_again_with_other_content_is_rejected_by_an_id_of_its_own(router: Router) -> None:
    key = keyed_signal_id("w", "k")
    first, other = taken(router, "BUY", "buy", key="k"), taken(router, "BUY", "buy more", key="k")
    for delivery in (first, other, other):
        assert await router.handle(delivery) is Outcome.DONE
    assert await filled(router) == 1
    assert (await router.end(key)).status == EXECUTED
    own = keyed_signal_id(key, f"repeat {other.stream_sequence}")
    end = await router.end(own)
    assert (end.status, end.stage, end.reason) == (REJECTED, "duplicate", "IDEMPOTENCY_CONFLICT")
    accepted = (await router.journal(own))[0].signal_accepted
    assert (accepted.signal.signal_id, accepted.signal.idempotency_key) == (own, "k")
    # The same content is a repeat, as ever.
    assert await router.handle(taken(router, "BUY", "buy", key="k")) is Outcome.DONE
    assert await router.kinds(keyed_signal_id(key, f"repeat {router.sequence}")) == ["duplicate_suppressed"]


async def test_exit_whose_key_was_used_before_is_carried_out_once(router: Router) -> None:
    key = keyed_signal_id("w", "k")
    first, close = taken(router, "BUY", "buy", key="k"), taken(router, "CLOSE", "close", key="k")
    assert await router.handle(first) is Outcome.DONE
    router.settings = replace(router.settings, park_after_s=0.0)
    router.steps.unanswered = ".1"
    assert await router.handle(close) is Outcome.PARKED
    router.steps.unanswered = ""
    (waits,) = await parked(router)
    for delivery in (waits.delivery(), close, taken(router, "CLOSE", "close", key="k")):
        assert await router.handle(delivery) is Outcome.DONE
    assert await router.position() == 0
    assert await filled(router) == 2
    assert await parked(router) == []
    own = keyed_signal_id(key, hashlib.sha256(b"close").hexdigest())
    assert (await router.end(own)).status == EXECUTED
    accepted = (await router.journal(own))[0].signal_accepted
    assert (accepted.signal.sender_reference, accepted.signal.idempotency_key) == ("k", "")
    assert [warning.reason for warning in accepted.warnings] == ["IDEMPOTENCY_CONFLICT"]
    await router.check_books()


@pytest.mark.parametrize("same_content", [True, False])
async def test_key_that_two_lanes_use_at_once_is_one_order(
    router: Router, replicas: list[Router], same_content: bool
) -> None:
    """Each lane is of another replica: both find nothing, and ask risk about an order of the same name."""
    ends: dict[str, int] = {}
    for number in range(20):
        account = f"b{number}"
        await router.account(account)
        content = "buy" if same_content else "buy other"
        pair = [
            taken(router, "BUY", "buy", key=account, account=account),
            taken(router, "BUY", content, key=account, account=account, instrument=BTC),
        ]
        await asyncio.gather(*(until_done(replica, d) for replica, d in zip(replicas, pair, strict=True)))
        assert await filled(router, account) == 1
        books = await router.books(account)
        assert not books.open_orders
        (position,) = books.positions
        (row,) = await router.orders(keyed_signal_id("w", account))
        assert (row.order.instrument, row.order.quantity) == (position.instrument, position.quantity)
        for delivery in pair:
            own = keyed_signal_id(keyed_signal_id("w", account), f"repeat {delivery.stream_sequence}")
            for kind in await router.kinds(own):
                ends[kind] = ends.get(kind, 0) + 1
    assert ends == ({"duplicate_suppressed": 20} if same_content else {"signal_accepted": 20, "signal_completed": 20})


@pytest.fixture
async def replicas(router: Router, database_url: str) -> AsyncIterator[list[Router]]:
    """Two more routers on the same tables, as they are opened by the service."""
    settings = replace(RouterSettings(), database_url=database_url)
    migrations = Path(vantixs_router.__file__).parent / "migrations"
    databases = [await Database.open(settings, "router", migrations, exclusive=False) for _ in range(2)]
    yield [replace(router, database=database) for database in databases]
    for database in databases:
        await database.close()


async def until_done(router: Router, delivery: Delivery) -> None:
    """As a lane does: what failed is tried again."""
    for _ in range(20):
        try:
            assert await router.process().handle(delivery, NoFence()) is Outcome.DONE
        except (LookupError, sa.exc.DBAPIError, *DRIVERS):
            continue
        return
    raise AssertionError("tried 20 times")


async def test_claims_are_forgotten_in_steps_when_they_are_kept_no_more(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "FORGET_EVERY_S", 0.01)
    kept = int(now().timestamp() * 1000) + 60_000
    old = [Claim(b"%d" % n, "s", b"", 1, 0, n) for n in range(2 * claims.MOST_FORGOTTEN + 5)]
    await router.database.write(lambda c: store_claims(c, [*old, Claim(b"kept", "s", b"", 1, 0, kept)]))
    stopping = asyncio.Event()
    forgetting = asyncio.create_task(claims.forget_claims(router.database, stopping))
    async with asyncio.timeout(20):
        while await stored(router) != [b"kept"]:
            await asyncio.sleep(0.01)
    stopping.set()
    await forgetting


async def stored(router: Router) -> list[bytes]:
    rows = await router.database.read(lambda c: c.execute(sa.select(tables.CLAIMS.c.claim)).all())
    return [bytes(row.claim) for row in rows]
