import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODE_UNSPECIFIED: _ClassVar[Mode]
    MODE_PAPER: _ClassVar[Mode]
    MODE_LIVE: _ClassVar[Mode]

class RoutingMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROUTING_MODE_UNSPECIFIED: _ClassVar[RoutingMode]
    ROUTING_MODE_DIRECT: _ClassVar[RoutingMode]
    ROUTING_MODE_STRATEGY: _ClassVar[RoutingMode]

class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACTION_UNSPECIFIED: _ClassVar[Action]
    ACTION_BUY: _ClassVar[Action]
    ACTION_SELL: _ClassVar[Action]
    ACTION_CLOSE: _ClassVar[Action]
    ACTION_CANCEL: _ClassVar[Action]
    ACTION_OPEN_LONG: _ClassVar[Action]
    ACTION_OPEN_SHORT: _ClassVar[Action]
    ACTION_CLOSE_LONG: _ClassVar[Action]
    ACTION_CLOSE_SHORT: _ClassVar[Action]
    ACTION_REVERSE: _ClassVar[Action]
    ACTION_ADD: _ClassVar[Action]
    ACTION_REDUCE: _ClassVar[Action]
    ACTION_AMEND: _ClassVar[Action]

class PositionSide(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POSITION_SIDE_UNSPECIFIED: _ClassVar[PositionSide]
    POSITION_SIDE_LONG: _ClassVar[PositionSide]
    POSITION_SIDE_SHORT: _ClassVar[PositionSide]
    POSITION_SIDE_FLAT: _ClassVar[PositionSide]

class Side(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIDE_UNSPECIFIED: _ClassVar[Side]
    SIDE_BUY: _ClassVar[Side]
    SIDE_SELL: _ClassVar[Side]

class OrderType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORDER_TYPE_UNSPECIFIED: _ClassVar[OrderType]
    ORDER_TYPE_MARKET: _ClassVar[OrderType]
    ORDER_TYPE_LIMIT: _ClassVar[OrderType]
    ORDER_TYPE_STOP: _ClassVar[OrderType]
    ORDER_TYPE_STOP_LIMIT: _ClassVar[OrderType]
    ORDER_TYPE_TRAILING_STOP: _ClassVar[OrderType]

class TimeInForce(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TIME_IN_FORCE_UNSPECIFIED: _ClassVar[TimeInForce]
    TIME_IN_FORCE_GTC: _ClassVar[TimeInForce]
    TIME_IN_FORCE_IOC: _ClassVar[TimeInForce]
    TIME_IN_FORCE_FOK: _ClassVar[TimeInForce]
    TIME_IN_FORCE_DAY: _ClassVar[TimeInForce]
    TIME_IN_FORCE_GTD: _ClassVar[TimeInForce]

class QuantityType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUANTITY_TYPE_UNSPECIFIED: _ClassVar[QuantityType]
    QUANTITY_TYPE_UNITS: _ClassVar[QuantityType]
    QUANTITY_TYPE_NOTIONAL: _ClassVar[QuantityType]
    QUANTITY_TYPE_EQUITY_PERCENT: _ClassVar[QuantityType]
    QUANTITY_TYPE_RISK_PERCENT: _ClassVar[QuantityType]
    QUANTITY_TYPE_POSITION_PERCENT: _ClassVar[QuantityType]

class SizingMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIZING_METHOD_UNSPECIFIED: _ClassVar[SizingMethod]
    SIZING_METHOD_FIXED_QUANTITY: _ClassVar[SizingMethod]
    SIZING_METHOD_FIXED_NOTIONAL: _ClassVar[SizingMethod]
    SIZING_METHOD_EQUITY_PERCENT: _ClassVar[SizingMethod]
    SIZING_METHOD_RISK_PERCENT: _ClassVar[SizingMethod]
    SIZING_METHOD_KELLY: _ClassVar[SizingMethod]
    SIZING_METHOD_SIGNAL_QUANTITY: _ClassVar[SizingMethod]

class SignalStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIGNAL_STATUS_UNSPECIFIED: _ClassVar[SignalStatus]
    SIGNAL_STATUS_ACCEPTED: _ClassVar[SignalStatus]
    SIGNAL_STATUS_EXECUTED: _ClassVar[SignalStatus]
    SIGNAL_STATUS_REJECTED: _ClassVar[SignalStatus]
    SIGNAL_STATUS_FAILED: _ClassVar[SignalStatus]
    SIGNAL_STATUS_REPLAYED: _ClassVar[SignalStatus]

class OrderState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORDER_STATE_UNSPECIFIED: _ClassVar[OrderState]
    ORDER_STATE_INITIALIZED: _ClassVar[OrderState]
    ORDER_STATE_SUBMITTED: _ClassVar[OrderState]
    ORDER_STATE_ACCEPTED: _ClassVar[OrderState]
    ORDER_STATE_PARTIALLY_FILLED: _ClassVar[OrderState]
    ORDER_STATE_FILLED: _ClassVar[OrderState]
    ORDER_STATE_CANCELED: _ClassVar[OrderState]
    ORDER_STATE_REJECTED: _ClassVar[OrderState]
    ORDER_STATE_EXPIRED: _ClassVar[OrderState]
    ORDER_STATE_IN_DOUBT: _ClassVar[OrderState]

class TradingState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRADING_STATE_UNSPECIFIED: _ClassVar[TradingState]
    TRADING_STATE_ACTIVE: _ClassVar[TradingState]
    TRADING_STATE_REDUCING: _ClassVar[TradingState]
    TRADING_STATE_HALTED: _ClassVar[TradingState]

class InstrumentKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INSTRUMENT_KIND_UNSPECIFIED: _ClassVar[InstrumentKind]
    INSTRUMENT_KIND_SPOT: _ClassVar[InstrumentKind]
    INSTRUMENT_KIND_LINEAR_PERPETUAL: _ClassVar[InstrumentKind]
MODE_UNSPECIFIED: Mode
MODE_PAPER: Mode
MODE_LIVE: Mode
ROUTING_MODE_UNSPECIFIED: RoutingMode
ROUTING_MODE_DIRECT: RoutingMode
ROUTING_MODE_STRATEGY: RoutingMode
ACTION_UNSPECIFIED: Action
ACTION_BUY: Action
ACTION_SELL: Action
ACTION_CLOSE: Action
ACTION_CANCEL: Action
ACTION_OPEN_LONG: Action
ACTION_OPEN_SHORT: Action
ACTION_CLOSE_LONG: Action
ACTION_CLOSE_SHORT: Action
ACTION_REVERSE: Action
ACTION_ADD: Action
ACTION_REDUCE: Action
ACTION_AMEND: Action
POSITION_SIDE_UNSPECIFIED: PositionSide
POSITION_SIDE_LONG: PositionSide
POSITION_SIDE_SHORT: PositionSide
POSITION_SIDE_FLAT: PositionSide
SIDE_UNSPECIFIED: Side
SIDE_BUY: Side
SIDE_SELL: Side
ORDER_TYPE_UNSPECIFIED: OrderType
ORDER_TYPE_MARKET: OrderType
ORDER_TYPE_LIMIT: OrderType
ORDER_TYPE_STOP: OrderType
ORDER_TYPE_STOP_LIMIT: OrderType
ORDER_TYPE_TRAILING_STOP: OrderType
TIME_IN_FORCE_UNSPECIFIED: TimeInForce
TIME_IN_FORCE_GTC: TimeInForce
TIME_IN_FORCE_IOC: TimeInForce
TIME_IN_FORCE_FOK: TimeInForce
TIME_IN_FORCE_DAY: TimeInForce
TIME_IN_FORCE_GTD: TimeInForce
QUANTITY_TYPE_UNSPECIFIED: QuantityType
QUANTITY_TYPE_UNITS: QuantityType
QUANTITY_TYPE_NOTIONAL: QuantityType
QUANTITY_TYPE_EQUITY_PERCENT: QuantityType
QUANTITY_TYPE_RISK_PERCENT: QuantityType
QUANTITY_TYPE_POSITION_PERCENT: QuantityType
SIZING_METHOD_UNSPECIFIED: SizingMethod
SIZING_METHOD_FIXED_QUANTITY: SizingMethod
SIZING_METHOD_FIXED_NOTIONAL: SizingMethod
SIZING_METHOD_EQUITY_PERCENT: SizingMethod
SIZING_METHOD_RISK_PERCENT: SizingMethod
SIZING_METHOD_KELLY: SizingMethod
SIZING_METHOD_SIGNAL_QUANTITY: SizingMethod
SIGNAL_STATUS_UNSPECIFIED: SignalStatus
SIGNAL_STATUS_ACCEPTED: SignalStatus
SIGNAL_STATUS_EXECUTED: SignalStatus
SIGNAL_STATUS_REJECTED: SignalStatus
SIGNAL_STATUS_FAILED: SignalStatus
SIGNAL_STATUS_REPLAYED: SignalStatus
ORDER_STATE_UNSPECIFIED: OrderState
ORDER_STATE_INITIALIZED: OrderState
ORDER_STATE_SUBMITTED: OrderState
ORDER_STATE_ACCEPTED: OrderState
ORDER_STATE_PARTIALLY_FILLED: OrderState
ORDER_STATE_FILLED: OrderState
ORDER_STATE_CANCELED: OrderState
ORDER_STATE_REJECTED: OrderState
ORDER_STATE_EXPIRED: OrderState
ORDER_STATE_IN_DOUBT: OrderState
TRADING_STATE_UNSPECIFIED: TradingState
TRADING_STATE_ACTIVE: TradingState
TRADING_STATE_REDUCING: TradingState
TRADING_STATE_HALTED: TradingState
INSTRUMENT_KIND_UNSPECIFIED: InstrumentKind
INSTRUMENT_KIND_SPOT: InstrumentKind
INSTRUMENT_KIND_LINEAR_PERPETUAL: InstrumentKind

class Quote(_message.Message):
    __slots__ = ("instrument", "source", "bid", "ask", "quote_time", "bid_size", "ask_size")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    BID_FIELD_NUMBER: _ClassVar[int]
    ASK_FIELD_NUMBER: _ClassVar[int]
    QUOTE_TIME_FIELD_NUMBER: _ClassVar[int]
    BID_SIZE_FIELD_NUMBER: _ClassVar[int]
    ASK_SIZE_FIELD_NUMBER: _ClassVar[int]
    instrument: str
    source: str
    bid: str
    ask: str
    quote_time: _timestamp_pb2.Timestamp
    bid_size: str
    ask_size: str
    def __init__(self, instrument: _Optional[str] = ..., source: _Optional[str] = ..., bid: _Optional[str] = ..., ask: _Optional[str] = ..., quote_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., bid_size: _Optional[str] = ..., ask_size: _Optional[str] = ...) -> None: ...

class Instrument(_message.Message):
    __slots__ = ("instrument", "kind", "base_asset", "quote_asset", "tick_size", "lot_size", "minimum_notional", "revision", "reference_price")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    BASE_ASSET_FIELD_NUMBER: _ClassVar[int]
    QUOTE_ASSET_FIELD_NUMBER: _ClassVar[int]
    TICK_SIZE_FIELD_NUMBER: _ClassVar[int]
    LOT_SIZE_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_NOTIONAL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_PRICE_FIELD_NUMBER: _ClassVar[int]
    instrument: str
    kind: InstrumentKind
    base_asset: str
    quote_asset: str
    tick_size: str
    lot_size: str
    minimum_notional: str
    revision: int
    reference_price: str
    def __init__(self, instrument: _Optional[str] = ..., kind: _Optional[_Union[InstrumentKind, str]] = ..., base_asset: _Optional[str] = ..., quote_asset: _Optional[str] = ..., tick_size: _Optional[str] = ..., lot_size: _Optional[str] = ..., minimum_notional: _Optional[str] = ..., revision: _Optional[int] = ..., reference_price: _Optional[str] = ...) -> None: ...

class ProtectiveLevel(_message.Message):
    __slots__ = ("price", "percent", "amount")
    PRICE_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    price: str
    percent: str
    amount: str
    def __init__(self, price: _Optional[str] = ..., percent: _Optional[str] = ..., amount: _Optional[str] = ...) -> None: ...

class TakeProfit(_message.Message):
    __slots__ = ("level", "share")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    level: ProtectiveLevel
    share: str
    def __init__(self, level: _Optional[_Union[ProtectiveLevel, _Mapping]] = ..., share: _Optional[str] = ...) -> None: ...

class Sizing(_message.Message):
    __slots__ = ("method", "value", "win_rate_ratio", "payoff_ratio", "maximum_equity_percent")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    WIN_RATE_RATIO_FIELD_NUMBER: _ClassVar[int]
    PAYOFF_RATIO_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_EQUITY_PERCENT_FIELD_NUMBER: _ClassVar[int]
    method: SizingMethod
    value: str
    win_rate_ratio: str
    payoff_ratio: str
    maximum_equity_percent: str
    def __init__(self, method: _Optional[_Union[SizingMethod, str]] = ..., value: _Optional[str] = ..., win_rate_ratio: _Optional[str] = ..., payoff_ratio: _Optional[str] = ..., maximum_equity_percent: _Optional[str] = ...) -> None: ...
