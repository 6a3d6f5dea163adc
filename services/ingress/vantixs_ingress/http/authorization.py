"""The second step: checks what a webhook requires of an identified sender beyond its credential.

Only a signature needs the body.
"""

import time
from datetime import datetime

from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.runtime.http_messages import Request

from vantixs_ingress.http.authentication import Sender
from vantixs_ingress.http.content_encoding import read_content
from vantixs_ingress.http.responses import Rejection
from vantixs_ingress.http.signed_request import check_signature
from vantixs_ingress.webhooks.networks import parse_address, within

_OTHER_NETWORK = "the address is not in the webhook's networks"


def authorize(sender: Sender, request: Request, body_max_bytes: int, now: datetime) -> str:
    """Checks a sender against its webhook; returns the message id of a signed request, which is its idempotency key.

    Only a webhook that asks for a signature has the body read for it.

    Raises:
        Rejection: TOKEN_EXPIRED, TOKEN_REVOKED, WEBHOOK_DISABLED, SOURCE_ADDRESS_NOT_ALLOWED, RATE_LIMITED,
            SIGNATURE_INVALID, TIMESTAMP_OUT_OF_TOLERANCE.
    """
    if sender.expired:
        raise sender.expired
    snapshot = sender.snapshot
    least = snapshot.webhook.minimum_proof
    if not snapshot.webhook.enabled:
        raise Rejection("WEBHOOK_DISABLED", "the webhook is disabled")
    _check_address(sender)
    if least == webhook_pb2.PROOF_LEVEL_CERTIFICATE and sender.certificate != "verified":
        detail = f"expected TradingView's client certificate, was {sender.certificate or 'none'}"
        raise Rejection("SOURCE_ADDRESS_NOT_ALLOWED", detail)
    if snapshot.rate and (wait := snapshot.rate.take(time.monotonic())):
        raise Rejection("RATE_LIMITED", "the webhook had its requests of this minute", retry_after_s=wait)
    if sender.proof == "signature":
        return sender.signed_key
    signed = "webhook-signature" in request.headers
    if least == webhook_pb2.PROOF_LEVEL_SIGNATURE or (
        signed and (snapshot.signing_keys or snapshot.unreadable_signing_keys)
    ):
        _check_signed(sender, request, body_max_bytes, now)
        return request.headers.get("webhook-id", "")
    return ""


def authorize_status_query(sender: Sender, request: Request, body_max_bytes: int, now: datetime) -> None:
    """Checks a query of a signal's status like a signal, but without rate and certificate.

    A disabled webhook answers too, because senders may still ask about earlier signals.

    Raises:
        Rejection: TOKEN_EXPIRED, TOKEN_REVOKED, SOURCE_ADDRESS_NOT_ALLOWED, SIGNATURE_INVALID, TIMESTAMP_OUT_OF_TOLERANCE.
    """
    if sender.expired:
        raise sender.expired
    _check_address(sender)
    signed_only = sender.snapshot.webhook.minimum_proof == webhook_pb2.PROOF_LEVEL_SIGNATURE
    if signed_only and sender.proof != "signature":
        _check_signed(sender, request, body_max_bytes, now)


def _check_address(sender: Sender) -> None:
    networks = sender.snapshot.networks
    if networks and not within(parse_address(sender.address), networks):
        raise Rejection("SOURCE_ADDRESS_NOT_ALLOWED", _OTHER_NETWORK)


def _check_signed(sender: Sender, request: Request, body_max_bytes: int, now: datetime) -> None:
    if sender.content is None:
        sender.content = read_content(request, body_max_bytes)
    check_signature(sender.snapshot, request, sender.content, now)
