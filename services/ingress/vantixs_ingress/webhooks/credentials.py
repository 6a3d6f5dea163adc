"""Tokens and signing secrets of webhooks: made, shown once, and made again only for a call that is repeated.

A call with a `request_id` has its secret derived from the call and the signing key, not drawn. So the same call, at another
replica or after a restart, gives the same answer, and still nothing but a hash is kept of a token.
"""

import base64
import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.message import Message as ProtoMessage
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.runtime.errors import invalid
from vantixs.runtime.secret_cipher import SecretCipher
from vantixs.runtime.timestamps import moment_of

from vantixs_ingress.webhooks.signatures import SLOTS, new_secret, read_secret, show_secret
from vantixs_ingress.webhooks.snapshot import MOST_TOKENS, TOKEN_PREFIX, token_digest

REPEATED_WITHIN = timedelta(hours=24)
DEFAULT_GRACE_S, LONGEST_GRACE_S = 600, 7 * 86_400
MOST_SECRETS = 10


class Credentials:
    """Makes tokens and signing secrets, derived from the home directory's signing key where a call may be repeated."""

    def __init__(self, key: str, cipher: SecretCipher) -> None:
        self._key = key.encode()
        self._cipher = cipher

    def name_for(self, request_id: str) -> str:
        """The id of a webhook that is not named: the same for a repeated call."""
        if not request_id:
            return f"w{secrets.token_hex(6)}"
        return f"w{hmac.digest(self._key, f'name {request_id}'.encode(), 'sha256').hex()[:12]}"

    def add_token(
        self,
        webhook: webhook_pb2.Webhook,
        request: ProtoMessage,
        scope: webhook_pb2.TokenScope,
        expire: Any,
        now: datetime,
    ) -> str:
        """Adds a token and returns it. Where there are ten, one that expired or was revoked is removed.

        Raises:
            ServiceError: ten are in use.
        """
        _make_room(webhook.tokens, MOST_TOKENS, "tokens", now)
        kept = webhook.tokens.add(token_id=f"t{_next(t.token_id for t in webhook.tokens)}")
        kept.exits_only, kept.paper_only = scope.exits_only, scope.paper_only
        kept.actions.extend(scope.actions)
        kept.instruments.extend(scope.instruments)
        _set_times(kept, now, expire)
        token = self._token(webhook.webhook_id, request, kept)
        kept.sha256 = token_digest(token)
        return token

    def repeated_token(self, webhook: webhook_pb2.Webhook, request: ProtoMessage, now: datetime) -> str:
        """The token that the same call made before, empty where it made none."""
        if not getattr(request, "request_id", ""):
            return ""
        for kept in webhook.tokens:
            if now - kept.create_time.ToDatetime(tzinfo=UTC) < REPEATED_WITHIN:
                token = self._token(webhook.webhook_id, request, kept)
                if hmac.compare_digest(token_digest(token), kept.sha256):
                    return token
        return ""

    def add_secret(
        self, webhook: webhook_pb2.Webhook, request: ProtoMessage, given: str, expire: Any, now: datetime
    ) -> str:
        """Adds a signing secret, the sender's own where it is given, and returns it as senders take it."""
        secret = _given_secret(given) if given else None
        _make_room(webhook.signing_secrets, MOST_SECRETS, "signing_secrets", now)
        kept = webhook.signing_secrets.add(secret_id=f"s{_next(s.secret_id for s in webhook.signing_secrets)}")
        _set_times(kept, now, expire)
        secret = secret or self._secret(webhook.webhook_id, request, kept)
        kept.sealed = self._cipher.encrypt(webhook.webhook_id, secret)
        valid = sum(1 for s in webhook.signing_secrets if lasts(s, now))
        if valid > SLOTS:
            raise invalid("signing_secrets", f"expected at most {SLOTS} valid at once, was {valid}: revoke one")
        return show_secret(secret)

    def repeated_secret(self, webhook: webhook_pb2.Webhook, request: Any, now: datetime) -> str:
        """The secret that the same call made before, empty where it made none."""
        if not request.request_id:
            return ""
        given = getattr(request, "secret", "")
        for kept in webhook.signing_secrets:
            if now - kept.create_time.ToDatetime(tzinfo=UTC) < REPEATED_WITHIN:
                secret = self._cipher.decrypt(webhook.webhook_id, kept.sealed)
                wanted = _given_secret(given) if given else self._secret(webhook.webhook_id, request, kept)
                if secret is not None and hmac.compare_digest(secret, wanted):
                    return show_secret(secret)
        return ""

    def _token(self, webhook_id: str, request: ProtoMessage, kept: webhook_pb2.WebhookToken) -> str:
        derived = self._derive("token", webhook_id, request, kept.token_id, kept.create_time.ToNanoseconds())
        return TOKEN_PREFIX + base64.urlsafe_b64encode((derived or new_secret())[:24]).decode()

    def _secret(self, webhook_id: str, request: ProtoMessage, kept: webhook_pb2.SigningSecret) -> bytes:
        return (
            self._derive("secret", webhook_id, request, kept.secret_id, kept.create_time.ToNanoseconds())
            or new_secret()
        )

    def _derive(self, kind: str, webhook_id: str, request: ProtoMessage, name: str, time_ns: int) -> bytes:
        """32 bytes for this call, the same whenever it is repeated; empty for a call without a request_id."""
        if not getattr(request, "request_id", ""):
            return b""
        call = hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest()
        return hmac.digest(self._key, f"{kind} {webhook_id} {name} {time_ns} {call}".encode(), "sha256")


