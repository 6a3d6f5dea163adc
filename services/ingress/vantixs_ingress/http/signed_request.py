"""Signatures of requests, as Standard Webhooks has them in headers."""

from datetime import datetime

from vantixs.runtime.http_messages import Request

from vantixs_ingress.http.responses import Rejection
from vantixs_ingress.webhooks.signatures import verify
from vantixs_ingress.webhooks.snapshot import SigningKey, WebhookSnapshot

_SIGNED_WITH = ("webhook-id", "webhook-timestamp", "webhook-signature")


def check_signature(snapshot: WebhookSnapshot | None, request: Request, content: bytes, now: datetime) -> SigningKey:
    """The key that signed the request. `content` is the body without its content coding.

    Raises:
        Rejection: SIGNATURE_INVALID, after the same work for an unknown webhook; TIMESTAMP_OUT_OF_TOLERANCE, only for a valid
            signature.
    """
    headers = request.headers
    # Which header is missing depends on the request alone, so the answer says nothing about the webhook.
    missing = [name for name in _SIGNED_WITH if not headers.get(name)]
    if missing:
        detail = f"expected the headers {', '.join(_SIGNED_WITH)}, was no {', no '.join(missing)}"
        raise Rejection("SIGNATURE_INVALID", detail)
    message_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    keys = snapshot.secrets(now) if snapshot else []
    found = verify([key.secret for key in keys], message_id, timestamp, headers["webhook-signature"], content)
    if snapshot is None or found < 0 or "." in message_id:
        raise Rejection("SIGNATURE_INVALID", "the signature does not fit id, time, body and secret")
    seconds = int(timestamp) if timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12 else None
    if seconds is None or abs(now.timestamp() - seconds) > snapshot.tolerance_s:
        raise Rejection("TIMESTAMP_OUT_OF_TOLERANCE", f"expected a time within {snapshot.tolerance_s} s of now")
    return keys[found]
