"""WebhookService: webhooks in a watched KV bucket, so that a change takes effect on every replica."""

import ipaddress
import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf import json_format
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import ingress_pb2, ingress_pb2_grpc, webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.decimals import parse_decimal
from vantixs.model.ids import event_subject
from vantixs.model.instruments import CATALOGUE
from vantixs.runtime import trace
from vantixs.runtime.errors import already_exists, invalid, not_found
from vantixs.runtime.grpc_server import Role, caller
from vantixs.runtime.journal import Message
from vantixs.runtime.kv import KvTable, Versioned
from vantixs.runtime.paging import decode_token, encode_token, page_size

from vantixs_ingress.gate import Gate, make_gate, token_digest
from vantixs_ingress.lint import lint_payload
from vantixs_ingress.spool import Spool

NAME = "vantixs.api.ingress.v1.WebhookService"
_OPERATOR = "CreateWebhook UpdateWebhook DeleteWebhook RotateToken RevokeToken"
ROLES = {
    f"/{NAME}/{method}": role
    for role, methods in {Role.VIEWER: "GetWebhook ListWebhooks LintPayload", Role.OPERATOR: _OPERATOR}.items()
    for method in methods.split()
}
DEFAULT_GRACE_S, LONGEST_GRACE_S = 600, 7 * 86_400
MOST_TOKENS = 10
MOST_REMEMBERED = 1000


