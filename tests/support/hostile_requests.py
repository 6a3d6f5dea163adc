"""Requests that are well formed as messages and hostile in their values: extreme numbers, times, texts and page tokens."""

import base64
import json
from collections.abc import Mapping
from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

INT32 = (0, 1, -1, 7, 2**31 - 1, -(2**31))
INT64 = (*INT32, 2**53, 2**63 - 1, -(2**63))
DOUBLES = (0.0, 1.0, -1.0, 1e308, -1e308, 5e-324, float("inf"), float("-inf"), float("nan"))
# Year 1, before 1970, now, year 9999, and beyond what a Timestamp may be.
SECONDS = (-62_135_596_800, -1, 0, 1_795_000_000, 253_402_300_799, 253_402_300_800, 2**63 - 1, -(2**63))
NANOS = (0, 1, 999_999_999, 1_000_000_000, -1, 2**31 - 1, -(2**31))
TEXTS = (
    "", " ", "a", "\x00", "a\x00b", "\x1f", "é", "\U0001f600", "\ufffe", "\u0663", "%s%n", "'\"\\", "../..", "{}", "[" * 3000,
    "x" * 5000, "9" * 5000, "0", "-0", "-1", "1e-30", "0.1", "NaN", "sNaN", "Infinity", "-Infinity", "1e999999999",
    "-1e999999999", "1e400", "9999999999999999999999", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "24:00", "Asia/Kabul",
)  # fmt: skip
EXPRESSIONS = (
    'receive_time > "0001-01-01"', 'receive_time < "9999-12-31T23:59:59.999999Z"', 'receive_time < "9999-12-31T23:00:00-14:00"',
    'latency > "99999999999999999999s"', 'latency = "-0.0000001s"', "slippage_bps > 1e999999", "slippage_bps = 9" + "9" * 300,
    "duplicates > 99999999999999999999", "duplicates = 1e30", "comment : \"\x00\"", "NOT " * 400 + "a = b", "(" * 1000,
    "status = NONE", "tag = \"" + "\U0001f600" * 400 + "\"", "a.b.c : *", "symbol = \"a\x00\"",
)  # fmt: skip
ORDERS = (
    "",
    "latency",
    "latency desc",
    "emit_time desc",
    "slippage_bps",
    "receive_time asc",
    "latency desc desc",
    "\x00",
)
FIELDS: Mapping[str, tuple[str, ...]] = {"expression": EXPRESSIONS, "order_by": ORDERS}
TIMES = ("google.protobuf.Timestamp", "google.protobuf.Duration")
MOST_BYTES = 200_000  # Below what a server takes of one message.


def token(value: object) -> str:
    """A page token as a server makes it, of any value."""
    return base64.urlsafe_b64encode((value if isinstance(value, str) else json.dumps(value)).encode()).decode()


TOKENS = (
    *(token(text) for text in (*TEXTS, str(2**63), str(2**63 - 1), str(10**30), "-1", "true", "null", "[]")),
    *(token([text, *keys]) for text in ("", "0" * 16) for keys in ([10**30, 1], [1, 2**63], [[1], 1], [True, True], [])),
    "A", "====", "\x00",
)  # fmt: skip


