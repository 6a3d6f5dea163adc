"""What a webhook's configuration may be, checked field by field when it is saved."""

import re
from collections.abc import Collection, Sequence
from typing import Any

import grpc
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.model.decimals import parse_decimal
from vantixs.model.ids import NAME
from vantixs.model.instruments import INSTRUMENTS
from vantixs.runtime.errors import ServiceError, Violation, invalid

from vantixs_ingress.domain.payload.mapping import check_mapping
from vantixs_ingress.webhooks.networks import parse_networks

MOST_LISTED = 100
_EXCHANGE = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_RANGES = (
    ("dedupe_window_s", 86_400),
    ("entry_expires_after_s", 604_800),
    ("exit_expires_after_s", 604_800),
    ("rate_limit_per_minute", 100_000),
    ("signature_tolerance_s", 86_400),
    ("max_adds", 10_000),
    ("add_spacing_s", 604_800),
    ("stop_move_after_target", 10),
    ("unprotected_limit_s", 300),
    ("triggered_timeout_s", 86_400),
)
_ENUMS: tuple[tuple[str, Any], ...] = (
    ("mode", common_pb2.Mode),
    ("routing_mode", common_pb2.RoutingMode),
    ("default_instrument_kind", common_pb2.InstrumentKind),
    ("minimum_proof", webhook_pb2.ProofLevel),
    ("on_new_signal", webhook_pb2.OnNewSignal),
    ("position_policy", webhook_pb2.PositionPolicy),
    ("position_owner", webhook_pb2.PositionOwner),
    ("stop_move", webhook_pb2.StopMove),
    ("protection_base", webhook_pb2.ProtectionBase),
)
_MOVES_BY_PERCENT = (webhook_pb2.STOP_MOVE_PERCENT_BELOW_TRIGGER, webhook_pb2.STOP_MOVE_PERCENT_BELOW_HIGHEST)


def fill_defaults(webhook: webhook_pb2.Webhook) -> None:
    """Sets the defaults of unset fields, so that they are stored explicitly."""
    webhook.mode = webhook.mode or common_pb2.MODE_PAPER
    webhook.routing_mode = webhook.routing_mode or common_pb2.ROUTING_MODE_DIRECT
    webhook.maximum_leverage = webhook.maximum_leverage or "1"
    webhook.minimum_proof = webhook.minimum_proof or webhook_pb2.PROOF_LEVEL_TOKEN


def check_webhook(webhook: webhook_pb2.Webhook, *, certificates: bool = False) -> None:
    """Checks all that an operator may set; `certificates` says whether a proxy reports client certificates.

    Raises:
        ServiceError: INVALID_ARGUMENT about the first field that cannot be.
    """
    _check_names(webhook)
    for name, most in _RANGES:
        value = getattr(webhook, name)
        if not 0 <= value <= most:
            raise invalid(name, f"expected 0 to {most}, was {value}")
    for name, enum in _ENUMS:
        if getattr(webhook, name) not in enum.values():
            raise invalid(name, f"expected one of {', '.join(enum.keys()[1:])}, was {getattr(webhook, name)}")
    check_scope(webhook.actions, webhook.instruments)
    _check_networks(webhook.source_networks)
    _check_sizing(webhook)
    _check_stop_move(webhook)
    _check_proof(webhook, certificates=certificates)
    _check_mapping(webhook.mapping)
    if webhook.mode == common_pb2.MODE_LIVE:
        raise invalid("mode", "expected PAPER: live orders are not built yet, was LIVE", "LIVE_NOT_READY")


def check_scope(actions: Sequence[int], instruments: Sequence[str], prefix: str = "") -> None:
    """Checks which actions and instruments are taken; empty lists stand for all.

    Raises:
        ServiceError: INVALID_ARGUMENT.
    """
    _check_list(f"{prefix}actions", actions)
    for action in actions:
        if not action or action not in common_pb2.Action.values():
            known = ", ".join(common_pb2.Action.keys()[1:])
            raise invalid(f"{prefix}actions", f"expected {known}, was {action}")
    _check_list(f"{prefix}instruments", instruments)
    for instrument in instruments:
        if instrument not in INSTRUMENTS.current:
            raise invalid(f"{prefix}instruments", f"expected catalogued instruments, was {instrument[:40]!r}")