class WebhookServicer(ingress_pb2_grpc.WebhookServiceServicer):
    """Creates and changes webhooks. A token leaves here once, when it is made."""

    def __init__(
        self,
        table: KvTable[webhook_pb2.Webhook],
        spool: Spool,
        public_url: Callable[[], str],
    ) -> None:
        self._table = table
        self._spool = spool
        self._public_url = public_url
        self._responses: dict[str, Any] = {}

    async def CreateWebhook(self, request: ingress_pb2.CreateWebhookRequest, context: Any) -> Any:
        """A webhook and its first token."""
        if request.request_id in self._responses:
            return self._responses[request.request_id]
        webhook = webhook_pb2.Webhook()
        webhook.CopyFrom(request.webhook)
        webhook.webhook_id = webhook.webhook_id or f"w{secrets.token_hex(6)}"
        if self._table.get(webhook.webhook_id):
            raise already_exists("webhook", webhook.webhook_id)
        _fill_defaults(webhook)
        check_webhook(webhook)
        now = datetime.now(UTC)
        token = _new_token(webhook, now, request.token_expire_time if request.HasField("token_expire_time") else None)
        webhook.create_time.FromDatetime(now)
        webhook.update_time.FromDatetime(now)
        webhook.revision = await self._table.create(webhook.webhook_id, webhook)
        await self._tell(None, webhook)
        response = ingress_pb2.CreateWebhookResponse(
            webhook=shown(webhook), token=token, url=self._url(webhook.webhook_id, token)
        )
        self._remember(request.request_id, response)
        return response

    async def GetWebhook(self, request: ingress_pb2.GetWebhookRequest, context: Any) -> Any:
        """One webhook."""
        return ingress_pb2.GetWebhookResponse(webhook=shown(self._find(request.webhook_id)))

    async def ListWebhooks(self, request: ingress_pb2.ListWebhooksRequest, context: Any) -> Any:
        """Webhooks by id."""
        after = decode_token(request.page_token) if request.page_token else ""
        names = sorted(name for name in self._table.items() if name > after)
        size = page_size(request)
        webhooks = [shown(self._find(name)) for name in names[:size]]
        following = encode_token(names[size - 1]) if len(names) > size else ""
        return ingress_pb2.ListWebhooksResponse(webhooks=webhooks, next_page_token=following)

    async def UpdateWebhook(self, request: ingress_pb2.UpdateWebhookRequest, context: Any) -> Any:
        """Replaces what an operator may change; tokens have their own calls."""
        before = self._find(request.webhook.webhook_id)
        after = webhook_pb2.Webhook()
        after.CopyFrom(request.webhook)
        del after.tokens[:]
        after.tokens.extend(before.tokens)
        after.create_time.CopyFrom(before.create_time)
        check_webhook(after)
        return ingress_pb2.UpdateWebhookResponse(webhook=await self._change(before, after, request.webhook.revision))

    async def DeleteWebhook(self, request: ingress_pb2.DeleteWebhookRequest, context: Any) -> Any:
        """Removes a webhook."""
        before = self._find(request.webhook_id)
        await self._table.delete(request.webhook_id, request.revision or before.revision)
        await self._tell(before, None)
        return ingress_pb2.DeleteWebhookResponse()

    async def RotateToken(self, request: ingress_pb2.RotateTokenRequest, context: Any) -> Any:
        """A new token; the others end after the grace."""
        if request.request_id in self._responses:
            return self._responses[request.request_id]
        before, now = self._find(request.webhook_id), datetime.now(UTC)
        grace_s = request.grace.ToTimedelta().total_seconds() if request.HasField("grace") else DEFAULT_GRACE_S
        if not 0 <= grace_s <= LONGEST_GRACE_S:
            raise invalid("grace", f"expected 0 to {LONGEST_GRACE_S} s, was {grace_s:g} s")
        after = webhook_pb2.Webhook()
        after.CopyFrom(before)
        end = now + timedelta(seconds=grace_s)
        for kept in after.tokens:
            if not kept.HasField("expire_time") or kept.expire_time.ToDatetime(tzinfo=UTC) > end:
                kept.expire_time.FromDatetime(end)
        token = _new_token(after, now, request.expire_time if request.HasField("expire_time") else None)
        stored = await self._change(before, after, before.revision)
        response = ingress_pb2.RotateTokenResponse(
            webhook=stored, token=token, url=self._url(request.webhook_id, token)
        )
        self._remember(request.request_id, response)
        return response

    async def RevokeToken(self, request: ingress_pb2.RevokeTokenRequest, context: Any) -> Any:
        """Ends a token now."""
        before = self._find(request.webhook_id)
        after = webhook_pb2.Webhook()
        after.CopyFrom(before)
        token = next((t for t in after.tokens if t.token_id == request.token_id), None)
        if token is None:
            raise not_found("token", request.token_id)
        token.revoke_time.FromDatetime(datetime.now(UTC))
        return ingress_pb2.RevokeTokenResponse(webhook=await self._change(before, after, before.revision))

    async def LintPayload(self, request: ingress_pb2.LintPayloadRequest, context: Any) -> Any:
        """What the webhook would make of a payload."""
        return lint_payload(self._find(request.webhook_id), request.payload, datetime.now(UTC))

    def _find(self, webhook_id: str) -> webhook_pb2.Webhook:
        found = self._table.get(webhook_id)
        if found is None:
            raise not_found("webhook", webhook_id)
        webhook = webhook_pb2.Webhook()
        webhook.CopyFrom(found.value)
        webhook.revision = found.revision
        return webhook

    async def _change(
        self, before: webhook_pb2.Webhook, after: webhook_pb2.Webhook, revision: int
    ) -> webhook_pb2.Webhook:
        after.update_time.FromDatetime(datetime.now(UTC))
        after.revision = await self._table.update(after.webhook_id, after, revision)
        await self._tell(before, after)
        return shown(after)

    async def _tell(self, before: webhook_pb2.Webhook | None, after: webhook_pb2.Webhook | None) -> None:
        """Puts the change into the record, by way of the spool."""
        webhook = after or before
        assert webhook  # noqa: S101 - one of the two is given
        event = journal_pb2.ConfigurationChanged(
            kind="webhook",
            id=webhook.webhook_id,
            revision=after.revision if after else 0,
            before_json=_to_json(before) if before else "",
            after_json=_to_json(after) if after else "",
        )
        event_id = f"webhook:{webhook.webhook_id}:{after.revision if after else f'{webhook.revision}-deleted'}"
        entry = journal_pb2.JournalEntry(
            event_id=event_id, actor=caller().actor, trace_parent=trace.current(), configuration_changed=event
        )
        entry.event_time.FromDatetime(datetime.now(UTC))
        batch = journal_pb2.JournalBatch(entries=[entry])
        await self._spool.store(Message(event_subject("configuration"), batch.SerializeToString(), event_id))

    def _url(self, webhook_id: str, token: str) -> str:
        return f"{self._public_url()}/hooks/{webhook_id}/{token}"

    def _remember(self, request_id: str, response: Any) -> None:
        if request_id:
            if len(self._responses) >= MOST_REMEMBERED:
                self._responses.pop(next(iter(self._responses)))
            self._responses[request_id] = response


