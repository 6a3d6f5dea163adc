"""Standard Webhooks signatures: an HMAC over id, time and the bytes as they came.

Source: https://github.com/standard-webhooks/standard-webhooks, specification 1.0.0.
"""

import base64
import binascii
import hashlib
import hmac
import os

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64
DEFAULT_TOLERANCE_S = 300
SLOTS = 4  # Secrets of a webhook that may be valid at once; as many are tried whatever the webhook has.
MOST_SIGNATURES = 8
_UNUSED_SECRET = b"no webhook signs with this secret"


def new_secret() -> bytes:
    """A secret of 32 random bytes."""
    return os.urandom(32)


def show_secret(secret: bytes) -> str:
    """A secret as senders take it: `whsec_` and base64."""
    return PREFIX + base64.b64encode(secret).decode()


def read_secret(text: str) -> bytes:
    """The bytes of a secret as senders write it.

    Raises:
        ValueError: not `whsec_` and base64 of 24 to 64 bytes; the text never holds the secret.
    """
    try:
        secret = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not text.startswith(PREFIX) or not SHORTEST <= len(secret) <= LONGEST:
        raise ValueError(f"expected {PREFIX} and base64 of {SHORTEST} to {LONGEST} bytes")
    return secret


def verify(secrets: list[bytes], message_id: str, timestamp: str, signatures: str, body: bytes) -> int:
    """Which of the secrets signed the message, or -1.

    Does the same work for every list of secrets: `SLOTS` HMACs, each compared with every signature given.
    Signatures of other versions than `v1` are passed over, as the specification asks.
    """
    given = [s[3:].encode() for s in signatures.split()[:MOST_SIGNATURES] if s.startswith("v1,")]
    content = f"{message_id}.{timestamp}.".encode("utf-8", "surrogateescape") + body
    found = -1
    for slot in range(SLOTS):
        known = slot < len(secrets)
        digest = hmac.digest(secrets[slot] if known else _UNUSED_SECRET, content, hashlib.sha256)
        expected = base64.b64encode(digest)
        for signature in given:
            if hmac.compare_digest(expected, signature) and known:
                found = slot
    return found
