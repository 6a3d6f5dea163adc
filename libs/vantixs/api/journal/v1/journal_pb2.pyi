import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from vantixs.api.common.v1 import common_pb2 as _common_pb2
from vantixs.api.common.v1 import order_pb2 as _order_pb2
from vantixs.api.common.v1 import signal_pb2 as _signal_pb2
from vantixs.api.ingress.v1 import webhook_pb2 as _webhook_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReplayMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPLAY_MODE_UNSPECIFIED: _ClassVar[ReplayMode]
    REPLAY_MODE_VERIFY: _ClassVar[ReplayMode]
    REPLAY_MODE_PAPER: _ClassVar[ReplayMode]
    REPLAY_MODE_LIVE: _ClassVar[ReplayMode]
REPLAY_MODE_UNSPECIFIED: ReplayMode
REPLAY_MODE_VERIFY: ReplayMode
REPLAY_MODE_PAPER: ReplayMode
REPLAY_MODE_LIVE: ReplayMode

class JournalBatch(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[JournalEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[JournalEntry, _Mapping]]] = ...) -> None: ...

class JournalEntry(_message.Message):
    __slots__ = ("event_id", "event_time", "signal_id", "cause_event_id", "actor", "trace_parent", "signal_accepted", "signal_rejected", "duplicate_suppressed", "strategy_evaluated", "order_evaluated", "order_submitted", "order_updated", "fill_recorded", "signal_completed", "replay_requested", "replay_finished", "configuration_changed", "trading_state_changed", "credential_verified", "dead_lettered", "adjustment_recorded", "fill_flagged", "journal_gap_accepted", "bracket_changed", "funding_booked", "history_read", "history_dropped")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    TRACE_PARENT_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_REJECTED_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_SUPPRESSED_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_EVALUATED_FIELD_NUMBER: _ClassVar[int]
    ORDER_EVALUATED_FIELD_NUMBER: _ClassVar[int]
    ORDER_SUBMITTED_FIELD_NUMBER: _ClassVar[int]
    ORDER_UPDATED_FIELD_NUMBER: _ClassVar[int]
    FILL_RECORDED_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    REPLAY_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    REPLAY_FINISHED_FIELD_NUMBER: _ClassVar[int]
    CONFIGURATION_CHANGED_FIELD_NUMBER: _ClassVar[int]
    TRADING_STATE_CHANGED_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_VERIFIED_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTERED_FIELD_NUMBER: _ClassVar[int]
    ADJUSTMENT_RECORDED_FIELD_NUMBER: _ClassVar[int]
    FILL_FLAGGED_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_GAP_ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    BRACKET_CHANGED_FIELD_NUMBER: _ClassVar[int]
    FUNDING_BOOKED_FIELD_NUMBER: _ClassVar[int]
    HISTORY_READ_FIELD_NUMBER: _ClassVar[int]
    HISTORY_DROPPED_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    event_time: _timestamp_pb2.Timestamp
    signal_id: str
    cause_event_id: str
    actor: str
    trace_parent: str
    signal_accepted: SignalAccepted
    signal_rejected: SignalRejected
    duplicate_suppressed: DuplicateSuppressed
    strategy_evaluated: StrategyEvaluated
    order_evaluated: OrderEvaluated
    order_submitted: OrderSubmitted
    order_updated: OrderUpdated
    fill_recorded: FillRecorded
    signal_completed: SignalCompleted
    replay_requested: ReplayRequested
    replay_finished: ReplayFinished
    configuration_changed: ConfigurationChanged
    trading_state_changed: TradingStateChanged
    credential_verified: CredentialVerified
    dead_lettered: DeadLettered
    adjustment_recorded: AdjustmentRecorded
    fill_flagged: FillFlagged
    journal_gap_accepted: JournalGapAccepted
    bracket_changed: BracketChanged
    funding_booked: FundingBooked
    history_read: HistoryRead
    history_dropped: HistoryDropped
    def __init__(self, event_id: _Optional[str] = ..., event_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., signal_id: _Optional[str] = ..., cause_event_id: _Optional[str] = ..., actor: _Optional[str] = ..., trace_parent: _Optional[str] = ..., signal_accepted: _Optional[_Union[SignalAccepted, _Mapping]] = ..., signal_rejected: _Optional[_Union[SignalRejected, _Mapping]] = ..., duplicate_suppressed: _Optional[_Union[DuplicateSuppressed, _Mapping]] = ..., strategy_evaluated: _Optional[_Union[StrategyEvaluated, _Mapping]] = ..., order_evaluated: _Optional[_Union[OrderEvaluated, _Mapping]] = ..., order_submitted: _Optional[_Union[OrderSubmitted, _Mapping]] = ..., order_updated: _Optional[_Union[OrderUpdated, _Mapping]] = ..., fill_recorded: _Optional[_Union[FillRecorded, _Mapping]] = ..., signal_completed: _Optional[_Union[SignalCompleted, _Mapping]] = ..., replay_requested: _Optional[_Union[ReplayRequested, _Mapping]] = ..., replay_finished: _Optional[_Union[ReplayFinished, _Mapping]] = ..., configuration_changed: _Optional[_Union[ConfigurationChanged, _Mapping]] = ..., trading_state_changed: _Optional[_Union[TradingStateChanged, _Mapping]] = ..., credential_verified: _Optional[_Union[CredentialVerified, _Mapping]] = ..., dead_lettered: _Optional[_Union[DeadLettered, _Mapping]] = ..., adjustment_recorded: _Optional[_Union[AdjustmentRecorded, _Mapping]] = ..., fill_flagged: _Optional[_Union[FillFlagged, _Mapping]] = ..., journal_gap_accepted: _Optional[_Union[JournalGapAccepted, _Mapping]] = ..., bracket_changed: _Optional[_Union[BracketChanged, _Mapping]] = ..., funding_booked: _Optional[_Union[FundingBooked, _Mapping]] = ..., history_read: _Optional[_Union[HistoryRead, _Mapping]] = ..., history_dropped: _Optional[_Union[HistoryDropped, _Mapping]] = ...) -> None: ...

