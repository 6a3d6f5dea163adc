"""The file that shows what history has of a signal, without the database: its entries, each with a C2SP tlog-proof.

It shows that each entry is in history, as it was stored. That none is left out, it cannot show.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from vantixs.proof.note import Checkpoint, Key, NoteError, decoded, open_checkpoint
from vantixs.proof.tree import includes, leaf_hash

FORMAT = "vantixs-signal-proof/1"
_HEADER = "c2sp.org/tlog-proof@v1"


class ProvenEntry(NamedTuple):
    """An entry's place in history, from 1, its stored bytes, and the hashes that lead from it to the root."""

    sequence: int
    data: bytes
    hashes: Sequence[bytes]


class SignalProof(NamedTuple):
    """A proof that was checked."""

    signal_id: str
    checkpoint: Checkpoint
    entries: Sequence[ProvenEntry]


def write_proof(signal_id: str, note: str, entries: Sequence[ProvenEntry]) -> str:
    """The text of a proof file; `note` is the signed checkpoint that the hashes lead to."""
    content = {
        "format": FORMAT,
        "signal_id": signal_id,
        "entries": [
            {"data": base64.b64encode(entry.data).decode(), "tlog_proof": _tlog_proof(entry, note)} for entry in entries
        ],
    }
    return json.dumps(content, indent=2) + "\n"


def check_proof(text: str, key: Key) -> SignalProof:
    """What a proof file shows, or the `proof` in a line of an export.

    Raises:
        NoteError: it is not a proof, the key has not signed its checkpoint, or an entry is not in the tree of that.
    """
    try:
        content: Any = json.loads(text)
        content = content.get("proof", content)
        if content["format"] != FORMAT:
            raise NoteError(f"expected format {FORMAT}, was {str(content['format'])[:50]!r}")
        signal_id = str(content["signal_id"])
        entries = [(decoded(item["data"]), str(item["tlog_proof"])) for item in content["entries"]]
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError, RecursionError):
        raise NoteError("expected what `vantixs signals proof` wrote, was another thing") from None
    if not entries:
        raise NoteError("expected an entry at least, found none")
    proven, checkpoints = [], set()
    for data, proof in entries:
        index, hashes, note = _parse(proof)
        checkpoint = open_checkpoint(note, key)
        if not includes(leaf_hash(data), index, checkpoint.size, hashes, checkpoint.root):
            raise NoteError(f"entry {index + 1} is not in the history of the checkpoint at {checkpoint.size}")
        checkpoints.add(checkpoint)
        proven.append(ProvenEntry(index + 1, data, hashes))
    if len(checkpoints) != 1:
        raise NoteError(f"expected one checkpoint, found {len(checkpoints)}")
    return SignalProof(signal_id, checkpoints.pop(), proven)


def _tlog_proof(entry: ProvenEntry, note: str) -> str:
    hashes = "".join(f"{base64.b64encode(one).decode()}\n" for one in entry.hashes)
    return f"{_HEADER}\nindex {entry.sequence - 1}\n{hashes}\n{note}"


def _parse(proof: str) -> tuple[int, list[bytes], str]:
    head, _, note = proof.partition("\n\n")
    lines = head.split("\n")
    if len(lines) < 2 or lines[0] != _HEADER or not lines[1].startswith("index "):
        raise NoteError(f"expected {_HEADER} with an index, was another thing")
    number = lines[1].removeprefix("index ")
    if not (number.isascii() and number.isdecimal() and len(number) < 20):
        raise NoteError(f"expected an index, was {number[:30]!r}")
    return int(number), [decoded(line) for line in lines[2:]], note
