"""Text from elsewhere cannot control the terminal, whatever command prints it."""

import ast
from pathlib import Path

import pytest
import vantixs_console
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2
from vantixs_console.commands.signals import signal_table
from vantixs_console.plain_text import complain, printable
from vantixs_console.terminal import out


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ü, 價, 👍", "plain, ü, 價, 👍"),
        ("a\tb", "a   b"),
        ("\x1b[31m\x07\x00", r"\x1b[31m\x07\x00"),
        ("\x9b31m\x85\x7f", r"\x9b31m\x85\x7f"),
        ("a\r\nb", r"a\r\nb"),
        ("\u202e\u2066\u200f\u2028", r"\u202e\u2066\u200f\u2028"),
        ("\udcff", r"\udcff"),
    ],
)
def test_control_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_complaint_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    complain("no symbol '\x1b[2J\n'")
    assert capsys.readouterr().err == "vantixs: no symbol '\\x1b[2J\\n'\n"


def test_long_symbol_hides_no_column() -> None:
    made = audit_pb2.SignalSummary(signal_id="s01", symbol="\x1b" * 300, status=common_pb2.SIGNAL_STATUS_REJECTED)
    with out.capture() as captured:
        out.print(signal_table([made]))
    assert "REJECTED" in captured.get()
    assert r"\x1b\x1b" in captured.get()


def test_only_the_terminal_has_a_way_to_print_markup() -> None:
    """Of rich, other modules may have tables; what they print goes through `terminal.out`."""
    root = Path(vantixs_console.__file__).parent
    found = {
        (path.name, node.module)
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rich.")
    }
    assert {module for name, module in found if name != "terminal.py"} == {"rich.table"}