class SignalAccepted(_message.Message):
    __slots__ = ("signal", "request", "webhook", "warnings", "fingerprint", "reduces")
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    REDUCES_FIELD_NUMBER: _ClassVar[int]
    signal: _signal_pb2.Signal
    request: _signal_pb2.ReceivedRequest
    webhook: _webhook_pb2.Webhook
    warnings: _containers.RepeatedCompositeFieldContainer[_webhook_pb2.FieldError]
    fingerprint: bytes
    reduces: bool
    def __init__(self, signal: _Optional[_Union[_signal_pb2.Signal, _Mapping]] = ..., request: _Optional[_Union[_signal_pb2.ReceivedRequest, _Mapping]] = ..., webhook: _Optional[_Union[_webhook_pb2.Webhook, _Mapping]] = ..., warnings: _Optional[_Iterable[_Union[_webhook_pb2.FieldError, _Mapping]]] = ..., fingerprint: _Optional[bytes] = ..., reduces: _Optional[bool] = ...) -> None: ...

class SignalRejected(_message.Message):
    __slots__ = ("reason", "detail", "errors", "request", "webhook", "symbol", "action")
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    reason: str
    detail: str
    errors: _containers.RepeatedCompositeFieldContainer[_webhook_pb2.FieldError]
    request: _signal_pb2.ReceivedRequest
    webhook: _webhook_pb2.Webhook
    symbol: str
    action: _common_pb2.Action
    def __init__(self, reason: _Optional[str] = ..., detail: _Optional[str] = ..., errors: _Optional[_Iterable[_Union[_webhook_pb2.FieldError, _Mapping]]] = ..., request: _Optional[_Union[_signal_pb2.ReceivedRequest, _Mapping]] = ..., webhook: _Optional[_Union[_webhook_pb2.Webhook, _Mapping]] = ..., symbol: _Optional[str] = ..., action: _Optional[_Union[_common_pb2.Action, str]] = ...) -> None: ...

class DuplicateSuppressed(_message.Message):
    __slots__ = ("first_signal_id", "rule", "request", "signal", "duplicate_signal_id", "repeat", "webhook")
    FIRST_SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    REPEAT_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    first_signal_id: str
    rule: str
    request: _signal_pb2.ReceivedRequest
    signal: _signal_pb2.Signal
    duplicate_signal_id: str
    repeat: int
    webhook: _webhook_pb2.Webhook
    def __init__(self, first_signal_id: _Optional[str] = ..., rule: _Optional[str] = ..., request: _Optional[_Union[_signal_pb2.ReceivedRequest, _Mapping]] = ..., signal: _Optional[_Union[_signal_pb2.Signal, _Mapping]] = ..., duplicate_signal_id: _Optional[str] = ..., repeat: _Optional[int] = ..., webhook: _Optional[_Union[_webhook_pb2.Webhook, _Mapping]] = ...) -> None: ...

