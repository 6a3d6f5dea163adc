"""Enums of requests: proto3 takes any number for one, and code that looks a value up would fail."""

from typing import Any

from google.protobuf.message import Message

from vantixs.runtime.errors import invalid


def check_enums(message: Message, path: str) -> None:
    """Refuses numbers that are no value of their enum, in the message and all messages in it, except in maps.

    Raises:
        ServiceError: INVALID_ARGUMENT, with the path of the field.
    """
    for field, value in message.ListFields():
        values: Any = value if field.is_repeated else [value]
        if field.enum_type is not None:
            known = field.enum_type.values_by_number
            for number in values:
                if number not in known:
                    raise invalid(f"{path}.{field.name}", f"expected a value of {field.enum_type.name}, was {number}")
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for inner in values:
                check_enums(inner, f"{path}.{field.name}")
