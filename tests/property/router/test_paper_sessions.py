"""Random paper sessions through risk's real books: every asset is conserved to the last digit, and restarts change no fill."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal as D
from decimal import localcontext
from pathlib import Path
from typing import Any

import pytest
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.model.decimals import EXACT
from vantixs_router import tables

from tests.support.router_rig import BTC, PERPETUAL, router_on
from tests.support.working_rig import Rig
from tests.support.working_walk import Script, Step, Walk

OPENING = D(100_000)
FEES: dict[str, Any] = {"paper_fee_bps": D(10), "paper_maker_fee_bps": D(-2), "paper_slippage_bps": D(1)}
Fills = list[tuple[str, str, str, str]]


@asynccontextmanager
async def books_in(path: Path) -> AsyncIterator[Any]:
    path.mkdir()
    async with router_on(f"sqlite:///{path / 'test.db'}", path) as router:
        yield router


async def check_books(walk: Walk) -> Fills:
    """Cash and position are what the fills made of the opening balance; returns the fills."""
    rig, fills = walk.rig, await walk.fills()
    books = await rig.router.books(rig.account)
    spent, held, quote_fees = D(0), D(0), D(0)
    with localcontext(EXACT):
        for _, fill in fills:
            signed = D(fill.quantity) if fill.side == common_pb2.SIDE_BUY else -D(fill.quantity)
            spent += signed * D(fill.price)
            held += signed
            fee = D(fill.fee or "0")
            if fill.fee_asset == "USDT":
                quote_fees += fee
            else:
                assert (fill.fee_asset, rig.instrument) == ("BTC", BTC)
                held -= fee
        (position,) = books.positions or (order_pb2.Position(quantity="0", cost="0"),)
        cash = sum((D(b.total) for b in books.balances if b.asset == "USDT"), D(0))
        assert D(position.quantity or "0") == held
        # A perpetual is not paid for: what its position cost is still in cash.
        kept = D(position.cost or "0") if rig.instrument == PERPETUAL else D(0)
        assert cash == OPENING - spent - quote_fees + kept
        if rig.instrument == BTC:
            assert sum((D(b.total) for b in books.balances if b.asset == "BTC"), D(0)) == held
    return [(fill.execution_id, fill.quantity, fill.price, fill.fee) for _, fill in fills]


async def session(router: Any, seed: int, *, restarts: bool) -> Fills:
    account = f"session-{seed}"
    await router.account(account)
    await router.database.write(lambda c: c.execute(tables.OUTBOX.delete()))
    router.sequence = seed * 1000
    spot = seed % 2 == 0
    rig = Rig(router, account=account, instrument=BTC if spot else PERPETUAL, **FEES)
    rig.quotes.bid, rig.quotes.ask = "100", "100.1"
    walk = Walk(rig)
    for step in Script(seed, spot=spot).steps(20, faults=False):
        if not restarts:
            step.restart = False
        await walk.step(step)
    fills = await check_books(walk)
    await walk.step(Step("CLOSE"))
    await check_books(walk)
    return fills


async def sessions(seeds: range, path: Path) -> int:
    """Carries out every seed with restarts and without; how many fills there were."""
    count = 0
    async with books_in(path / "without") as plain, books_in(path / "with") as restarted:
        for seed in seeds:
            try:
                without = await session(plain, seed, restarts=False)
                assert await session(restarted, seed, restarts=True) == without
            except Exception as error:
                raise AssertionError(f"seed {seed}: {error!r}") from error
            count += len(without)
    return count


async def test_assets_are_conserved_and_restarts_change_no_fill(tmp_path: Path) -> None:
    assert await sessions(range(1, 9), tmp_path) > 8


@pytest.mark.long
@pytest.mark.timeout(7200)
async def test_many_sessions(tmp_path: Path) -> None:
    first, last = (int(part) for part in os.environ.get("SESSIONS", "1000-2000").split("-"))
    print(f"{await sessions(range(first, last), tmp_path)} fills in sessions {first} to {last - 1}")
