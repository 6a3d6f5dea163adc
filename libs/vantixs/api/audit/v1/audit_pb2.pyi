import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from vantixs.api.common.v1 import common_pb2 as _common_pb2
from vantixs.api.journal.v1 import journal_pb2 as _journal_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReplayState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPLAY_STATE_UNSPECIFIED: _ClassVar[ReplayState]
    REPLAY_STATE_RUNNING: _ClassVar[ReplayState]
    REPLAY_STATE_FINISHED: _ClassVar[ReplayState]
    REPLAY_STATE_CANCELED: _ClassVar[ReplayState]
    REPLAY_STATE_PAUSED: _ClassVar[ReplayState]

class StatisticsGroup(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATISTICS_GROUP_UNSPECIFIED: _ClassVar[StatisticsGroup]
    STATISTICS_GROUP_WEBHOOK: _ClassVar[StatisticsGroup]
    STATISTICS_GROUP_ACCOUNT: _ClassVar[StatisticsGroup]
    STATISTICS_GROUP_STRATEGY: _ClassVar[StatisticsGroup]

class StatisticsBucket(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATISTICS_BUCKET_UNSPECIFIED: _ClassVar[StatisticsBucket]
    STATISTICS_BUCKET_HOUR: _ClassVar[StatisticsBucket]
    STATISTICS_BUCKET_DAY: _ClassVar[StatisticsBucket]

class HistoryFaultKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HISTORY_FAULT_KIND_UNSPECIFIED: _ClassVar[HistoryFaultKind]
    HISTORY_FAULT_KIND_ALTERED: _ClassVar[HistoryFaultKind]
    HISTORY_FAULT_KIND_MISSING: _ClassVar[HistoryFaultKind]
    HISTORY_FAULT_KIND_INSERTED: _ClassVar[HistoryFaultKind]
    HISTORY_FAULT_KIND_REORDERED: _ClassVar[HistoryFaultKind]
    HISTORY_FAULT_KIND_TRUNCATED: _ClassVar[HistoryFaultKind]
    HISTORY_FAULT_KIND_ROLLED_BACK: _ClassVar[HistoryFaultKind]
    HISTORY_FAULT_KIND_COLUMN: _ClassVar[HistoryFaultKind]
    HISTORY_FAULT_KIND_VIEW: _ClassVar[HistoryFaultKind]
    HISTORY_FAULT_KIND_CHECKPOINT: _ClassVar[HistoryFaultKind]
    HISTORY_FAULT_KIND_TREE: _ClassVar[HistoryFaultKind]
REPLAY_STATE_UNSPECIFIED: ReplayState
REPLAY_STATE_RUNNING: ReplayState
REPLAY_STATE_FINISHED: ReplayState
REPLAY_STATE_CANCELED: ReplayState
REPLAY_STATE_PAUSED: ReplayState
STATISTICS_GROUP_UNSPECIFIED: StatisticsGroup
STATISTICS_GROUP_WEBHOOK: StatisticsGroup
STATISTICS_GROUP_ACCOUNT: StatisticsGroup
STATISTICS_GROUP_STRATEGY: StatisticsGroup
STATISTICS_BUCKET_UNSPECIFIED: StatisticsBucket
STATISTICS_BUCKET_HOUR: StatisticsBucket
STATISTICS_BUCKET_DAY: StatisticsBucket
HISTORY_FAULT_KIND_UNSPECIFIED: HistoryFaultKind
HISTORY_FAULT_KIND_ALTERED: HistoryFaultKind
HISTORY_FAULT_KIND_MISSING: HistoryFaultKind
HISTORY_FAULT_KIND_INSERTED: HistoryFaultKind
HISTORY_FAULT_KIND_REORDERED: HistoryFaultKind
HISTORY_FAULT_KIND_TRUNCATED: HistoryFaultKind
HISTORY_FAULT_KIND_ROLLED_BACK: HistoryFaultKind
HISTORY_FAULT_KIND_COLUMN: HistoryFaultKind
HISTORY_FAULT_KIND_VIEW: HistoryFaultKind
HISTORY_FAULT_KIND_CHECKPOINT: HistoryFaultKind
HISTORY_FAULT_KIND_TREE: HistoryFaultKind

class SignalSummary(_message.Message):
    __slots__ = ("signal_id", "webhook_id", "account_id", "symbol", "instrument", "action", "mode", "status", "original_status", "stage", "reason", "detail", "receive_time", "update_time", "duplicate_count", "filled_quantity", "average_price", "sequence", "first_signal_id", "outcome", "side", "strategy_id", "source_address", "comment", "tag", "signal_price", "slippage_bps", "emit_time", "accept_time", "decide_time", "send_time", "fill_time", "end_time", "latency", "replay_count", "replay_id", "replay_of", "replay_root")
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_STATUS_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_COUNT_FIELD_NUMBER: _ClassVar[int]
    FILLED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    AVERAGE_PRICE_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    FIRST_SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_PRICE_FIELD_NUMBER: _ClassVar[int]
    SLIPPAGE_BPS_FIELD_NUMBER: _ClassVar[int]
    EMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_TIME_FIELD_NUMBER: _ClassVar[int]
    DECIDE_TIME_FIELD_NUMBER: _ClassVar[int]
    SEND_TIME_FIELD_NUMBER: _ClassVar[int]
    FILL_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    REPLAY_COUNT_FIELD_NUMBER: _ClassVar[int]
    REPLAY_ID_FIELD_NUMBER: _ClassVar[int]
    REPLAY_OF_FIELD_NUMBER: _ClassVar[int]
    REPLAY_ROOT_FIELD_NUMBER: _ClassVar[int]
    signal_id: str
    webhook_id: str
    account_id: str
    symbol: str
    instrument: str
    action: _common_pb2.Action
    mode: _common_pb2.Mode
    status: _common_pb2.SignalStatus
    original_status: _common_pb2.SignalStatus
    stage: str
    reason: str
    detail: str
    receive_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    duplicate_count: int
    filled_quantity: str
    average_price: str
    sequence: int
    first_signal_id: str
    outcome: _common_pb2.SignalStatus
    side: _common_pb2.Side
    strategy_id: str
    source_address: str
    comment: str
    tag: str
    signal_price: str
    slippage_bps: str
    emit_time: _timestamp_pb2.Timestamp
    accept_time: _timestamp_pb2.Timestamp
    decide_time: _timestamp_pb2.Timestamp
    send_time: _timestamp_pb2.Timestamp
    fill_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    latency: _duration_pb2.Duration
    replay_count: int
    replay_id: str
    replay_of: str
    replay_root: str
    def __init__(self, signal_id: _Optional[str] = ..., webhook_id: _Optional[str] = ..., account_id: _Optional[str] = ..., symbol: _Optional[str] = ..., instrument: _Optional[str] = ..., action: _Optional[_Union[_common_pb2.Action, str]] = ..., mode: _Optional[_Union[_common_pb2.Mode, str]] = ..., status: _Optional[_Union[_common_pb2.SignalStatus, str]] = ..., original_status: _Optional[_Union[_common_pb2.SignalStatus, str]] = ..., stage: _Optional[str] = ..., reason: _Optional[str] = ..., detail: _Optional[str] = ..., receive_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., duplicate_count: _Optional[int] = ..., filled_quantity: _Optional[str] = ..., average_price: _Optional[str] = ..., sequence: _Optional[int] = ..., first_signal_id: _Optional[str] = ..., outcome: _Optional[_Union[_common_pb2.SignalStatus, str]] = ..., side: _Optional[_Union[_common_pb2.Side, str]] = ..., strategy_id: _Optional[str] = ..., source_address: _Optional[str] = ..., comment: _Optional[str] = ..., tag: _Optional[str] = ..., signal_price: _Optional[str] = ..., slippage_bps: _Optional[str] = ..., emit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., accept_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., decide_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., send_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., fill_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., latency: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., replay_count: _Optional[int] = ..., replay_id: _Optional[str] = ..., replay_of: _Optional[str] = ..., replay_root: _Optional[str] = ...) -> None: ...

class SignalLinks(_message.Message):
    __slots__ = ("duplicate_signal_ids", "replay_ids", "order_ids", "execution_ids")
    DUPLICATE_SIGNAL_IDS_FIELD_NUMBER: _ClassVar[int]
    REPLAY_IDS_FIELD_NUMBER: _ClassVar[int]
    ORDER_IDS_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_IDS_FIELD_NUMBER: _ClassVar[int]
    duplicate_signal_ids: _containers.RepeatedScalarFieldContainer[str]
    replay_ids: _containers.RepeatedScalarFieldContainer[str]
    order_ids: _containers.RepeatedScalarFieldContainer[str]
    execution_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, duplicate_signal_ids: _Optional[_Iterable[str]] = ..., replay_ids: _Optional[_Iterable[str]] = ..., order_ids: _Optional[_Iterable[str]] = ..., execution_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class RecordedEntry(_message.Message):
    __slots__ = ("sequence", "stream_sequence", "entry", "hash")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    STREAM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    stream_sequence: int
    entry: _journal_pb2.JournalEntry
    hash: bytes
    def __init__(self, sequence: _Optional[int] = ..., stream_sequence: _Optional[int] = ..., entry: _Optional[_Union[_journal_pb2.JournalEntry, _Mapping]] = ..., hash: _Optional[bytes] = ...) -> None: ...

class SignalFilter(_message.Message):
    __slots__ = ("since", "until", "status", "webhook_id", "account_id", "instrument", "reason", "expression")
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    status: _common_pb2.SignalStatus
    webhook_id: str
    account_id: str
    instrument: str
    reason: str
    expression: str
    def __init__(self, since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., status: _Optional[_Union[_common_pb2.SignalStatus, str]] = ..., webhook_id: _Optional[str] = ..., account_id: _Optional[str] = ..., instrument: _Optional[str] = ..., reason: _Optional[str] = ..., expression: _Optional[str] = ...) -> None: ...

class GetSignalRequest(_message.Message):
    __slots__ = ("signal_id",)
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    signal_id: str
    def __init__(self, signal_id: _Optional[str] = ...) -> None: ...

class GetSignalResponse(_message.Message):
    __slots__ = ("signal", "timeline", "links", "sentence", "since_last_step", "entries_not_kept")
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    TIMELINE_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    SINCE_LAST_STEP_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_NOT_KEPT_FIELD_NUMBER: _ClassVar[int]
    signal: SignalSummary
    timeline: _containers.RepeatedCompositeFieldContainer[RecordedEntry]
    links: SignalLinks
    sentence: str
    since_last_step: _duration_pb2.Duration
    entries_not_kept: bool
    def __init__(self, signal: _Optional[_Union[SignalSummary, _Mapping]] = ..., timeline: _Optional[_Iterable[_Union[RecordedEntry, _Mapping]]] = ..., links: _Optional[_Union[SignalLinks, _Mapping]] = ..., sentence: _Optional[str] = ..., since_last_step: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., entries_not_kept: _Optional[bool] = ...) -> None: ...

class ListSignalsRequest(_message.Message):
    __slots__ = ("filter", "page_size", "page_token", "order_by")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    filter: SignalFilter
    page_size: int
    page_token: str
    order_by: str
    def __init__(self, filter: _Optional[_Union[SignalFilter, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., order_by: _Optional[str] = ...) -> None: ...

class ListSignalsResponse(_message.Message):
    __slots__ = ("signals", "next_page_token")
    SIGNALS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    signals: _containers.RepeatedCompositeFieldContainer[SignalSummary]
    next_page_token: str
    def __init__(self, signals: _Optional[_Iterable[_Union[SignalSummary, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchSignalsRequest(_message.Message):
    __slots__ = ("filter", "after_sequence", "heartbeat_s")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_S_FIELD_NUMBER: _ClassVar[int]
    filter: SignalFilter
    after_sequence: int
    heartbeat_s: int
    def __init__(self, filter: _Optional[_Union[SignalFilter, _Mapping]] = ..., after_sequence: _Optional[int] = ..., heartbeat_s: _Optional[int] = ...) -> None: ...

class WatchSignalsResponse(_message.Message):
    __slots__ = ("signal", "sequence")
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    signal: SignalSummary
    sequence: int
    def __init__(self, signal: _Optional[_Union[SignalSummary, _Mapping]] = ..., sequence: _Optional[int] = ...) -> None: ...

class ExportSignalsRequest(_message.Message):
    __slots__ = ("filter", "timeline", "payloads", "proofs")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    TIMELINE_FIELD_NUMBER: _ClassVar[int]
    PAYLOADS_FIELD_NUMBER: _ClassVar[int]
    PROOFS_FIELD_NUMBER: _ClassVar[int]
    filter: SignalFilter
    timeline: bool
    payloads: bool
    proofs: bool
    def __init__(self, filter: _Optional[_Union[SignalFilter, _Mapping]] = ..., timeline: _Optional[bool] = ..., payloads: _Optional[bool] = ..., proofs: _Optional[bool] = ...) -> None: ...

class ExportSignalsResponse(_message.Message):
    __slots__ = ("entry", "signal", "timeline", "proof", "exported", "total", "payload_unreadable", "entries_not_kept")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    TIMELINE_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    EXPORTED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_NOT_KEPT_FIELD_NUMBER: _ClassVar[int]
    entry: RecordedEntry
    signal: SignalSummary
    timeline: _containers.RepeatedCompositeFieldContainer[RecordedEntry]
    proof: ProveSignalResponse
    exported: int
    total: int
    payload_unreadable: str
    entries_not_kept: bool
    def __init__(self, entry: _Optional[_Union[RecordedEntry, _Mapping]] = ..., signal: _Optional[_Union[SignalSummary, _Mapping]] = ..., timeline: _Optional[_Iterable[_Union[RecordedEntry, _Mapping]]] = ..., proof: _Optional[_Union[ProveSignalResponse, _Mapping]] = ..., exported: _Optional[int] = ..., total: _Optional[int] = ..., payload_unreadable: _Optional[str] = ..., entries_not_kept: _Optional[bool] = ...) -> None: ...

class GetPayloadRequest(_message.Message):
    __slots__ = ("signal_id",)
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    signal_id: str
    def __init__(self, signal_id: _Optional[str] = ...) -> None: ...

class GetPayloadResponse(_message.Message):
    __slots__ = ("payload", "payload_sha256", "sealed", "content_type")
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_SHA256_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    payload: bytes
    payload_sha256: bytes
    sealed: bool
    content_type: str
    def __init__(self, payload: _Optional[bytes] = ..., payload_sha256: _Optional[bytes] = ..., sealed: _Optional[bool] = ..., content_type: _Optional[str] = ...) -> None: ...

class ReplaySignalsRequest(_message.Message):
    __slots__ = ("request_id", "signal_ids", "filter", "mode", "comment", "count_only", "current", "speed", "name", "confirmation", "of_replay_id", "different_only")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_IDS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    COUNT_ONLY_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    SPEED_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONFIRMATION_FIELD_NUMBER: _ClassVar[int]
    OF_REPLAY_ID_FIELD_NUMBER: _ClassVar[int]
    DIFFERENT_ONLY_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    signal_ids: _containers.RepeatedScalarFieldContainer[str]
    filter: SignalFilter
    mode: _journal_pb2.ReplayMode
    comment: str
    count_only: bool
    current: bool
    speed: float
    name: str
    confirmation: str
    of_replay_id: str
    different_only: bool
    def __init__(self, request_id: _Optional[str] = ..., signal_ids: _Optional[_Iterable[str]] = ..., filter: _Optional[_Union[SignalFilter, _Mapping]] = ..., mode: _Optional[_Union[_journal_pb2.ReplayMode, str]] = ..., comment: _Optional[str] = ..., count_only: _Optional[bool] = ..., current: _Optional[bool] = ..., speed: _Optional[float] = ..., name: _Optional[str] = ..., confirmation: _Optional[str] = ..., of_replay_id: _Optional[str] = ..., different_only: _Optional[bool] = ...) -> None: ...

class ReplaySignalsResponse(_message.Message):
    __slots__ = ("replay", "count")
    REPLAY_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    replay: Replay
    count: int
    def __init__(self, replay: _Optional[_Union[Replay, _Mapping]] = ..., count: _Optional[int] = ...) -> None: ...

class Replay(_message.Message):
    __slots__ = ("replay_id", "mode", "operator", "comment", "state", "total", "finished", "different", "results", "create_time", "root_replay_id", "name", "current", "speed", "not_verifiable", "refused", "seed", "end_time", "of_replay_id")
    REPLAY_ID_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    DIFFERENT_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ROOT_REPLAY_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    SPEED_FIELD_NUMBER: _ClassVar[int]
    NOT_VERIFIABLE_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    OF_REPLAY_ID_FIELD_NUMBER: _ClassVar[int]
    replay_id: str
    mode: _journal_pb2.ReplayMode
    operator: str
    comment: str
    state: ReplayState
    total: int
    finished: int
    different: int
    results: _containers.RepeatedCompositeFieldContainer[ReplayResult]
    create_time: _timestamp_pb2.Timestamp
    root_replay_id: str
    name: str
    current: bool
    speed: float
    not_verifiable: int
    refused: int
    seed: str
    end_time: _timestamp_pb2.Timestamp
    of_replay_id: str
    def __init__(self, replay_id: _Optional[str] = ..., mode: _Optional[_Union[_journal_pb2.ReplayMode, str]] = ..., operator: _Optional[str] = ..., comment: _Optional[str] = ..., state: _Optional[_Union[ReplayState, str]] = ..., total: _Optional[int] = ..., finished: _Optional[int] = ..., different: _Optional[int] = ..., results: _Optional[_Iterable[_Union[ReplayResult, _Mapping]]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., root_replay_id: _Optional[str] = ..., name: _Optional[str] = ..., current: _Optional[bool] = ..., speed: _Optional[float] = ..., not_verifiable: _Optional[int] = ..., refused: _Optional[int] = ..., seed: _Optional[str] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., of_replay_id: _Optional[str] = ...) -> None: ...

class ReplayResult(_message.Message):
    __slots__ = ("signal_id", "status", "reason", "differences", "found", "missing", "refused")
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    signal_id: str
    status: _common_pb2.SignalStatus
    reason: str
    differences: _containers.RepeatedScalarFieldContainer[str]
    found: _containers.RepeatedCompositeFieldContainer[_journal_pb2.Difference]
    missing: _containers.RepeatedScalarFieldContainer[str]
    refused: str
    def __init__(self, signal_id: _Optional[str] = ..., status: _Optional[_Union[_common_pb2.SignalStatus, str]] = ..., reason: _Optional[str] = ..., differences: _Optional[_Iterable[str]] = ..., found: _Optional[_Iterable[_Union[_journal_pb2.Difference, _Mapping]]] = ..., missing: _Optional[_Iterable[str]] = ..., refused: _Optional[str] = ...) -> None: ...

class GetReplayRequest(_message.Message):
    __slots__ = ("replay_id", "page_size", "page_token")
    REPLAY_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    replay_id: str
    page_size: int
    page_token: str
    def __init__(self, replay_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class GetReplayResponse(_message.Message):
    __slots__ = ("replay", "next_page_token")
    REPLAY_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    replay: Replay
    next_page_token: str
    def __init__(self, replay: _Optional[_Union[Replay, _Mapping]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListReplaysRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListReplaysResponse(_message.Message):
    __slots__ = ("replays", "next_page_token")
    REPLAYS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    replays: _containers.RepeatedCompositeFieldContainer[Replay]
    next_page_token: str
    def __init__(self, replays: _Optional[_Iterable[_Union[Replay, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CancelReplayRequest(_message.Message):
    __slots__ = ("replay_id",)
    REPLAY_ID_FIELD_NUMBER: _ClassVar[int]
    replay_id: str
    def __init__(self, replay_id: _Optional[str] = ...) -> None: ...

class CancelReplayResponse(_message.Message):
    __slots__ = ("replay",)
    REPLAY_FIELD_NUMBER: _ClassVar[int]
    replay: Replay
    def __init__(self, replay: _Optional[_Union[Replay, _Mapping]] = ...) -> None: ...

class VerifyHistoryRequest(_message.Message):
    __slots__ = ("first_sequence", "last_sequence")
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    first_sequence: int
    last_sequence: int
    def __init__(self, first_sequence: _Optional[int] = ..., last_sequence: _Optional[int] = ...) -> None: ...

class VerifyHistoryResponse(_message.Message):
    __slots__ = ("intact", "checked", "first_bad_sequence", "detail", "not_kept", "kept_configuration_unlisted")
    INTACT_FIELD_NUMBER: _ClassVar[int]
    CHECKED_FIELD_NUMBER: _ClassVar[int]
    FIRST_BAD_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    NOT_KEPT_FIELD_NUMBER: _ClassVar[int]
    KEPT_CONFIGURATION_UNLISTED_FIELD_NUMBER: _ClassVar[int]
    intact: bool
    checked: int
    first_bad_sequence: int
    detail: str
    not_kept: int
    kept_configuration_unlisted: bool
    def __init__(self, intact: _Optional[bool] = ..., checked: _Optional[int] = ..., first_bad_sequence: _Optional[int] = ..., detail: _Optional[str] = ..., not_kept: _Optional[int] = ..., kept_configuration_unlisted: _Optional[bool] = ...) -> None: ...

class GetStatisticsRequest(_message.Message):
    __slots__ = ("filter", "group", "bucket")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    BUCKET_FIELD_NUMBER: _ClassVar[int]
    filter: SignalFilter
    group: StatisticsGroup
    bucket: StatisticsBucket
    def __init__(self, filter: _Optional[_Union[SignalFilter, _Mapping]] = ..., group: _Optional[_Union[StatisticsGroup, str]] = ..., bucket: _Optional[_Union[StatisticsBucket, str]] = ...) -> None: ...

class StatusCount(_message.Message):
    __slots__ = ("status", "reason", "count")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    status: _common_pb2.SignalStatus
    reason: str
    count: int
    def __init__(self, status: _Optional[_Union[_common_pb2.SignalStatus, str]] = ..., reason: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class PhaseLatency(_message.Message):
    __slots__ = ("phase", "count", "p50_us", "p90_us", "p99_us")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    P50_US_FIELD_NUMBER: _ClassVar[int]
    P90_US_FIELD_NUMBER: _ClassVar[int]
    P99_US_FIELD_NUMBER: _ClassVar[int]
    phase: str
    count: int
    p50_us: int
    p90_us: int
    p99_us: int
    def __init__(self, phase: _Optional[str] = ..., count: _Optional[int] = ..., p50_us: _Optional[int] = ..., p90_us: _Optional[int] = ..., p99_us: _Optional[int] = ...) -> None: ...

class SlippageSummary(_message.Message):
    __slots__ = ("count", "mean_bps", "p50_bps", "p90_bps", "p99_bps")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MEAN_BPS_FIELD_NUMBER: _ClassVar[int]
    P50_BPS_FIELD_NUMBER: _ClassVar[int]
    P90_BPS_FIELD_NUMBER: _ClassVar[int]
    P99_BPS_FIELD_NUMBER: _ClassVar[int]
    count: int
    mean_bps: str
    p50_bps: str
    p90_bps: str
    p99_bps: str
    def __init__(self, count: _Optional[int] = ..., mean_bps: _Optional[str] = ..., p50_bps: _Optional[str] = ..., p90_bps: _Optional[str] = ..., p99_bps: _Optional[str] = ...) -> None: ...

class SignalStatistics(_message.Message):
    __slots__ = ("key", "start_time", "count", "counts", "latencies", "slippage")
    KEY_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    LATENCIES_FIELD_NUMBER: _ClassVar[int]
    SLIPPAGE_FIELD_NUMBER: _ClassVar[int]
    key: str
    start_time: _timestamp_pb2.Timestamp
    count: int
    counts: _containers.RepeatedCompositeFieldContainer[StatusCount]
    latencies: _containers.RepeatedCompositeFieldContainer[PhaseLatency]
    slippage: SlippageSummary
    def __init__(self, key: _Optional[str] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., count: _Optional[int] = ..., counts: _Optional[_Iterable[_Union[StatusCount, _Mapping]]] = ..., latencies: _Optional[_Iterable[_Union[PhaseLatency, _Mapping]]] = ..., slippage: _Optional[_Union[SlippageSummary, _Mapping]] = ...) -> None: ...

class GetStatisticsResponse(_message.Message):
    __slots__ = ("counts", "statistics", "stragglers", "straggler_count", "straggler_limit_s")
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    STRAGGLERS_FIELD_NUMBER: _ClassVar[int]
    STRAGGLER_COUNT_FIELD_NUMBER: _ClassVar[int]
    STRAGGLER_LIMIT_S_FIELD_NUMBER: _ClassVar[int]
    counts: _containers.RepeatedCompositeFieldContainer[StatusCount]
    statistics: _containers.RepeatedCompositeFieldContainer[SignalStatistics]
    stragglers: _containers.RepeatedCompositeFieldContainer[SignalSummary]
    straggler_count: int
    straggler_limit_s: float
    def __init__(self, counts: _Optional[_Iterable[_Union[StatusCount, _Mapping]]] = ..., statistics: _Optional[_Iterable[_Union[SignalStatistics, _Mapping]]] = ..., stragglers: _Optional[_Iterable[_Union[SignalSummary, _Mapping]]] = ..., straggler_count: _Optional[int] = ..., straggler_limit_s: _Optional[float] = ...) -> None: ...

class JournalGap(_message.Message):
    __slots__ = ("gap_id", "detail", "first_missing_sequence", "last_missing_sequence", "recorded_until_time", "open_signals")
    GAP_ID_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    FIRST_MISSING_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_MISSING_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RECORDED_UNTIL_TIME_FIELD_NUMBER: _ClassVar[int]
    OPEN_SIGNALS_FIELD_NUMBER: _ClassVar[int]
    gap_id: str
    detail: str
    first_missing_sequence: int
    last_missing_sequence: int
    recorded_until_time: _timestamp_pb2.Timestamp
    open_signals: int
    def __init__(self, gap_id: _Optional[str] = ..., detail: _Optional[str] = ..., first_missing_sequence: _Optional[int] = ..., last_missing_sequence: _Optional[int] = ..., recorded_until_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., open_signals: _Optional[int] = ...) -> None: ...

class Journal(_message.Message):
    __slots__ = ("stream_id", "epoch", "first_sequence", "last_sequence", "recorded_sequence", "size_bytes", "limit_bytes", "gap")
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RECORDED_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    LIMIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    epoch: int
    first_sequence: int
    last_sequence: int
    recorded_sequence: int
    size_bytes: int
    limit_bytes: int
    gap: JournalGap
    def __init__(self, stream_id: _Optional[str] = ..., epoch: _Optional[int] = ..., first_sequence: _Optional[int] = ..., last_sequence: _Optional[int] = ..., recorded_sequence: _Optional[int] = ..., size_bytes: _Optional[int] = ..., limit_bytes: _Optional[int] = ..., gap: _Optional[_Union[JournalGap, _Mapping]] = ...) -> None: ...

class GetJournalRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetJournalResponse(_message.Message):
    __slots__ = ("journal", "accepted_gaps")
    JOURNAL_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_GAPS_FIELD_NUMBER: _ClassVar[int]
    journal: Journal
    accepted_gaps: _containers.RepeatedCompositeFieldContainer[RecordedEntry]
    def __init__(self, journal: _Optional[_Union[Journal, _Mapping]] = ..., accepted_gaps: _Optional[_Iterable[_Union[RecordedEntry, _Mapping]]] = ...) -> None: ...

class AcceptJournalGapRequest(_message.Message):
    __slots__ = ("gap_id", "comment")
    GAP_ID_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    gap_id: str
    comment: str
    def __init__(self, gap_id: _Optional[str] = ..., comment: _Optional[str] = ...) -> None: ...

class AcceptJournalGapResponse(_message.Message):
    __slots__ = ("gap", "epoch")
    GAP_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    gap: JournalGap
    epoch: int
    def __init__(self, gap: _Optional[_Union[JournalGap, _Mapping]] = ..., epoch: _Optional[int] = ...) -> None: ...

class HistoryFault(_message.Message):
    __slots__ = ("kind", "first_sequence", "last_sequence", "signal_id", "detail")
    KIND_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    kind: HistoryFaultKind
    first_sequence: int
    last_sequence: int
    signal_id: str
    detail: str
    def __init__(self, kind: _Optional[_Union[HistoryFaultKind, str]] = ..., first_sequence: _Optional[int] = ..., last_sequence: _Optional[int] = ..., signal_id: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class CheckHistoryRequest(_message.Message):
    __slots__ = ("checkpoint", "leaves")
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    LEAVES_FIELD_NUMBER: _ClassVar[int]
    checkpoint: str
    leaves: bool
    def __init__(self, checkpoint: _Optional[str] = ..., leaves: _Optional[bool] = ...) -> None: ...

class CheckHistoryResponse(_message.Message):
    __slots__ = ("checked", "total", "finished", "fault", "leaf_hashes", "rows_checked", "not_kept", "kept_configuration_unlisted")
    CHECKED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    LEAF_HASHES_FIELD_NUMBER: _ClassVar[int]
    ROWS_CHECKED_FIELD_NUMBER: _ClassVar[int]
    NOT_KEPT_FIELD_NUMBER: _ClassVar[int]
    KEPT_CONFIGURATION_UNLISTED_FIELD_NUMBER: _ClassVar[int]
    checked: int
    total: int
    finished: bool
    fault: HistoryFault
    leaf_hashes: bytes
    rows_checked: int
    not_kept: int
    kept_configuration_unlisted: bool
    def __init__(self, checked: _Optional[int] = ..., total: _Optional[int] = ..., finished: _Optional[bool] = ..., fault: _Optional[_Union[HistoryFault, _Mapping]] = ..., leaf_hashes: _Optional[bytes] = ..., rows_checked: _Optional[int] = ..., not_kept: _Optional[int] = ..., kept_configuration_unlisted: _Optional[bool] = ...) -> None: ...

class GetCheckpointRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetCheckpointResponse(_message.Message):
    __slots__ = ("checkpoint", "key")
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    checkpoint: str
    key: str
    def __init__(self, checkpoint: _Optional[str] = ..., key: _Optional[str] = ...) -> None: ...

class ProveSignalRequest(_message.Message):
    __slots__ = ("signal_id",)
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    signal_id: str
    def __init__(self, signal_id: _Optional[str] = ...) -> None: ...

class ProvenEntry(_message.Message):
    __slots__ = ("sequence", "data", "hashes")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    HASHES_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    data: bytes
    hashes: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, sequence: _Optional[int] = ..., data: _Optional[bytes] = ..., hashes: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ProveSignalResponse(_message.Message):
    __slots__ = ("checkpoint", "entries")
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    checkpoint: str
    entries: _containers.RepeatedCompositeFieldContainer[ProvenEntry]
    def __init__(self, checkpoint: _Optional[str] = ..., entries: _Optional[_Iterable[_Union[ProvenEntry, _Mapping]]] = ...) -> None: ...

class PauseReplayRequest(_message.Message):
    __slots__ = ("replay_id",)
    REPLAY_ID_FIELD_NUMBER: _ClassVar[int]
    replay_id: str
    def __init__(self, replay_id: _Optional[str] = ...) -> None: ...

class PauseReplayResponse(_message.Message):
    __slots__ = ("replay",)
    REPLAY_FIELD_NUMBER: _ClassVar[int]
    replay: Replay
    def __init__(self, replay: _Optional[_Union[Replay, _Mapping]] = ...) -> None: ...

class ResumeReplayRequest(_message.Message):
    __slots__ = ("replay_id",)
    REPLAY_ID_FIELD_NUMBER: _ClassVar[int]
    replay_id: str
    def __init__(self, replay_id: _Optional[str] = ...) -> None: ...

class ResumeReplayResponse(_message.Message):
    __slots__ = ("replay",)
    REPLAY_FIELD_NUMBER: _ClassVar[int]
    replay: Replay
    def __init__(self, replay: _Optional[_Union[Replay, _Mapping]] = ...) -> None: ...
