"""Policies of webhooks: which values they may have, and what is said of the others."""

from typing import Any

import pytest
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.runtime.errors import ServiceError
from vantixs_console.listing import webhook_rows
from vantixs_ingress.webhooks.validation import check_webhook, fill_defaults

POLICIES = {
    "on_new_signal": webhook_pb2.ON_NEW_SIGNAL_KEEP,
    "position_policy": webhook_pb2.POSITION_POLICY_RECONCILE,
    "position_owner": webhook_pb2.POSITION_OWNER_WEBHOOK,
    "max_adds": 3,
    "add_spacing_s": 604_800,
    "stop_move": webhook_pb2.STOP_MOVE_PERCENT_BELOW_TRIGGER,
    "stop_move_after_target": 2,
    "stop_move_percent": "1.5",
    "protection_base": webhook_pb2.PROTECTION_BASE_FIRST_ENTRY,
    "unprotected_limit_s": 300,
    "triggered_timeout_s": 86_400,
}
PERCENT = {"stop_move": webhook_pb2.STOP_MOVE_PERCENT_BELOW_HIGHEST}


def webhook(**policies: Any) -> webhook_pb2.Webhook:
    made = webhook_pb2.Webhook(webhook_id="demo", account_id="paper", mode=common_pb2.MODE_PAPER, **policies)
    fill_defaults(made)
    return made


@pytest.mark.parametrize(
    "policies",
    [
        {},
        POLICIES,
        {"stop_move": webhook_pb2.STOP_MOVE_BREAKEVEN},
        {"stop_move_after_target": 10},
        *(PERCENT | {"stop_move_percent": percent} for percent in ("0.000001", "99.99")),
        *({"on_new_signal": number} for number in webhook_pb2.OnNewSignal.values()),
        *({"position_policy": number} for number in webhook_pb2.PositionPolicy.values()),
        *({"position_owner": number} for number in webhook_pb2.PositionOwner.values()),
        *({"protection_base": number} for number in webhook_pb2.ProtectionBase.values()),
    ],
)
def test_policy_within_its_range_is_kept_as_it_was_set(policies: dict[str, Any]) -> None:
    made = webhook(**policies)
    check_webhook(made)
    assert {name: getattr(made, name) for name in policies} == policies


@pytest.mark.parametrize(
    ("policies", "field"),
    [
        *(
            ({name: 99}, name)
            for name in ("on_new_signal", "position_policy", "position_owner", "stop_move", "protection_base")
        ),
        *(
            ({name: value}, name)
            for name, most in (
                ("max_adds", 10_000),
                ("add_spacing_s", 604_800),
                ("stop_move_after_target", 10),
                ("unprotected_limit_s", 300),
                ("triggered_timeout_s", 86_400),
            )
            for value in (-1, most + 1)
        ),
        (PERCENT, "stop_move_percent"),
        ({"stop_move": webhook_pb2.STOP_MOVE_PERCENT_BELOW_TRIGGER}, "stop_move_percent"),
        *(
            (PERCENT | {"stop_move_percent": percent}, "stop_move_percent")
            for percent in ("0", "100", "-1", "x", "1e1")
        ),
        ({"stop_move_percent": "1"}, "stop_move_percent"),
        ({"stop_move": webhook_pb2.STOP_MOVE_BREAKEVEN, "stop_move_percent": "1"}, "stop_move_percent"),
    ],
)
def test_policy_that_cannot_be_is_refused_by_name(policies: dict[str, Any], field: str) -> None:
    with pytest.raises(ServiceError) as refused:
        check_webhook(webhook(**policies))
    assert [v.field for v in refused.value.violations] == [field]
    assert "expected" in refused.value.detail


@pytest.mark.parametrize("field", ["webhook_id", "account_id", "default_exchange"])
def test_name_that_ends_with_a_line_feed_is_refused(field: str) -> None:
    made = webhook()
    setattr(made, field, "demo\n")
    with pytest.raises(ServiceError) as refused:
        check_webhook(made)
    assert [v.field for v in refused.value.violations] == [field]


def test_policies_are_listed_as_their_flags_take_them() -> None:
    listed = dict(webhook_rows(webhook(**POLICIES)))
    assert {name: listed[name] for name in POLICIES} == {
        "on_new_signal": "keep",
        "position_policy": "reconcile",
        "position_owner": "webhook",
        "max_adds": "3",
        "add_spacing_s": "604800",
        "stop_move": "percent_below_trigger",
        "stop_move_after_target": "2",
        "stop_move_percent": "1.5",
        "protection_base": "first_entry",
        "unprotected_limit_s": "300",
        "triggered_timeout_s": "86400",
    }
    unset = dict(webhook_rows(webhook()))
    assert (unset["on_new_signal"], unset["unprotected_limit_s"]) == ("cancel_own_entries", "10")
