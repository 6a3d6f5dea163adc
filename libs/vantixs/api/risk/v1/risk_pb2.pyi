import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from vantixs.api.common.v1 import common_pb2 as _common_pb2
from vantixs.api.common.v1 import order_pb2 as _order_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Weekday(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WEEKDAY_UNSPECIFIED: _ClassVar[Weekday]
    WEEKDAY_MONDAY: _ClassVar[Weekday]
    WEEKDAY_TUESDAY: _ClassVar[Weekday]
    WEEKDAY_WEDNESDAY: _ClassVar[Weekday]
    WEEKDAY_THURSDAY: _ClassVar[Weekday]
    WEEKDAY_FRIDAY: _ClassVar[Weekday]
    WEEKDAY_SATURDAY: _ClassVar[Weekday]
    WEEKDAY_SUNDAY: _ClassVar[Weekday]
WEEKDAY_UNSPECIFIED: Weekday
WEEKDAY_MONDAY: Weekday
WEEKDAY_TUESDAY: Weekday
WEEKDAY_WEDNESDAY: Weekday
WEEKDAY_THURSDAY: Weekday
WEEKDAY_FRIDAY: Weekday
WEEKDAY_SATURDAY: Weekday
WEEKDAY_SUNDAY: Weekday

class Account(_message.Message):
    __slots__ = ("account_id", "mode", "currency", "venue", "credential_id", "enabled", "may_short", "instruments", "sizing", "limits", "balance", "scratch_of", "create_time", "update_time", "revision", "live_enabled", "strategies", "trading_windows", "day_start", "day_time_zone", "breakers", "leverage")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_ID_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    MAY_SHORT_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    SIZING_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    SCRATCH_OF_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    LIVE_ENABLED_FIELD_NUMBER: _ClassVar[int]
    STRATEGIES_FIELD_NUMBER: _ClassVar[int]
    TRADING_WINDOWS_FIELD_NUMBER: _ClassVar[int]
    DAY_START_FIELD_NUMBER: _ClassVar[int]
    DAY_TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    BREAKERS_FIELD_NUMBER: _ClassVar[int]
    LEVERAGE_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    mode: _common_pb2.Mode
    currency: str
    venue: str
    credential_id: str
    enabled: bool
    may_short: bool
    instruments: _containers.RepeatedScalarFieldContainer[str]
    sizing: _common_pb2.Sizing
    limits: Limits
    balance: str
    scratch_of: str
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    revision: int
    live_enabled: bool
    strategies: _containers.RepeatedScalarFieldContainer[str]
    trading_windows: _containers.RepeatedCompositeFieldContainer[TradingWindow]
    day_start: str
    day_time_zone: str
    breakers: Breakers
    leverage: str
    def __init__(self, account_id: _Optional[str] = ..., mode: _Optional[_Union[_common_pb2.Mode, str]] = ..., currency: _Optional[str] = ..., venue: _Optional[str] = ..., credential_id: _Optional[str] = ..., enabled: _Optional[bool] = ..., may_short: _Optional[bool] = ..., instruments: _Optional[_Iterable[str]] = ..., sizing: _Optional[_Union[_common_pb2.Sizing, _Mapping]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., balance: _Optional[str] = ..., scratch_of: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revision: _Optional[int] = ..., live_enabled: _Optional[bool] = ..., strategies: _Optional[_Iterable[str]] = ..., trading_windows: _Optional[_Iterable[_Union[TradingWindow, _Mapping]]] = ..., day_start: _Optional[str] = ..., day_time_zone: _Optional[str] = ..., breakers: _Optional[_Union[Breakers, _Mapping]] = ..., leverage: _Optional[str] = ...) -> None: ...

class TradingWindow(_message.Message):
    __slots__ = ("days", "start", "end", "time_zone")
    DAYS_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    days: _containers.RepeatedScalarFieldContainer[Weekday]
    start: str
    end: str
    time_zone: str
    def __init__(self, days: _Optional[_Iterable[_Union[Weekday, str]]] = ..., start: _Optional[str] = ..., end: _Optional[str] = ..., time_zone: _Optional[str] = ...) -> None: ...

class Breakers(_message.Message):
    __slots__ = ("daily_loss_state", "drawdown_state", "max_failures_in_a_row", "failures_state", "max_repeated_orders", "repeated_orders_window_s", "repeated_orders_state")
    DAILY_LOSS_STATE_FIELD_NUMBER: _ClassVar[int]
    DRAWDOWN_STATE_FIELD_NUMBER: _ClassVar[int]
    MAX_FAILURES_IN_A_ROW_FIELD_NUMBER: _ClassVar[int]
    FAILURES_STATE_FIELD_NUMBER: _ClassVar[int]
    MAX_REPEATED_ORDERS_FIELD_NUMBER: _ClassVar[int]
    REPEATED_ORDERS_WINDOW_S_FIELD_NUMBER: _ClassVar[int]
    REPEATED_ORDERS_STATE_FIELD_NUMBER: _ClassVar[int]
    daily_loss_state: _common_pb2.TradingState
    drawdown_state: _common_pb2.TradingState
    max_failures_in_a_row: int
    failures_state: _common_pb2.TradingState
    max_repeated_orders: int
    repeated_orders_window_s: int
    repeated_orders_state: _common_pb2.TradingState
    def __init__(self, daily_loss_state: _Optional[_Union[_common_pb2.TradingState, str]] = ..., drawdown_state: _Optional[_Union[_common_pb2.TradingState, str]] = ..., max_failures_in_a_row: _Optional[int] = ..., failures_state: _Optional[_Union[_common_pb2.TradingState, str]] = ..., max_repeated_orders: _Optional[int] = ..., repeated_orders_window_s: _Optional[int] = ..., repeated_orders_state: _Optional[_Union[_common_pb2.TradingState, str]] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("min_order_notional", "max_order_notional", "max_position_notional", "max_gross_exposure", "max_open_positions", "max_leverage", "max_daily_loss", "max_drawdown_percent", "loss_cooldown_s", "max_orders_per_minute", "max_price_deviation_bps", "max_price_age_ms", "min_order_quantity", "max_order_quantity", "duplicate_order_window_s", "max_mark_age_s")
    MIN_ORDER_NOTIONAL_FIELD_NUMBER: _ClassVar[int]
    MAX_ORDER_NOTIONAL_FIELD_NUMBER: _ClassVar[int]
    MAX_POSITION_NOTIONAL_FIELD_NUMBER: _ClassVar[int]
    MAX_GROSS_EXPOSURE_FIELD_NUMBER: _ClassVar[int]
    MAX_OPEN_POSITIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_LEVERAGE_FIELD_NUMBER: _ClassVar[int]
    MAX_DAILY_LOSS_FIELD_NUMBER: _ClassVar[int]
    MAX_DRAWDOWN_PERCENT_FIELD_NUMBER: _ClassVar[int]
    LOSS_COOLDOWN_S_FIELD_NUMBER: _ClassVar[int]
    MAX_ORDERS_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    MAX_PRICE_DEVIATION_BPS_FIELD_NUMBER: _ClassVar[int]
    MAX_PRICE_AGE_MS_FIELD_NUMBER: _ClassVar[int]
    MIN_ORDER_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    MAX_ORDER_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_ORDER_WINDOW_S_FIELD_NUMBER: _ClassVar[int]
    MAX_MARK_AGE_S_FIELD_NUMBER: _ClassVar[int]
    min_order_notional: str
    max_order_notional: str
    max_position_notional: str
    max_gross_exposure: str
    max_open_positions: int
    max_leverage: str
    max_daily_loss: str
    max_drawdown_percent: str
    loss_cooldown_s: int
    max_orders_per_minute: int
    max_price_deviation_bps: int
    max_price_age_ms: int
    min_order_quantity: str
    max_order_quantity: str
    duplicate_order_window_s: int
    max_mark_age_s: int
    def __init__(self, min_order_notional: _Optional[str] = ..., max_order_notional: _Optional[str] = ..., max_position_notional: _Optional[str] = ..., max_gross_exposure: _Optional[str] = ..., max_open_positions: _Optional[int] = ..., max_leverage: _Optional[str] = ..., max_daily_loss: _Optional[str] = ..., max_drawdown_percent: _Optional[str] = ..., loss_cooldown_s: _Optional[int] = ..., max_orders_per_minute: _Optional[int] = ..., max_price_deviation_bps: _Optional[int] = ..., max_price_age_ms: _Optional[int] = ..., min_order_quantity: _Optional[str] = ..., max_order_quantity: _Optional[str] = ..., duplicate_order_window_s: _Optional[int] = ..., max_mark_age_s: _Optional[int] = ...) -> None: ...

class Balance(_message.Message):
    __slots__ = ("asset", "total", "reserved")
    ASSET_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    asset: str
    total: str
    reserved: str
    def __init__(self, asset: _Optional[str] = ..., total: _Optional[str] = ..., reserved: _Optional[str] = ...) -> None: ...

class Headroom(_message.Message):
    __slots__ = ("name", "limit", "used", "unit", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    limit: str
    used: str
    unit: str
    reason: str
    def __init__(self, name: _Optional[str] = ..., limit: _Optional[str] = ..., used: _Optional[str] = ..., unit: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class OpenOrder(_message.Message):
    __slots__ = ("order_id", "account_id", "instrument", "side", "effect", "quantity", "filled_quantity", "hold", "decide_time", "webhook_id", "strategy_id")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    FILLED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    HOLD_FIELD_NUMBER: _ClassVar[int]
    DECIDE_TIME_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_ID_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_ID_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    account_id: str
    instrument: str
    side: _common_pb2.Side
    effect: _order_pb2.OrderEffect
    quantity: str
    filled_quantity: str
    hold: str
    decide_time: _timestamp_pb2.Timestamp
    webhook_id: str
    strategy_id: str
    def __init__(self, order_id: _Optional[str] = ..., account_id: _Optional[str] = ..., instrument: _Optional[str] = ..., side: _Optional[_Union[_common_pb2.Side, str]] = ..., effect: _Optional[_Union[_order_pb2.OrderEffect, str]] = ..., quantity: _Optional[str] = ..., filled_quantity: _Optional[str] = ..., hold: _Optional[str] = ..., decide_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., webhook_id: _Optional[str] = ..., strategy_id: _Optional[str] = ...) -> None: ...

class EvaluateOrderRequest(_message.Message):
    __slots__ = ("order", "assumed_position_quantity", "sizing", "signal_quantity", "signal_quantity_type", "signal_price", "stop_loss", "quote", "instrument", "fee_bps", "preview", "webhook_id", "strategy_id", "marks", "signal_previous_quantity")
    ORDER_FIELD_NUMBER: _ClassVar[int]
    ASSUMED_POSITION_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    SIZING_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_QUANTITY_TYPE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_PRICE_FIELD_NUMBER: _ClassVar[int]
    STOP_LOSS_FIELD_NUMBER: _ClassVar[int]
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    FEE_BPS_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_ID_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_ID_FIELD_NUMBER: _ClassVar[int]
    MARKS_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_PREVIOUS_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    order: _order_pb2.Order
    assumed_position_quantity: str
    sizing: _common_pb2.Sizing
    signal_quantity: str
    signal_quantity_type: _common_pb2.QuantityType
    signal_price: str
    stop_loss: _common_pb2.ProtectiveLevel
    quote: _common_pb2.Quote
    instrument: _common_pb2.Instrument
    fee_bps: str
    preview: bool
    webhook_id: str
    strategy_id: str
    marks: _containers.RepeatedCompositeFieldContainer[_common_pb2.Quote]
    signal_previous_quantity: str
    def __init__(self, order: _Optional[_Union[_order_pb2.Order, _Mapping]] = ..., assumed_position_quantity: _Optional[str] = ..., sizing: _Optional[_Union[_common_pb2.Sizing, _Mapping]] = ..., signal_quantity: _Optional[str] = ..., signal_quantity_type: _Optional[_Union[_common_pb2.QuantityType, str]] = ..., signal_price: _Optional[str] = ..., stop_loss: _Optional[_Union[_common_pb2.ProtectiveLevel, _Mapping]] = ..., quote: _Optional[_Union[_common_pb2.Quote, _Mapping]] = ..., instrument: _Optional[_Union[_common_pb2.Instrument, _Mapping]] = ..., fee_bps: _Optional[str] = ..., preview: _Optional[bool] = ..., webhook_id: _Optional[str] = ..., strategy_id: _Optional[str] = ..., marks: _Optional[_Iterable[_Union[_common_pb2.Quote, _Mapping]]] = ..., signal_previous_quantity: _Optional[str] = ...) -> None: ...

class EvaluateOrderResponse(_message.Message):
    __slots__ = ("decision",)
    DECISION_FIELD_NUMBER: _ClassVar[int]
    decision: _order_pb2.RiskDecision
    def __init__(self, decision: _Optional[_Union[_order_pb2.RiskDecision, _Mapping]] = ...) -> None: ...

class SettleOrderRequest(_message.Message):
    __slots__ = ("order_id", "fills", "final", "order_state", "account_id", "instrument")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    FILLS_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    ORDER_STATE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    fills: _containers.RepeatedCompositeFieldContainer[_order_pb2.Fill]
    final: bool
    order_state: _common_pb2.OrderState
    account_id: str
    instrument: str
    def __init__(self, order_id: _Optional[str] = ..., fills: _Optional[_Iterable[_Union[_order_pb2.Fill, _Mapping]]] = ..., final: _Optional[bool] = ..., order_state: _Optional[_Union[_common_pb2.OrderState, str]] = ..., account_id: _Optional[str] = ..., instrument: _Optional[str] = ...) -> None: ...

class SettleOrderResponse(_message.Message):
    __slots__ = ("position", "flags")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    position: _order_pb2.Position
    flags: _containers.RepeatedCompositeFieldContainer[_order_pb2.Input]
    def __init__(self, position: _Optional[_Union[_order_pb2.Position, _Mapping]] = ..., flags: _Optional[_Iterable[_Union[_order_pb2.Input, _Mapping]]] = ...) -> None: ...

class BatchEvaluateOrdersRequest(_message.Message):
    __slots__ = ("requests",)
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[EvaluateOrderRequest]
    def __init__(self, requests: _Optional[_Iterable[_Union[EvaluateOrderRequest, _Mapping]]] = ...) -> None: ...

class EvaluateOrderResult(_message.Message):
    __slots__ = ("decision", "error")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    decision: _order_pb2.RiskDecision
    error: _status_pb2.Status
    def __init__(self, decision: _Optional[_Union[_order_pb2.RiskDecision, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class BatchEvaluateOrdersResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[EvaluateOrderResult]
    def __init__(self, results: _Optional[_Iterable[_Union[EvaluateOrderResult, _Mapping]]] = ...) -> None: ...

class BatchSettleOrdersRequest(_message.Message):
    __slots__ = ("requests",)
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[SettleOrderRequest]
    def __init__(self, requests: _Optional[_Iterable[_Union[SettleOrderRequest, _Mapping]]] = ...) -> None: ...

class SettleOrderResult(_message.Message):
    __slots__ = ("response", "error")
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    response: SettleOrderResponse
    error: _status_pb2.Status
    def __init__(self, response: _Optional[_Union[SettleOrderResponse, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class BatchSettleOrdersResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[SettleOrderResult]
    def __init__(self, results: _Optional[_Iterable[_Union[SettleOrderResult, _Mapping]]] = ...) -> None: ...

class RefreshMarksRequest(_message.Message):
    __slots__ = ("marks",)
    MARKS_FIELD_NUMBER: _ClassVar[int]
    marks: _containers.RepeatedCompositeFieldContainer[_common_pb2.Quote]
    def __init__(self, marks: _Optional[_Iterable[_Union[_common_pb2.Quote, _Mapping]]] = ...) -> None: ...

class RefreshMarksResponse(_message.Message):
    __slots__ = ("instruments", "accounts")
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    instruments: _containers.RepeatedScalarFieldContainer[str]
    accounts: int
    def __init__(self, instruments: _Optional[_Iterable[str]] = ..., accounts: _Optional[int] = ...) -> None: ...

class CreateAccountRequest(_message.Message):
    __slots__ = ("request_id", "account", "copy_from_account_id", "seed")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    COPY_FROM_ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    account: Account
    copy_from_account_id: str
    seed: DecisionInputs
    def __init__(self, request_id: _Optional[str] = ..., account: _Optional[_Union[Account, _Mapping]] = ..., copy_from_account_id: _Optional[str] = ..., seed: _Optional[_Union[DecisionInputs, _Mapping]] = ...) -> None: ...

class CreateAccountResponse(_message.Message):
    __slots__ = ("account",)
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: Account
    def __init__(self, account: _Optional[_Union[Account, _Mapping]] = ...) -> None: ...

class GetAccountRequest(_message.Message):
    __slots__ = ("account_id",)
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    def __init__(self, account_id: _Optional[str] = ...) -> None: ...

class GetAccountResponse(_message.Message):
    __slots__ = ("account", "balances", "positions", "realized_profit", "fees", "equity", "unrealized_profit", "adjusted", "daily_profit", "day", "peak_equity", "drawdown_percent", "free_funds", "gross_exposure", "headroom", "open_orders", "restricted", "fees_by_asset", "funding")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    BALANCES_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    REALIZED_PROFIT_FIELD_NUMBER: _ClassVar[int]
    FEES_FIELD_NUMBER: _ClassVar[int]
    EQUITY_FIELD_NUMBER: _ClassVar[int]
    UNREALIZED_PROFIT_FIELD_NUMBER: _ClassVar[int]
    ADJUSTED_FIELD_NUMBER: _ClassVar[int]
    DAILY_PROFIT_FIELD_NUMBER: _ClassVar[int]
    DAY_FIELD_NUMBER: _ClassVar[int]
    PEAK_EQUITY_FIELD_NUMBER: _ClassVar[int]
    DRAWDOWN_PERCENT_FIELD_NUMBER: _ClassVar[int]
    FREE_FUNDS_FIELD_NUMBER: _ClassVar[int]
    GROSS_EXPOSURE_FIELD_NUMBER: _ClassVar[int]
    HEADROOM_FIELD_NUMBER: _ClassVar[int]
    OPEN_ORDERS_FIELD_NUMBER: _ClassVar[int]
    RESTRICTED_FIELD_NUMBER: _ClassVar[int]
    FEES_BY_ASSET_FIELD_NUMBER: _ClassVar[int]
    FUNDING_FIELD_NUMBER: _ClassVar[int]
    account: Account
    balances: _containers.RepeatedCompositeFieldContainer[Balance]
    positions: _containers.RepeatedCompositeFieldContainer[_order_pb2.Position]
    realized_profit: str
    fees: str
    equity: str
    unrealized_profit: str
    adjusted: str
    daily_profit: str
    day: str
    peak_equity: str
    drawdown_percent: str
    free_funds: str
    gross_exposure: str
    headroom: _containers.RepeatedCompositeFieldContainer[Headroom]
    open_orders: _containers.RepeatedCompositeFieldContainer[OpenOrder]
    restricted: _containers.RepeatedCompositeFieldContainer[ScopeState]
    fees_by_asset: _containers.RepeatedCompositeFieldContainer[Balance]
    funding: str
    def __init__(self, account: _Optional[_Union[Account, _Mapping]] = ..., balances: _Optional[_Iterable[_Union[Balance, _Mapping]]] = ..., positions: _Optional[_Iterable[_Union[_order_pb2.Position, _Mapping]]] = ..., realized_profit: _Optional[str] = ..., fees: _Optional[str] = ..., equity: _Optional[str] = ..., unrealized_profit: _Optional[str] = ..., adjusted: _Optional[str] = ..., daily_profit: _Optional[str] = ..., day: _Optional[str] = ..., peak_equity: _Optional[str] = ..., drawdown_percent: _Optional[str] = ..., free_funds: _Optional[str] = ..., gross_exposure: _Optional[str] = ..., headroom: _Optional[_Iterable[_Union[Headroom, _Mapping]]] = ..., open_orders: _Optional[_Iterable[_Union[OpenOrder, _Mapping]]] = ..., restricted: _Optional[_Iterable[_Union[ScopeState, _Mapping]]] = ..., fees_by_asset: _Optional[_Iterable[_Union[Balance, _Mapping]]] = ..., funding: _Optional[str] = ...) -> None: ...

class ListAccountsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAccountsResponse(_message.Message):
    __slots__ = ("accounts", "next_page_token")
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    accounts: _containers.RepeatedCompositeFieldContainer[Account]
    next_page_token: str
    def __init__(self, accounts: _Optional[_Iterable[_Union[Account, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateAccountRequest(_message.Message):
    __slots__ = ("account",)
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: Account
    def __init__(self, account: _Optional[_Union[Account, _Mapping]] = ...) -> None: ...

class UpdateAccountResponse(_message.Message):
    __slots__ = ("account",)
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: Account
    def __init__(self, account: _Optional[_Union[Account, _Mapping]] = ...) -> None: ...

class ListPositionsRequest(_message.Message):
    __slots__ = ("account_id", "page_size", "page_token", "instrument")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    page_size: int
    page_token: str
    instrument: str
    def __init__(self, account_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., instrument: _Optional[str] = ...) -> None: ...

class ListPositionsResponse(_message.Message):
    __slots__ = ("positions", "next_page_token")
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    positions: _containers.RepeatedCompositeFieldContainer[_order_pb2.Position]
    next_page_token: str
    def __init__(self, positions: _Optional[_Iterable[_Union[_order_pb2.Position, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ScopeState(_message.Message):
    __slots__ = ("scope", "state", "comment", "actor", "update_time")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    scope: str
    state: _common_pb2.TradingState
    comment: str
    actor: str
    update_time: _timestamp_pb2.Timestamp
    def __init__(self, scope: _Optional[str] = ..., state: _Optional[_Union[_common_pb2.TradingState, str]] = ..., comment: _Optional[str] = ..., actor: _Optional[str] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetTradingStateRequest(_message.Message):
    __slots__ = ("scope",)
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    scope: str
    def __init__(self, scope: _Optional[str] = ...) -> None: ...

class GetTradingStateResponse(_message.Message):
    __slots__ = ("state", "restricted", "max_price_age_ms")
    STATE_FIELD_NUMBER: _ClassVar[int]
    RESTRICTED_FIELD_NUMBER: _ClassVar[int]
    MAX_PRICE_AGE_MS_FIELD_NUMBER: _ClassVar[int]
    state: ScopeState
    restricted: _containers.RepeatedCompositeFieldContainer[ScopeState]
    max_price_age_ms: int
    def __init__(self, state: _Optional[_Union[ScopeState, _Mapping]] = ..., restricted: _Optional[_Iterable[_Union[ScopeState, _Mapping]]] = ..., max_price_age_ms: _Optional[int] = ...) -> None: ...

class SetTradingStateRequest(_message.Message):
    __slots__ = ("scope", "state", "comment")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    scope: str
    state: _common_pb2.TradingState
    comment: str
    def __init__(self, scope: _Optional[str] = ..., state: _Optional[_Union[_common_pb2.TradingState, str]] = ..., comment: _Optional[str] = ...) -> None: ...

class SetTradingStateResponse(_message.Message):
    __slots__ = ("state", "before", "open_orders", "orders")
    STATE_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    OPEN_ORDERS_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    state: ScopeState
    before: _common_pb2.TradingState
    open_orders: int
    orders: _containers.RepeatedCompositeFieldContainer[OpenOrder]
    def __init__(self, state: _Optional[_Union[ScopeState, _Mapping]] = ..., before: _Optional[_Union[_common_pb2.TradingState, str]] = ..., open_orders: _Optional[int] = ..., orders: _Optional[_Iterable[_Union[OpenOrder, _Mapping]]] = ...) -> None: ...

class CashAdjustment(_message.Message):
    __slots__ = ("asset", "amount")
    ASSET_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    asset: str
    amount: str
    def __init__(self, asset: _Optional[str] = ..., amount: _Optional[str] = ...) -> None: ...

class PositionAdjustment(_message.Message):
    __slots__ = ("instrument", "quantity", "price")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    instrument: str
    quantity: str
    price: str
    def __init__(self, instrument: _Optional[str] = ..., quantity: _Optional[str] = ..., price: _Optional[str] = ...) -> None: ...

class RecordAdjustmentRequest(_message.Message):
    __slots__ = ("request_id", "account_id", "comment", "cash", "position")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    CASH_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    account_id: str
    comment: str
    cash: CashAdjustment
    position: PositionAdjustment
    def __init__(self, request_id: _Optional[str] = ..., account_id: _Optional[str] = ..., comment: _Optional[str] = ..., cash: _Optional[_Union[CashAdjustment, _Mapping]] = ..., position: _Optional[_Union[PositionAdjustment, _Mapping]] = ...) -> None: ...

class RecordAdjustmentResponse(_message.Message):
    __slots__ = ("balance", "position")
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    balance: Balance
    position: _order_pb2.Position
    def __init__(self, balance: _Optional[_Union[Balance, _Mapping]] = ..., position: _Optional[_Union[_order_pb2.Position, _Mapping]] = ...) -> None: ...

class ListFundingDueRequest(_message.Message):
    __slots__ = ("interval_s", "until_time")
    INTERVAL_S_FIELD_NUMBER: _ClassVar[int]
    UNTIL_TIME_FIELD_NUMBER: _ClassVar[int]
    interval_s: int
    until_time: _timestamp_pb2.Timestamp
    def __init__(self, interval_s: _Optional[int] = ..., until_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class FundingKey(_message.Message):
    __slots__ = ("account_id", "instrument")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    instrument: str
    def __init__(self, account_id: _Optional[str] = ..., instrument: _Optional[str] = ...) -> None: ...

class ListFundingDueResponse(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[FundingKey]
    def __init__(self, keys: _Optional[_Iterable[_Union[FundingKey, _Mapping]]] = ...) -> None: ...

class BookFundingRequest(_message.Message):
    __slots__ = ("account_id", "instrument", "interval_s", "until_time", "rate_ratio", "quote")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_S_FIELD_NUMBER: _ClassVar[int]
    UNTIL_TIME_FIELD_NUMBER: _ClassVar[int]
    RATE_RATIO_FIELD_NUMBER: _ClassVar[int]
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    instrument: str
    interval_s: int
    until_time: _timestamp_pb2.Timestamp
    rate_ratio: str
    quote: _common_pb2.Quote
    def __init__(self, account_id: _Optional[str] = ..., instrument: _Optional[str] = ..., interval_s: _Optional[int] = ..., until_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., rate_ratio: _Optional[str] = ..., quote: _Optional[_Union[_common_pb2.Quote, _Mapping]] = ...) -> None: ...

class BookFundingResponse(_message.Message):
    __slots__ = ("fundings", "more")
    FUNDINGS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    fundings: _containers.RepeatedCompositeFieldContainer[_order_pb2.Funding]
    more: bool
    def __init__(self, fundings: _Optional[_Iterable[_Union[_order_pb2.Funding, _Mapping]]] = ..., more: _Optional[bool] = ...) -> None: ...

class ListEquityRequest(_message.Message):
    __slots__ = ("account_id", "resolution_s", "page_size", "page_token")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_S_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    resolution_s: int
    page_size: int
    page_token: str
    def __init__(self, account_id: _Optional[str] = ..., resolution_s: _Optional[int] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class EquitySample(_message.Message):
    __slots__ = ("sample_time", "equity")
    SAMPLE_TIME_FIELD_NUMBER: _ClassVar[int]
    EQUITY_FIELD_NUMBER: _ClassVar[int]
    sample_time: _timestamp_pb2.Timestamp
    equity: str
    def __init__(self, sample_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., equity: _Optional[str] = ...) -> None: ...

class ListEquityResponse(_message.Message):
    __slots__ = ("samples", "next_page_token")
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    samples: _containers.RepeatedCompositeFieldContainer[EquitySample]
    next_page_token: str
    def __init__(self, samples: _Optional[_Iterable[_Union[EquitySample, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class HeldInput(_message.Message):
    __slots__ = ("instrument", "base_asset", "quote_asset", "perpetual", "quantity", "cost", "bid", "ask", "mark_time", "dust")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    BASE_ASSET_FIELD_NUMBER: _ClassVar[int]
    QUOTE_ASSET_FIELD_NUMBER: _ClassVar[int]
    PERPETUAL_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    BID_FIELD_NUMBER: _ClassVar[int]
    ASK_FIELD_NUMBER: _ClassVar[int]
    MARK_TIME_FIELD_NUMBER: _ClassVar[int]
    DUST_FIELD_NUMBER: _ClassVar[int]
    instrument: str
    base_asset: str
    quote_asset: str
    perpetual: bool
    quantity: str
    cost: str
    bid: str
    ask: str
    mark_time: _timestamp_pb2.Timestamp
    dust: bool
    def __init__(self, instrument: _Optional[str] = ..., base_asset: _Optional[str] = ..., quote_asset: _Optional[str] = ..., perpetual: _Optional[bool] = ..., quantity: _Optional[str] = ..., cost: _Optional[str] = ..., bid: _Optional[str] = ..., ask: _Optional[str] = ..., mark_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., dust: _Optional[bool] = ...) -> None: ...

class ReservedInput(_message.Message):
    __slots__ = ("instrument", "entry", "buy", "quantity", "notional", "hold", "filled_quantity", "leg")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    BUY_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    NOTIONAL_FIELD_NUMBER: _ClassVar[int]
    HOLD_FIELD_NUMBER: _ClassVar[int]
    FILLED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    LEG_FIELD_NUMBER: _ClassVar[int]
    instrument: str
    entry: bool
    buy: bool
    quantity: str
    notional: str
    hold: str
    filled_quantity: str
    leg: bool
    def __init__(self, instrument: _Optional[str] = ..., entry: _Optional[bool] = ..., buy: _Optional[bool] = ..., quantity: _Optional[str] = ..., notional: _Optional[str] = ..., hold: _Optional[str] = ..., filled_quantity: _Optional[str] = ..., leg: _Optional[bool] = ...) -> None: ...

class ApprovedInput(_message.Message):
    __slots__ = ("key", "time")
    KEY_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    key: str
    time: _timestamp_pb2.Timestamp
    def __init__(self, key: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class DecisionInputs(_message.Message):
    __slots__ = ("request", "account", "decide_time", "cash", "day", "day_equity", "peak", "held", "reserved", "trading_states", "orders_last_minute", "approved", "loss_time", "max_price_age_ms", "max_mark_age_s", "price_buffer_bps", "left_out")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    DECIDE_TIME_FIELD_NUMBER: _ClassVar[int]
    CASH_FIELD_NUMBER: _ClassVar[int]
    DAY_FIELD_NUMBER: _ClassVar[int]
    DAY_EQUITY_FIELD_NUMBER: _ClassVar[int]
    PEAK_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    TRADING_STATES_FIELD_NUMBER: _ClassVar[int]
    ORDERS_LAST_MINUTE_FIELD_NUMBER: _ClassVar[int]
    APPROVED_FIELD_NUMBER: _ClassVar[int]
    LOSS_TIME_FIELD_NUMBER: _ClassVar[int]
    MAX_PRICE_AGE_MS_FIELD_NUMBER: _ClassVar[int]
    MAX_MARK_AGE_S_FIELD_NUMBER: _ClassVar[int]
    PRICE_BUFFER_BPS_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    request: EvaluateOrderRequest
    account: Account
    decide_time: _timestamp_pb2.Timestamp
    cash: str
    day: str
    day_equity: str
    peak: str
    held: _containers.RepeatedCompositeFieldContainer[HeldInput]
    reserved: _containers.RepeatedCompositeFieldContainer[ReservedInput]
    trading_states: _containers.RepeatedCompositeFieldContainer[_order_pb2.Input]
    orders_last_minute: int
    approved: _containers.RepeatedCompositeFieldContainer[ApprovedInput]
    loss_time: _timestamp_pb2.Timestamp
    max_price_age_ms: int
    max_mark_age_s: int
    price_buffer_bps: str
    left_out: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, request: _Optional[_Union[EvaluateOrderRequest, _Mapping]] = ..., account: _Optional[_Union[Account, _Mapping]] = ..., decide_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cash: _Optional[str] = ..., day: _Optional[str] = ..., day_equity: _Optional[str] = ..., peak: _Optional[str] = ..., held: _Optional[_Iterable[_Union[HeldInput, _Mapping]]] = ..., reserved: _Optional[_Iterable[_Union[ReservedInput, _Mapping]]] = ..., trading_states: _Optional[_Iterable[_Union[_order_pb2.Input, _Mapping]]] = ..., orders_last_minute: _Optional[int] = ..., approved: _Optional[_Iterable[_Union[ApprovedInput, _Mapping]]] = ..., loss_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., max_price_age_ms: _Optional[int] = ..., max_mark_age_s: _Optional[int] = ..., price_buffer_bps: _Optional[str] = ..., left_out: _Optional[_Iterable[str]] = ...) -> None: ...

class VerifyDecisionRequest(_message.Message):
    __slots__ = ("inputs", "current")
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    inputs: DecisionInputs
    current: bool
    def __init__(self, inputs: _Optional[_Union[DecisionInputs, _Mapping]] = ..., current: _Optional[bool] = ...) -> None: ...

class VerifyDecisionResponse(_message.Message):
    __slots__ = ("decision",)
    DECISION_FIELD_NUMBER: _ClassVar[int]
    decision: _order_pb2.RiskDecision
    def __init__(self, decision: _Optional[_Union[_order_pb2.RiskDecision, _Mapping]] = ...) -> None: ...
