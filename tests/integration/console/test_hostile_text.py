"""Every command that shows text, with hostile text in every field of every answer: it is shown as it is, and obeyed by nobody."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.ingress.v1 import ingress_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs.api.stores.v1 import stores_pb2

from tests.support.console_services import Command, command_of, listening

# What is sent, and what is shown of it. They are short, so that the cells of a table are not cut off.
TEXTS = {
    "markup": ("[/b][x]:+1:", "[/b][x]:+1:"),
    "link": (r"\[link=x]y[/]", r"\[link=x]y[/]"),
    "title": ("\x1b]0;x\x07", r"\x1b]0;x\x07"),
    "color": ("\x9b31m\x7f\x00", r"\x9b31m\x7f\x00"),
    "line": ("x\r\n\x85y", r"x\r\n\x85y"),
    "direction": ("\u202ex\u2066\u2028", r"\u202ex\u2066\u2028"),
}
# What a service computes, and a command calculates with.
NUMBERS = re.compile(r"used|limit|equity|.*_ms|mean_bps|p\d\d_bps")
CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
DEPTH = 7
RECORDED = audit_pb2.RecordedEntry.DESCRIPTOR
EVENTS = [field.name for field in journal_pb2.JournalEntry.DESCRIPTOR.oneofs_by_name["event"].fields]


def fill(message: Any, text: str, depth: int = 0) -> Any:
    """Sets every field, texts to this one. Of a signal's entries there is one of each kind."""
    if message.DESCRIPTOR.full_name in ("google.protobuf.Timestamp", "google.protobuf.Duration"):
        message.seconds = 1_800_000_000 if "Time" in message.DESCRIPTOR.name else 1
        return message
    for field in message.DESCRIPTOR.fields:
        if field.message_type and depth >= DEPTH:
            continue
        if field.message_type and field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is None:
                getattr(message, field.name)[text] = text
        elif field.message_type and field.is_repeated:
            for kind in EVENTS if field.message_type is RECORDED and depth == 0 else [""]:
                made = fill(getattr(message, field.name).add(), text, depth + 1)
                if kind:
                    fill(getattr(made.entry, kind), text, depth + 2)
                    getattr(made.entry, kind).SetInParent()
        elif field.message_type:
            fill(getattr(message, field.name), text, depth + 1)
            getattr(message, field.name).SetInParent()
        elif field.is_repeated:
            getattr(message, field.name).append(_value(field, text))
        else:
            setattr(message, field.name, _value(field, text))
    return message


def _value(field: Any, text: str) -> Any:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            if field.type == FieldDescriptor.TYPE_BYTES:
                return text.encode()
            return "1" if NUMBERS.fullmatch(field.name) else text
        case FieldDescriptor.CPPTYPE_ENUM:
            return field.enum_type.values[-1].number
        case FieldDescriptor.CPPTYPE_BOOL:
            return True
    return 1


class Answers(grpc.GenericRpcHandler):
    """Every RPC of every service; its answer is filled with `text`, and there is one page."""

    def __init__(self) -> None:
        self.text = ""
        self.methods = {
            f"/{service.full_name}/{method.name}": method
            for file in (audit_pb2, ingress_pb2, risk_pb2, router_pb2, stores_pb2)
            for service in file.DESCRIPTOR.services_by_name.values()
            for method in service.methods
        }

    def service(self, call: Any) -> Any:
        method = self.methods.get(call.method)
        if method is None:
            return None
        asked, answer = GetMessageClass(method.input_type), GetMessageClass(method.output_type)

        def make(request: Any, context: Any) -> Any:
            made = fill(answer(), self.text)
            if getattr(request, "page_token", ""):
                made.next_page_token = ""
            return made

        options = {"request_deserializer": asked.FromString, "response_serializer": answer.SerializeToString}
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(lambda r, c: iter([make(r, c)]), **options)
        return grpc.unary_unary_rpc_method_handler(make, **options)


@pytest.fixture(scope="module")
def answers() -> Iterator[Answers]:
    made = Answers()
    with listening(grpc.server(ThreadPoolExecutor(4), handlers=(made,))) as made.address:  # type: ignore[attr-defined]  # A test's own.
        yield made


@pytest.fixture
def run(answers: Any, tmp_path: Path) -> Command:
    return command_of(answers.address, tmp_path)


@pytest.mark.parametrize(
    "command",
    [
        "signals list",
        "signals show s1",
        "signals tail --count 1",
        "statistics",
        "order list",
        "order show s1.1",
        "order cancel s1.1",
        "order cancel --all",
        "order amend s1.1 --quantity 1",
        "position list",
        "position close --account paper --instrument BTC/USDT --reason x",
        "lanes",
        "replay start s1 --comment x --no-wait",
        "replay list",
        "replay show r1",
        "replay pause r1",
        "halt",
        "status",
        "account list",
        "account show paper",
        "account positions paper",
        "webhook list",
        "webhook get demo",
        "quote list",
        "quote get BTC/USDT",
        "quote bars BTC/USDT",
        "instrument list",
        "journal show",
        "store list",
        "audit verify",
        f"lint {__file__}",
    ],
)
@pytest.mark.parametrize("text", TEXTS)
def test_hostile_text_is_shown_as_it_is(command: str, text: str, answers: Answers, run: Any) -> None:
    answers.text, shown = TEXTS[text]
    done = run(*command.split())
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, 1), done.stderr
    assert shown in done.stdout
    assert not CONTROLS.search(done.stdout + done.stderr)


def test_payload_keeps_its_lines_and_nothing_else_that_controls(answers: Answers, run: Any) -> None:
    answers.text = "[red]\r\n\x1b[31m\ty\u202e"
    done = run("signals", "payload", "s1")
    assert (done.returncode, done.stdout) == (0, "[red]\n\\x1b[31m   y\\u202e\n")