class StrategyStep(_message.Message):
    __slots__ = ("name", "passed", "inputs", "detail")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    name: str
    passed: bool
    inputs: _containers.RepeatedCompositeFieldContainer[_order_pb2.Input]
    detail: str
    def __init__(self, name: _Optional[str] = ..., passed: _Optional[bool] = ..., inputs: _Optional[_Iterable[_Union[_order_pb2.Input, _Mapping]]] = ..., detail: _Optional[str] = ...) -> None: ...

class StrategyEvaluated(_message.Message):
    __slots__ = ("strategy_id", "version", "passed", "steps")
    STRATEGY_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    strategy_id: str
    version: int
    passed: bool
    steps: _containers.RepeatedCompositeFieldContainer[StrategyStep]
    def __init__(self, strategy_id: _Optional[str] = ..., version: _Optional[int] = ..., passed: _Optional[bool] = ..., steps: _Optional[_Iterable[_Union[StrategyStep, _Mapping]]] = ...) -> None: ...

class OrderEvaluated(_message.Message):
    __slots__ = ("order", "decision", "intent")
    ORDER_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    INTENT_FIELD_NUMBER: _ClassVar[int]
    order: _order_pb2.Order
    decision: _order_pb2.RiskDecision
    intent: str
    def __init__(self, order: _Optional[_Union[_order_pb2.Order, _Mapping]] = ..., decision: _Optional[_Union[_order_pb2.RiskDecision, _Mapping]] = ..., intent: _Optional[str] = ...) -> None: ...

class OrderSubmitted(_message.Message):
    __slots__ = ("order",)
    ORDER_FIELD_NUMBER: _ClassVar[int]
    order: _order_pb2.Order
    def __init__(self, order: _Optional[_Union[_order_pb2.Order, _Mapping]] = ...) -> None: ...

class OrderUpdated(_message.Message):
    __slots__ = ("order",)
    ORDER_FIELD_NUMBER: _ClassVar[int]
    order: _order_pb2.Order
    def __init__(self, order: _Optional[_Union[_order_pb2.Order, _Mapping]] = ...) -> None: ...

class FillRecorded(_message.Message):
    __slots__ = ("fill", "position")
    FILL_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    fill: _order_pb2.Fill
    position: _order_pb2.Position
    def __init__(self, fill: _Optional[_Union[_order_pb2.Fill, _Mapping]] = ..., position: _Optional[_Union[_order_pb2.Position, _Mapping]] = ...) -> None: ...

class BracketChanged(_message.Message):
    __slots__ = ("entry_order_id", "reason", "detail", "legs")
    ENTRY_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    LEGS_FIELD_NUMBER: _ClassVar[int]
    entry_order_id: str
    reason: str
    detail: str
    legs: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, entry_order_id: _Optional[str] = ..., reason: _Optional[str] = ..., detail: _Optional[str] = ..., legs: _Optional[_Iterable[str]] = ...) -> None: ...

class SignalCompleted(_message.Message):
    __slots__ = ("status", "reason", "stage", "detail", "webhook_id", "inputs")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_ID_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    status: _common_pb2.SignalStatus
    reason: str
    stage: str
    detail: str
    webhook_id: str
    inputs: RoutingInputs
    def __init__(self, status: _Optional[_Union[_common_pb2.SignalStatus, str]] = ..., reason: _Optional[str] = ..., stage: _Optional[str] = ..., detail: _Optional[str] = ..., webhook_id: _Optional[str] = ..., inputs: _Optional[_Union[RoutingInputs, _Mapping]] = ...) -> None: ...

