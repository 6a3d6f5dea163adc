"""What differs between two decisions about the same order: pure."""

from collections.abc import Iterator
from typing import Any

from vantixs.api.common.v1 import order_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2

# A value is shown up to this length, and a decision tells at most so many differences.
MOST_SHOWN, MOST_TOLD = 200, 50
_UNTOLD = ("create_time", "update_time")


def difference(decision: str, what: str, before: object, after: object) -> journal_pb2.Difference:
    """One difference, each value at most 200 characters long."""
    shown = [str(value)[:MOST_SHOWN] for value in (before, after)]
    return journal_pb2.Difference(decision=decision, input=what, before=shown[0], after=shown[1])


def request_differences(
    name: str, before: risk_pb2.EvaluateOrderRequest, after: risk_pb2.EvaluateOrderRequest
) -> list[journal_pb2.Difference]:
    """Which fields of what risk is asked differ. `name` is of the decision, for example "order 1"."""
    found = [difference(f"{name}: order", *change) for change in _fields(before.order, after.order)]
    found += [difference(f"{name}: request", *change) for change in _fields(before, after) if change[0] != "order"]
    return found[:MOST_TOLD]


def decision_differences(
    name: str, before: order_pb2.RiskDecision, after: order_pb2.RiskDecision, *, strict: bool
) -> list[journal_pb2.Difference]:
    """How risk decided differently.

    Args:
        name: of the decision, for example "risk on order 1".
        before: as recorded.
        after: as decided again.
        strict: whether each number that a check looked at must be the same; else only verdict, quantity and first reason, so that
            a limit that was changed and decides nothing here is no difference.
    """
    outcome = [
        difference(name, what, was, is_)
        for what, was, is_ in (
            ("verdict", _verdict(before), _verdict(after)),
            ("quantity", before.quantity, after.quantity),
            ("reason", _first_reason(before), _first_reason(after)),
        )
        if was != is_
    ]
    if not (strict or outcome):
        return []
    told = {check.reason: check for check in before.checks}, {check.reason: check for check in after.checks}
    for reason in dict.fromkeys((*told[0], *told[1])):
        first, second = told[0].get(reason), told[1].get(reason)
        if first != second and (strict or first is None or second is None or first.passed != second.passed):
            outcome.append(difference(name, reason, _check(first), _check(second)))
    if strict:
        steps = {s.name: s.value for s in before.sizing_steps}, {s.name: s.value for s in after.sizing_steps}
        for step in dict.fromkeys((*steps[0], *steps[1])):
            if steps[0].get(step) != steps[1].get(step):
                outcome.append(difference(name, f"sizing: {step}", steps[0].get(step), steps[1].get(step)))
    return outcome[:MOST_TOLD]


def _fields(before: Any, after: Any) -> Iterator[tuple[str, object, object]]:
    for field in before.DESCRIPTOR.fields:
        first, second = getattr(before, field.name), getattr(after, field.name)
        if first != second and field.name not in _UNTOLD:
            yield field.name, str(first).strip(), str(second).strip()


def _verdict(decision: order_pb2.RiskDecision) -> str:
    return order_pb2.RiskVerdict.Name(decision.verdict).removeprefix("RISK_VERDICT_")


def _first_reason(decision: order_pb2.RiskDecision) -> str:
    return next((check.reason for check in decision.checks if not check.passed), "")


def _check(check: order_pb2.RiskCheck | None) -> str:
    """A check for people: "fail, limit 1000, order_notional 1500"."""
    if check is None:
        return "not checked"
    parts = ["pass" if check.passed else "fail", *([f"limit {check.limit}"] if check.limit else [])]
    return ", ".join([*parts, *(f"{i.name} {i.value}" for i in check.inputs)])
