"""WebhookService: webhooks in a watched KV bucket, so that a change takes effect on every replica."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from vantixs.api.ingress.v1 import ingress_pb2, ingress_pb2_grpc, webhook_pb2
from vantixs.runtime.errors import ServiceError, already_exists, invalid, not_found, unavailable
from vantixs.runtime.grpc_server import Role, caller
from vantixs.runtime.health import Health
from vantixs.runtime.kv import KvTable
from vantixs.runtime.logs import log
from vantixs.runtime.paging import decode_token, encode_token, page_size

from vantixs_ingress.webhooks.credentials import Credentials, end_after, grace_of, lasts
from vantixs_ingress.webhooks.idempotency import IdempotentCalls
from vantixs_ingress.webhooks.lint import lint_payload
from vantixs_ingress.webhooks.registry import WebhookRegistry, keep_revoked
from vantixs_ingress.webhooks.snapshot import without_secrets
from vantixs_ingress.webhooks.validation import check_scope, check_webhook, fill_defaults

PUBLISH_TIMEOUT_S = 2.0
IN_BROKER = "webhooks-in-broker"
NAME = "vantixs.api.ingress.v1.WebhookService"
_OPERATOR = (
    "CreateWebhook UpdateWebhook DeleteWebhook RotateToken RevokeToken CreateToken "
    "RotateSigningSecret RevokeSigningSecret"
)
ROLES = {
    f"/{NAME}/{method}": role
    for role, methods in {Role.VIEWER: "GetWebhook ListWebhooks LintPayload", Role.OPERATOR: _OPERATOR}.items()
    for method in methods.split()
}


class WebhookServicer(ingress_pb2_grpc.WebhookServiceServicer):
    """Creates and changes webhooks. A token or secret is returned once, to the call that made it."""

    def __init__(
        self,
        table: KvTable[webhook_pb2.Webhook],
        registry: WebhookRegistry,
        credentials: Credentials,
        public_url: Callable[[], str],
        *,
        certificates: bool,
    ) -> None:
        self._table = table
        self._registry = registry
        self._credentials = credentials
        self._public_url = public_url
        self._certificates = certificates
        self._repeats = IdempotentCalls()

    async def CreateWebhook(self, request: ingress_pb2.CreateWebhookRequest, context: Any) -> Any:
        """A webhook and its first token."""
        return await self._repeats.once(request, lambda: self._create(request))

    async def GetWebhook(self, request: ingress_pb2.GetWebhookRequest, context: Any) -> Any:
        """One webhook."""
        return ingress_pb2.GetWebhookResponse(webhook=without_secrets(self._find(request.webhook_id)))

    async def ListWebhooks(self, request: ingress_pb2.ListWebhooksRequest, context: Any) -> Any:
        """Webhooks by id."""
        after = decode_token(request.page_token) if request.page_token else ""
        names = sorted(name for name in self._registry.snapshots if name > after)
        size = page_size(request)
        webhooks = [without_secrets(self._find(name)) for name in names[:size]]
        following = encode_token(names[size - 1]) if len(names) > size else ""
        return ingress_pb2.ListWebhooksResponse(webhooks=webhooks, next_page_token=following)

    async def UpdateWebhook(self, request: ingress_pb2.UpdateWebhookRequest, context: Any) -> Any:
        """Replaces what an operator may change; tokens and secrets have their own calls."""
        return await self._repeats.once(request, lambda: self._update(request))

    async def DeleteWebhook(self, request: ingress_pb2.DeleteWebhookRequest, context: Any) -> Any:
        """Removes a webhook: its URL then answers like that of an unknown webhook."""
        return await self._repeats.once(request, lambda: self._delete(request))

    async def RotateToken(self, request: ingress_pb2.RotateTokenRequest, context: Any) -> Any:
        """A new token with the scope of those it replaces; these expire after the grace."""
        return await self._repeats.once(request, lambda: self._rotate_token(request))

    async def CreateToken(self, request: ingress_pb2.CreateTokenRequest, context: Any) -> Any:
        """Adds a token."""
        return await self._repeats.once(request, lambda: self._create_token(request))

    async def RevokeToken(self, request: ingress_pb2.RevokeTokenRequest, context: Any) -> Any:
        """Revokes a token."""
        after = self._find(request.webhook_id)
        token = next((t for t in after.tokens if t.token_id == request.token_id), None)
        if token is None:
            raise not_found("token", request.token_id)
        if not token.HasField("revoke_time"):
            before = self._find(request.webhook_id)
            token.revoke_time.FromDatetime(datetime.now(UTC))
            after = await self._revoke(before, after, request.token_id)
        return ingress_pb2.RevokeTokenResponse(webhook=without_secrets(after))

    async def RotateSigningSecret(self, request: ingress_pb2.RotateSigningSecretRequest, context: Any) -> Any:
        """A new signing secret; the others expire after the grace."""
        return await self._repeats.once(request, lambda: self._rotate_secret(request))

    async def RevokeSigningSecret(self, request: ingress_pb2.RevokeSigningSecretRequest, context: Any) -> Any:
        """Revokes a signing secret."""
        after = self._find(request.webhook_id)
        secret = next((s for s in after.signing_secrets if s.secret_id == request.secret_id), None)
        if secret is None:
            raise not_found("secret", request.secret_id)
        if not secret.HasField("revoke_time"):
            before = self._find(request.webhook_id)
            secret.revoke_time.FromDatetime(datetime.now(UTC))
            after = await self._revoke(before, after, request.secret_id)
        return ingress_pb2.RevokeSigningSecretResponse(webhook=without_secrets(after))

    async def LintPayload(self, request: ingress_pb2.LintPayloadRequest, context: Any) -> Any:
        """What the webhook would make of a payload."""
        return lint_payload(self._find(request.webhook_id), request.payload, datetime.now(UTC))

    async def _create(self, request: ingress_pb2.CreateWebhookRequest) -> ingress_pb2.CreateWebhookResponse:
        now = datetime.now(UTC)
        webhook = webhook_pb2.Webhook()
        webhook.CopyFrom(request.webhook)
        webhook.webhook_id = webhook.webhook_id or self._credentials.name_for(request.request_id)
        if found := self._table.get(webhook.webhook_id):
            token = self._credentials.repeated_token(found.value, request, now)
            if not token:
                raise already_exists("webhook", webhook.webhook_id)
            secret = self._credentials.repeated_secret(found.value, request, now) if found.value.signing_secrets else ""
            return self._created(self._find(webhook.webhook_id), token, secret)
        fill_defaults(webhook)
        webhook.enabled = True
        del webhook.tokens[:]
        del webhook.signing_secrets[:]
        check_webhook(webhook, certificates=self._certificates)
        check_scope(request.token_scope.actions, request.token_scope.instruments, "token_scope.")
        expire = request.token_expire_time if request.HasField("token_expire_time") else None
        token = self._credentials.add_token(webhook, request, request.token_scope, expire, now)
        secret = ""
        if request.signing or webhook.minimum_proof == webhook_pb2.PROOF_LEVEL_SIGNATURE:
            secret = self._credentials.add_secret(webhook, request, "", None, now)
        webhook.create_time.FromDatetime(now)
        webhook.update_time.FromDatetime(now)
        webhook.updated_by = caller().actor
        with self._registry.changing(webhook.webhook_id, webhook.updated_by) as change:
            webhook.revision = await self._table.create(webhook.webhook_id, webhook)
        if change.recorded:
            await change.recorded
        return self._created(webhook, token, secret)

    def _created(self, webhook: webhook_pb2.Webhook, token: str, secret: str) -> ingress_pb2.CreateWebhookResponse:
        url = self._url(webhook.webhook_id, token)
        return ingress_pb2.CreateWebhookResponse(
            webhook=without_secrets(webhook), token=token, url=url, signing_secret=secret
        )

    async def _update(self, request: ingress_pb2.UpdateWebhookRequest) -> ingress_pb2.UpdateWebhookResponse:
        before = self._find(request.webhook.webhook_id)
        after = webhook_pb2.Webhook()
        after.CopyFrom(request.webhook)
        for name in _KEPT:
            after.ClearField(name)
        kept = webhook_pb2.Webhook(**{name: getattr(before, name) for name in _KEPT})
        after.MergeFrom(kept)
        fill_defaults(after)
        check_webhook(after, certificates=self._certificates)
        if _same_but_stamps(before, after):
            return ingress_pb2.UpdateWebhookResponse(webhook=without_secrets(before))
        stored = await self._change(after, request.webhook.revision)
        return ingress_pb2.UpdateWebhookResponse(webhook=without_secrets(stored))

    async def _delete(self, request: ingress_pb2.DeleteWebhookRequest) -> ingress_pb2.DeleteWebhookResponse:
        before = self._find(request.webhook_id)
        with self._registry.changing(request.webhook_id, caller().actor, deletes=True) as change:
            if self._in_bucket(request.webhook_id):
                await self._table.delete(request.webhook_id, request.revision or before.revision)
            else:
                self._registry.changed(request.webhook_id, None)
        if change.recorded:
            await change.recorded
        return ingress_pb2.DeleteWebhookResponse()

    async def _rotate_token(self, request: ingress_pb2.RotateTokenRequest) -> ingress_pb2.RotateTokenResponse:
        grace_s, now = grace_of(request), datetime.now(UTC)
        after = self._find(request.webhook_id)
        token = self._credentials.repeated_token(after, request, now)
        if not token:
            replaced = [t for t in after.tokens if request.token_id in ("", t.token_id) and lasts(t, now)]
            if request.token_id and not replaced:
                raise not_found("token", request.token_id)
            scope = _common_scope(replaced)
            for kept in replaced:
                end_after(kept, grace_s, now)
            expire = request.expire_time if request.HasField("expire_time") else None
            token = self._credentials.add_token(after, request, scope, expire, now)
            after = await self._change(after)
        url = self._url(request.webhook_id, token)
        return ingress_pb2.RotateTokenResponse(webhook=without_secrets(after), token=token, url=url)

    async def _create_token(self, request: ingress_pb2.CreateTokenRequest) -> ingress_pb2.CreateTokenResponse:
        now = datetime.now(UTC)
        after = self._find(request.webhook_id)
        token = self._credentials.repeated_token(after, request, now)
        if not token:
            check_scope(request.scope.actions, request.scope.instruments, "scope.")
            expire = request.expire_time if request.HasField("expire_time") else None
            token = self._credentials.add_token(after, request, request.scope, expire, now)
            after = await self._change(after)
        url = self._url(request.webhook_id, token)
        return ingress_pb2.CreateTokenResponse(webhook=without_secrets(after), token=token, url=url)

    async def _rotate_secret(
        self, request: ingress_pb2.RotateSigningSecretRequest
    ) -> ingress_pb2.RotateSigningSecretResponse:
        grace_s, now = grace_of(request), datetime.now(UTC)
        after = self._find(request.webhook_id)
        secret = self._credentials.repeated_secret(after, request, now) if after.signing_secrets else ""
        if not secret:
            for kept in after.signing_secrets:
                end_after(kept, grace_s, now)
            expire = request.expire_time if request.HasField("expire_time") else None
            secret = self._credentials.add_secret(after, request, request.secret, expire, now)
            after = await self._change(after)
        return ingress_pb2.RotateSigningSecretResponse(webhook=without_secrets(after), secret=secret)

    def _find(self, webhook_id: str) -> webhook_pb2.Webhook:
        """A copy of the webhook, with the revision it is at."""
        snapshot = self._registry.snapshots.get(webhook_id)
        if snapshot is None:
            raise not_found("webhook", webhook_id)
        # The snapshot is what requests are checked against, also while the bucket has not been read or has lost the webhook.
        webhook = webhook_pb2.Webhook()
        webhook.CopyFrom(snapshot.webhook)
        return webhook

    async def _revoke(self, before: webhook_pb2.Webhook, after: webhook_pb2.Webhook, ended: str) -> webhook_pb2.Webhook:
        """Revokes a credential in this process at once, and in every replica as soon as the broker is reachable."""
        after.updated_by = caller().actor
        after.update_time.FromDatetime(datetime.now(UTC))
        self._registry.revoke(after)
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                return await self._change(after, before=before)
        except (ServiceError, TimeoutError) as error:
            log.warning("webhook.revoked_here_only", webhook_id=after.webhook_id, detail=str(error))
        await self._registry.record_revocation(before, after, ended)
        return after

    async def reconcile(self, health: Health, stopping: asyncio.Event) -> None:
        """Stores in the bucket what was revoked while it was unreachable, and reports webhooks it has lost, until stopped."""
        health.tolerate(IN_BROKER)
        while not stopping.is_set():
            if self._table.loaded.is_set():
                lost = sorted(set(self._registry.snapshots) - set(self._table.items()))
                detail = f"served from this replica's copy alone: {', '.join(lost[:10])}; an update stores them again"
                health.set(IN_BROKER, not lost, detail if lost else "")
            for webhook_id in list(self._registry.unpublished):
                found, snapshot = self._table.get(webhook_id), self._registry.snapshots.get(webhook_id)
                if found is None or snapshot is None:
                    continue
                after = webhook_pb2.Webhook()
                after.CopyFrom(found.value)
                if not keep_revoked(snapshot.webhook, after):
                    self._registry.unpublished.discard(webhook_id)
                    continue
                after.updated_by = snapshot.webhook.updated_by
                after.update_time.CopyFrom(snapshot.webhook.update_time)
                with contextlib.suppress(ServiceError, TimeoutError):
                    async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                        with self._registry.changing(webhook_id, after.updated_by):
                            await self._table.update(webhook_id, after, found.revision)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), 1.0)

    async def _change(
        self, after: webhook_pb2.Webhook, revision: int | None = None, before: webhook_pb2.Webhook | None = None
    ) -> webhook_pb2.Webhook:
        """Stores a changed webhook over the revision it was read at; returns once the change is recorded."""
        read_at = after.revision if revision is None else revision
        after.update_time.FromDatetime(datetime.now(UTC))
        after.updated_by = caller().actor
        with self._registry.changing(after.webhook_id, after.updated_by, before) as change:
            if self._in_bucket(after.webhook_id):
                after.revision = await self._table.update(after.webhook_id, after, read_at)
            else:
                after.revision = await self._table.create(after.webhook_id, after)
        if change.recorded:
            await change.recorded
        return after

    def _in_bucket(self, webhook_id: str) -> bool:
        """Whether the bucket has the webhook, which may have been lost and created again; UNAVAILABLE until it was read."""
        known = self._table.get(webhook_id) is not None
        if not known and not self._table.loaded.is_set():
            raise unavailable(
                "JOURNAL_UNAVAILABLE", f"webhook {webhook_id!r} cannot be changed until the broker is there"
            )
        return known

    def _url(self, webhook_id: str, token: str) -> str:
        return f"{self._public_url()}/hooks/{webhook_id}/{token}"


# The fields that UpdateWebhook does not change.
_KEPT = ("tokens", "signing_secrets", "create_time", "revision")


def _same_but_stamps(before: webhook_pb2.Webhook, after: webhook_pb2.Webhook) -> bool:
    one, other = webhook_pb2.Webhook(), webhook_pb2.Webhook()
    for copy, source in ((one, before), (other, after)):
        copy.CopyFrom(source)
        copy.ClearField("update_time")
        copy.ClearField("updated_by")
    return one == other


def _common_scope(tokens: list[webhook_pb2.WebhookToken]) -> webhook_pb2.TokenScope:
    """The scope of tokens that are replaced together; a rotation may not allow more than each of them did."""
    scopes = [
        webhook_pb2.TokenScope(
            exits_only=t.exits_only, paper_only=t.paper_only, actions=t.actions, instruments=t.instruments
        )
        for t in tokens
    ]
    if any(scope != scopes[0] for scope in scopes):
        raise invalid("token_id", "expected one, for the tokens have different scopes", "FIELD_MISSING")
    return scopes[0] if scopes else webhook_pb2.TokenScope()
