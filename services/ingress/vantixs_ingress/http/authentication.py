"""The first step: identifies the sender of a request by a token or a signature."""

import hmac
import time
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from datetime import datetime

from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.runtime.health import Health
from vantixs.runtime.http_messages import Request
from vantixs.runtime.kv import KvTable

from vantixs_ingress.domain.payload.decode import Body, read_body
from vantixs_ingress.domain.signal.read_signal import secret_of
from vantixs_ingress.domain.signal.rules import Rules
from vantixs_ingress.http.client_address import Proxies, block_of
from vantixs_ingress.http.client_certificate import CertificateRule
from vantixs_ingress.http.content_encoding import read_content
from vantixs_ingress.http.failed_attempts import FailedAttemptLimiter
from vantixs_ingress.http.responses import RETRY_AFTER_S, Rejection
from vantixs_ingress.http.signed_request import check_signature
from vantixs_ingress.webhooks.registry import WebhookRegistry
from vantixs_ingress.webhooks.snapshot import (
    MOST_TOKENS,
    UNUSED_DIGESTS,
    TokenGrant,
    WebhookSnapshot,
    token_digest,
)

LIMITED_BODY_BYTES = 4096  # TradingView's messages are not longer.
NO_TOKEN = "unknown webhook, or wrong or missing token"  # noqa: S105 - what is said about one
_TOO_MANY = "too many failed attempts"
_NO_RULES = Rules()


@dataclass(slots=True)
class Target:
    """What the path of a request names."""

    webhook_id: str
    token: str = ""
    signal_id: str = ""


@dataclass(slots=True)
class PresentedToken:
    """The token that a request presents, and where: "path", "header" or "body"; both empty if it presents none.

    `content` and `body` are set if the body had to be read to find the token.
    """

    token: str
    proof: str
    content: bytes | None = None
    body: Body | None = None


@dataclass(slots=True)
class Sender:
    """Who sent a request, from where, and by which credential.

    `expired` is the rejection of a token that is expired or revoked. `signed_key` is the message id of a request that is
    identified by its signature. `content` (the body without its content coding) and `body` (the same, decoded) are set once
    a step has read them, so that no step reads them again.
    """

    snapshot: WebhookSnapshot
    rules: Rules
    proof: str
    credential_id: str
    address: str
    certificate: str
    content: bytes | None
    _: KW_ONLY
    body: Body | None = None
    token: str = ""
    fingerprint: str = ""
    signed_key: str = ""
    expired: Rejection | None = None