class RoutingInputs(_message.Message):
    __slots__ = ("decide_time", "position_quantity", "instrument", "quote", "fee_bps", "sender_emit_ms", "sender_entry_ms", "sender_adds", "superseded", "cancel_order_ids", "own_position_quantity")
    DECIDE_TIME_FIELD_NUMBER: _ClassVar[int]
    POSITION_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    FEE_BPS_FIELD_NUMBER: _ClassVar[int]
    SENDER_EMIT_MS_FIELD_NUMBER: _ClassVar[int]
    SENDER_ENTRY_MS_FIELD_NUMBER: _ClassVar[int]
    SENDER_ADDS_FIELD_NUMBER: _ClassVar[int]
    SUPERSEDED_FIELD_NUMBER: _ClassVar[int]
    CANCEL_ORDER_IDS_FIELD_NUMBER: _ClassVar[int]
    OWN_POSITION_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    decide_time: _timestamp_pb2.Timestamp
    position_quantity: str
    instrument: _common_pb2.Instrument
    quote: _common_pb2.Quote
    fee_bps: str
    sender_emit_ms: int
    sender_entry_ms: int
    sender_adds: int
    superseded: bool
    cancel_order_ids: _containers.RepeatedScalarFieldContainer[str]
    own_position_quantity: str
    def __init__(self, decide_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., position_quantity: _Optional[str] = ..., instrument: _Optional[_Union[_common_pb2.Instrument, _Mapping]] = ..., quote: _Optional[_Union[_common_pb2.Quote, _Mapping]] = ..., fee_bps: _Optional[str] = ..., sender_emit_ms: _Optional[int] = ..., sender_entry_ms: _Optional[int] = ..., sender_adds: _Optional[int] = ..., superseded: _Optional[bool] = ..., cancel_order_ids: _Optional[_Iterable[str]] = ..., own_position_quantity: _Optional[str] = ...) -> None: ...

class ReplayRequested(_message.Message):
    __slots__ = ("replay_id", "mode", "operator", "comment")
    REPLAY_ID_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    replay_id: str
    mode: ReplayMode
    operator: str
    comment: str
    def __init__(self, replay_id: _Optional[str] = ..., mode: _Optional[_Union[ReplayMode, str]] = ..., operator: _Optional[str] = ..., comment: _Optional[str] = ...) -> None: ...

class ReplayFinished(_message.Message):
    __slots__ = ("replay_id", "mode", "status", "reason", "differences", "entries", "found", "missing", "root_replay_id", "of_replay_id")
    REPLAY_ID_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    ROOT_REPLAY_ID_FIELD_NUMBER: _ClassVar[int]
    OF_REPLAY_ID_FIELD_NUMBER: _ClassVar[int]
    replay_id: str
    mode: ReplayMode
    status: _common_pb2.SignalStatus
    reason: str
    differences: _containers.RepeatedScalarFieldContainer[str]
    entries: _containers.RepeatedCompositeFieldContainer[JournalEntry]
    found: _containers.RepeatedCompositeFieldContainer[Difference]
    missing: _containers.RepeatedScalarFieldContainer[str]
    root_replay_id: str
    of_replay_id: str
    def __init__(self, replay_id: _Optional[str] = ..., mode: _Optional[_Union[ReplayMode, str]] = ..., status: _Optional[_Union[_common_pb2.SignalStatus, str]] = ..., reason: _Optional[str] = ..., differences: _Optional[_Iterable[str]] = ..., entries: _Optional[_Iterable[_Union[JournalEntry, _Mapping]]] = ..., found: _Optional[_Iterable[_Union[Difference, _Mapping]]] = ..., missing: _Optional[_Iterable[str]] = ..., root_replay_id: _Optional[str] = ..., of_replay_id: _Optional[str] = ...) -> None: ...

class Difference(_message.Message):
    __slots__ = ("decision", "input", "before", "after")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    decision: str
    input: str
    before: str
    after: str
    def __init__(self, decision: _Optional[str] = ..., input: _Optional[str] = ..., before: _Optional[str] = ..., after: _Optional[str] = ...) -> None: ...

class ConfigurationChanged(_message.Message):
    __slots__ = ("kind", "id", "revision", "before_json", "after_json")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    BEFORE_JSON_FIELD_NUMBER: _ClassVar[int]
    AFTER_JSON_FIELD_NUMBER: _ClassVar[int]
    kind: str
    id: str
    revision: int
    before_json: str
    after_json: str
    def __init__(self, kind: _Optional[str] = ..., id: _Optional[str] = ..., revision: _Optional[int] = ..., before_json: _Optional[str] = ..., after_json: _Optional[str] = ...) -> None: ...

class TradingStateChanged(_message.Message):
    __slots__ = ("scope", "before", "after", "comment")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    scope: str
    before: _common_pb2.TradingState
    after: _common_pb2.TradingState
    comment: str
    def __init__(self, scope: _Optional[str] = ..., before: _Optional[_Union[_common_pb2.TradingState, str]] = ..., after: _Optional[_Union[_common_pb2.TradingState, str]] = ..., comment: _Optional[str] = ...) -> None: ...

