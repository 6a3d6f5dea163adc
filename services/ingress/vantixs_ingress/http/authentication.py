"""Who sends: the token or signature that opens a webhook, and the other proofs it may ask for."""

import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.runtime.http_messages import Request

from vantixs_ingress.domain.payload.decode import Body, read_body
from vantixs_ingress.domain.payload.vocabulary import fold
from vantixs_ingress.domain.signal.read_signal import secret_of
from vantixs_ingress.domain.signal.rules import Rules
from vantixs_ingress.http.responses import Rejection
from vantixs_ingress.webhooks.signatures import verify
from vantixs_ingress.webhooks.snapshot import (
    MOST_TOKENS,
    TOKEN_PREFIX,
    UNUSED_DIGESTS,
    SigningKey,
    TokenGrant,
    WebhookSnapshot,
    token_digest,
)

LIMITED_BODY_BYTES = 4096  # TradingView's messages are not longer.
NO_TOKEN = "unknown webhook, or wrong or missing token"  # noqa: S105 - what is said about one
_NO_RULES = Rules()
_SIGNED_WITH = ("webhook-id", "webhook-timestamp", "webhook-signature")
_OUR_FIELDS = ("token", "webhooktoken")  # Names that can only mean our token; others may be another product's secret.


class PresentedToken:
    """The token that a request shows, and where: "path", "header" or "body"; empty where it shows none.

    `body` is there where it had to be read for that.
    """

    __slots__ = ("body", "proof", "token")

    def __init__(self, token: str, proof: str, body: Body | None = None) -> None:
        self.token = token
        self.proof = proof
        self.body = body


class Sender:
    """Who sent a request, once it is known. `lapsed` says why the token opens nothing any more."""

    __slots__ = ("body", "credential_id", "fingerprint", "lapsed", "proof", "rules", "signed_key", "snapshot", "token")

    def __init__(
        self, snapshot: WebhookSnapshot, rules: Rules, proof: str, credential_id: str, token: str = "", signed_key: str = "",
        lapsed: str = "", fingerprint: str = "", body: Body | None = None,
    ) -> None:  # fmt: skip
        self.snapshot = snapshot
        self.rules = rules
        self.proof = proof
        self.credential_id = credential_id
        self.token = token
        self.signed_key = signed_key
        self.lapsed = lapsed
        self.fingerprint = fingerprint
        self.body = body


@dataclass(frozen=True, slots=True)
class CertificateRule:
    """Where a trusted proxy tells of the client's certificate, and what it must say."""

    subject_header: str = ""
    verify_header: str = ""
    subject: str = ""

    def result(self, headers: Mapping[str, str]) -> str:
        """ "verified", "other" or "none"; empty where no header is configured."""
        if not self.subject_header:
            return ""
        told = headers.get(self.subject_header, "").strip()
        if not told:
            return "none"
        if self.verify_header and headers.get(self.verify_header, "") != "SUCCESS":
            return "other"
        return "verified" if self.subject in _names(told) else "other"


def _names(told: str) -> set[str]:
    """The parts of a subject, as nginx ("CN=a,O=b\\, c"), older ones ("/O=b/CN=a") or a SAN ("email:a@b") write it."""
    parts = told.split("/") if told.startswith("/") else re.split(r"(?<!\\),", told)
    return {part.strip().replace("\\,", ",").removeprefix("email:") for part in parts}


def find_token(request: Request, path_token: str, snapshot: WebhookSnapshot | None, *, limited: bool) -> PresentedToken:
    """The token a request shows; two that disagree are none.

    Of an address without attempts left, only a body that an alert could have is looked into.
    """
    headers = request.headers
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    bearer = bearer.strip() if scheme.lower() == "bearer" else ""
    found = {t for t in (path_token, headers.get("x-webhook-token", ""), bearer) if t}
    if found:
        return PresentedToken(found.pop() if len(found) == 1 else "", "path" if path_token else "header")
    if "webhook-signature" in headers or (limited and len(request.body) > LIMITED_BODY_BYTES):
        return PresentedToken("", "")
    body = read_body(request.body)
    return PresentedToken(secret_of(body, snapshot.rules if snapshot else _NO_RULES), "body", body)


def check_token(snapshot: WebhookSnapshot | None, token: str) -> TokenGrant | None:
    """The pass that the token is, or None.

    An unknown webhook costs the same comparisons as a wrong token, and so gets the same answer at the same time.
    """
    given = token_digest(token)
    grants, digests = (snapshot.grants, snapshot.digests) if snapshot else ((), UNUSED_DIGESTS)
    found = MOST_TOKENS
    for number, digest in enumerate(digests):
        if hmac.compare_digest(digest, given):
            found = number
    return grants[found] if found < len(grants) and token else None


