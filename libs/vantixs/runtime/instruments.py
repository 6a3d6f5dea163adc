"""Instruments that were added to a running system: in a KV bucket, watched by every process, and kept beside its data.

Terms never change and nothing is removed, so a process that has not heard of an instrument yet can only refuse it or wait for it;
none computes with other terms than the others. The copy on disk is what a process starts with while the broker is away, and
what is put back into a bucket that was lost.
"""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format

from vantixs.api.common.v1 import common_pb2
from vantixs.model.decimals import format_decimal
from vantixs.model.instruments import (
    INSTRUMENTS,
    MOST_ADDED,
    BadTerm,
    CurrentCatalogue,
    Instrument,
    clash,
    define,
    different_term,
    key_of_instrument,
    merge,
)
from vantixs.runtime.errors import ServiceError, invalid, unavailable
from vantixs.runtime.health import Health
from vantixs.runtime.home import write_atomically
from vantixs.runtime.journal import Journal
from vantixs.runtime.kv import KvTable, Versioned
from vantixs.runtime.lifecycle import Lifecycle
from vantixs.runtime.logs import log
from vantixs.runtime.settings import ServiceSettings

BUCKET, BUCKET_BYTES = "vantixs-instruments", 16 << 20
COMPONENT = "instruments"
LOOK_EVERY_S = 1.0
GATHER_S = 0.05  # What comes within this time, as all does at start, makes one new catalogue.
KNOWN_WITHIN_S = 2.0


class Instruments:
    """Keeps the catalogue of this process in step with the bucket."""

    def __init__(
        self,
        journal: Journal,
        settings: ServiceSettings,
        health: Health,
        *,
        service: str,
        catalogue: CurrentCatalogue = INSTRUMENTS,
    ) -> None:
        """Begins with what processes of this home knew before."""
        self._catalogue = catalogue
        self._health = health
        self._data = settings.home / "data"
        self._place = self._data / f"instruments-{service}-{settings.instance}.json"
        self._changed = False
        self._added: dict[str, Instrument] = {}
        self._revisions: dict[str, int] = {}
        self._conflicts: dict[str, str] = {}
        self._building: asyncio.TimerHandle | None = None
        self._adding = asyncio.Lock()
        self._table: KvTable[common_pb2.Instrument] = KvTable(
            journal,
            BUCKET,
            "instrument",
            common_pb2.Instrument,
            replicas=settings.journal_replicas,
            max_bytes=BUCKET_BYTES,
            on_change=self._heard,
        )
        health.tolerate(COMPONENT)
        for path in sorted(self._data.glob("instruments-*.json")):
            for message in _read(path):
                self._take(message, message.revision)
        self._build()

    def start(self, life: Lifecycle) -> "asyncio.Task[None]":
        """Watches the bucket until the service stops."""
        self._table.start(life)
        return life.spawn(self._run(life.stopping), name="instruments")

    async def known(self) -> None:
        """Returns once all that the bucket holds is known here."""
        await self._table.loaded.wait()
        self._build()

    def revision(self, name: str) -> int:
        """The revision of an instrument that was added, 0 for one of the default catalogue."""
        return self._revisions.get(name, 0)

    async def find(self, name: str) -> bool:
        """Whether there is such an instrument, asking the bucket where it is not known here.

        Raises:
            ServiceError: UNAVAILABLE.
        """
        if name not in self._catalogue.current and await self._table.fetch(key_of_instrument(name)):
            self._build()
        return name in self._catalogue.current

    async def add(self, asked: common_pb2.Instrument) -> Instrument:
        """Adds an instrument and returns it; one that is there with the same terms is returned as it is.

        Raises:
            ServiceError: INVALID_ARGUMENT for terms that cannot be, or a name that would be read as another instrument's;
                ALREADY_EXISTS where it has other terms; RESOURCE_EXHAUSTED; UNAVAILABLE.
        """
        wanted = checked(asked)
        try:
            await asyncio.wait_for(self._table.loaded.wait(), KNOWN_WITHIN_S)
        except TimeoutError:
            raise unavailable("JOURNAL_UNAVAILABLE", "what was added before is not known yet") from None
        async with self._adding:
            self._build()
            if found := self._catalogue.current.get(wanted.name):
                return _same(wanted, found)
            if len(self._added) >= MOST_ADDED:
                detail = f"expected at most {MOST_ADDED} added instruments, was {len(self._added)}"
                raise ServiceError(grpc.StatusCode.RESOURCE_EXHAUSTED, "INSTRUMENTS_EXHAUSTED", detail)
            if taken := clash(wanted, self._catalogue.current):
                raise invalid("instrument.instrument", f"expected a name of its own, {taken}, was {wanted.name}")
            try:
                await self._table.create(key_of_instrument(wanted.name), to_message(wanted))
            except ServiceError as error:
                if error.code is not grpc.StatusCode.ALREADY_EXISTS:
                    raise
                await self._table.fetch(key_of_instrument(wanted.name))  # Another replica was faster.
            self._build()
            found = self._catalogue.current.get(wanted.name)
            if found is None:
                raise unavailable("JOURNAL_UNAVAILABLE", f"instrument {wanted.name!r} is not to be used yet: ask again")
            return _same(wanted, found)

    def _heard(self, key: str, found: Versioned[common_pb2.Instrument] | None) -> None:
        """What the bucket holds of a key is this now. One that was deleted by hand is put back in a moment."""
        if found is None:
            return
        if self._take(found.value, found.revision) and self._building is None:
            self._building = asyncio.get_running_loop().call_later(GATHER_S, self._build)

    def _take(self, message: common_pb2.Instrument, revision: int) -> bool:
        """Takes an instrument up; False where it is known, or cannot be."""
        try:
            instrument = checked(message)
        except ServiceError as error:
            log.error("instrument.unreadable", instrument=message.instrument[:60], detail=error.detail)
            return False
        before = self._added.get(instrument.name)
        self._conflicts.pop(instrument.name, None)
        if before is None:
            self._added[instrument.name], self._revisions[instrument.name] = instrument, revision
            self._changed = True
            return True
        if term := different_term(before, instrument):
            # It was computed with already: what is held, and what was sent, is in these steps.
            self._conflicts[instrument.name] = f"{instrument.name}: {term} is {getattr(before, term)} here"
            log.error("instrument.conflict", instrument=instrument.name, term=term)
            return False
        if self._revisions[instrument.name] == revision:
            return False
        self._revisions[instrument.name] = revision
        self._changed = True
        return True

    def _build(self) -> None:
        if self._building:
            self._building.cancel()
            self._building = None
        if not self._changed:
            return
        self._changed = False
        # In the order in which they were stored, so that all processes leave out the same.
        added = sorted(self._added.values(), key=lambda i: (self._revisions[i.name], i.name))
        merged = merge(added)
        for instrument in merged.left_out:
            log.error("instrument.left_out", instrument=instrument.name, detail="its symbols are another one's")
        self._catalogue.current = merged.catalogue
        content = json.dumps([self._to_dict(instrument) for instrument in added])
        try:
            write_atomically(self._place, content + "\n", mode=0o600)
        except OSError as error:
            log.warning("instruments.not_kept", path=str(self._place), error=repr(error))

    def _to_dict(self, instrument: Instrument) -> Any:
        message = to_message(instrument)
        message.revision = self._revisions[instrument.name]
        return json_format.MessageToDict(message, preserving_proto_field_name=True)

    async def _run(self, stopping: asyncio.Event) -> None:
        """Puts back what the bucket has lost, and says what differs, until stopped."""
        while not stopping.is_set():
            if self._table.loaded.is_set():
                self._build()
                await self._put_back()
            detail = "; ".join(self._conflicts.values())
            self._health.set(COMPONENT, not detail, f"another one in the bucket: {detail}" if detail else "")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), LOOK_EVERY_S)

    async def _put_back(self) -> None:
        known = self._table.items()
        for name, instrument in list(self._added.items()):
            key = key_of_instrument(name)
            if key not in known:
                try:
                    await self._table.create(key, to_message(instrument))
                except ServiceError as error:
                    if error.code is not grpc.StatusCode.ALREADY_EXISTS:
                        return
                else:
                    log.warning("instrument.put_back", instrument=name)


