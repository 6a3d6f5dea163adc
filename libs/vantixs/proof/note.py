"""Checkpoints: a tree's size and root, signed, as text that others' tools read.

Source: C2SP signed-note and tlog-checkpoint. A note is its text, an empty line, and a line for each signature:
`— name base64(key id || signature)`. Signatures by keys that are not asked for are passed over, so keys can be added.
"""

import base64
import binascii
import hashlib
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from vantixs.proof.tree import HASH_BYTES

ED25519 = b"\x01"
_DASH = "— "
LONGEST = 10_000


class NoteError(ValueError):
    """A note that is not one, or that no key asked for has signed."""


class Checkpoint(NamedTuple):
    """The tree of `size` leaves of the log `origin` has this root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


class Key(NamedTuple):
    """What checks signatures of one name."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes by which a signature names its key."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    @property
    def text(self) -> str:
        """The key as text, for files and for others' tools: `name+id+base64`."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> "Key":
        """The key that a text stands for.

        Raises:
            NoteError: it stands for none, or for one of another kind than Ed25519.
        """
        name, _, rest = text.strip().partition("+")
        id_, _, encoded = rest.partition("+")
        data = decoded(encoded)
        key = cls(name, data[1:])
        if data[:1] != ED25519 or len(data) != 33 or id_ != key.id.hex() or not _is_name(name):
            raise NoteError(f"expected an Ed25519 key as name+id+base64, was {text[:100]!r}")
        return key


class Signer:
    """Signs as one name, with a key of 32 bytes."""

    def __init__(self, name: str, seed: bytes) -> None:
        if not _is_name(name):
            raise NoteError(f"expected a name without spaces and plus signs, was {name[:100]!r}")
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = Key(name, self._private.public_key().public_bytes_raw())

    def sign(self, size: int, root: bytes) -> str:
        """The checkpoint of a tree as a signed note; its origin is the key's name."""
        text = Checkpoint(self.key.name, size, root).text
        signature = base64.b64encode(self.key.id + self._private.sign(text.encode())).decode()
        return f"{text}\n{_DASH}{self.key.name} {signature}\n"


def history_signer(secret: str) -> Signer:
    """The signer of a history whose secret that is; its name follows from its key, so that every history has its own."""
    seed = hashlib.sha256(secret.encode()).digest()
    public = Signer("history", seed).key.public
    return Signer(f"vantixs-history-{hashlib.sha256(public).hexdigest()[:16]}", seed)


def open_note(note: str, key: Key) -> str:
    """The text of a note that this key has signed.

    Raises:
        NoteError: it is not a note, or the key has not signed it.
    """
    if len(note) > LONGEST:
        raise NoteError(f"expected a note of at most {LONGEST} characters, was {len(note)}")
    text, blank, signatures = note.rpartition("\n\n")
    text += "\n"
    lines = signatures.split("\n")
    if not blank or lines.pop() or not all(line.startswith(_DASH) for line in lines):
        raise NoteError("expected a text, an empty line and signatures, was another thing")
    public = Ed25519PublicKey.from_public_bytes(key.public)
    for line in lines:
        name, _, encoded = line.removeprefix(_DASH).partition(" ")
        if name != key.name or (data := decoded(encoded))[:4] != key.id:
            continue
        try:
            public.verify(data[4:], text.encode())
        except InvalidSignature:
            raise NoteError(f"expected the signature of {key.name} over this text, was of another one") from None
        return text
    raise NoteError(f"expected a signature by key {key.id.hex()} of {key.name}, found none")


def open_checkpoint(note: str, key: Key) -> Checkpoint:
    """The checkpoint of a note that this key has signed.

    Raises:
        NoteError: it is not a checkpoint of this key's log, or the key has not signed it.
    """
    checkpoint = _checkpoint(open_note(note, key))
    if checkpoint.origin != key.name:
        raise NoteError(f"expected a checkpoint of {key.name}, was of {checkpoint.origin[:100]!r}")
    return checkpoint


def _checkpoint(text: str) -> Checkpoint:
    lines = text.split("\n")
    if len(lines) < 4:
        raise NoteError("expected origin, size and root, was less")
    origin, size, root = lines[0], lines[1], decoded(lines[2])
    if (
        not origin
        or not (size.isascii() and size.isdecimal())
        or str(int(size[:19])) != size
        or len(root) != HASH_BYTES
    ):
        raise NoteError("expected origin, size and root of 32 bytes, was another thing")
    return Checkpoint(origin, int(size), root)


def decoded(text: str) -> bytes:
    """The bytes that base64 stands for, which has one form only: unused bits are zero.

    Raises:
        NoteError: it is not base64.
    """
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if base64.b64encode(found).decode() != text:
        raise NoteError(f"expected base64, was {text[:50]!r}")
    return found


def _is_name(name: str) -> bool:
    return bool(name) and not any(c.isspace() or c == "+" for c in name)
