"""Senders of signals for tests: by token, by signature, by raw bytes."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import httpx

SIGNAL = {"action": "buy", "symbol": "BTCUSDT"}


def post(url: str, body: Any, *, client: str = "127.0.0.1", **headers: str) -> httpx.Response:
    """One POST from a loopback address; names of headers with underscores for dashes."""
    content = body if isinstance(body, bytes | str) else json.dumps(body)
    # Without TLS: reading the authorities of the machine takes 50 ms of CPU for each client.
    transport = httpx.HTTPTransport(local_address=client, verify=False)
    with httpx.Client(transport=transport, timeout=10) as http:
        return http.post(url, content=content, headers={k.replace("_", "-"): v for k, v in headers.items()})


def signed(secret: str, body: bytes, message_id: str, *, at: float | None = None) -> dict[str, str]:
    """The headers of a Standard Webhooks signature, with underscores for dashes."""
    timestamp = str(int(time.time() if at is None else at))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(digest).decode()
    return {"webhook_id": message_id, "webhook_timestamp": timestamp, "webhook_signature": signature}