def checked(message: common_pb2.Instrument) -> Instrument:
    """The instrument that a message describes; kind and assets may be left out.

    Raises:
        ServiceError: INVALID_ARGUMENT.
    """
    try:
        found = define(
            message.instrument,
            message.tick_size,
            message.lot_size,
            message.minimum_notional,
            message.reference_price,
        )
    except BadTerm as error:
        raise invalid(f"instrument.{error.field}", str(error)) from None
    for field, given, expected in _implied(message, found):
        if given and given != expected:
            raise invalid(
                f"instrument.{field}", f"expected {expected} or nothing for {found.name}, was {str(given)[:40]}"
            )
    return found


def to_message(instrument: Instrument) -> common_pb2.Instrument:
    """The instrument with everything that defines it."""
    kind = common_pb2.INSTRUMENT_KIND_LINEAR_PERPETUAL if instrument.perpetual else common_pb2.INSTRUMENT_KIND_SPOT
    return common_pb2.Instrument(
        instrument=instrument.name,
        kind=kind,
        base_asset=instrument.base_asset,
        quote_asset=instrument.quote_asset,
        tick_size=format_decimal(instrument.tick_size),
        lot_size=format_decimal(instrument.lot_size),
        minimum_notional=format_decimal(instrument.minimum_notional),
        reference_price=format_decimal(instrument.reference_price),
    )


def _implied(message: common_pb2.Instrument, found: Instrument) -> Iterator[tuple[str, Any, Any]]:
    yield "kind", message.kind, to_message(found).kind
    yield "base_asset", message.base_asset, found.base_asset
    yield "quote_asset", message.quote_asset, found.quote_asset


def _same(wanted: Instrument, found: Instrument) -> Instrument:
    term = different_term(wanted, found)
    if not term:
        return found
    is_, asked = (format_decimal(getattr(instrument, term)) for instrument in (found, wanted))
    detail = f"instrument {found.name!r} exists: {term} is {is_} and never changes, was {asked}"
    raise ServiceError(grpc.StatusCode.ALREADY_EXISTS, "INSTRUMENT_ALREADY_EXISTS", detail, metadata={"field": term})


def _read(path: Path) -> list[common_pb2.Instrument]:
    try:
        return [json_format.ParseDict(item, common_pb2.Instrument()) for item in json.loads(path.read_text())]
    except (OSError, ValueError, TypeError, json_format.ParseError) as error:
        log.error("instruments.unreadable", path=str(path), error=repr(error))
        return []
