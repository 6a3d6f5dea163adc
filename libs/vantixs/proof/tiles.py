"""A tree as files that existing verifiers read: names and contents. Source: C2SP tlog-tiles."""

from collections.abc import Iterator, Sequence

from vantixs.proof.tree import TILE_LEVELS, node_hash

WIDTH = 1 << TILE_LEVELS


def tile_path(level: int, number: int, width: int = WIDTH) -> str:
    """The file of a tile: `tile/0/x001/x234/067`, and with `.p/8` where only 8 of its hashes exist.

    >>> tile_path(0, 1234067)
    'tile/0/x001/x234/067'
    """
    parts = [f"{number % 1000:03d}"]
    while number >= 1000:
        number //= 1000
        parts.append(f"x{number % 1000:03d}")
    partial = f".p/{width}" if width < WIDTH else ""
    return f"tile/{level}/{'/'.join(reversed(parts))}{partial}"


def tiles(leaves: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    """Every tile of a tree with these leaf hashes: path and content."""
    level, hashes = 0, list(leaves)
    while hashes:
        above = []
        for number in range(0, len(hashes), WIDTH):
            tile = hashes[number : number + WIDTH]
            yield tile_path(level, number // WIDTH, len(tile)), b"".join(tile)
            if len(tile) == WIDTH:
                above.append(_root(tile))
        level, hashes = level + 1, above


def _root(hashes: list[bytes]) -> bytes:
    while len(hashes) > 1:
        hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
    return hashes[0]
