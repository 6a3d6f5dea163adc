"""Ways in which a store of a home goes bad, by name, so that a table of tests can walk them."""

import random
import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

# Where each store is in a home. What starts with its name belongs to it: a database has its log beside it.
PLACES = {
    "risk": "data/risk.db",
    "router": "data/router.db",
    "audit": "data/audit.db",
    "spool": "data/ingress-0.spool",
    "journal": "data/nats/jetstream/$G/streams/VANTIXS_JOURNAL_V2",
    "webhooks": "data/nats/jetstream/$G/streams/KV_vantixs-webhooks",
    "broker": "data/nats",
    "records": "data/stores.json",
    "data": "data",
    "signing-key": "secrets/signing-key",
    "operator-token": "secrets/operator-token",
}
# What an alarm calls it, where that is another word.
CALLED = {
    "spool": "ingress-0",
    "webhooks": "webhook",
    "broker": "journal",
    "records": "stores.json",
}
Damage = Callable[[Path, str, Path, ExitStack], None]


def files_of(home: Path, store: str) -> list[Path]:
    """The files of a store, its largest first."""
    place = home / PLACES[store]
    beside = [p for p in place.parent.glob(f"{place.name}*") if p.is_file() and p.suffix != ".lock"]
    inside = [p for p in place.rglob("*") if p.is_file()] if place.is_dir() else []
    return sorted(beside + inside, key=lambda p: p.stat().st_size, reverse=True)


def remove(home: Path, store: str, older: Path, ends: ExitStack) -> None:
    """All of it is gone."""
    place = home / PLACES[store]
    if place.is_dir():
        shutil.rmtree(place)
    for path in files_of(home, store):
        path.unlink()


def empty(home: Path, store: str, older: Path, ends: ExitStack) -> None:
    """Every file has no bytes."""
    for path in files_of(home, store):
        with path.open("r+b") as file:
            file.truncate(0)


def cut(home: Path, store: str, older: Path, ends: ExitStack) -> None:
    """The largest file has its first half."""
    path = files_of(home, store)[0]
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def noise(home: Path, store: str, older: Path, ends: ExitStack) -> None:
    """The middle half of the largest file is random bytes."""
    path = files_of(home, store)[0]
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 4)
        file.write(random.Random(5).randbytes(max(1, size // 2)))


def roll_back(home: Path, store: str, older: Path, ends: ExitStack) -> None:
    """It is as it was some signals ago."""
    remove(home, store, older, ends)
    place, before = home / PLACES[store], older / PLACES[store]
    if before.is_dir():
        shutil.copytree(before, place)
    else:
        for path in files_of(older, store):
            shutil.copy(path, home / path.relative_to(older))


def forbid_writing(home: Path, store: str, older: Path, ends: ExitStack) -> None:
    """It can be read and not written, which root does not notice by permissions alone."""
    place = home / PLACES[store]
    for path in [place] if place.is_dir() else files_of(home, store):
        subprocess.run(["mount", "--bind", path, path], check=True)
        ends.callback(_unmount, path)
        subprocess.run(["mount", "-o", "remount,ro,bind", path], check=True)


def _unmount(path: Path) -> None:
    subprocess.run(["umount", "--lazy", path], check=True)


DAMAGES: dict[str, Damage] = {
    "removed": remove,
    "empty": empty,
    "cut": cut,
    "noise": noise,
    "older": roll_back,
    "read-only": forbid_writing,
}
