import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from vantixs.api.common.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OnNewSignal(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ON_NEW_SIGNAL_UNSPECIFIED: _ClassVar[OnNewSignal]
    ON_NEW_SIGNAL_CANCEL_OWN_ENTRIES: _ClassVar[OnNewSignal]
    ON_NEW_SIGNAL_CANCEL_ALL_ENTRIES: _ClassVar[OnNewSignal]
    ON_NEW_SIGNAL_KEEP: _ClassVar[OnNewSignal]

class PositionPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POSITION_POLICY_UNSPECIFIED: _ClassVar[PositionPolicy]
    POSITION_POLICY_IGNORE: _ClassVar[PositionPolicy]
    POSITION_POLICY_REFUSE: _ClassVar[PositionPolicy]
    POSITION_POLICY_REDUCE_ONLY: _ClassVar[PositionPolicy]
    POSITION_POLICY_RECONCILE: _ClassVar[PositionPolicy]

class PositionOwner(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POSITION_OWNER_UNSPECIFIED: _ClassVar[PositionOwner]
    POSITION_OWNER_ACCOUNT: _ClassVar[PositionOwner]
    POSITION_OWNER_WEBHOOK: _ClassVar[PositionOwner]

class StopMove(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STOP_MOVE_UNSPECIFIED: _ClassVar[StopMove]
    STOP_MOVE_BREAKEVEN: _ClassVar[StopMove]
    STOP_MOVE_MOVING_TARGET: _ClassVar[StopMove]
    STOP_MOVE_MOVING_2_TARGET: _ClassVar[StopMove]
    STOP_MOVE_PERCENT_BELOW_TRIGGER: _ClassVar[StopMove]
    STOP_MOVE_PERCENT_BELOW_HIGHEST: _ClassVar[StopMove]

class ProtectionBase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROTECTION_BASE_UNSPECIFIED: _ClassVar[ProtectionBase]
    PROTECTION_BASE_AVERAGE_ENTRY: _ClassVar[ProtectionBase]
    PROTECTION_BASE_FIRST_ENTRY: _ClassVar[ProtectionBase]

class ProofLevel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROOF_LEVEL_UNSPECIFIED: _ClassVar[ProofLevel]
    PROOF_LEVEL_TOKEN: _ClassVar[ProofLevel]
    PROOF_LEVEL_ADDRESS: _ClassVar[ProofLevel]
    PROOF_LEVEL_CERTIFICATE: _ClassVar[ProofLevel]
    PROOF_LEVEL_SIGNATURE: _ClassVar[ProofLevel]
ON_NEW_SIGNAL_UNSPECIFIED: OnNewSignal
ON_NEW_SIGNAL_CANCEL_OWN_ENTRIES: OnNewSignal
ON_NEW_SIGNAL_CANCEL_ALL_ENTRIES: OnNewSignal
ON_NEW_SIGNAL_KEEP: OnNewSignal
POSITION_POLICY_UNSPECIFIED: PositionPolicy
POSITION_POLICY_IGNORE: PositionPolicy
POSITION_POLICY_REFUSE: PositionPolicy
POSITION_POLICY_REDUCE_ONLY: PositionPolicy
POSITION_POLICY_RECONCILE: PositionPolicy
POSITION_OWNER_UNSPECIFIED: PositionOwner
POSITION_OWNER_ACCOUNT: PositionOwner
POSITION_OWNER_WEBHOOK: PositionOwner
STOP_MOVE_UNSPECIFIED: StopMove
STOP_MOVE_BREAKEVEN: StopMove
STOP_MOVE_MOVING_TARGET: StopMove
STOP_MOVE_MOVING_2_TARGET: StopMove
STOP_MOVE_PERCENT_BELOW_TRIGGER: StopMove
STOP_MOVE_PERCENT_BELOW_HIGHEST: StopMove
PROTECTION_BASE_UNSPECIFIED: ProtectionBase
PROTECTION_BASE_AVERAGE_ENTRY: ProtectionBase
PROTECTION_BASE_FIRST_ENTRY: ProtectionBase
PROOF_LEVEL_UNSPECIFIED: ProofLevel
PROOF_LEVEL_TOKEN: ProofLevel
PROOF_LEVEL_ADDRESS: ProofLevel
PROOF_LEVEL_CERTIFICATE: ProofLevel
PROOF_LEVEL_SIGNATURE: ProofLevel

class Webhook(_message.Message):
    __slots__ = ("webhook_id", "display_name", "account_id", "mode", "routing_mode", "strategy_id", "enabled", "sizing", "instruments", "actions", "default_exchange", "default_instrument_kind", "sell_opens_short", "maximum_leverage", "dedupe_window_s", "entry_expires_after_s", "exit_expires_after_s", "time_is_emit_time", "rate_limit_per_minute", "source_networks", "mapping", "tokens", "minimum_proof", "create_time", "update_time", "revision", "signing_secrets", "signature_tolerance_s", "updated_by", "signal_id_is_key", "on_new_signal", "position_policy", "max_adds", "add_spacing_s", "stop_move", "stop_move_after_target", "stop_move_percent", "protection_base", "unprotected_limit_s", "triggered_timeout_s", "position_owner", "seal_payload")
    WEBHOOK_ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    ROUTING_MODE_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_ID_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    SIZING_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_EXCHANGE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_INSTRUMENT_KIND_FIELD_NUMBER: _ClassVar[int]
    SELL_OPENS_SHORT_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_LEVERAGE_FIELD_NUMBER: _ClassVar[int]
    DEDUPE_WINDOW_S_FIELD_NUMBER: _ClassVar[int]
    ENTRY_EXPIRES_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    EXIT_EXPIRES_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    TIME_IS_EMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    RATE_LIMIT_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NETWORKS_FIELD_NUMBER: _ClassVar[int]
    MAPPING_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_PROOF_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SIGNING_SECRETS_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_TOLERANCE_S_FIELD_NUMBER: _ClassVar[int]
    UPDATED_BY_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_ID_IS_KEY_FIELD_NUMBER: _ClassVar[int]
    ON_NEW_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    POSITION_POLICY_FIELD_NUMBER: _ClassVar[int]
    MAX_ADDS_FIELD_NUMBER: _ClassVar[int]
    ADD_SPACING_S_FIELD_NUMBER: _ClassVar[int]
    STOP_MOVE_FIELD_NUMBER: _ClassVar[int]
    STOP_MOVE_AFTER_TARGET_FIELD_NUMBER: _ClassVar[int]
    STOP_MOVE_PERCENT_FIELD_NUMBER: _ClassVar[int]
    PROTECTION_BASE_FIELD_NUMBER: _ClassVar[int]
    UNPROTECTED_LIMIT_S_FIELD_NUMBER: _ClassVar[int]
    TRIGGERED_TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    POSITION_OWNER_FIELD_NUMBER: _ClassVar[int]
    SEAL_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    webhook_id: str
    display_name: str
    account_id: str
    mode: _common_pb2.Mode
    routing_mode: _common_pb2.RoutingMode
    strategy_id: str
    enabled: bool
    sizing: _common_pb2.Sizing
    instruments: _containers.RepeatedScalarFieldContainer[str]
    actions: _containers.RepeatedScalarFieldContainer[_common_pb2.Action]
    default_exchange: str
    default_instrument_kind: _common_pb2.InstrumentKind
    sell_opens_short: bool
    maximum_leverage: str
    dedupe_window_s: int
    entry_expires_after_s: int
    exit_expires_after_s: int
    time_is_emit_time: bool
    rate_limit_per_minute: int
    source_networks: _containers.RepeatedScalarFieldContainer[str]
    mapping: PayloadMapping
    tokens: _containers.RepeatedCompositeFieldContainer[WebhookToken]
    minimum_proof: ProofLevel
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    revision: int
    signing_secrets: _containers.RepeatedCompositeFieldContainer[SigningSecret]
    signature_tolerance_s: int
    updated_by: str
    signal_id_is_key: bool
    on_new_signal: OnNewSignal
    position_policy: PositionPolicy
    max_adds: int
    add_spacing_s: int
    stop_move: StopMove
    stop_move_after_target: int
    stop_move_percent: str
    protection_base: ProtectionBase
    unprotected_limit_s: int
    triggered_timeout_s: int
    position_owner: PositionOwner
    seal_payload: bool
    def __init__(self, webhook_id: _Optional[str] = ..., display_name: _Optional[str] = ..., account_id: _Optional[str] = ..., mode: _Optional[_Union[_common_pb2.Mode, str]] = ..., routing_mode: _Optional[_Union[_common_pb2.RoutingMode, str]] = ..., strategy_id: _Optional[str] = ..., enabled: _Optional[bool] = ..., sizing: _Optional[_Union[_common_pb2.Sizing, _Mapping]] = ..., instruments: _Optional[_Iterable[str]] = ..., actions: _Optional[_Iterable[_Union[_common_pb2.Action, str]]] = ..., default_exchange: _Optional[str] = ..., default_instrument_kind: _Optional[_Union[_common_pb2.InstrumentKind, str]] = ..., sell_opens_short: _Optional[bool] = ..., maximum_leverage: _Optional[str] = ..., dedupe_window_s: _Optional[int] = ..., entry_expires_after_s: _Optional[int] = ..., exit_expires_after_s: _Optional[int] = ..., time_is_emit_time: _Optional[bool] = ..., rate_limit_per_minute: _Optional[int] = ..., source_networks: _Optional[_Iterable[str]] = ..., mapping: _Optional[_Union[PayloadMapping, _Mapping]] = ..., tokens: _Optional[_Iterable[_Union[WebhookToken, _Mapping]]] = ..., minimum_proof: _Optional[_Union[ProofLevel, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revision: _Optional[int] = ..., signing_secrets: _Optional[_Iterable[_Union[SigningSecret, _Mapping]]] = ..., signature_tolerance_s: _Optional[int] = ..., updated_by: _Optional[str] = ..., signal_id_is_key: _Optional[bool] = ..., on_new_signal: _Optional[_Union[OnNewSignal, str]] = ..., position_policy: _Optional[_Union[PositionPolicy, str]] = ..., max_adds: _Optional[int] = ..., add_spacing_s: _Optional[int] = ..., stop_move: _Optional[_Union[StopMove, str]] = ..., stop_move_after_target: _Optional[int] = ..., stop_move_percent: _Optional[str] = ..., protection_base: _Optional[_Union[ProtectionBase, str]] = ..., unprotected_limit_s: _Optional[int] = ..., triggered_timeout_s: _Optional[int] = ..., position_owner: _Optional[_Union[PositionOwner, str]] = ..., seal_payload: _Optional[bool] = ...) -> None: ...

class PayloadMapping(_message.Message):
    __slots__ = ("fields", "values")
    class FieldsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class ValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    fields: _containers.ScalarMap[str, str]
    values: _containers.ScalarMap[str, str]
    def __init__(self, fields: _Optional[_Mapping[str, str]] = ..., values: _Optional[_Mapping[str, str]] = ...) -> None: ...

class WebhookToken(_message.Message):
    __slots__ = ("token_id", "sha256", "create_time", "expire_time", "revoke_time", "exits_only", "paper_only", "actions", "instruments")
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    REVOKE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXITS_ONLY_FIELD_NUMBER: _ClassVar[int]
    PAPER_ONLY_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    token_id: str
    sha256: bytes
    create_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    revoke_time: _timestamp_pb2.Timestamp
    exits_only: bool
    paper_only: bool
    actions: _containers.RepeatedScalarFieldContainer[_common_pb2.Action]
    instruments: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, token_id: _Optional[str] = ..., sha256: _Optional[bytes] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revoke_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., exits_only: _Optional[bool] = ..., paper_only: _Optional[bool] = ..., actions: _Optional[_Iterable[_Union[_common_pb2.Action, str]]] = ..., instruments: _Optional[_Iterable[str]] = ...) -> None: ...

class TokenScope(_message.Message):
    __slots__ = ("exits_only", "paper_only", "actions", "instruments")
    EXITS_ONLY_FIELD_NUMBER: _ClassVar[int]
    PAPER_ONLY_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    exits_only: bool
    paper_only: bool
    actions: _containers.RepeatedScalarFieldContainer[_common_pb2.Action]
    instruments: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, exits_only: _Optional[bool] = ..., paper_only: _Optional[bool] = ..., actions: _Optional[_Iterable[_Union[_common_pb2.Action, str]]] = ..., instruments: _Optional[_Iterable[str]] = ...) -> None: ...

class SigningSecret(_message.Message):
    __slots__ = ("secret_id", "sealed", "create_time", "expire_time", "revoke_time")
    SECRET_ID_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    REVOKE_TIME_FIELD_NUMBER: _ClassVar[int]
    secret_id: str
    sealed: bytes
    create_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    revoke_time: _timestamp_pb2.Timestamp
    def __init__(self, secret_id: _Optional[str] = ..., sealed: _Optional[bytes] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revoke_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class FieldError(_message.Message):
    __slots__ = ("field", "reason", "detail")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    field: str
    reason: str
    detail: str
    def __init__(self, field: _Optional[str] = ..., reason: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...