class Authenticator:
    """Identifies senders. `snapshots` holds every webhook by its id and is kept up to date by `WebhookRegistry`."""

    def __init__(
        self, snapshots: Mapping[str, WebhookSnapshot], proxies: Proxies, certificate: CertificateRule,
        limiter: FailedAttemptLimiter, body_max_bytes: int, health: Health,
    ) -> None:  # fmt: skip
        self._snapshots = snapshots
        self._proxies = proxies
        self._certificate = certificate
        self._limiter = limiter
        self._body_max_bytes = body_max_bytes
        self._health = health
        self._loaded = bool(snapshots)
        health.set("webhooks", self._loaded, "" if snapshots else "not loaded yet")

    async def wait_until_loaded(self, table: KvTable[webhook_pb2.Webhook], registry: WebhookRegistry) -> None:
        """Answers 503 until webhooks are known, from disk or from the broker: before that every webhook is unknown."""
        await table.loaded.wait()
        registry.loaded()
        self._loaded = True
        self._health.set("webhooks", True)

    def identify(self, request: Request, target: Target, now: datetime) -> Sender:
        """The sender of a request. A valid credential is accepted however many attempts failed from the same address.

        Raises:
            Rejection: TOKEN_INVALID, SIGNATURE_INVALID, TIMESTAMP_OUT_OF_TOLERANCE; RATE_LIMITED in their place, once the
                address has too many failed attempts; STORAGE_UNAVAILABLE until webhooks are loaded.
        """
        if not self._loaded:
            raise Rejection("STORAGE_UNAVAILABLE", "webhooks are not loaded yet", retry_after_s=RETRY_AFTER_S)
        address = self._proxies.source(request.client, request.headers)
        certificate = self._certificate.result(request.headers) if self._proxies.trusts(request.client) else ""
        block, clock = block_of(address), time.monotonic()
        wait = self._limiter.wait(block, clock)
        snapshot = self._snapshots.get(target.webhook_id)
        try:
            sender = self._authenticated(request, target, snapshot, now, address, certificate, limited=wait > 0)
        except Rejection:
            self._limiter.failed(block, clock)
            if wait:
                raise Rejection("RATE_LIMITED", _TOO_MANY, retry_after_s=wait) from None
            raise
        if sender.expired:
            # Counted as a failed attempt, so that a leaked token that was revoked cannot fill the record.
            if wait:
                sender.expired = Rejection("RATE_LIMITED", _TOO_MANY, retry_after_s=wait)
            else:
                self._limiter.failed(block, clock)
        return sender

    def _authenticated(
        self, request: Request, target: Target, snapshot: WebhookSnapshot | None, now: datetime, address: str,
        certificate: str, *, limited: bool,
    ) -> Sender:  # fmt: skip
        presented = find_token(request, target.token, snapshot, self._body_max_bytes, limited=limited)
        if not presented.proof and "webhook-signature" in request.headers:
            content = read_content(request, self._body_max_bytes)
            key = check_signature(snapshot, request, content, now)
            assert snapshot  # noqa: S101 - an unknown webhook has no keys
            signed_key = request.headers["webhook-id"]
            return Sender(
                snapshot,
                snapshot.rules,
                "signature",
                key.secret_id,
                address,
                certificate,
                content,
                signed_key=signed_key,
            )
        grant = check_token(snapshot, presented.token)
        if snapshot is None or grant is None:
            raise Rejection("TOKEN_INVALID", NO_TOKEN)
        reason = grant.reason(now)
        return Sender(
            snapshot,
            grant.rules,
            presented.proof,
            grant.token_id,
            address,
            certificate,
            presented.content,
            body=presented.body,
            token=presented.token,
            fingerprint=grant.fingerprint,
            expired=Rejection(reason, f"the token is {reason.removeprefix('TOKEN_').lower()}") if reason else None,
        )


def find_token(
    request: Request, path_token: str, snapshot: WebhookSnapshot | None, body_max_bytes: int, *, limited: bool
) -> PresentedToken:
    """The token that a request presents. Two different tokens count as none.

    The body is read only if neither path nor headers have a token. For an address without attempts left, only a small
    body is read, as an alert has it.
    """
    headers = request.headers
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    bearer = bearer.strip() if scheme.lower() == "bearer" else ""
    found = {t for t in (path_token, headers.get("x-webhook-token", ""), bearer) if t}
    if found:
        return PresentedToken(found.pop() if len(found) == 1 else "", "path" if path_token else "header")
    if "webhook-signature" in headers or (limited and len(request.body) > LIMITED_BODY_BYTES):
        return PresentedToken("", "")
    content = read_content(request, LIMITED_BODY_BYTES if limited else body_max_bytes)
    body = read_body(content)
    return PresentedToken(secret_of(body, snapshot.rules if snapshot else _NO_RULES), "body", content, body)


def check_token(snapshot: WebhookSnapshot | None, token: str) -> TokenGrant | None:
    """The grant of a token, or None.

    An unknown webhook costs the same comparisons as a wrong token, so that neither the answer nor its time tells them
    apart.
    """
    given = token_digest(token)
    grants, digests = (snapshot.grants, snapshot.digests) if snapshot else ((), UNUSED_DIGESTS)
    found = MOST_TOKENS
    for number, digest in enumerate(digests):
        if hmac.compare_digest(digest, given):
            found = number
    return grants[found] if found < len(grants) and token else None
