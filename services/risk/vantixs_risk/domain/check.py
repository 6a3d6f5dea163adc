"""What a check is: a function from a CheckContext to a CheckResult, and the row of a table that names its reason."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NamedTuple, final

from vantixs_risk.domain.exact import ZERO, show
from vantixs_risk.domain.inputs import Inputs
from vantixs_risk.domain.metrics import RiskMetrics
from vantixs_risk.domain.sizing import Sized

NO_INPUTS: Mapping[str, str] = {}


class CheckContext(NamedTuple):
    """What a check looks at. `quantity`, `notional` (at `metrics.price`) and `reserved_funds` are of the order as sized."""

    inputs: Inputs
    metrics: RiskMetrics
    sized: Sized
    quantity: Decimal
    notional: Decimal
    reserved_funds: Decimal


# These two are made some fifty times a decision: as plain classes, compiled, each takes a fifth of what a tuple with names takes.
@final
class CheckResult:
    """The verdict of a check with its numbers; `detail`, a sentence for people, where it failed."""

    def __init__(self, passed: bool, detail: str = "", inputs: Mapping[str, str] = NO_INPUTS, limit: str = "") -> None:
        self.passed = passed
        self.detail = detail
        self.inputs = inputs
        self.limit = limit


@final
class Check:
    """One row of a decision: the reason that stands for the check when it fails, and its result."""

    def __init__(self, reason: str, result: CheckResult) -> None:
        self.reason = reason
        self.passed = result.passed
        self.inputs = result.inputs
        self.limit = result.limit
        self.detail = result.detail

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Check) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((self.reason, self.passed, self.limit, self.detail))

    def __repr__(self) -> str:
        return f"Check{self._values()}"

    def _values(self) -> tuple[str, bool, dict[str, str], str, str]:
        return self.reason, self.passed, dict(self.inputs), self.limit, self.detail


class Rule(NamedTuple):
    """A check of the table; a result of None says that it does not apply.

    `sized` says that it needs the order's size, so it is left out where that is not known.
    """

    reason: str
    check: Callable[[CheckContext], CheckResult | None]
    sized: bool = False


def run(rules: tuple[Rule, ...], context: CheckContext) -> list[Check]:
    """Every check that applies, in the order of the table, failed or not."""
    known, checks = context.sized.quantity is not None, []
    for reason, check, sized in rules:
        if (known or not sized) and (result := check(context)) is not None:
            checks.append(Check(reason, result))
    return checks


def at_least(name: str, amount: Decimal, limit: Decimal, more: Mapping[str, str] = NO_INPUTS) -> CheckResult:
    """An amount that has to reach a limit; `more` is shown beside it."""
    shown, least = show(amount), show(limit)
    passed = amount >= limit
    return CheckResult(
        passed, "" if passed else f"{name} is {shown}, the least is {least}", {name: shown, **more}, least
    )


def at_most(
    name: str, amount: Decimal, limit: Decimal | None, more: Mapping[str, str] = NO_INPUTS
) -> CheckResult | None:
    """An amount that may not be above a limit, where there is one; `more` is shown beside it."""
    if limit is None:
        return None
    shown, most = show(amount), show(limit)
    passed = amount <= limit
    return CheckResult(passed, "" if passed else f"{name} is {shown}, the most is {most}", {name: shown, **more}, most)


def sum_at_most(
    name: str, parts: Mapping[str, Decimal], limit: Decimal | None, more: Mapping[str, str] = NO_INPUTS
) -> CheckResult | None:
    """Amounts that together may not be above a limit, where there is one; `more` is shown beside them."""
    if limit is None:
        return None
    after, most = sum(parts.values(), ZERO), show(limit)
    passed = after <= limit
    detail = "" if passed else f"{name} would be {show(after)}, the most is {most}"
    return CheckResult(passed, detail, {part: show(amount) for part, amount in parts.items()} | dict(more), most)
