"""What differs between two decisions about the same order: pure."""

from collections.abc import Iterable, Iterator
from typing import Any

from vantixs.api.common.v1 import order_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2

# A value is shown up to this length, and a decision tells at most so many differences.
MOST_SHOWN, MOST_TOLD = 200, 50
_BEFORE_CHANGE = 40
_UNTOLD = ("create_time", "update_time")


def difference(decision: str, what: str, before: object, after: object) -> journal_pb2.Difference:
    """One difference, each value at most 200 characters long: the first ones, or those around the first that differs."""
    first, second = str(before), str(after)
    if first[:MOST_SHOWN] == second[:MOST_SHOWN] and first != second:
        pairs = enumerate(zip(first, second, strict=False))
        begin = next((n for n, (a, b) in pairs if a != b), min(len(first), len(second))) - _BEFORE_CHANGE
        first, second = f"...{first[begin:]}", f"...{second[begin:]}"
    return journal_pb2.Difference(decision=decision, input=what, before=first[:MOST_SHOWN], after=second[:MOST_SHOWN])


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
        strict: whether the position and each number that a check looked at must be the same; else only verdict, quantity
            and first reason, so that a limit that was changed and decides nothing here is no difference.
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
    told = _by_reason(before.checks), _by_reason(after.checks)
    for key in dict.fromkeys((*told[0], *told[1])):
        first, second = told[0].get(key), told[1].get(key)
        if first != second and (strict or first is None or second is None or first.passed != second.passed):
            outcome.append(difference(name, key[0], *_check_texts(first, second)))
    if strict:
        if before.position_quantity != after.position_quantity:
            outcome.append(difference(name, "position", before.position_quantity, after.position_quantity))
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


def _by_reason(checks: Iterable[order_pb2.RiskCheck]) -> dict[tuple[str, int], order_pb2.RiskCheck]:
    """Checks by their reason, and which of those with this reason it is, from 0."""
    found: dict[tuple[str, int], order_pb2.RiskCheck] = {}
    counts: dict[str, int] = {}
    for check in checks:
        number = counts[check.reason] = counts.get(check.reason, -1) + 1
        found[check.reason, number] = check
    return found


def _check_texts(first: order_pb2.RiskCheck | None, second: order_pb2.RiskCheck | None) -> tuple[str, str]:
    """Two checks for people; with their sentences where nothing else differs."""
    told = _check(first), _check(second)
    if first and second and told[0] == told[1]:
        return f"{told[0]}: {first.detail or 'no detail'}", f"{told[1]}: {second.detail or 'no detail'}"
    return told


def _check(check: order_pb2.RiskCheck | None) -> str:
    """A check for people: "fail, limit 1000, order_notional 1500"."""
    if check is None:
        return "not checked"
    parts = ["pass" if check.passed else "fail", *([f"limit {check.limit}"] if check.limit else [])]
    return ", ".join([*parts, *(f"{i.name} {i.value}" for i in check.inputs)])