def gate_keeper(gates: dict[str, Gate], spool: Spool) -> Callable[[str, Versioned[webhook_pb2.Webhook] | None], None]:
    """Keeps `gates`, and the copy on disk, in step with the bucket."""

    def changed(webhook_id: str, found: Versioned[webhook_pb2.Webhook] | None) -> None:
        if found is None:
            gates.pop(webhook_id, None)
            spool.remember_webhook(webhook_id, 0, None)
            return
        webhook = webhook_pb2.Webhook()
        webhook.CopyFrom(found.value)
        webhook.revision = found.revision
        gates[webhook_id] = make_gate(webhook)
        spool.remember_webhook(webhook_id, found.revision, webhook.SerializeToString())

    return changed


def check_webhook(webhook: webhook_pb2.Webhook) -> None:
    """Raises INVALID_ARGUMENT about the first field that cannot be."""
    if not webhook.account_id:
        raise invalid("account_id", "expected an account, was empty", "FIELD_MISSING")
    for name, most in (
        ("dedupe_window_s", 86_400),
        ("entry_expires_after_s", 604_800),
        ("exit_expires_after_s", 604_800),
    ):
        value = getattr(webhook, name)
        if not 0 <= value <= most:
            raise invalid(name, f"expected 0 to {most}, was {value}")
    for instrument in webhook.instruments:
        if instrument not in CATALOGUE:
            raise invalid("instruments", f"expected catalogued instruments, was {instrument[:40]!r}")
    for network in webhook.source_networks:
        try:
            if network != "tradingview":
                ipaddress.ip_network(network)
        except ValueError:
            raise invalid("source_networks", f"expected CIDR or tradingview, was {network[:60]!r}") from None
    for name, text in (("maximum_leverage", webhook.maximum_leverage), ("sizing.value", webhook.sizing.value)):
        try:
            if text and parse_decimal(text) <= 0:
                raise ValueError(f"expected above 0, was {text}")
        except ValueError as error:
            raise invalid(name, str(error)) from None
    if webhook.mode == common_pb2.MODE_LIVE:
        raise invalid("mode", "expected PAPER: live orders are not built yet, was LIVE", "LIVE_NOT_READY")


def shown(webhook: webhook_pb2.Webhook) -> webhook_pb2.Webhook:
    """The webhook without token hashes."""
    copy = webhook_pb2.Webhook()
    copy.CopyFrom(webhook)
    for token in copy.tokens:
        token.ClearField("sha256")
    return copy


def _fill_defaults(webhook: webhook_pb2.Webhook) -> None:
    webhook.enabled = True
    webhook.mode = webhook.mode or common_pb2.MODE_PAPER
    webhook.routing_mode = webhook.routing_mode or common_pb2.ROUTING_MODE_DIRECT
    webhook.maximum_leverage = webhook.maximum_leverage or "1"


def _new_token(webhook: webhook_pb2.Webhook, now: datetime, expire: Any) -> str:
    if len(webhook.tokens) >= MOST_TOKENS:
        del webhook.tokens[0]
    token = secrets.token_urlsafe(24)
    number = 1 + max((int(t.token_id[1:]) for t in webhook.tokens), default=0)
    kept = webhook.tokens.add(token_id=f"t{number}", sha256=token_digest(token))
    kept.create_time.FromDatetime(now)
    if expire is not None:
        kept.expire_time.CopyFrom(expire)
    return token


def _to_json(webhook: webhook_pb2.Webhook) -> str:
    return json.dumps(json_format.MessageToDict(shown(webhook), preserving_proto_field_name=True), sort_keys=True)