def check_signature(snapshot: WebhookSnapshot | None, request: Request, now: datetime) -> SigningKey:
    """The key that signed the request.

    Raises:
        Rejection: SIGNATURE_INVALID, at the same cost for an unknown webhook; TIMESTAMP_OUT_OF_TOLERANCE, to who signed right.
    """
    headers = request.headers
    # What is missing depends on the request alone, so it may be told to who is not known yet.
    missing = [name for name in _SIGNED_WITH if not headers.get(name)]
    if missing:
        detail = f"expected the headers {', '.join(_SIGNED_WITH)}, was no {', no '.join(missing)}"
        raise Rejection("SIGNATURE_INVALID", detail)
    message_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    keys = snapshot.secrets(now) if snapshot else []
    signature = headers["webhook-signature"]
    found = verify([key.secret for key in keys], message_id, timestamp, signature, request.body)
    if snapshot is None or found < 0 or "." in message_id:
        raise Rejection("SIGNATURE_INVALID", "the signature does not fit id, time, body and secret")
    seconds = int(timestamp) if timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12 else None
    if seconds is None or abs(now.timestamp() - seconds) > snapshot.tolerance_s:
        raise Rejection("TIMESTAMP_OUT_OF_TOLERANCE", f"expected a time within {snapshot.tolerance_s} s of now")
    return keys[found]


def check_sender(sender: Sender, request: Request, address: str, certificate: str, now: datetime) -> str:
    """Holds a known sender against what its webhook asks beyond a token; returns the key that was signed, if any.

    Raises:
        Rejection: WEBHOOK_DISABLED, SOURCE_ADDRESS_NOT_ALLOWED, RATE_LIMITED, SIGNATURE_INVALID, TIMESTAMP_OUT_OF_TOLERANCE.
    """
    snapshot = sender.snapshot
    least = snapshot.webhook.minimum_proof
    if not snapshot.webhook.enabled:
        raise Rejection("WEBHOOK_DISABLED", "the webhook is disabled")
    if not snapshot.admits(address):
        raise Rejection("SOURCE_ADDRESS_NOT_ALLOWED", "the address is not in the webhook's networks")
    if least == webhook_pb2.PROOF_LEVEL_CERTIFICATE and certificate != "verified":
        detail = f"expected TradingView's client certificate, was {certificate or 'none'}"
        raise Rejection("SOURCE_ADDRESS_NOT_ALLOWED", detail)
    if snapshot.rate and (wait := snapshot.rate.take(time.monotonic())):
        raise Rejection("RATE_LIMITED", "the webhook had its requests of this minute", retry_after_s=wait)
    if sender.proof == "signature":
        return sender.signed_key
    signed = "webhook-signature" in request.headers
    if least == webhook_pb2.PROOF_LEVEL_SIGNATURE or (
        signed and (snapshot.signing_keys or snapshot.unreadable_signing_keys)
    ):
        check_signature(snapshot, request, now)
        return request.headers.get("webhook-id", "")
    return ""


def authorize_status_query(sender: Sender, request: Request, address: str, now: datetime) -> None:
    """Holds who asks for a status against what the webhook asks of senders, but for what only TradingView's own requests have.

    Raises:
        Rejection: SOURCE_ADDRESS_NOT_ALLOWED, SIGNATURE_INVALID, TIMESTAMP_OUT_OF_TOLERANCE.
    """
    if not sender.snapshot.admits(address):
        raise Rejection("SOURCE_ADDRESS_NOT_ALLOWED", "the address is not in the webhook's networks")
    signed_only = sender.snapshot.webhook.minimum_proof == webhook_pb2.PROOF_LEVEL_SIGNATURE
    if signed_only and sender.proof != "signature":
        check_signature(sender.snapshot, request, now)


def contradicts(body: Body, sender: Sender) -> bool:
    """Whether the body shows another token of ours than the one that opened the webhook.

    Secrets of other products are left in templates by habit, so only what claims to be our token counts: by its field's name,
    or by how it starts.
    """
    secret = body.secret
    if not secret or secret == sender.token or sender.proof == "body":
        return False
    if secret.startswith(TOKEN_PREFIX):
        return True
    return any(value not in ("", sender.token) for name, value in body.fields.items() if fold(name) in _OUR_FIELDS)