def _check_list(name: str, values: Collection[object]) -> None:
    if len(values) > MOST_LISTED:
        raise invalid(name, f"expected at most {MOST_LISTED}, was {len(values)}")
    if len(set(values)) != len(values):
        raise invalid(name, "expected each once, was one twice")


def _check_names(webhook: webhook_pb2.Webhook) -> None:
    if not NAME.fullmatch(webhook.webhook_id):
        raise invalid(
            "webhook_id", f"expected 1 to 40 of a-z, 0-9 and '-', a letter first, was {_cut(webhook.webhook_id)}"
        )
    if len(webhook.display_name) > 100 or not webhook.display_name.isprintable():
        raise invalid("display_name", "expected at most 100 printable characters")
    if not webhook.account_id:
        raise invalid("account_id", "expected an account, was empty", "FIELD_MISSING")
    if not NAME.fullmatch(webhook.account_id):
        raise invalid("account_id", f"expected an account's id, was {_cut(webhook.account_id)}")
    if webhook.default_exchange and not _EXCHANGE.fullmatch(webhook.default_exchange):
        raise invalid("default_exchange", f"expected an exchange's name, was {_cut(webhook.default_exchange)}")
    strategy = webhook.routing_mode == common_pb2.ROUTING_MODE_STRATEGY
    if strategy and not NAME.fullmatch(webhook.strategy_id):
        raise invalid("strategy_id", f"expected a strategy's id for STRATEGY, was {_cut(webhook.strategy_id)}")
    if not strategy and webhook.strategy_id:
        raise invalid("strategy_id", "expected none for DIRECT, or routing_mode STRATEGY")


def _check_networks(names: Sequence[str]) -> None:
    _check_list("source_networks", names)
    for name in names:
        try:
            parse_networks([name])
        except ValueError:
            raise invalid("source_networks", f"expected CIDR or tradingview, was {_cut(name)}") from None


def _check_sizing(webhook: webhook_pb2.Webhook) -> None:
    if webhook.sizing.method not in common_pb2.SizingMethod.values():
        raise invalid("sizing.method", f"expected a known method, was {webhook.sizing.method}")
    for name, text in (("maximum_leverage", webhook.maximum_leverage), ("sizing.value", webhook.sizing.value)):
        try:
            if text and parse_decimal(text) <= 0:
                raise ValueError(f"expected above 0, was {text}")
        except ValueError as error:
            raise invalid(name, str(error)) from None


def _check_stop_move(webhook: webhook_pb2.Webhook) -> None:
    """Only two kinds use the percent: beside another kind it would have no effect, so it is refused."""
    text, kind = webhook.stop_move_percent, webhook_pb2.StopMove.Name(webhook.stop_move).removeprefix("STOP_MOVE_")
    if webhook.stop_move not in _MOVES_BY_PERCENT:
        if text:
            raise invalid("stop_move_percent", f"expected none for stop_move {kind}, was {_cut(text)}")
        return
    if not text:
        raise invalid("stop_move_percent", f"expected a percent for stop_move {kind}, was none", "FIELD_MISSING")
    try:
        fits = 0 < parse_decimal(text) < 100
    except ValueError:
        fits = False
    if not fits:
        raise invalid("stop_move_percent", f"expected a percent above 0 and below 100, was {_cut(text)}")


def _check_proof(webhook: webhook_pb2.Webhook, *, certificates: bool) -> None:
    """Refuses a minimum proof that no sender could give, as it would reject every signal."""
    least = webhook.minimum_proof
    if least == webhook_pb2.PROOF_LEVEL_ADDRESS and not webhook.source_networks:
        raise invalid("minimum_proof", "expected source_networks for ADDRESS, was none")
    if least == webhook_pb2.PROOF_LEVEL_CERTIFICATE and not certificates:
        detail = "expected ingress settings trusted_proxies and certificate_subject_header for CERTIFICATE, was none"
        raise invalid("minimum_proof", detail)


def _check_mapping(mapping: webhook_pb2.PayloadMapping) -> None:
    errors = check_mapping(mapping)
    if errors:
        violations = [Violation(e.field, e.reason, e.detail) for e in errors]
        detail = f"{errors[0].field}: {errors[0].detail}"
        raise ServiceError(grpc.StatusCode.INVALID_ARGUMENT, errors[0].reason, detail, violations=violations)


def _cut(text: str) -> str:
    return repr(text[:60])
