import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from vantixs.api.common.v1 import common_pb2 as _common_pb2
from vantixs.api.common.v1 import order_pb2 as _order_pb2
from vantixs.api.ingress.v1 import webhook_pb2 as _webhook_pb2
from vantixs.api.journal.v1 import journal_pb2 as _journal_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PreviewInputs(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PREVIEW_INPUTS_UNSPECIFIED: _ClassVar[PreviewInputs]
    PREVIEW_INPUTS_CURRENT: _ClassVar[PreviewInputs]
    PREVIEW_INPUTS_RECORDED: _ClassVar[PreviewInputs]
PREVIEW_INPUTS_UNSPECIFIED: PreviewInputs
PREVIEW_INPUTS_CURRENT: PreviewInputs
PREVIEW_INPUTS_RECORDED: PreviewInputs

class PreviewSignalRequest(_message.Message):
    __slots__ = ("accepted", "inputs", "replay_id", "seed")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    REPLAY_ID_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    accepted: _journal_pb2.SignalAccepted
    inputs: PreviewInputs
    replay_id: str
    seed: bytes
    def __init__(self, accepted: _Optional[_Union[_journal_pb2.SignalAccepted, _Mapping]] = ..., inputs: _Optional[_Union[PreviewInputs, str]] = ..., replay_id: _Optional[str] = ..., seed: _Optional[bytes] = ...) -> None: ...

class PreviewSignalResponse(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[_journal_pb2.JournalEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[_journal_pb2.JournalEntry, _Mapping]]] = ...) -> None: ...

class GetOrderRequest(_message.Message):
    __slots__ = ("order_id",)
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    def __init__(self, order_id: _Optional[str] = ...) -> None: ...

class GetOrderResponse(_message.Message):
    __slots__ = ("order", "fills")
    ORDER_FIELD_NUMBER: _ClassVar[int]
    FILLS_FIELD_NUMBER: _ClassVar[int]
    order: _order_pb2.Order
    fills: _containers.RepeatedCompositeFieldContainer[_order_pb2.Fill]
    def __init__(self, order: _Optional[_Union[_order_pb2.Order, _Mapping]] = ..., fills: _Optional[_Iterable[_Union[_order_pb2.Fill, _Mapping]]] = ...) -> None: ...

class ListOrdersRequest(_message.Message):
    __slots__ = ("signal_id", "page_size", "page_token", "account_id", "instrument", "open_only")
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    OPEN_ONLY_FIELD_NUMBER: _ClassVar[int]
    signal_id: str
    page_size: int
    page_token: str
    account_id: str
    instrument: str
    open_only: bool
    def __init__(self, signal_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., account_id: _Optional[str] = ..., instrument: _Optional[str] = ..., open_only: _Optional[bool] = ...) -> None: ...

