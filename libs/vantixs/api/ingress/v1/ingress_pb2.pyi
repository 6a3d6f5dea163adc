import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from vantixs.api.common.v1 import signal_pb2 as _signal_pb2
from vantixs.api.ingress.v1 import webhook_pb2 as _webhook_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LintOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LINT_OUTCOME_UNSPECIFIED: _ClassVar[LintOutcome]
    LINT_OUTCOME_ACCEPTED: _ClassVar[LintOutcome]
    LINT_OUTCOME_REJECTED: _ClassVar[LintOutcome]
LINT_OUTCOME_UNSPECIFIED: LintOutcome
LINT_OUTCOME_ACCEPTED: LintOutcome
LINT_OUTCOME_REJECTED: LintOutcome

class CreateWebhookRequest(_message.Message):
    __slots__ = ("request_id", "webhook", "token_expire_time", "token_scope", "signing")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    TOKEN_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    TOKEN_SCOPE_FIELD_NUMBER: _ClassVar[int]
    SIGNING_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    webhook: _webhook_pb2.Webhook
    token_expire_time: _timestamp_pb2.Timestamp
    token_scope: _webhook_pb2.TokenScope
    signing: bool
    def __init__(self, request_id: _Optional[str] = ..., webhook: _Optional[_Union[_webhook_pb2.Webhook, _Mapping]] = ..., token_expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., token_scope: _Optional[_Union[_webhook_pb2.TokenScope, _Mapping]] = ..., signing: _Optional[bool] = ...) -> None: ...

class CreateWebhookResponse(_message.Message):
    __slots__ = ("webhook", "token", "url", "signing_secret")
    WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    SIGNING_SECRET_FIELD_NUMBER: _ClassVar[int]
    webhook: _webhook_pb2.Webhook
    token: str
    url: str
    signing_secret: str
    def __init__(self, webhook: _Optional[_Union[_webhook_pb2.Webhook, _Mapping]] = ..., token: _Optional[str] = ..., url: _Optional[str] = ..., signing_secret: _Optional[str] = ...) -> None: ...

class GetWebhookRequest(_message.Message):
    __slots__ = ("webhook_id",)
    WEBHOOK_ID_FIELD_NUMBER: _ClassVar[int]
    webhook_id: str
    def __init__(self, webhook_id: _Optional[str] = ...) -> None: ...

class GetWebhookResponse(_message.Message):
    __slots__ = ("webhook",)
    WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    webhook: _webhook_pb2.Webhook
    def __init__(self, webhook: _Optional[_Union[_webhook_pb2.Webhook, _Mapping]] = ...) -> None: ...

class ListWebhooksRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListWebhooksResponse(_message.Message):
    __slots__ = ("webhooks", "next_page_token")
    WEBHOOKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    webhooks: _containers.RepeatedCompositeFieldContainer[_webhook_pb2.Webhook]
    next_page_token: str
    def __init__(self, webhooks: _Optional[_Iterable[_Union[_webhook_pb2.Webhook, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateWebhookRequest(_message.Message):
    __slots__ = ("webhook", "request_id")
    WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    webhook: _webhook_pb2.Webhook
    request_id: str
    def __init__(self, webhook: _Optional[_Union[_webhook_pb2.Webhook, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class UpdateWebhookResponse(_message.Message):
    __slots__ = ("webhook",)
    WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    webhook: _webhook_pb2.Webhook
    def __init__(self, webhook: _Optional[_Union[_webhook_pb2.Webhook, _Mapping]] = ...) -> None: ...

class DeleteWebhookRequest(_message.Message):
    __slots__ = ("webhook_id", "revision", "request_id")
    WEBHOOK_ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    webhook_id: str
    revision: int
    request_id: str
    def __init__(self, webhook_id: _Optional[str] = ..., revision: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class DeleteWebhookResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RotateTokenRequest(_message.Message):
    __slots__ = ("request_id", "webhook_id", "grace", "expire_time", "token_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_ID_FIELD_NUMBER: _ClassVar[int]
    GRACE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    webhook_id: str
    grace: _duration_pb2.Duration
    expire_time: _timestamp_pb2.Timestamp
    token_id: str
    def __init__(self, request_id: _Optional[str] = ..., webhook_id: _Optional[str] = ..., grace: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., token_id: _Optional[str] = ...) -> None: ...

class RotateTokenResponse(_message.Message):
    __slots__ = ("webhook", "token", "url")
    WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    webhook: _webhook_pb2.Webhook
    token: str
    url: str
    def __init__(self, webhook: _Optional[_Union[_webhook_pb2.Webhook, _Mapping]] = ..., token: _Optional[str] = ..., url: _Optional[str] = ...) -> None: ...

class RevokeTokenRequest(_message.Message):
    __slots__ = ("webhook_id", "token_id")
    WEBHOOK_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    webhook_id: str
    token_id: str
    def __init__(self, webhook_id: _Optional[str] = ..., token_id: _Optional[str] = ...) -> None: ...

class RevokeTokenResponse(_message.Message):
    __slots__ = ("webhook",)
    WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    webhook: _webhook_pb2.Webhook
    def __init__(self, webhook: _Optional[_Union[_webhook_pb2.Webhook, _Mapping]] = ...) -> None: ...

class CreateTokenRequest(_message.Message):
    __slots__ = ("request_id", "webhook_id", "scope", "expire_time")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    webhook_id: str
    scope: _webhook_pb2.TokenScope
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, request_id: _Optional[str] = ..., webhook_id: _Optional[str] = ..., scope: _Optional[_Union[_webhook_pb2.TokenScope, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateTokenResponse(_message.Message):
    __slots__ = ("webhook", "token", "url")
    WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    webhook: _webhook_pb2.Webhook
    token: str
    url: str
    def __init__(self, webhook: _Optional[_Union[_webhook_pb2.Webhook, _Mapping]] = ..., token: _Optional[str] = ..., url: _Optional[str] = ...) -> None: ...

class RotateSigningSecretRequest(_message.Message):
    __slots__ = ("request_id", "webhook_id", "grace", "expire_time", "secret")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_ID_FIELD_NUMBER: _ClassVar[int]
    GRACE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    webhook_id: str
    grace: _duration_pb2.Duration
    expire_time: _timestamp_pb2.Timestamp
    secret: str
    def __init__(self, request_id: _Optional[str] = ..., webhook_id: _Optional[str] = ..., grace: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., secret: _Optional[str] = ...) -> None: ...

class RotateSigningSecretResponse(_message.Message):
    __slots__ = ("webhook", "secret")
    WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    webhook: _webhook_pb2.Webhook
    secret: str
    def __init__(self, webhook: _Optional[_Union[_webhook_pb2.Webhook, _Mapping]] = ..., secret: _Optional[str] = ...) -> None: ...

class RevokeSigningSecretRequest(_message.Message):
    __slots__ = ("webhook_id", "secret_id")
    WEBHOOK_ID_FIELD_NUMBER: _ClassVar[int]
    SECRET_ID_FIELD_NUMBER: _ClassVar[int]
    webhook_id: str
    secret_id: str
    def __init__(self, webhook_id: _Optional[str] = ..., secret_id: _Optional[str] = ...) -> None: ...

class RevokeSigningSecretResponse(_message.Message):
    __slots__ = ("webhook",)
    WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    webhook: _webhook_pb2.Webhook
    def __init__(self, webhook: _Optional[_Union[_webhook_pb2.Webhook, _Mapping]] = ...) -> None: ...

class LintPayloadRequest(_message.Message):
    __slots__ = ("webhook_id", "payload")
    WEBHOOK_ID_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    webhook_id: str
    payload: bytes
    def __init__(self, webhook_id: _Optional[str] = ..., payload: _Optional[bytes] = ...) -> None: ...

class LintPayloadResponse(_message.Message):
    __slots__ = ("outcome", "reason", "errors", "warnings", "signal", "suggested_message", "template")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    SUGGESTED_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    outcome: LintOutcome
    reason: str
    errors: _containers.RepeatedCompositeFieldContainer[_webhook_pb2.FieldError]
    warnings: _containers.RepeatedCompositeFieldContainer[_webhook_pb2.FieldError]
    signal: _signal_pb2.Signal
    suggested_message: str
    template: LintedTemplate
    def __init__(self, outcome: _Optional[_Union[LintOutcome, str]] = ..., reason: _Optional[str] = ..., errors: _Optional[_Iterable[_Union[_webhook_pb2.FieldError, _Mapping]]] = ..., warnings: _Optional[_Iterable[_Union[_webhook_pb2.FieldError, _Mapping]]] = ..., signal: _Optional[_Union[_signal_pb2.Signal, _Mapping]] = ..., suggested_message: _Optional[str] = ..., template: _Optional[_Union[LintedTemplate, _Mapping]] = ...) -> None: ...

class LintedTemplate(_message.Message):
    __slots__ = ("outcome", "reason", "errors", "warnings", "signal", "rendered_payload", "placeholders")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    RENDERED_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    PLACEHOLDERS_FIELD_NUMBER: _ClassVar[int]
    outcome: LintOutcome
    reason: str
    errors: _containers.RepeatedCompositeFieldContainer[_webhook_pb2.FieldError]
    warnings: _containers.RepeatedCompositeFieldContainer[_webhook_pb2.FieldError]
    signal: _signal_pb2.Signal
    rendered_payload: str
    placeholders: _containers.RepeatedCompositeFieldContainer[TemplatePlaceholder]
    def __init__(self, outcome: _Optional[_Union[LintOutcome, str]] = ..., reason: _Optional[str] = ..., errors: _Optional[_Iterable[_Union[_webhook_pb2.FieldError, _Mapping]]] = ..., warnings: _Optional[_Iterable[_Union[_webhook_pb2.FieldError, _Mapping]]] = ..., signal: _Optional[_Union[_signal_pb2.Signal, _Mapping]] = ..., rendered_payload: _Optional[str] = ..., placeholders: _Optional[_Iterable[_Union[TemplatePlaceholder, _Mapping]]] = ...) -> None: ...

class TemplatePlaceholder(_message.Message):
    __slots__ = ("placeholder", "understood", "example", "available")
    PLACEHOLDER_FIELD_NUMBER: _ClassVar[int]
    UNDERSTOOD_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    placeholder: str
    understood: bool
    example: str
    available: str
    def __init__(self, placeholder: _Optional[str] = ..., understood: _Optional[bool] = ..., example: _Optional[str] = ..., available: _Optional[str] = ...) -> None: ...
