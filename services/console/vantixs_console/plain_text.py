"""Text from elsewhere as a terminal may show it: senders, files and services must not control the terminal."""

import re
import sys

TAB = 4
# Control characters (C0, DEL, C1), line separators, characters that change the direction of text, and surrogates.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""The text in one line without control characters: a tab is spaces, any other is shown as its escape.

    Example:
        "a\x1b[31m\nb" is shown as r"a\x1b[31m\nb".
    """
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text.expandtabs(TAB))


def complain(text: str) -> None:
    """Prints an error or a remark to standard error, in one line."""
    print(f"vantixs: {printable(text)}", file=sys.stderr, flush=True)
