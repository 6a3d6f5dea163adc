"""Identities, each derived so that doing something twice names it the same."""

import base64
import hashlib
import re
import zlib

LANES = 32
# The names that people give to accounts, webhooks and strategies; by `fullmatch`, as `$` would let a line feed through.
NAME_PATTERN = r"[a-z][a-z0-9-]{0,39}"
NAME = re.compile(NAME_PATTERN)
QUOTE_SUBJECTS = "vantixs.quotes.v1.*"
BAR_SUBJECTS = "vantixs.bars.v1.*.*"
# Whoever keeps bars answers with them to the reply subject of what is published here.
BARS_ASKED = "vantixs.bars-asked.v1"
_ACCEPTED_SUBJECTS = tuple(f"vantixs.journal.v1.signal.accepted.{lane:02d}" for lane in range(LANES))
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case


def new_signal_id(now_ms: int, entropy: bytes) -> str:
    """A new signal's id: "s", 10 characters of time (milliseconds), 16 of entropy (10 bytes); sorts by time."""
    return "s" + _encode(now_ms, 10) + _encode(int.from_bytes(entropy), 16)


def keyed_signal_id(webhook_id: str, key: str) -> str:
    """The id of the signal with this key on this webhook: "k" and 26 characters of SHA-256 (130 bits)."""
    digest = hashlib.sha256(f"{webhook_id}\x00{key}".encode()).digest()
    return "k" + _encode(int.from_bytes(digest) >> 126, 26)


def order_id(signal_id: str, leg: int) -> str:
    """The id of a signal's order: `leg` is 1, or 2 for the second half of a reversal."""
    return f"{signal_id}.{leg}"


def client_order_id(order: str) -> str:
    """The id given to venues (FIX 11): 17 lower-case letters and digits, the first a "v"."""
    digest = hashlib.sha256(order.encode()).digest()[:10]
    return "v" + base64.b32encode(digest).decode().lower()


def lane_of(account_id: str, instrument: str) -> int:
    """The lane, 0 to 31, that keeps the signals of an account and instrument in order."""
    return zlib.crc32(f"{account_id}|{instrument}".encode()) % LANES


def accepted_subject(lane: int) -> str:
    """The journal subject of a lane's accepted signals, for example "vantixs.journal.v1.signal.accepted.07"."""
    return _ACCEPTED_SUBJECTS[lane]


def event_subject(kind: str) -> str:
    """The journal subject of entries that drive nobody, for example "vantixs.journal.v1.event.order"."""
    return f"vantixs.journal.v1.event.{kind}"


def quote_subject(key: str) -> str:
    """The subject (core NATS, no stream) of an instrument's streamed quotes, for example "vantixs.quotes.v1.btc-usdt"."""
    return f"vantixs.quotes.v1.{key}"


def bar_subject(key: str, timeframe: str) -> str:
    """The subject (core NATS, no stream) of an instrument's closed bars, for example "vantixs.bars.v1.btc-usdt.1h"."""
    return f"vantixs.bars.v1.{key}.{timeframe}"


def _encode(number: int, length: int) -> str:
    """The last `length` digits of the number in base 32."""
    return "".join([_ALPHABET[number >> shift & 31] for shift in range(length * 5 - 5, -1, -5)])