class Hostile:
    """Fills messages from a source of chance; `known` has names that exist, by the end of a field's name."""

    def __init__(self, random: Random, known: Mapping[str, tuple[str, ...]], sane: float = 0.6) -> None:
        self._random = random
        self._known = known
        self._sane = sane
        self._often = random.choice((0.3, 0.6, 0.9))

    def fill(self, message: Any, depth: int = 0) -> Any:
        """Sets some of the message's fields; returns it."""
        for field in message.DESCRIPTOR.fields:
            often = self._often / 2 if field.message_type and depth > 1 else self._often
            if depth > 5 or self._random.random() > often:
                continue
            if field.message_type and field.message_type.GetOptions().map_entry:
                self._fill_map(message, field, depth)
            elif field.is_repeated:
                for _ in range(self._random.choice((1, 1, 2, 5))):
                    if field.message_type:
                        self._fill_message(getattr(message, field.name).add(), depth)
                    else:
                        getattr(message, field.name).append(self._value(field))
            elif field.message_type:
                getattr(message, field.name).SetInParent()
                self._fill_message(getattr(message, field.name), depth)
            else:
                setattr(message, field.name, self._value(field))
        return message

    def change(self, message: Any) -> Any:
        """Gives one to three fields of a message, or of messages in it, another value; returns it."""
        for _ in range(self._random.choice((1, 1, 1, 2, 3))):
            inner = message
            while True:
                fields = list(inner.DESCRIPTOR.fields)
                field = self._random.choice(fields)
                present = [f for f, _ in inner.ListFields()]
                if present and self._random.random() < 0.7:
                    field = self._random.choice(present)
                if field.message_type is None or field.message_type.GetOptions().map_entry:
                    break
                held = getattr(inner, field.name)
                if field.is_repeated:
                    held = self._random.choice(held) if held else held.add()
                else:
                    held.SetInParent()
                inner = held
            if field.message_type is not None:
                self._fill_map(inner, field, 0)
            elif inner.DESCRIPTOR.full_name in TIMES:
                setattr(inner, field.name, self._random.choice(SECONDS if field.name == "seconds" else NANOS))
            elif field.is_repeated:
                values = getattr(inner, field.name)
                values.append(self._value(field))
                values[self._random.randrange(len(values))] = self._value(field)
            else:
                setattr(inner, field.name, self._value(field))
        return message

    def _fill_map(self, message: Any, field: FieldDescriptor, depth: int) -> None:
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        entries = getattr(message, field.name)
        if value.message_type:
            self._fill_message(entries[self._value(key)], depth)
        else:
            entries[self._value(key)] = self._value(value)

    def _fill_message(self, message: Message, depth: int) -> None:
        inner: Any = message
        if message.DESCRIPTOR.full_name in TIMES:
            sane = self._is_sane()
            inner.seconds = 1_795_000_000 if sane else self._random.choice(SECONDS)
            inner.nanos = 0 if sane else self._random.choice(NANOS)
            return
        self.fill(inner, depth + 1)

    def _is_sane(self) -> bool:
        return self._random.random() < self._sane

    def _value(self, field: FieldDescriptor) -> Any:
        kind, choice = field.cpp_type, self._random.choice
        if kind == FieldDescriptor.CPPTYPE_STRING and field.type == FieldDescriptor.TYPE_BYTES:
            return choice((b"", b"a", b"\x00" * 32, b"\xff" * 300, b"{}", b'{"action":"buy","symbol":"BTCUSDT"}'))
        if kind == FieldDescriptor.CPPTYPE_STRING:
            return self._text(field.name)
        if kind == FieldDescriptor.CPPTYPE_ENUM:
            numbers = [value.number for value in field.enum_type.values]
            return choice(numbers) if self._is_sane() else choice((99, -1, 2**31 - 1, -(2**31)))
        if kind == FieldDescriptor.CPPTYPE_BOOL:
            return choice((True, False))
        if kind == FieldDescriptor.CPPTYPE_INT32:
            return choice((1, 2, 60)) if self._is_sane() else choice(INT32)
        if kind == FieldDescriptor.CPPTYPE_INT64:
            return choice((1, 2, 60)) if self._is_sane() else choice(INT64)
        if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
            return choice(DOUBLES)
        assert kind in (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64), field.full_name
        return choice((0, 1, 2**32 - 1))

    def _text(self, name: str) -> str:
        choice = self._random.choice
        if name == "page_token":
            return choice(TOKENS)
        if name in FIELDS:
            return choice(FIELDS[name])
        if self._is_sane():
            for end, values in self._known.items():
                if name.endswith(end):
                    return choice(values)
            return choice(("1", "100", "a"))
        return choice(TEXTS)
