"""Who may send: webhooks made ready for checking, once per change of their configuration."""

import hashlib
import hmac
import ipaddress
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

from vantixs.api.ingress.v1 import webhook_pb2

from vantixs_ingress.conversion import rules_of
from vantixs_ingress.domain.intake import Rules

# Source: TradingView's help page on webhooks; a hint about the sender, not a proof.
TRADINGVIEW = ("52.89.214.238/32", "34.212.75.30/32", "54.218.53.128/32", "52.32.178.7/32")
_NOBODY = hashlib.sha256(b"no webhook has this token").digest()

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Gate:
    """A webhook as the door needs it."""

    webhook: webhook_pb2.Webhook
    snapshot: webhook_pb2.Webhook  # as it goes into the journal: without token hashes
    rules: Rules
    networks: tuple[Network, ...]
    recent: deque[float] = field(default_factory=deque)

    def limited(self, now_s: float) -> float:
        """Seconds to wait where the webhook had its requests of this minute, else 0; counts the request."""
        most = self.webhook.rate_limit_per_minute
        if not most:
            return 0
        while self.recent and self.recent[0] <= now_s - 60:
            self.recent.popleft()
        if len(self.recent) >= most:
            return self.recent[0] + 60 - now_s
        self.recent.append(now_s)
        return 0

    def admits(self, address: str) -> bool:
        """Whether the webhook takes requests from the address."""
        if not self.networks:
            return True
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self.networks)


def make_gate(webhook: webhook_pb2.Webhook) -> Gate:
    """Makes a webhook ready."""
    snapshot = webhook_pb2.Webhook()
    snapshot.CopyFrom(webhook)
    for token in snapshot.tokens:
        token.ClearField("sha256")
    names = [n for name in webhook.source_networks for n in (TRADINGVIEW if name == "tradingview" else (name,))]
    return Gate(webhook, snapshot, rules_of(webhook), tuple(ipaddress.ip_network(name) for name in names))


def token_digest(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def check_token(gate: Gate | None, token: str, now: datetime) -> str:
    """The reason why the token does not open the gate, empty where it does.

    An unknown webhook costs the same comparisons as a wrong token, and gets the same answer.
    """
    given = token_digest(token)
    tokens = gate.webhook.tokens if gate else ()
    match: webhook_pb2.WebhookToken | None = None
    for kept in tokens:
        if hmac.compare_digest(kept.sha256, given):
            match = kept
    for _ in range(max(0, 4 - len(tokens))):
        hmac.compare_digest(_NOBODY, given)
    if match is None:
        return "TOKEN_INVALID"
    if match.HasField("revoke_time"):
        return "TOKEN_REVOKED"
    if match.HasField("expire_time") and match.expire_time.ToDatetime(tzinfo=UTC) <= now:
        return "TOKEN_EXPIRED"
    return ""