class CredentialVerified(_message.Message):
    __slots__ = ("credential_id", "usable", "reason")
    CREDENTIAL_ID_FIELD_NUMBER: _ClassVar[int]
    USABLE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    credential_id: str
    usable: bool
    reason: str
    def __init__(self, credential_id: _Optional[str] = ..., usable: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...

class DeadLettered(_message.Message):
    __slots__ = ("subject", "stream_sequence", "detail", "data")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    STREAM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    subject: str
    stream_sequence: int
    detail: str
    data: bytes
    def __init__(self, subject: _Optional[str] = ..., stream_sequence: _Optional[int] = ..., detail: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...

class AdjustmentRecorded(_message.Message):
    __slots__ = ("adjustment_id", "account_id", "comment", "asset", "amount", "position", "quantity", "price")
    ADJUSTMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    adjustment_id: str
    account_id: str
    comment: str
    asset: str
    amount: str
    position: _order_pb2.Position
    quantity: str
    price: str
    def __init__(self, adjustment_id: _Optional[str] = ..., account_id: _Optional[str] = ..., comment: _Optional[str] = ..., asset: _Optional[str] = ..., amount: _Optional[str] = ..., position: _Optional[_Union[_order_pb2.Position, _Mapping]] = ..., quantity: _Optional[str] = ..., price: _Optional[str] = ...) -> None: ...

class FundingBooked(_message.Message):
    __slots__ = ("funding",)
    FUNDING_FIELD_NUMBER: _ClassVar[int]
    funding: _order_pb2.Funding
    def __init__(self, funding: _Optional[_Union[_order_pb2.Funding, _Mapping]] = ...) -> None: ...

class FillFlagged(_message.Message):
    __slots__ = ("account_id", "fill", "reason", "detail")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    FILL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    fill: _order_pb2.Fill
    reason: str
    detail: str
    def __init__(self, account_id: _Optional[str] = ..., fill: _Optional[_Union[_order_pb2.Fill, _Mapping]] = ..., reason: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class JournalGapAccepted(_message.Message):
    __slots__ = ("gap_id", "detail", "first_missing_sequence", "last_missing_sequence", "recorded_until_time", "open_signals", "comment", "epoch", "journal_first_sequence", "journal_last_sequence")
    GAP_ID_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    FIRST_MISSING_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_MISSING_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RECORDED_UNTIL_TIME_FIELD_NUMBER: _ClassVar[int]
    OPEN_SIGNALS_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    gap_id: str
    detail: str
    first_missing_sequence: int
    last_missing_sequence: int
    recorded_until_time: _timestamp_pb2.Timestamp
    open_signals: int
    comment: str
    epoch: int
    journal_first_sequence: int
    journal_last_sequence: int
    def __init__(self, gap_id: _Optional[str] = ..., detail: _Optional[str] = ..., first_missing_sequence: _Optional[int] = ..., last_missing_sequence: _Optional[int] = ..., recorded_until_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., open_signals: _Optional[int] = ..., comment: _Optional[str] = ..., epoch: _Optional[int] = ..., journal_first_sequence: _Optional[int] = ..., journal_last_sequence: _Optional[int] = ...) -> None: ...

class HistoryDropped(_message.Message):
    __slots__ = ("first_sequence", "last_sequence", "root", "signals", "until_time", "keep_days", "kept_configuration")
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    SIGNALS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_TIME_FIELD_NUMBER: _ClassVar[int]
    KEEP_DAYS_FIELD_NUMBER: _ClassVar[int]
    KEPT_CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    first_sequence: int
    last_sequence: int
    root: bytes
    signals: int
    until_time: _timestamp_pb2.Timestamp
    keep_days: float
    kept_configuration: KeptConfiguration
    def __init__(self, first_sequence: _Optional[int] = ..., last_sequence: _Optional[int] = ..., root: _Optional[bytes] = ..., signals: _Optional[int] = ..., until_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., keep_days: _Optional[float] = ..., kept_configuration: _Optional[_Union[KeptConfiguration, _Mapping]] = ...) -> None: ...

class KeptConfiguration(_message.Message):
    __slots__ = ("sequences",)
    SEQUENCES_FIELD_NUMBER: _ClassVar[int]
    sequences: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, sequences: _Optional[_Iterable[int]] = ...) -> None: ...

class HistoryRead(_message.Message):
    __slots__ = ("kind", "filter", "count", "payloads", "proofs")
    KIND_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    PAYLOADS_FIELD_NUMBER: _ClassVar[int]
    PROOFS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    filter: str
    count: int
    payloads: bool
    proofs: bool
    def __init__(self, kind: _Optional[str] = ..., filter: _Optional[str] = ..., count: _Optional[int] = ..., payloads: _Optional[bool] = ..., proofs: _Optional[bool] = ...) -> None: ...
