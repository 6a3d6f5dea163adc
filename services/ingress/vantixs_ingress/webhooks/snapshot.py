"""Webhooks compiled for checking requests, once per change of their configuration."""

import hashlib
import time
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import UTC, datetime

from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.model.decimals import parse_decimal
from vantixs.runtime.secret_cipher import PayloadCipher, SecretCipher

from vantixs_ingress.domain.payload.mapping import compile_mapping
from vantixs_ingress.domain.signal.rules import Rules
from vantixs_ingress.spool.entries import WebhookRecord
from vantixs_ingress.webhooks.networks import Network, parse_networks
from vantixs_ingress.webhooks.signatures import DEFAULT_TOLERANCE_S, SLOTS
from vantixs_ingress.webhooks.token_bucket import TokenBucket

TOKEN_PREFIX = "vxt_"  # noqa: S105 - how a token starts, so that one is known wherever it turns up

MOST_TOKENS = 10
UNUSED_DIGESTS = (hashlib.sha256(b"no webhook has this token").digest(),) * MOST_TOKENS


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """A token of a webhook: its digest, and the webhook's rules narrowed by its scope."""

    token_id: str
    digest: bytes
    fingerprint: str
    rules: Rules
    expire_time: datetime | None
    revoked: bool

    def reason(self, now: datetime) -> str:
        """Why the token is not valid any more; empty while it is."""
        if self.revoked:
            return "TOKEN_REVOKED"
        return "TOKEN_EXPIRED" if self.expire_time is not None and self.expire_time <= now else ""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A signing secret, decrypted, with the time at which it expires."""

    secret_id: str
    secret: bytes = dataclass_field(repr=False)
    expire_time: datetime | None


@dataclass(frozen=True, slots=True)
class WebhookSnapshot:
    """A webhook as requests are checked against it. The token buckets are carried over when its configuration changes."""

    webhook: webhook_pb2.Webhook
    record: WebhookRecord
    rules: Rules
    grants: tuple[TokenGrant, ...]
    digests: tuple[bytes, ...]  # Of the grants, filled up to the same number for every webhook.
    signing_keys: tuple[SigningKey, ...]
    unreadable_signing_keys: bool
    networks: tuple[Network, ...]
    tolerance_s: int
    rate: TokenBucket | None
    entry_rate: TokenBucket | None  # Accepted signals other than exits, where the webhook has no limit of its own.
    record_rate: TokenBucket  # Rejections that go into the record.
    seals: PayloadCipher | None  # What seals its payloads, where they are.

    def secrets(self, now: datetime) -> list[SigningKey]:
        """Signing secrets that are valid, newest first."""
        return [k for k in self.signing_keys if k.expire_time is None or k.expire_time > now][:SLOTS]


def rules_of(webhook: webhook_pb2.Webhook) -> Rules:
    """What the webhook allows, as values. Never raises for a webhook that was stored: a broken mapping refuses every signal."""
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


def compile_webhook(
    webhook: webhook_pb2.Webhook,
    cipher: SecretCipher,
    payloads: PayloadCipher,
    *,
    before: WebhookSnapshot | None = None,
    records_per_minute: int = 3000,
    entries_per_minute: int = 0,
) -> WebhookSnapshot:
    """Compiles a webhook's configuration; `before` is its snapshot until now, whose token buckets are kept."""
    rules = rules_of(webhook)
    keys = [_decrypted(webhook.webhook_id, kept, cipher) for kept in webhook.signing_secrets if not _revoked(kept)]
    now = time.monotonic()
    most = webhook.rate_limit_per_minute
    rate = before.rate if before and before.webhook.rate_limit_per_minute == most else None
    entering = before.entry_rate if before else None
    if not entering and entries_per_minute:
        entering = TokenBucket(entries_per_minute, 60, now)
    return WebhookSnapshot(
        webhook=webhook,
        record=WebhookRecord(without_secrets(webhook)),
        rules=rules,
        grants=tuple(_grant(token, rules) for token in webhook.tokens),
        digests=(*(token.sha256 for token in webhook.tokens), *UNUSED_DIGESTS[len(webhook.tokens) :]),
        signing_keys=tuple(k for k in reversed(keys) if k is not None),
        unreadable_signing_keys=None in keys,
        networks=parse_networks(webhook.source_networks),
        tolerance_s=webhook.signature_tolerance_s or DEFAULT_TOLERANCE_S,
        rate=rate or (TokenBucket(most, 60, now) if most else None),
        entry_rate=None if most else entering,
        record_rate=before.record_rate if before else TokenBucket(records_per_minute, 60, now),
        seals=payloads if webhook.seal_payload else None,
    )


def without_secrets(webhook: webhook_pb2.Webhook) -> webhook_pb2.Webhook:
    """The webhook without hashes of tokens and without sealed secrets."""
    copy = webhook_pb2.Webhook()
    copy.CopyFrom(webhook)
    for token in copy.tokens:
        token.ClearField("sha256")
    for secret in copy.signing_secrets:
        secret.ClearField("sealed")
    return copy


def token_digest(token: str) -> bytes:
    """SHA-256 of a token, which is all that is kept of it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _grant(token: webhook_pb2.WebhookToken, rules: Rules) -> TokenGrant:
    actions = frozenset(common_pb2.Action.Name(a).removeprefix("ACTION_") for a in token.actions)
    narrowed = rules.narrowed(
        actions=actions or None,
        instruments=frozenset(token.instruments) or None,
        exits_only=token.exits_only,
        paper_only=token.paper_only,
    )
    expire = token.expire_time.ToDatetime(tzinfo=UTC) if token.HasField("expire_time") else None
    fingerprint = token.sha256.hex()[:8]
    return TokenGrant(token.token_id, token.sha256, fingerprint, narrowed, expire, token.HasField("revoke_time"))


def _decrypted(webhook_id: str, kept: webhook_pb2.SigningSecret, cipher: SecretCipher) -> SigningKey | None:
    secret = cipher.decrypt(webhook_id, kept.sealed)
    expire = kept.expire_time.ToDatetime(tzinfo=UTC) if kept.HasField("expire_time") else None
    return None if secret is None else SigningKey(kept.secret_id, secret, expire)


def _revoked(kept: webhook_pb2.SigningSecret) -> bool:
    return kept.HasField("revoke_time")