def end_after(kept: Any, seconds: float, now: datetime) -> None:
    """Sets the expiry of a token or secret to `seconds` from now, unless it expires earlier."""
    end = now + timedelta(seconds=seconds)
    if not kept.HasField("expire_time") or kept.expire_time.ToDatetime(tzinfo=UTC) > end:
        kept.expire_time.FromDatetime(end)


def grace_of(request: Any) -> float:
    """Seconds for which replaced credentials stay valid, as a request asks for.

    Raises:
        ServiceError: INVALID_ARGUMENT.
    """
    # A Duration of more than a timedelta holds cannot be converted to one.
    grace_s = request.grace.seconds + request.grace.nanos / 1e9 if request.HasField("grace") else DEFAULT_GRACE_S
    if not 0 <= grace_s <= LONGEST_GRACE_S:
        raise invalid("grace", f"expected 0 to {LONGEST_GRACE_S} s, was {grace_s:g} s")
    return float(grace_s)


def _given_secret(text: str) -> bytes:
    try:
        return read_secret(text)
    except ValueError as error:
        raise invalid("secret", str(error)) from None


def _set_times(kept: Any, now: datetime, expire: Any) -> None:
    kept.create_time.FromDatetime(now)
    if expire is not None:
        if moment_of(expire, "expire_time") <= now:
            raise invalid("expire_time", f"expected a time to come, was {expire.ToJsonString()}")
        kept.expire_time.CopyFrom(expire)


def lasts(kept: Any, now: datetime) -> bool:
    """Whether a token or secret is neither expired nor revoked."""
    ended = kept.HasField("expire_time") and kept.expire_time.ToDatetime(tzinfo=UTC) <= now
    return not ended and not kept.HasField("revoke_time")


def _make_room(kept: Any, most: int, field: str, now: datetime) -> None:
    while len(kept) >= most:
        over = next((n for n, one in enumerate(kept) if not lasts(one, now)), None)
        if over is None:
            raise invalid(field, f"expected fewer than {most} that are valid: revoke one")
        del kept[over]


def _next(names: Any) -> int:
    return 1 + max((int(name[1:]) for name in names if name[1:].isdecimal()), default=0)
