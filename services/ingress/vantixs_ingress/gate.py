"""Webhooks made ready for checking, once per change of their configuration."""

import hashlib
import time
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import UTC, datetime

from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.model.decimals import parse_decimal

from vantixs_ingress.addresses import Network, parse_address, parse_networks, within
from vantixs_ingress.domain.payload.mapping import compile_mapping
from vantixs_ingress.domain.signal.rules import Rules
from vantixs_ingress.limits import Allowance
from vantixs_ingress.signatures import DEFAULT_TOLERANCE_S, SLOTS, Sealer
from vantixs_ingress.spool.entries import WebhookRecord

TOKEN_PREFIX = "vxt_"  # noqa: S105 - how a token starts, so that one is known wherever it turns up

MOST_TOKENS = 10
NOBODIES = (hashlib.sha256(b"no webhook has this token").digest(),) * MOST_TOKENS


@dataclass(frozen=True, slots=True)
class Pass:
    """A token as the door needs it: its digest, and what the webhook's rules are for who holds it."""

    token_id: str
    digest: bytes
    fingerprint: str
    rules: Rules
    expire_time: datetime | None
    revoked: bool

    def reason(self, now: datetime) -> str:
        """Why it opens nothing any more, empty while it does."""
        if self.revoked:
            return "TOKEN_REVOKED"
        return "TOKEN_EXPIRED" if self.expire_time is not None and self.expire_time <= now else ""


@dataclass(frozen=True, slots=True)
class Key:
    """A signing secret, open. It ends by itself."""

    secret_id: str
    secret: bytes = dataclass_field(repr=False)
    expire_time: datetime | None


@dataclass(frozen=True, slots=True)
class Gate:
    """A webhook as the door needs it. What counts requests is carried over when its configuration changes."""

    webhook: webhook_pb2.Webhook
    record: WebhookRecord
    rules: Rules
    passes: tuple[Pass, ...]
    digests: tuple[bytes, ...]  # Of the passes, then of nobody: as many for every webhook.
    keys: tuple[Key, ...]
    unreadable_keys: bool
    networks: tuple[Network, ...]
    tolerance_s: int
    rate: Allowance | None
    entering: Allowance | None  # Accepted signals other than exits, where the webhook has no limit of its own.
    recording: Allowance  # Rejections that go into the record.

    def admits(self, address: str) -> bool:
        """Whether the webhook takes requests from the address."""
        return not self.networks or within(parse_address(address), self.networks)

    def secrets(self, now: datetime) -> list[Key]:
        """Signing secrets that are valid, newest first."""
        return [k for k in self.keys if k.expire_time is None or k.expire_time > now][:SLOTS]


def rules_of(webhook: webhook_pb2.Webhook) -> Rules:
    """What the webhook allows, as values. Never raises on a webhook that was stored: a mapping that broke refuses."""
    kind = common_pb2.InstrumentKind.Name(webhook.default_instrument_kind).removeprefix("INSTRUMENT_KIND_")
    return Rules(
        mode=common_pb2.Mode.Name(webhook.mode).removeprefix("MODE_"),
        account_id=webhook.account_id,
        instruments=frozenset(webhook.instruments) or None,
        actions=frozenset(common_pb2.Action.Name(a).removeprefix("ACTION_") for a in webhook.actions) or None,
        maximum_leverage=parse_decimal(webhook.maximum_leverage or "1"),
        sell_opens_short=webhook.sell_opens_short,
        entry_expires_after_s=webhook.entry_expires_after_s,
        exit_expires_after_s=webhook.exit_expires_after_s,
        time_is_emit_time=webhook.time_is_emit_time,
        signal_id_is_key=webhook.signal_id_is_key,
        default_exchange=webhook.default_exchange,
        default_instrument_kind="" if kind == "UNSPECIFIED" else kind,
        mapping=compile_mapping(webhook.mapping),
    )


def make_gate(
    webhook: webhook_pb2.Webhook,
    sealer: Sealer,
    *,
    before: Gate | None = None,
    records_per_minute: int = 3000,
    entries_per_minute: int = 0,
) -> Gate:
    """Makes a webhook ready."""
    rules = rules_of(webhook)
    keys = [_open(webhook.webhook_id, kept, sealer) for kept in webhook.signing_secrets if not _revoked(kept)]
    now = time.monotonic()
    most = webhook.rate_limit_per_minute
    rate = before.rate if before and before.webhook.rate_limit_per_minute == most else None
    entering = before.entering if before else None
    if not entering and entries_per_minute:
        entering = Allowance(entries_per_minute, 60, now)
    return Gate(
        webhook=webhook,
        record=WebhookRecord(shown(webhook)),
        rules=rules,
        passes=tuple(_pass(token, rules) for token in webhook.tokens),
        digests=(*(token.sha256 for token in webhook.tokens), *NOBODIES[len(webhook.tokens) :]),
        keys=tuple(k for k in reversed(keys) if k is not None),
        unreadable_keys=None in keys,
        networks=parse_networks(webhook.source_networks),
        tolerance_s=webhook.signature_tolerance_s or DEFAULT_TOLERANCE_S,
        rate=rate or (Allowance(most, 60, now) if most else None),
        entering=None if most else entering,
        recording=before.recording if before else Allowance(records_per_minute, 60, now),
    )


def shown(webhook: webhook_pb2.Webhook) -> webhook_pb2.Webhook:
    """The webhook without hashes of tokens and without sealed secrets."""
    copy = webhook_pb2.Webhook()
    copy.CopyFrom(webhook)
    for token in copy.tokens:
        token.ClearField("sha256")
    for secret in copy.signing_secrets:
        secret.ClearField("sealed")
    return copy


def token_digest(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _pass(token: webhook_pb2.WebhookToken, rules: Rules) -> Pass:
    actions = frozenset(common_pb2.Action.Name(a).removeprefix("ACTION_") for a in token.actions)
    narrowed = rules.narrowed(
        actions=actions or None,
        instruments=frozenset(token.instruments) or None,
        exits_only=token.exits_only,
        paper_only=token.paper_only,
    )
    expire = token.expire_time.ToDatetime(tzinfo=UTC) if token.HasField("expire_time") else None
    fingerprint = token.sha256.hex()[:8]
    return Pass(token.token_id, token.sha256, fingerprint, narrowed, expire, token.HasField("revoke_time"))


def _open(webhook_id: str, kept: webhook_pb2.SigningSecret, sealer: Sealer) -> Key | None:
    secret = sealer.open(webhook_id, kept.sealed)
    expire = kept.expire_time.ToDatetime(tzinfo=UTC) if kept.HasField("expire_time") else None
    return None if secret is None else Key(kept.secret_id, secret, expire)


def _revoked(kept: webhook_pb2.SigningSecret) -> bool:
    return kept.HasField("revoke_time")
