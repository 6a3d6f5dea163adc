"""The comparison of two decisions is total: it is empty for the same, never for others, and each line shows two values."""

from hypothesis import given, settings
from hypothesis import strategies as st
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs_router.domain.differences import MOST_SHOWN, MOST_TOLD, decision_differences, request_differences

# Few values, so that two decisions are often the same in part, and one that is longer than what is shown.
TEXTS = st.sampled_from(("", "1", "2", "x" * MOST_SHOWN + "1", "x" * MOST_SHOWN + "2"))
INPUTS = st.builds(order_pb2.Input, name=st.sampled_from("ab"), value=TEXTS)
CHECKS = st.builds(
    order_pb2.RiskCheck,
    reason=st.sampled_from("ABC"),
    passed=st.booleans(),
    inputs=st.lists(INPUTS, max_size=2),
    limit=TEXTS,
    detail=TEXTS,
)
DECISIONS = st.builds(
    order_pb2.RiskDecision,
    order_id=st.just("s1.1"),
    verdict=st.sampled_from((0, 1, 2, 3)),
    quantity=TEXTS,
    checks=st.lists(CHECKS, max_size=4),
    sizing_steps=st.lists(INPUTS, max_size=3, unique_by=lambda step: step.name),
    position_quantity=TEXTS,
    account_revision=st.integers(0, 2),
)
REQUESTS = st.builds(
    risk_pb2.EvaluateOrderRequest,
    order=st.builds(order_pb2.Order, order_id=TEXTS, quantity=TEXTS, side=st.sampled_from((1, 2))),
    quote=st.builds(common_pb2.Quote, bid=TEXTS),
    assumed_position_quantity=TEXTS,
)
Told = list[journal_pb2.Difference]


def values(told: Told) -> set[tuple[str, str, str, str]]:
    return {(one.decision, one.input, one.before, one.after) for one in told}


def swapped(told: Told) -> set[tuple[str, str, str, str]]:
    return {(one.decision, one.input, one.after, one.before) for one in told}


def assert_readable(told: Told) -> None:
    assert len(told) <= MOST_TOLD
    for one in told:
        assert one.before != one.after, "a difference shows what differs"
        assert max(len(one.before), len(one.after)) <= MOST_SHOWN


def outcome(decision: order_pb2.RiskDecision) -> tuple[int, str, str]:
    first = next((check.reason for check in decision.checks if not check.passed), "")
    return decision.verdict, decision.quantity, first


def numbers(decision: order_pb2.RiskDecision) -> tuple[object, ...]:
    """All that a decision says but when, and under which revision of the account; checks of one reason in their order."""
    checks: dict[str, list[order_pb2.RiskCheck]] = {}
    for check in decision.checks:
        checks.setdefault(check.reason, []).append(check)
    steps = {step.name: step.value for step in decision.sizing_steps}
    return outcome(decision), checks, steps, decision.position_quantity


@settings(max_examples=300, deadline=None)
@given(DECISIONS, DECISIONS)
def test_nothing_differs_exactly_where_two_decisions_say_the_same(
    before: order_pb2.RiskDecision, after: order_pb2.RiskDecision
) -> None:
    strict = decision_differences("risk", before, after, strict=True)
    lenient = decision_differences("risk", before, after, strict=False)
    assert (strict == []) == (numbers(before) == numbers(after))
    assert (lenient == []) == (outcome(before) == outcome(after))
    assert values(lenient) <= values(strict)
    for told in (strict, lenient):
        assert_readable(told)
    assert swapped(decision_differences("risk", after, before, strict=True)) == values(strict)
    assert swapped(decision_differences("risk", after, before, strict=False)) == values(lenient)


@settings(max_examples=100, deadline=None)
@given(DECISIONS, st.booleans())
def test_a_decision_does_not_differ_from_itself(decision: order_pb2.RiskDecision, strict: bool) -> None:
    later = order_pb2.RiskDecision.FromString(decision.SerializeToString())
    later.decide_time.FromSeconds(9)
    later.account_revision = 7
    assert decision_differences("risk", decision, later, strict=strict) == []


@settings(max_examples=150, deadline=None)
@given(REQUESTS, REQUESTS)
def test_nothing_differs_exactly_where_risk_is_asked_the_same(
    before: risk_pb2.EvaluateOrderRequest, after: risk_pb2.EvaluateOrderRequest
) -> None:
    told = request_differences("order 1", before, after)
    assert (told == []) == (before == after)
    assert_readable(told)
    assert swapped(request_differences("order 1", after, before)) == values(told)


def test_one_changed_number_of_many_checks_is_the_only_difference() -> None:
    before = order_pb2.RiskDecision(checks=[order_pb2.RiskCheck(reason=f"R{n}", limit="1") for n in range(40)])
    after = order_pb2.RiskDecision.FromString(before.SerializeToString())
    after.checks[17].limit = "2"
    (found,) = decision_differences("risk on order 1", before, after, strict=True)
    assert (found.input, found.before, found.after) == ("R17", "fail, limit 1", "fail, limit 2")
