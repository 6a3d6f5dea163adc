"""Decisions against an independent calculation, and what must hold whatever the configuration.

Each test draws its own cases from seeds: a failure names the seed, `question(seed)` gives the case again.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from vantixs_risk.domain.activity import Activity, EntryRecord
from vantixs_risk.domain.check_tables import ENTRY, EXIT, LEG
from vantixs_risk.domain.equity import EquityHistory, Holding, Mark
from vantixs_risk.domain.evaluation import Decision, evaluate
from vantixs_risk.domain.headroom import headroom
from vantixs_risk.domain.inputs import Books, Inputs, OrderRequest
from vantixs_risk.domain.ledger import Market, Position
from vantixs_risk.domain.rules import Limits, Rules, Sizing

from tests.reference.decisions import denials_of_entry, denials_of_exit, denials_of_leg, used_of
from tests.reference.questions import FEW, NOW, SIZES, Draw, activity, open_order, question, rules, wide_question
from tests.reference.sizes import Unsized, closable, entry_price, hold_of, leaves_signal_out, own, quantity_of

HIGHER_IS_LOOSER = (
    "max_order_notional",
    "max_position_notional",
    "max_gross_exposure",
    "max_open_positions",
    "max_leverage",
    "max_daily_loss",
    "max_drawdown_percent",
    "max_orders_per_minute",
    "max_price_deviation_bps",
    "max_price_age_ms",
    "max_order_quantity",
    "max_mark_age_s",
)
LOWER_IS_LOOSER = ("min_order_notional", "min_order_quantity", "loss_cooldown_s", "duplicate_order_window_s")
# Without these limits the service's settings hold.
NEVER_WITHOUT = ("max_price_age_ms", "max_mark_age_s")


def failed(decision: Decision) -> set[str]:
    """The reasons of the checks that fail."""
    return {check.reason for check in decision.checks if not check.passed}


def cases(count: int, **more: Any) -> Iterator[tuple[int, Inputs]]:
    return ((seed, question(seed, **more)) for seed in range(count))


def expected_quantity(inputs: Inputs) -> tuple[Fraction | None, set[str]]:
    """The quantity, or the reason why there is none."""
    try:
        return quantity_of(inputs), set()
    except Unsized as reason:
        return None, {str(reason)}


def test_an_entry_is_denied_for_exactly_the_reasons_there_are() -> None:
    seen: Counter[str] = Counter()
    for seed, inputs in cases(4000, entry=True):
        decision = evaluate(inputs)
        quantity, unsized = expected_quantity(inputs)
        expected = denials_of_entry(inputs, quantity) | unsized
        assert failed(decision) == expected, seed
        assert decision.approved == (not expected), seed
        assert Fraction(decision.quantity) == (quantity or 0), seed
        notional = Fraction(decision.quantity) * entry_price(inputs.order)
        assert Fraction(decision.notional) == notional, seed
        assert Fraction(decision.reserved_funds) == hold_of(inputs, notional), seed
        seen.update(expected or ["APPROVED", inputs.order.order_type])
    # Trading windows have tests of their own.
    assert {rule.reason for rule in ENTRY} - set(seen) == {"OUTSIDE_TRADING_WINDOW"}
    assert seen["APPROVED"] > 50
    assert {"MARKET", "LIMIT", "STOP", "STOP_LIMIT", "TRAILING_STOP"} <= set(seen)


def test_an_exit_takes_no_more_than_there_is_and_never_the_other_side() -> None:
    seen: Counter[str] = Counter()
    for seed, inputs in cases(3000, entry=False):
        decision = evaluate(inputs)
        quantity = quantity_of(inputs)
        assert Fraction(decision.quantity) == quantity <= closable(inputs), seed
        assert failed(decision) == denials_of_exit(inputs, quantity), seed
        # More than the signal may have meant is said.
        assert ("signal_quantity_left_out" in decision.steps) == leaves_signal_out(inputs), seed
        seen["left out"] += decision.approved and leaves_signal_out(inputs)
        assert decision.reserved_funds == 0
        if decision.approved:
            assert decision.quantity >= inputs.order.lot_size, seed
            assert (own(inputs) < 0) == inputs.order.buy, seed
            assert "HALTED" not in inputs.trading_states.values(), seed
        seen.update(failed(decision) or ["APPROVED"])
    assert {rule.reason for rule in EXIT} <= set(seen)
    assert seen["APPROVED"] > 200
    assert seen["left out"] > 10


def test_a_leg_is_as_its_bracket_says_and_denied_only_where_it_cannot_be_sent() -> None:
    seen: Counter[str] = Counter()
    for seed, inputs in cases(1500, leg=True):
        decision, quantity = evaluate(inputs), quantity_of(inputs)
        assert failed(decision) == denials_of_leg(inputs, quantity), seed
        assert Fraction(decision.quantity) == quantity <= Fraction(inputs.order.order_quantity or 0), seed
        assert decision.reserved_funds == 0
        if decision.approved:
            assert quantity <= abs(own(inputs)), seed
        # Whatever is halted, whatever else is open, whoever asked for what, with or without a quote of a known age.
        other = replace(rules(Draw(seed)), mode=inputs.rules.mode, credential_id=inputs.rules.credential_id)
        books = inputs.books._replace(reservations=(), activity=Activity(), cash=Decimal(0))
        halted = inputs._replace(rules=other, books=books, trading_states={"global": "HALTED"})
        again = evaluate(halted)
        assert (again.approved, again.quantity) == (decision.approved, decision.quantity), seed
        seen.update(failed(decision) or ["APPROVED"])
    assert {rule.reason for rule in LEG} <= set(seen)
    assert seen["APPROVED"] > 100


def test_no_rule_meant_for_entries_changes_an_exit() -> None:
    for seed, inputs in cases(2000, entry=False):
        draw, before = Draw(seed), evaluate(inputs)
        other = replace(rules(draw), mode=inputs.rules.mode, credential_id=inputs.rules.credential_id)
        far = EquityHistory(NOW.date(), Decimal(10**9), Decimal(10**9))
        books = inputs.books._replace(equity_history=far, activity=activity(draw, inputs.order))
        changed = inputs._replace(rules=other, books=books)
        reducing = changed._replace(trading_states={**inputs.trading_states, "instrument:X": "REDUCING"})
        for again in (evaluate(changed), evaluate(reducing)):
            assert (again.approved, again.quantity, failed(again)) == (
                before.approved,
                before.quantity,
                failed(before),
            ), seed


def test_the_same_inputs_give_the_same_decision_in_whatever_order_they_come() -> None:
    for seed, inputs in cases(1500):
        first, draw = evaluate(inputs), Draw(seed)
        assert evaluate(question(seed)) == first, seed
        names, orders = list(inputs.books.holdings), list(inputs.books.reservations)
        draw.random.shuffle(names)
        draw.random.shuffle(orders)
        held = {name: inputs.books.holdings[name] for name in names}
        again = evaluate(inputs._replace(books=inputs.books._replace(holdings=held, reservations=tuple(orders))))
        assert (again.approved, again.quantity, again.reserved_funds) == (
            first.approved,
            first.quantity,
            first.reserved_funds,
        ), seed
        assert [c.reason for c in again.checks if not c.passed] == [c.reason for c in first.checks if not c.passed], (
            seed
        )


def test_one_more_open_order_never_lets_anything_pass() -> None:
    for seed, inputs in cases(3000):
        more = open_order(Draw(seed))
        orders = (*inputs.books.reservations, more)
        before, after = evaluate(inputs), evaluate(inputs._replace(books=inputs.books._replace(reservations=orders)))
        gone = failed(before) - failed(after)
        # An instrument that is on its way in counts as open already: one more order of it opens nothing.
        if more.entry and more.instrument == inputs.order.market.instrument:
            gone -= {"OPEN_POSITIONS_ABOVE_MAXIMUM"}
        # An exit that has nothing left to take is denied for that instead of for its size.
        if "NOTHING_TO_CLOSE" in failed(after):
            gone -= {"ORDER_QUANTITY_BELOW_MINIMUM"}
        assert not gone, seed
        assert after.quantity <= before.quantity, seed


def test_every_limit_has_a_looser_direction() -> None:
    assert sorted((*HIGHER_IS_LOOSER, *LOWER_IS_LOOSER)) == sorted(field.name for field in fields(Limits))


def test_a_looser_limit_never_denies() -> None:
    opened: Counter[str] = Counter()
    for seed, inputs in cases(2500):
        before, draw = evaluate(inputs), Draw(seed)
        for name in (*HIGHER_IS_LOOSER, *LOWER_IS_LOOSER):
            limit = getattr(inputs.rules.limits, name)
            if limit is None:
                continue
            step = draw.of([1, 2, 1000])
            looser = limit + step if name in HIGHER_IS_LOOSER else max(limit - step, limit * 0)
            # Without any leverage of its own, an account's margin is divided by the most it may have.
            held = name in NEVER_WITHOUT or (name == "max_leverage" and inputs.rules.margin_leverage is None)
            if draw.once_in(2) and not held:
                looser = None
            changed = replace(inputs.rules, limits=replace(inputs.rules.limits, **{name: looser}))
            after = evaluate(inputs._replace(rules=changed))
            assert failed(after) <= failed(before), (seed, name)
            assert after.quantity == before.quantity, (seed, name)
            opened[name] += failed(after) < failed(before)
    assert not {*HIGHER_IS_LOOSER, *LOWER_IS_LOOSER} - {name for name, count in opened.items() if count}


def test_what_a_signal_asks_for_never_makes_an_order_larger() -> None:
    narrowed = 0
    for seed, inputs in cases(3000):
        draw = Draw(seed)
        asked, kind = draw.of(FEW), draw.of(SIZES)
        silent = inputs.order._replace(signal_quantity=None, signal_quantity_type="UNITS")
        loud = inputs.order._replace(signal_quantity=asked, signal_quantity_type=kind)
        quantity = evaluate(inputs._replace(order=loud)).quantity
        sizing = inputs.order.sizing or inputs.rules.sizing
        bound: Decimal | None = evaluate(inputs._replace(order=silent)).quantity
        if inputs.order.entry and sizing is not None and sizing.method == "SIGNAL_QUANTITY":
            # Here the size is the signal's own, and at most what the webhook allows.
            bound = sizing.value
        assert bound is None or quantity <= bound, seed
        # A share of the sender's position is the same share of ours, which may be the larger one.
        shared = not inputs.order.entry and inputs.order.signal_previous_quantity is not None
        assert kind != "UNITS" or shared or quantity <= asked, seed
        assert inputs.order.order_quantity is None or quantity <= inputs.order.order_quantity, seed
        narrowed += bound is not None and 0 < quantity < bound
    assert narrowed > 100


def test_any_number_that_a_message_carries_gets_the_exact_answer() -> None:
    approved = 0
    for seed in range(3000):
        inputs = wide_question(seed)
        decision = evaluate(inputs)
        quantity, unsized = expected_quantity(inputs)
        assert Fraction(decision.quantity) == (quantity or 0), seed
        denials = denials_of_entry if inputs.order.entry else denials_of_exit
        assert failed(decision) == denials(inputs, quantity) | unsized, seed
        approved += decision.approved
    assert approved > 30


def test_the_headroom_shown_is_what_is_used_of_each_limit() -> None:
    for seed, inputs in cases(2000):
        asked = inputs._replace(order=inputs.order._replace(quote=None))
        shown = {h.name: Fraction(h.used) for h in headroom(inputs.rules, inputs.books, inputs.now)}
        assert shown == used_of(asked), seed


ETH = Market.of("ETH/USDT")
# An entry of 1 BTC at 100 that nothing stands against.
PLAIN = Inputs(
    OrderRequest(Market.of("BTC/USDT"), Decimal(1), buy=True, entry=True, quote=Mark(Decimal(100), Decimal(100), NOW)),
    Rules("paper", "PAPER", "USDT", sizing=Sizing("FIXED_QUANTITY", Decimal(1))),
    Books(Decimal(10_000), EquityHistory(NOW.date(), Decimal(10_000), Decimal(10_000)), {}),
    NOW,
    {},
    5000,
    300,
)
US = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)


def plain(age: timedelta, **limits: Any) -> Inputs:
    """The plain entry, with everything it depends on so old."""
    then = NOW - age
    mark = Mark(Decimal(100), Decimal(100), then)
    books = PLAIN.books._replace(
        holdings={"ETH/USDT": Holding(ETH, Position(Decimal(1), Decimal(100)), mark)},
        activity=Activity(approved=(EntryRecord("buy 1 BTC/USDT", then),), last_loss=then).with_order(then),
    )
    return PLAIN._replace(
        order=PLAIN.order._replace(quote=mark), rules=replace(PLAIN.rules, limits=Limits(**limits)), books=books
    )


# A limit, what it denies for, and ages at which it holds and at which it does not, on either side of its end.
# A quote of a time to come is as wrong as an old one; a loss, a repeat or an order of a time to come is one of just now.
IN_TIME = [
    ({"loss_cooldown_s": 60}, "LOSS_COOLDOWN_ACTIVE", [-3600 * SECOND, 0 * US, 60 * SECOND - US], [60 * SECOND]),
    ({"duplicate_order_window_s": 60}, "DUPLICATE_ORDER", [-3600 * SECOND, 0 * US, 60 * SECOND - US], [60 * SECOND]),
    ({"max_orders_per_minute": 1}, "ORDER_RATE_EXCEEDED", [-3600 * SECOND, 0 * US, 60 * SECOND], [61 * SECOND]),
    ({}, "PRICE_STALE", [5 * SECOND + US, -5 * SECOND - US], [5 * SECOND, -5 * SECOND, 4.035 * SECOND]),
    ({"max_price_age_ms": 4035}, "PRICE_STALE", [4.035 * SECOND + US, -4.035 * SECOND - US], [4.035 * SECOND]),
    (
        {"max_gross_exposure": Decimal(10_000)},
        "MARK_STALE",
        [300 * SECOND + US, -300 * SECOND - US, timedelta(days=-365)],
        [300 * SECOND, -300 * SECOND],
    ),
    ({"max_leverage": Decimal(10), "max_mark_age_s": 7}, "MARK_STALE", [7 * SECOND + US], [7 * SECOND]),
]


@pytest.mark.parametrize(("limits", "reason", "held", "over"), IN_TIME)
def test_a_limit_in_time_ends_at_its_end_and_no_microsecond_before(
    limits: dict[str, Any], reason: str, held: list[timedelta], over: list[timedelta]
) -> None:
    assert evaluate(PLAIN).approved
    for age in held:
        assert reason in failed(evaluate(plain(age, **limits))), age
    for age in over:
        assert reason not in failed(evaluate(plain(age, **limits))), age


def test_no_minute_has_more_orders_than_the_limit_and_no_order_waits_longer_than_61_s() -> None:
    denied = 0
    for seed in range(200):
        draw, now, times = Draw(seed), NOW, []
        limit, done = draw.random.randint(1, 5), Activity()
        for _ in range(30):
            now += timedelta(microseconds=draw.random.choice([1, 999_999, 10**6, draw.random.randrange(4 * 10**7)]))
            books = PLAIN.books._replace(activity=done)
            quote = replace(PLAIN.order.quote, time=now)
            limited = replace(PLAIN.rules, limits=Limits(max_orders_per_minute=limit))
            asked = PLAIN._replace(order=PLAIN.order._replace(quote=quote), rules=limited, books=books, now=now)
            exceeds = "ORDER_RATE_EXCEEDED" in failed(evaluate(asked))
            assert exceeds or sum(now - time < 60 * SECOND for time in times) < limit, seed
            assert not exceeds or sum(now - time < 61 * SECOND for time in times) >= limit, seed
            denied += exceeds
            if not exceeds:
                times.append(now)
                done = done.with_order(now)
            assert len(done.seconds) <= 62
    assert denied > 500


@pytest.mark.long
def test_a_hundred_thousand_questions_get_the_answer_that_the_definitions_have() -> None:
    for ask, seeds in ((question, range(2500, 52_500)), (wide_question, range(3000, 53_000))):
        for seed in seeds:
            inputs = ask(seed)
            decision = evaluate(inputs)
            quantity, unsized = expected_quantity(inputs)
            denials = denials_of_entry if inputs.order.entry else denials_of_exit
            assert failed(decision) == denials(inputs, quantity) | unsized, seed
            assert Fraction(decision.quantity) == (quantity or 0), seed
