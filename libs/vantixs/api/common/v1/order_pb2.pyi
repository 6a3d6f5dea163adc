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

class RiskVerdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RISK_VERDICT_UNSPECIFIED: _ClassVar[RiskVerdict]
    RISK_VERDICT_APPROVED: _ClassVar[RiskVerdict]
    RISK_VERDICT_DENIED: _ClassVar[RiskVerdict]
    RISK_VERDICT_POSITION_CHANGED: _ClassVar[RiskVerdict]

class OrderEffect(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORDER_EFFECT_UNSPECIFIED: _ClassVar[OrderEffect]
    ORDER_EFFECT_ENTRY: _ClassVar[OrderEffect]
    ORDER_EFFECT_EXIT: _ClassVar[OrderEffect]

class BracketLeg(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BRACKET_LEG_UNSPECIFIED: _ClassVar[BracketLeg]
    BRACKET_LEG_STOP_LOSS: _ClassVar[BracketLeg]
    BRACKET_LEG_TAKE_PROFIT: _ClassVar[BracketLeg]
    BRACKET_LEG_CLOSE: _ClassVar[BracketLeg]
RISK_VERDICT_UNSPECIFIED: RiskVerdict
RISK_VERDICT_APPROVED: RiskVerdict
RISK_VERDICT_DENIED: RiskVerdict
RISK_VERDICT_POSITION_CHANGED: RiskVerdict
ORDER_EFFECT_UNSPECIFIED: OrderEffect
ORDER_EFFECT_ENTRY: OrderEffect
ORDER_EFFECT_EXIT: OrderEffect
BRACKET_LEG_UNSPECIFIED: BracketLeg
BRACKET_LEG_STOP_LOSS: BracketLeg
BRACKET_LEG_TAKE_PROFIT: BracketLeg
BRACKET_LEG_CLOSE: BracketLeg

class Input(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class RiskCheck(_message.Message):
    __slots__ = ("reason", "passed", "inputs", "limit", "detail")
    REASON_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    reason: str
    passed: bool
    inputs: _containers.RepeatedCompositeFieldContainer[Input]
    limit: str
    detail: str
    def __init__(self, reason: _Optional[str] = ..., passed: _Optional[bool] = ..., inputs: _Optional[_Iterable[_Union[Input, _Mapping]]] = ..., limit: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class RiskDecision(_message.Message):
    __slots__ = ("order_id", "verdict", "quantity", "checks", "sizing_steps", "quote", "position_quantity", "account_revision", "decide_time", "reduce_only", "inputs")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    SIZING_STEPS_FIELD_NUMBER: _ClassVar[int]
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    POSITION_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_REVISION_FIELD_NUMBER: _ClassVar[int]
    DECIDE_TIME_FIELD_NUMBER: _ClassVar[int]
    REDUCE_ONLY_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    verdict: RiskVerdict
    quantity: str
    checks: _containers.RepeatedCompositeFieldContainer[RiskCheck]
    sizing_steps: _containers.RepeatedCompositeFieldContainer[Input]
    quote: _common_pb2.Quote
    position_quantity: str
    account_revision: int
    decide_time: _timestamp_pb2.Timestamp
    reduce_only: bool
    inputs: bytes
    def __init__(self, order_id: _Optional[str] = ..., verdict: _Optional[_Union[RiskVerdict, str]] = ..., quantity: _Optional[str] = ..., checks: _Optional[_Iterable[_Union[RiskCheck, _Mapping]]] = ..., sizing_steps: _Optional[_Iterable[_Union[Input, _Mapping]]] = ..., quote: _Optional[_Union[_common_pb2.Quote, _Mapping]] = ..., position_quantity: _Optional[str] = ..., account_revision: _Optional[int] = ..., decide_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reduce_only: _Optional[bool] = ..., inputs: _Optional[bytes] = ...) -> None: ...

class Order(_message.Message):
    __slots__ = ("order_id", "signal_id", "account_id", "instrument", "client_order_id", "venue_order_id", "mode", "side", "effect", "order_type", "time_in_force", "quantity", "filled_quantity", "average_price", "limit_price", "state", "reason", "create_time", "update_time", "stop_price", "trail_percent", "trail_amount", "activation_price", "expire_time", "post_only", "reduce_only", "triggered_timeout_s", "entry_order_id", "leg", "target", "webhook_id", "tag", "replaces_order_id", "replaced_by_order_id", "owned")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    VENUE_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    ORDER_TYPE_FIELD_NUMBER: _ClassVar[int]
    TIME_IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    FILLED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    AVERAGE_PRICE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_PRICE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    STOP_PRICE_FIELD_NUMBER: _ClassVar[int]
    TRAIL_PERCENT_FIELD_NUMBER: _ClassVar[int]
    TRAIL_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    ACTIVATION_PRICE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    POST_ONLY_FIELD_NUMBER: _ClassVar[int]
    REDUCE_ONLY_FIELD_NUMBER: _ClassVar[int]
    TRIGGERED_TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    ENTRY_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    LEG_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_ID_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    REPLACES_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    REPLACED_BY_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    OWNED_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    signal_id: str
    account_id: str
    instrument: str
    client_order_id: str
    venue_order_id: str
    mode: _common_pb2.Mode
    side: _common_pb2.Side
    effect: OrderEffect
    order_type: _common_pb2.OrderType
    time_in_force: _common_pb2.TimeInForce
    quantity: str
    filled_quantity: str
    average_price: str
    limit_price: str
    state: _common_pb2.OrderState
    reason: str
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    stop_price: str
    trail_percent: str
    trail_amount: str
    activation_price: str
    expire_time: _timestamp_pb2.Timestamp
    post_only: bool
    reduce_only: bool
    triggered_timeout_s: int
    entry_order_id: str
    leg: BracketLeg
    target: int
    webhook_id: str
    tag: str
    replaces_order_id: str
    replaced_by_order_id: str
    owned: bool
    def __init__(self, order_id: _Optional[str] = ..., signal_id: _Optional[str] = ..., account_id: _Optional[str] = ..., instrument: _Optional[str] = ..., client_order_id: _Optional[str] = ..., venue_order_id: _Optional[str] = ..., mode: _Optional[_Union[_common_pb2.Mode, str]] = ..., side: _Optional[_Union[_common_pb2.Side, str]] = ..., effect: _Optional[_Union[OrderEffect, str]] = ..., order_type: _Optional[_Union[_common_pb2.OrderType, str]] = ..., time_in_force: _Optional[_Union[_common_pb2.TimeInForce, str]] = ..., quantity: _Optional[str] = ..., filled_quantity: _Optional[str] = ..., average_price: _Optional[str] = ..., limit_price: _Optional[str] = ..., state: _Optional[_Union[_common_pb2.OrderState, str]] = ..., reason: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., stop_price: _Optional[str] = ..., trail_percent: _Optional[str] = ..., trail_amount: _Optional[str] = ..., activation_price: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., post_only: _Optional[bool] = ..., reduce_only: _Optional[bool] = ..., triggered_timeout_s: _Optional[int] = ..., entry_order_id: _Optional[str] = ..., leg: _Optional[_Union[BracketLeg, str]] = ..., target: _Optional[int] = ..., webhook_id: _Optional[str] = ..., tag: _Optional[str] = ..., replaces_order_id: _Optional[str] = ..., replaced_by_order_id: _Optional[str] = ..., owned: _Optional[bool] = ...) -> None: ...

class Fill(_message.Message):
    __slots__ = ("execution_id", "order_id", "side", "quantity", "price", "fee", "fee_asset", "execute_time", "quote", "liquidity", "assumptions")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    FEE_FIELD_NUMBER: _ClassVar[int]
    FEE_ASSET_FIELD_NUMBER: _ClassVar[int]
    EXECUTE_TIME_FIELD_NUMBER: _ClassVar[int]
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    LIQUIDITY_FIELD_NUMBER: _ClassVar[int]
    ASSUMPTIONS_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    order_id: str
    side: _common_pb2.Side
    quantity: str
    price: str
    fee: str
    fee_asset: str
    execute_time: _timestamp_pb2.Timestamp
    quote: _common_pb2.Quote
    liquidity: str
    assumptions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, execution_id: _Optional[str] = ..., order_id: _Optional[str] = ..., side: _Optional[_Union[_common_pb2.Side, str]] = ..., quantity: _Optional[str] = ..., price: _Optional[str] = ..., fee: _Optional[str] = ..., fee_asset: _Optional[str] = ..., execute_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., quote: _Optional[_Union[_common_pb2.Quote, _Mapping]] = ..., liquidity: _Optional[str] = ..., assumptions: _Optional[_Iterable[str]] = ...) -> None: ...

class Funding(_message.Message):
    __slots__ = ("account_id", "instrument", "funding_time", "position_quantity", "mark_price", "mark_time", "rate_ratio", "amount", "asset", "assumptions")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    FUNDING_TIME_FIELD_NUMBER: _ClassVar[int]
    POSITION_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    MARK_PRICE_FIELD_NUMBER: _ClassVar[int]
    MARK_TIME_FIELD_NUMBER: _ClassVar[int]
    RATE_RATIO_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    ASSUMPTIONS_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    instrument: str
    funding_time: _timestamp_pb2.Timestamp
    position_quantity: str
    mark_price: str
    mark_time: _timestamp_pb2.Timestamp
    rate_ratio: str
    amount: str
    asset: str
    assumptions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, account_id: _Optional[str] = ..., instrument: _Optional[str] = ..., funding_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., position_quantity: _Optional[str] = ..., mark_price: _Optional[str] = ..., mark_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., rate_ratio: _Optional[str] = ..., amount: _Optional[str] = ..., asset: _Optional[str] = ..., assumptions: _Optional[_Iterable[str]] = ...) -> None: ...

class Position(_message.Message):
    __slots__ = ("account_id", "instrument", "quantity", "average_price", "realized_profit", "fees", "mark_price", "mark_time", "unrealized_profit", "cost")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    AVERAGE_PRICE_FIELD_NUMBER: _ClassVar[int]
    REALIZED_PROFIT_FIELD_NUMBER: _ClassVar[int]
    FEES_FIELD_NUMBER: _ClassVar[int]
    MARK_PRICE_FIELD_NUMBER: _ClassVar[int]
    MARK_TIME_FIELD_NUMBER: _ClassVar[int]
    UNREALIZED_PROFIT_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    instrument: str
    quantity: str
    average_price: str
    realized_profit: str
    fees: str
    mark_price: str
    mark_time: _timestamp_pb2.Timestamp
    unrealized_profit: str
    cost: str
    def __init__(self, account_id: _Optional[str] = ..., instrument: _Optional[str] = ..., quantity: _Optional[str] = ..., average_price: _Optional[str] = ..., realized_profit: _Optional[str] = ..., fees: _Optional[str] = ..., mark_price: _Optional[str] = ..., mark_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., unrealized_profit: _Optional[str] = ..., cost: _Optional[str] = ...) -> None: ...
