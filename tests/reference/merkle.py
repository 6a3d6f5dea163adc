"""RFC 6962 as it is written there, by recursion over the leaves: slow, and of nothing that the product uses."""

from hashlib import sha256


def split(count: int) -> int:
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def root(entries: list[bytes]) -> bytes:
    """MTH of section 2.1."""
    if not entries:
        return sha256(b"").digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    k = split(len(entries))
    return sha256(b"\x01" + root(entries[:k]) + root(entries[k:])).digest()


def path(index: int, entries: list[bytes]) -> list[bytes]:
    """PATH of section 2.1.1."""
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if index < k:
        return [*path(index, entries[:k]), root(entries[k:])]
    return [*path(index - k, entries[k:]), root(entries[:k])]


def proof(first: int, entries: list[bytes]) -> list[bytes]:
    """PROOF of section 2.1.2."""
    return subproof(first, entries, whole=True)


def subproof(first: int, entries: list[bytes], *, whole: bool) -> list[bytes]:
    if first == len(entries):
        return [] if whole else [root(entries)]
    k = split(len(entries))
    if first <= k:
        return [*subproof(first, entries[:k], whole=whole), root(entries[k:])]
    return [*subproof(first - k, entries[k:], whole=False), root(entries[:k])]
