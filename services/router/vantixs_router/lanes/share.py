"""Which lanes a replica takes and which it hands over, so that all replicas have as many. Pure."""

from collections.abc import Iterable, Mapping


def fair_share(lanes: int, replicas: Iterable[str], me: str) -> int:
    """How many of the lanes are ours; the shares of all replicas add up to all lanes.

    >>> [fair_share(32, ("a", "b", "c"), name) for name in "abc"]
    [11, 11, 10]
    """
    names = sorted({*replicas, me})
    whole, rest = divmod(lanes, len(names))
    return whole + (names.index(me) < rest)


def to_take(owners: Mapping[int, str], replicas: Iterable[str], me: str) -> list[int]:
    """The lanes to take now: such as nobody has who is there, lowest first, until we have our share."""
    there = {*replicas, me}
    share = fair_share(len(owners), there, me)
    ours = sum(1 for owner in owners.values() if owner == me)
    free = [lane for lane, owner in sorted(owners.items()) if owner not in there]
    return free[: max(0, share - ours)]


def to_hand_over(owners: Mapping[int, str], replicas: Iterable[str], me: str) -> list[int]:
    """The lanes to hand over: what we have above our share, highest first."""
    ours = sorted((lane for lane, owner in owners.items() if owner == me), reverse=True)
    return ours[: max(0, len(ours) - fair_share(len(owners), replicas, me))]
