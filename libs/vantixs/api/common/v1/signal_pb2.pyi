import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from vantixs.api.common.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Signal(_message.Message):
    __slots__ = ("signal_id", "action", "symbol", "instrument", "target_position", "previous_position", "quantity", "quantity_type", "price", "order_type", "limit_price", "stop_price", "time_in_force", "leverage", "stop_loss", "take_profit", "idempotency_key", "emit_time", "expire_time", "comment", "tag", "extras", "bar_time", "target_quantity", "previous_quantity", "sender_reference", "take_profits", "trail_percent", "trail_amount", "activation_price", "post_only", "reduce_only", "order_expire_time", "trailing_stop", "trailing_activation", "break_even_after_target", "break_even_at", "order_id")
    class ExtrasEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    TARGET_POSITION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_POSITION_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_TYPE_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    ORDER_TYPE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_PRICE_FIELD_NUMBER: _ClassVar[int]
    STOP_PRICE_FIELD_NUMBER: _ClassVar[int]
    TIME_IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    LEVERAGE_FIELD_NUMBER: _ClassVar[int]
    STOP_LOSS_FIELD_NUMBER: _ClassVar[int]
    TAKE_PROFIT_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    EMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    EXTRAS_FIELD_NUMBER: _ClassVar[int]
    BAR_TIME_FIELD_NUMBER: _ClassVar[int]
    TARGET_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    SENDER_REFERENCE_FIELD_NUMBER: _ClassVar[int]
    TAKE_PROFITS_FIELD_NUMBER: _ClassVar[int]
    TRAIL_PERCENT_FIELD_NUMBER: _ClassVar[int]
    TRAIL_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    ACTIVATION_PRICE_FIELD_NUMBER: _ClassVar[int]
    POST_ONLY_FIELD_NUMBER: _ClassVar[int]
    REDUCE_ONLY_FIELD_NUMBER: _ClassVar[int]
    ORDER_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    TRAILING_STOP_FIELD_NUMBER: _ClassVar[int]
    TRAILING_ACTIVATION_FIELD_NUMBER: _ClassVar[int]
    BREAK_EVEN_AFTER_TARGET_FIELD_NUMBER: _ClassVar[int]
    BREAK_EVEN_AT_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    signal_id: str
    action: _common_pb2.Action
    symbol: str
    instrument: str
    target_position: _common_pb2.PositionSide
    previous_position: _common_pb2.PositionSide
    quantity: str
    quantity_type: _common_pb2.QuantityType
    price: str
    order_type: _common_pb2.OrderType
    limit_price: str
    stop_price: str
    time_in_force: _common_pb2.TimeInForce
    leverage: str
    stop_loss: _common_pb2.ProtectiveLevel
    take_profit: _common_pb2.ProtectiveLevel
    idempotency_key: str
    emit_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    comment: str
    tag: str
    extras: _containers.ScalarMap[str, str]
    bar_time: _timestamp_pb2.Timestamp
    target_quantity: str
    previous_quantity: str
    sender_reference: str
    take_profits: _containers.RepeatedCompositeFieldContainer[_common_pb2.TakeProfit]
    trail_percent: str
    trail_amount: str
    activation_price: str
    post_only: bool
    reduce_only: bool
    order_expire_time: _timestamp_pb2.Timestamp
    trailing_stop: _common_pb2.ProtectiveLevel
    trailing_activation: _common_pb2.ProtectiveLevel
    break_even_after_target: int
    break_even_at: _common_pb2.ProtectiveLevel
    order_id: str
    def __init__(self, signal_id: _Optional[str] = ..., action: _Optional[_Union[_common_pb2.Action, str]] = ..., symbol: _Optional[str] = ..., instrument: _Optional[str] = ..., target_position: _Optional[_Union[_common_pb2.PositionSide, str]] = ..., previous_position: _Optional[_Union[_common_pb2.PositionSide, str]] = ..., quantity: _Optional[str] = ..., quantity_type: _Optional[_Union[_common_pb2.QuantityType, str]] = ..., price: _Optional[str] = ..., order_type: _Optional[_Union[_common_pb2.OrderType, str]] = ..., limit_price: _Optional[str] = ..., stop_price: _Optional[str] = ..., time_in_force: _Optional[_Union[_common_pb2.TimeInForce, str]] = ..., leverage: _Optional[str] = ..., stop_loss: _Optional[_Union[_common_pb2.ProtectiveLevel, _Mapping]] = ..., take_profit: _Optional[_Union[_common_pb2.ProtectiveLevel, _Mapping]] = ..., idempotency_key: _Optional[str] = ..., emit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., comment: _Optional[str] = ..., tag: _Optional[str] = ..., extras: _Optional[_Mapping[str, str]] = ..., bar_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., target_quantity: _Optional[str] = ..., previous_quantity: _Optional[str] = ..., sender_reference: _Optional[str] = ..., take_profits: _Optional[_Iterable[_Union[_common_pb2.TakeProfit, _Mapping]]] = ..., trail_percent: _Optional[str] = ..., trail_amount: _Optional[str] = ..., activation_price: _Optional[str] = ..., post_only: _Optional[bool] = ..., reduce_only: _Optional[bool] = ..., order_expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., trailing_stop: _Optional[_Union[_common_pb2.ProtectiveLevel, _Mapping]] = ..., trailing_activation: _Optional[_Union[_common_pb2.ProtectiveLevel, _Mapping]] = ..., break_even_after_target: _Optional[int] = ..., break_even_at: _Optional[_Union[_common_pb2.ProtectiveLevel, _Mapping]] = ..., order_id: _Optional[str] = ...) -> None: ...

class ReceivedRequest(_message.Message):
    __slots__ = ("payload", "payload_sha256", "receive_time", "source_address", "content_type", "proof", "token_fingerprint", "instance", "client_certificate", "credential_id", "sealed_payload")
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_SHA256_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_TIME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    CLIENT_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_ID_FIELD_NUMBER: _ClassVar[int]
    SEALED_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    payload: bytes
    payload_sha256: bytes
    receive_time: _timestamp_pb2.Timestamp
    source_address: str
    content_type: str
    proof: str
    token_fingerprint: str
    instance: str
    client_certificate: str
    credential_id: str
    sealed_payload: bytes
    def __init__(self, payload: _Optional[bytes] = ..., payload_sha256: _Optional[bytes] = ..., receive_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., source_address: _Optional[str] = ..., content_type: _Optional[str] = ..., proof: _Optional[str] = ..., token_fingerprint: _Optional[str] = ..., instance: _Optional[str] = ..., client_certificate: _Optional[str] = ..., credential_id: _Optional[str] = ..., sealed_payload: _Optional[bytes] = ...) -> None: ...
