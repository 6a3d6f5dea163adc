"""The rules of a webhook, narrowed by the scope of a token."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from vantixs_ingress.domain.payload.mapping import CompiledMapping
from vantixs_ingress.domain.payload.reading import Draft
from vantixs_ingress.domain.signal.exits import is_exit


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a webhook, compiled once per change. A set that is None allows all values, an empty set none."""

    mode: str = "PAPER"
    account_id: str = ""
    instruments: frozenset[str] | None = None
    actions: frozenset[str] | None = None
    exits_only: bool = False
    paper_only: bool = False
    maximum_leverage: Decimal = Decimal(1)
    sell_opens_short: bool = False
    entry_expires_after_s: int = 0
    exit_expires_after_s: int = 0
    time_is_emit_time: bool = False
    signal_id_is_key: bool = False
    default_exchange: str = ""
    default_instrument_kind: str = ""
    mapping: CompiledMapping | None = None

    def narrowed(
        self,
        actions: frozenset[str] | None = None,
        instruments: frozenset[str] | None = None,
        exits_only: bool = False,
        paper_only: bool = False,
    ) -> "Rules":
        """These rules narrowed by a token's scope: only what both allow. None allows all."""
        return replace(
            self,
            actions=_both(self.actions, actions),
            instruments=_both(self.instruments, instruments),
            exits_only=self.exits_only or exits_only,
            paper_only=self.paper_only or paper_only,
        )


def _both(ours: frozenset[str] | None, theirs: frozenset[str] | None) -> frozenset[str] | None:
    if ours is None or theirs is None:
        return theirs if ours is None else ours
    return ours & theirs


def check_rules(draft: Draft, values: Mapping[str, Any], rules: Rules) -> None:
    """Adds a problem for everything that the rules do not allow."""
    action, instrument = values.get("action"), values.get("instrument")
    if rules.actions is not None and action and action not in rules.actions:
        draft.refuse("action", "ACTION_NOT_ALLOWED", f"expected one of {_listed(rules.actions)}", action, "rules")
    elif rules.exits_only and action and not is_exit(values):
        draft.refuse(
            "action", "ACTION_NOT_ALLOWED", "expected an exit, as the token allows nothing else", action, "rules"
        )
    if rules.instruments is not None and instrument and instrument not in rules.instruments:
        draft.refuse(
            "symbol", "SYMBOL_NOT_ALLOWED", f"expected one of {_listed(rules.instruments)}", instrument, "rules"
        )
    leverage = values.get("leverage")
    if leverage is not None and leverage > rules.maximum_leverage:
        expected = f"expected at most {rules.maximum_leverage}"
        draft.refuse(draft.names["leverage"], "OVERRIDE_NOT_ALLOWED", expected, str(leverage), "leverage")
    if "account" in values and values["account"] != rules.account_id:
        draft.refuse(
            draft.names["account"], "OVERRIDE_NOT_ALLOWED", "expected the webhook's account, or none", slot="account"
        )
    if "mode" in values and str(values["mode"]).upper() != rules.mode:
        draft.refuse(draft.names["mode"], "MODE_NOT_ALLOWED", f"expected {rules.mode.lower()}", values["mode"], "mode")
    if values.get("test") and rules.mode != "PAPER":
        draft.refuse(
            draft.names["test"], "MODE_NOT_ALLOWED", "expected no test: the webhook is not in mode paper", slot="test"
        )
    if rules.paper_only and rules.mode != "PAPER":
        draft.refuse("mode", "MODE_NOT_ALLOWED", "expected a webhook in mode paper for this token", rules.mode, "mode")


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "none"