class ListOrdersResponse(_message.Message):
    __slots__ = ("orders", "next_page_token")
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    orders: _containers.RepeatedCompositeFieldContainer[_order_pb2.Order]
    next_page_token: str
    def __init__(self, orders: _Optional[_Iterable[_Union[_order_pb2.Order, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CancelOrderRequest(_message.Message):
    __slots__ = ("order_id",)
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    def __init__(self, order_id: _Optional[str] = ...) -> None: ...

class CancelOrderResponse(_message.Message):
    __slots__ = ("order",)
    ORDER_FIELD_NUMBER: _ClassVar[int]
    order: _order_pb2.Order
    def __init__(self, order: _Optional[_Union[_order_pb2.Order, _Mapping]] = ...) -> None: ...

class CancelOrdersRequest(_message.Message):
    __slots__ = ("account_id", "instrument", "webhook_id", "tag", "all")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_ID_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    instrument: str
    webhook_id: str
    tag: str
    all: bool
    def __init__(self, account_id: _Optional[str] = ..., instrument: _Optional[str] = ..., webhook_id: _Optional[str] = ..., tag: _Optional[str] = ..., all: _Optional[bool] = ...) -> None: ...

class CancelOrdersResponse(_message.Message):
    __slots__ = ("orders",)
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    orders: _containers.RepeatedCompositeFieldContainer[_order_pb2.Order]
    def __init__(self, orders: _Optional[_Iterable[_Union[_order_pb2.Order, _Mapping]]] = ...) -> None: ...

class AmendOrderRequest(_message.Message):
    __slots__ = ("request_id", "order_id", "limit_price", "stop_price", "quantity", "expire_time", "trail_percent", "trail_amount", "reason")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_PRICE_FIELD_NUMBER: _ClassVar[int]
    STOP_PRICE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    TRAIL_PERCENT_FIELD_NUMBER: _ClassVar[int]
    TRAIL_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    order_id: str
    limit_price: str
    stop_price: str
    quantity: str
    expire_time: _timestamp_pb2.Timestamp
    trail_percent: str
    trail_amount: str
    reason: str
    def __init__(self, request_id: _Optional[str] = ..., order_id: _Optional[str] = ..., limit_price: _Optional[str] = ..., stop_price: _Optional[str] = ..., quantity: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., trail_percent: _Optional[str] = ..., trail_amount: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class AmendOrderResponse(_message.Message):
    __slots__ = ("order", "signal_id")
    ORDER_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    order: _order_pb2.Order
    signal_id: str
    def __init__(self, order: _Optional[_Union[_order_pb2.Order, _Mapping]] = ..., signal_id: _Optional[str] = ...) -> None: ...

class ClosePositionRequest(_message.Message):
    __slots__ = ("request_id", "account_id", "instrument", "reason")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    account_id: str
    instrument: str
    reason: str
    def __init__(self, request_id: _Optional[str] = ..., account_id: _Optional[str] = ..., instrument: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ClosePositionResponse(_message.Message):
    __slots__ = ("signal_id",)
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    signal_id: str
    def __init__(self, signal_id: _Optional[str] = ...) -> None: ...

class StrategyStepDefinition(_message.Message):
    __slots__ = ("kind", "expression", "field", "sources", "window_s")
    KIND_FIELD_NUMBER: _ClassVar[int]
    EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    WINDOW_S_FIELD_NUMBER: _ClassVar[int]
    kind: str
    expression: str
    field: str
    sources: int
    window_s: int
    def __init__(self, kind: _Optional[str] = ..., expression: _Optional[str] = ..., field: _Optional[str] = ..., sources: _Optional[int] = ..., window_s: _Optional[int] = ...) -> None: ...

class Strategy(_message.Message):
    __slots__ = ("strategy_id", "version", "enabled", "modes", "instruments", "max_open_positions", "max_order_notional", "steps", "create_time")
    STRATEGY_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    MODES_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    MAX_OPEN_POSITIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_ORDER_NOTIONAL_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    strategy_id: str
    version: int
    enabled: bool
    modes: _containers.RepeatedScalarFieldContainer[_common_pb2.Mode]
    instruments: _containers.RepeatedScalarFieldContainer[str]
    max_open_positions: int
    max_order_notional: str
    steps: _containers.RepeatedCompositeFieldContainer[StrategyStepDefinition]
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, strategy_id: _Optional[str] = ..., version: _Optional[int] = ..., enabled: _Optional[bool] = ..., modes: _Optional[_Iterable[_Union[_common_pb2.Mode, str]]] = ..., instruments: _Optional[_Iterable[str]] = ..., max_open_positions: _Optional[int] = ..., max_order_notional: _Optional[str] = ..., steps: _Optional[_Iterable[_Union[StrategyStepDefinition, _Mapping]]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateStrategyRequest(_message.Message):
    __slots__ = ("request_id", "strategy")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    strategy: Strategy
    def __init__(self, request_id: _Optional[str] = ..., strategy: _Optional[_Union[Strategy, _Mapping]] = ...) -> None: ...

class CreateStrategyResponse(_message.Message):
    __slots__ = ("strategy",)
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    strategy: Strategy
    def __init__(self, strategy: _Optional[_Union[Strategy, _Mapping]] = ...) -> None: ...

class GetStrategyRequest(_message.Message):
    __slots__ = ("strategy_id", "version")
    STRATEGY_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    strategy_id: str
    version: int
    def __init__(self, strategy_id: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class GetStrategyResponse(_message.Message):
    __slots__ = ("strategy",)
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    strategy: Strategy
    def __init__(self, strategy: _Optional[_Union[Strategy, _Mapping]] = ...) -> None: ...

class ListStrategiesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListStrategiesResponse(_message.Message):
    __slots__ = ("strategies", "next_page_token")
    STRATEGIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    strategies: _containers.RepeatedCompositeFieldContainer[Strategy]
    next_page_token: str
    def __init__(self, strategies: _Optional[_Iterable[_Union[Strategy, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateStrategyRequest(_message.Message):
    __slots__ = ("strategy",)
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    strategy: Strategy
    def __init__(self, strategy: _Optional[_Union[Strategy, _Mapping]] = ...) -> None: ...

class UpdateStrategyResponse(_message.Message):
    __slots__ = ("strategy",)
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    strategy: Strategy
    def __init__(self, strategy: _Optional[_Union[Strategy, _Mapping]] = ...) -> None: ...

class DeleteStrategyRequest(_message.Message):
    __slots__ = ("strategy_id",)
    STRATEGY_ID_FIELD_NUMBER: _ClassVar[int]
    strategy_id: str
    def __init__(self, strategy_id: _Optional[str] = ...) -> None: ...

class DeleteStrategyResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Credential(_message.Message):
    __slots__ = ("credential_id", "venue", "key_hint", "usable", "reason", "verify_time")
    CREDENTIAL_ID_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    KEY_HINT_FIELD_NUMBER: _ClassVar[int]
    USABLE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    VERIFY_TIME_FIELD_NUMBER: _ClassVar[int]
    credential_id: str
    venue: str
    key_hint: str
    usable: bool
    reason: str
    verify_time: _timestamp_pb2.Timestamp
    def __init__(self, credential_id: _Optional[str] = ..., venue: _Optional[str] = ..., key_hint: _Optional[str] = ..., usable: _Optional[bool] = ..., reason: _Optional[str] = ..., verify_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateCredentialRequest(_message.Message):
    __slots__ = ("request_id", "credential_id", "venue", "api_key", "api_secret", "passphrase")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_ID_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    API_KEY_FIELD_NUMBER: _ClassVar[int]
    API_SECRET_FIELD_NUMBER: _ClassVar[int]
    PASSPHRASE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    credential_id: str
    venue: str
    api_key: str
    api_secret: str
    passphrase: str
    def __init__(self, request_id: _Optional[str] = ..., credential_id: _Optional[str] = ..., venue: _Optional[str] = ..., api_key: _Optional[str] = ..., api_secret: _Optional[str] = ..., passphrase: _Optional[str] = ...) -> None: ...

class CreateCredentialResponse(_message.Message):
    __slots__ = ("credential",)
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    credential: Credential
    def __init__(self, credential: _Optional[_Union[Credential, _Mapping]] = ...) -> None: ...

class ListCredentialsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListCredentialsResponse(_message.Message):
    __slots__ = ("credentials", "next_page_token")
    CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    credentials: _containers.RepeatedCompositeFieldContainer[Credential]
    next_page_token: str
    def __init__(self, credentials: _Optional[_Iterable[_Union[Credential, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class VerifyCredentialRequest(_message.Message):
    __slots__ = ("credential_id",)
    CREDENTIAL_ID_FIELD_NUMBER: _ClassVar[int]
    credential_id: str
    def __init__(self, credential_id: _Optional[str] = ...) -> None: ...

class VerifyCredentialResponse(_message.Message):
    __slots__ = ("credential",)
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    credential: Credential
    def __init__(self, credential: _Optional[_Union[Credential, _Mapping]] = ...) -> None: ...

class DeleteCredentialRequest(_message.Message):
    __slots__ = ("credential_id",)
    CREDENTIAL_ID_FIELD_NUMBER: _ClassVar[int]
    credential_id: str
    def __init__(self, credential_id: _Optional[str] = ...) -> None: ...

class DeleteCredentialResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListInstrumentsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListInstrumentsResponse(_message.Message):
    __slots__ = ("instruments", "next_page_token")
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    instruments: _containers.RepeatedCompositeFieldContainer[_common_pb2.Instrument]
    next_page_token: str
    def __init__(self, instruments: _Optional[_Iterable[_Union[_common_pb2.Instrument, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CreateInstrumentRequest(_message.Message):
    __slots__ = ("request_id", "instrument")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    instrument: _common_pb2.Instrument
    def __init__(self, request_id: _Optional[str] = ..., instrument: _Optional[_Union[_common_pb2.Instrument, _Mapping]] = ...) -> None: ...

class CreateInstrumentResponse(_message.Message):
    __slots__ = ("instrument",)
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    instrument: _common_pb2.Instrument
    def __init__(self, instrument: _Optional[_Union[_common_pb2.Instrument, _Mapping]] = ...) -> None: ...

class PublishQuoteRequest(_message.Message):
    __slots__ = ("quote",)
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    quote: _common_pb2.Quote
    def __init__(self, quote: _Optional[_Union[_common_pb2.Quote, _Mapping]] = ...) -> None: ...

class PublishQuotesRequest(_message.Message):
    __slots__ = ("quotes",)
    QUOTES_FIELD_NUMBER: _ClassVar[int]
    quotes: _containers.RepeatedCompositeFieldContainer[_common_pb2.Quote]
    def __init__(self, quotes: _Optional[_Iterable[_Union[_common_pb2.Quote, _Mapping]]] = ...) -> None: ...

class PublishQuotesResponse(_message.Message):
    __slots__ = ("taken", "refused", "detail")
    TAKEN_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    taken: int
    refused: int
    detail: str
    def __init__(self, taken: _Optional[int] = ..., refused: _Optional[int] = ..., detail: _Optional[str] = ...) -> None: ...

class PublishQuoteResponse(_message.Message):
    __slots__ = ("quote",)
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    quote: _common_pb2.Quote
    def __init__(self, quote: _Optional[_Union[_common_pb2.Quote, _Mapping]] = ...) -> None: ...

class ClearQuoteRequest(_message.Message):
    __slots__ = ("instrument",)
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    instrument: str
    def __init__(self, instrument: _Optional[str] = ...) -> None: ...

class ClearQuoteResponse(_message.Message):
    __slots__ = ("cleared",)
    CLEARED_FIELD_NUMBER: _ClassVar[int]
    cleared: _common_pb2.Quote
    def __init__(self, cleared: _Optional[_Union[_common_pb2.Quote, _Mapping]] = ...) -> None: ...

class ListPushedQuotesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class PushedQuote(_message.Message):
    __slots__ = ("quote", "age_ms")
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    AGE_MS_FIELD_NUMBER: _ClassVar[int]
    quote: _common_pb2.Quote
    age_ms: int
    def __init__(self, quote: _Optional[_Union[_common_pb2.Quote, _Mapping]] = ..., age_ms: _Optional[int] = ...) -> None: ...

class ListPushedQuotesResponse(_message.Message):
    __slots__ = ("quotes", "next_page_token")
    QUOTES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    quotes: _containers.RepeatedCompositeFieldContainer[PushedQuote]
    next_page_token: str
    def __init__(self, quotes: _Optional[_Iterable[_Union[PushedQuote, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListLanesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Lane(_message.Message):
    __slots__ = ("lane", "owner", "epoch", "cursor", "parked")
    LANE_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    PARKED_FIELD_NUMBER: _ClassVar[int]
    lane: int
    owner: str
    epoch: int
    cursor: int
    parked: int
    def __init__(self, lane: _Optional[int] = ..., owner: _Optional[str] = ..., epoch: _Optional[int] = ..., cursor: _Optional[int] = ..., parked: _Optional[int] = ...) -> None: ...

class ListLanesResponse(_message.Message):
    __slots__ = ("lanes", "journal_epoch")
    LANES_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_EPOCH_FIELD_NUMBER: _ClassVar[int]
    lanes: _containers.RepeatedCompositeFieldContainer[Lane]
    journal_epoch: int
    def __init__(self, lanes: _Optional[_Iterable[_Union[Lane, _Mapping]]] = ..., journal_epoch: _Optional[int] = ...) -> None: ...

class CheckLiveReadinessRequest(_message.Message):
    __slots__ = ("account_id",)
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    def __init__(self, account_id: _Optional[str] = ...) -> None: ...

class ReadinessItem(_message.Message):
    __slots__ = ("name", "met", "detail")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MET_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    name: str
    met: bool
    detail: str
    def __init__(self, name: _Optional[str] = ..., met: _Optional[bool] = ..., detail: _Optional[str] = ...) -> None: ...

class CheckLiveReadinessResponse(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[ReadinessItem]
    def __init__(self, items: _Optional[_Iterable[_Union[ReadinessItem, _Mapping]]] = ...) -> None: ...

class EnableLiveRequest(_message.Message):
    __slots__ = ("account_id", "confirmation")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    CONFIRMATION_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    confirmation: str
    def __init__(self, account_id: _Optional[str] = ..., confirmation: _Optional[str] = ...) -> None: ...

class EnableLiveResponse(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[ReadinessItem]
    def __init__(self, items: _Optional[_Iterable[_Union[ReadinessItem, _Mapping]]] = ...) -> None: ...

class GetQuoteRequest(_message.Message):
    __slots__ = ("instrument",)
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    instrument: str
    def __init__(self, instrument: _Optional[str] = ...) -> None: ...

class CurrentQuote(_message.Message):
    __slots__ = ("quote", "age_ms")
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    AGE_MS_FIELD_NUMBER: _ClassVar[int]
    quote: _common_pb2.Quote
    age_ms: int
    def __init__(self, quote: _Optional[_Union[_common_pb2.Quote, _Mapping]] = ..., age_ms: _Optional[int] = ...) -> None: ...

class GetQuoteResponse(_message.Message):
    __slots__ = ("current",)
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    current: CurrentQuote
    def __init__(self, current: _Optional[_Union[CurrentQuote, _Mapping]] = ...) -> None: ...

class ListQuotesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListQuotesResponse(_message.Message):
    __slots__ = ("quotes", "next_page_token")
    QUOTES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    quotes: _containers.RepeatedCompositeFieldContainer[CurrentQuote]
    next_page_token: str
    def __init__(self, quotes: _Optional[_Iterable[_Union[CurrentQuote, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Bar(_message.Message):
    __slots__ = ("instrument", "timeframe", "start_time", "end_time", "open", "high", "low", "close", "quote_count", "source", "complete")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    TIMEFRAME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    QUOTE_COUNT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    instrument: str
    timeframe: str
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    open: str
    high: str
    low: str
    close: str
    quote_count: int
    source: str
    complete: bool
    def __init__(self, instrument: _Optional[str] = ..., timeframe: _Optional[str] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., open: _Optional[str] = ..., high: _Optional[str] = ..., low: _Optional[str] = ..., close: _Optional[str] = ..., quote_count: _Optional[int] = ..., source: _Optional[str] = ..., complete: _Optional[bool] = ...) -> None: ...

class ListBarsRequest(_message.Message):
    __slots__ = ("instrument", "timeframe", "page_size", "page_token")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    TIMEFRAME_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    instrument: str
    timeframe: str
    page_size: int
    page_token: str
    def __init__(self, instrument: _Optional[str] = ..., timeframe: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListBarsResponse(_message.Message):
    __slots__ = ("bars", "next_page_token")
    BARS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    bars: _containers.RepeatedCompositeFieldContainer[Bar]
    next_page_token: str
    def __init__(self, bars: _Optional[_Iterable[_Union[Bar, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class VerifySignalRequest(_message.Message):
    __slots__ = ("accepted", "entries", "current", "webhook")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    accepted: _journal_pb2.SignalAccepted
    entries: _containers.RepeatedCompositeFieldContainer[_journal_pb2.JournalEntry]
    current: bool
    webhook: _webhook_pb2.Webhook
    def __init__(self, accepted: _Optional[_Union[_journal_pb2.SignalAccepted, _Mapping]] = ..., entries: _Optional[_Iterable[_Union[_journal_pb2.JournalEntry, _Mapping]]] = ..., current: _Optional[bool] = ..., webhook: _Optional[_Union[_webhook_pb2.Webhook, _Mapping]] = ...) -> None: ...

class VerifySignalResponse(_message.Message):
    __slots__ = ("status", "reason", "differences", "missing")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    status: _common_pb2.SignalStatus
    reason: str
    differences: _containers.RepeatedCompositeFieldContainer[_journal_pb2.Difference]
    missing: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, status: _Optional[_Union[_common_pb2.SignalStatus, str]] = ..., reason: _Optional[str] = ..., differences: _Optional[_Iterable[_Union[_journal_pb2.Difference, _Mapping]]] = ..., missing: _Optional[_Iterable[str]] = ...) -> None: ...
