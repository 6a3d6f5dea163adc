"""Whatever is traded and however late funding is booked: each time is booked once, of what was held then, and books balance."""

from datetime import datetime, timedelta
from decimal import Decimal as D

from hypothesis import given, settings
from hypothesis import strategies as st
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs_risk import store

from tests.support.risk_fixture import Process, RiskFixture, account_of, ask, check_books, fill, later

PERP = "BTC/USDT:USDT"
STEP = st.one_of(
    st.tuples(st.just("trade"), st.booleans(), st.integers(1, 500)),
    st.tuples(st.just("wait"), st.integers(1, 40), st.just(0)),
    st.tuples(st.just("fund"), st.integers(-1, 12), st.integers(1, 300)),
)


def reference(fills: list[tuple[datetime, D]], until: datetime) -> dict[datetime, D]:
    """What was held at each funding time, summed up from the first fill on; times at which nothing was held are left out."""
    held, found = D(0), {}
    time = fills[0][0].replace(hour=0, minute=0, second=0, microsecond=0)
    while time <= until:
        held = sum((quantity for when, quantity in fills if when <= time), D(0))
        if held:
            found[time] = held
        time += timedelta(hours=8)
    return found


@settings(max_examples=40)
@given(st.lists(STEP, min_size=3, max_size=14), st.sampled_from(["0.0001", "-0.003", "0.000000000000000007"]))
def test_each_funding_time_is_booked_once(steps: list[tuple[str, int, int]], rate: str) -> None:
    risk = RiskFixture()
    process = Process(risk)
    process.create(account_of("a"))
    fills: list[tuple[datetime, D]] = []
    try:
        for number, (kind, one, two) in enumerate([*steps, ("fund", -1, 100)]):
            if kind == "wait":
                later(risk, one * 3600 + 7)
            elif kind == "trade":
                trade(risk, process, f"o{number}", bool(one), two)
                fills.append((risk.now, D(two) / 1000 * (1 if one else -1)))
            elif fills:
                process.fund(PERP, str(two), rate=rate, crash_after=one if one >= 0 else None)
        check(risk, fills, D(rate))
    finally:
        risk.close()


def trade(risk: RiskFixture, process: Process, order_id: str, buy: bool, quantity: int) -> None:
    """An order that risk knows, and a fill of it that is larger or smaller than was asked for: it is booked all the same."""
    held = risk.account("a").positions
    position = held[0].quantity if held else "0"
    process.evaluate(ask(order_id, PERP, buy=buy, entry=True, position=position, price="100", now=risk.now))
    one = fill(f"x-{order_id}", buy=buy, quantity=f"{D(quantity) / 1000}", price="100", fee="0.01")
    one.execute_time.FromDatetime(risk.now)
    process.settle(risk_pb2.SettleOrderRequest(order_id=order_id, fills=[one], final=True))


def check(risk: RiskFixture, fills: list[tuple[datetime, D]], rate: D) -> None:
    shown = check_books(risk)
    rows = risk.rows(store.OUTBOX)
    entries = [entry for row in rows for entry in journal_pb2.JournalBatch.FromString(row.payload).entries]
    told = [entry.funding_booked.funding for entry in entries if entry.HasField("funding_booked")]
    booked = {f.funding_time.ToDatetime(risk.now.tzinfo): D(f.position_quantity) for f in told}
    assert len(booked) == len(told), "no time is booked twice"
    assert booked == (reference(fills, risk.now) if fills else {})
    assert D(shown.funding) == sum((D(f.amount) for f in told), D(0))
    for funding in told:
        exact = -D(funding.position_quantity) * D(funding.mark_price) * rate
        assert 0 <= exact - D(funding.amount) < D("1e-18")
