from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StoreIdentity(_message.Message):
    __slots__ = ("store_id", "epoch", "accepted")
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    store_id: str
    epoch: int
    accepted: int
    def __init__(self, store_id: _Optional[str] = ..., epoch: _Optional[int] = ..., accepted: _Optional[int] = ...) -> None: ...

class Store(_message.Message):
    __slots__ = ("name", "place", "found", "expected", "problem")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    name: str
    place: str
    found: StoreIdentity
    expected: StoreIdentity
    problem: str
    def __init__(self, name: _Optional[str] = ..., place: _Optional[str] = ..., found: _Optional[_Union[StoreIdentity, _Mapping]] = ..., expected: _Optional[_Union[StoreIdentity, _Mapping]] = ..., problem: _Optional[str] = ...) -> None: ...

class GetStoreRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStoreResponse(_message.Message):
    __slots__ = ("store",)
    STORE_FIELD_NUMBER: _ClassVar[int]
    store: Store
    def __init__(self, store: _Optional[_Union[Store, _Mapping]] = ...) -> None: ...

class AcceptStoreRequest(_message.Message):
    __slots__ = ("name", "store_id", "comment")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    store_id: str
    comment: str
    def __init__(self, name: _Optional[str] = ..., store_id: _Optional[str] = ..., comment: _Optional[str] = ...) -> None: ...

class AcceptStoreResponse(_message.Message):
    __slots__ = ("store",)
    STORE_FIELD_NUMBER: _ClassVar[int]
    store: Store
    def __init__(self, store: _Optional[_Union[Store, _Mapping]] = ...) -> None: ...
