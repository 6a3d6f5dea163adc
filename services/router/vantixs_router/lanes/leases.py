"""The lanes that this replica owns: renews its lease every second, and takes, hands over and loses lanes.

A lease that has run out does not end the ownership: the owner continues until another replica takes the lane. The
lane's epoch, which every transaction of the lane's work checks, then stops the old owner.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import sqlalchemy as sa
from prometheus_client import Gauge
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.health import Health
from vantixs.runtime.lease_clock import boot_clock, boot_id, now_of
from vantixs.runtime.logs import log

from vantixs_router.lanes import table
from vantixs_router.lanes.share import to_hand_over, to_take
from vantixs_router.lanes.table import LaneRow

FORGET_AFTER_S = 3600.0
OWNED = Gauge("vantixs_router_lanes_owned", "lanes this replica owns")


class Turn(NamedTuple):
    """The result of one renewal: the lanes of this replica, and those of them to hand over.

    `aside`: this replica has no lanes, because it is cut off from the journal and another replica is not. `held`:
    lanes that it would have taken if a transaction of their previous owner had ended.
    """

    owned: dict[int, LaneRow]
    surplus: list[int]
    aside: bool = False
    held: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Fence:
    """Proof that a lane is ours; see `vantixs_router.fence`."""

    leases: "Leases" = field(compare=False)
    lane: int
    epoch: int

    def hold(self, connection: sa.Connection) -> Callable[[], None]:
        """Holds the lane; what is returned raises LeaseLost where it is another's."""
        return table.hold_lane(connection, self.lane, self.epoch)

    def remaining_s(self) -> float:
        """Seconds until another replica may take the lane."""
        return self.leases.remaining_s()


class Leases:
    """Keeps this replica's lease, and its share of the lanes.

    After each renewal, `changed` is called with the owned lanes; it frees those that are to be handed over by `give`.
    `cursors` returns the lanes' cursors to save, and the journal's epoch in which they count. `connected` says
    whether there is a connection to the journal. A replica without a connection for longer than a lease leaves its
    lanes to others, if there are any.
    """

    def __init__(
        self,
        database: Database,
        health: Health,
        name: str,
        *,
        lease_s: float,
        connected: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        self._database = database
        self._health = health
        self.name = name
        self._run_id = secrets.token_hex(8)
        self._boot = boot_id()
        self.lease_s = lease_s
        self._connected = connected
        self._clock = clock
        self._connected_at = clock()
        self._aside = False
        self._held: tuple[int, ...] = ()
        self._until = 0.0
        self._joined = False
        self._wake = asyncio.Event()
        self._given: set[tuple[int, int]] = set()

    def remaining_s(self) -> float:
        """Seconds for which the lease is certainly valid."""
        return self._until - self._clock()

    def give(self, lane: int, epoch: int) -> None:
        """Frees the row of a lane that is to be handed over, with the next renewal, which starts at once."""
        self._given.add((lane, epoch))
        self._wake.set()

    def wake(self) -> None:
        """Renews the lease at once, or ends `run` if the service stops."""
        self._wake.set()

    async def run(
        self,
        stopping: asyncio.Event,
        cursors: Callable[[], Mapping[int, tuple[int, int]]],
        changed: Callable[[Turn], None],
    ) -> None:
        """Renews until stopped, at least three times before the lease runs out."""
        while not stopping.is_set():
            await self.renew(cursors, changed)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self.lease_s / 4)
            self._wake.clear()

    async def renew(
        self, cursors: Callable[[], Mapping[int, tuple[int, int]]], changed: Callable[[Turn], None]
    ) -> None:
        """Renews once. If the database does not answer, the lease runs out, which `remaining_s` shows."""
        before, given, saved = self._clock(), frozenset(self._given), dict(cursors())
        if self._connected():
            self._connected_at = before
        cut_off = before - self._connected_at > self.lease_s
        try:
            turn = await self._database.write(
                lambda c: self._turn(c, given, saved, cut_off=cut_off), urgent=True, in_pipeline=True
            )
        except Exception as error:  # Whatever the error is: if the next renewal fails as well, the lease runs out.
            log.warning("lanes.lease_not_renewed", error=repr(error), remaining_s=round(self.remaining_s(), 1))
            self._health.set("lanes", self.remaining_s() > 0, f"the lease could not be renewed: {error}")
            return
        if turn is None:
            # The other process has these lanes, with the next epoch. This one continues as a replica without lanes.
            self.name = f"{self.name}-{secrets.token_hex(2)}"
            log.error("lanes.name_taken", new_name=self.name)
            turn = Turn({}, [])
        if turn.aside != self._aside:
            log.warning("lanes.left" if turn.aside else "lanes.joined", detail="the connection to the journal")
        if turn.held and turn.held != self._held:
            log.warning("lanes.held", lanes=turn.held, detail="a transaction of their owner before has not ended")
        self._aside, self._held = turn.aside, turn.held
        self._until = 0.0 if turn.aside else before + self.lease_s
        self._joined = True
        # One whose row a transaction held is given with a later renewal.
        self._given = {
            (lane, epoch) for lane, epoch in self._given if lane in turn.owned and turn.owned[lane].epoch == epoch
        }
        self._health.set("lanes", True)
        OWNED.set(len(turn.owned))
        changed(turn)

    async def leave(self, cursors: Mapping[int, tuple[int, int]]) -> None:
        """Saves the cursors and frees all lanes, so that others need not wait for the lease to run out."""

        with contextlib.suppress(ServiceError):
            await self._database.write(lambda c: self._leave(c, cursors), urgent=True, in_pipeline=True)
        self._until = 0.0
        OWNED.set(0)

    def _leave(self, connection: sa.Connection, cursors: Mapping[int, tuple[int, int]]) -> None:
        table.lock_turns(connection)
        for row in table.read_lanes(connection):
            if row.owner == self.name:
                if row.lane in cursors:
                    table.save_cursor(connection, row.lane, row.epoch, *cursors[row.lane])
                table.give_lane(connection, row.lane, row.epoch)
        table.leave(connection, self.name, self._run_id)

    def _turn(
        self,
        connection: sa.Connection,
        given: frozenset[tuple[int, int]],
        cursors: Mapping[int, tuple[int, int]],
        *,
        cut_off: bool = False,
    ) -> Turn | None:
        """Makes one renewal; None if another process has this replica's name (a copied home, or a lock that does not exclude)."""
        me = self.name
        table.lock_turns(connection)
        if self._joined and table.run_of(connection, me) not in ("", self._run_id):
            return None
        now = now_of(connection)
        # If all replicas are cut off, the last one keeps its lanes: nothing would be gained by leaving.
        if cut_off and table.live_replicas(connection, now, self._boot_of(connection)) - {me}:
            self._leave(connection, cursors)
            return Turn({}, [], aside=True)
        if not self._joined:
            table.forget_replicas(connection, now - FORGET_AFTER_S)
        table.renew(connection, me, self._run_id, now + self.lease_s, self._boot_of(connection))
        there = table.live_replicas(connection, now, self._boot_of(connection))
        rows = {row.lane: row for row in table.read_lanes(connection)}
        mine = table.free_lanes(connection, me) if self._joined else set(rows)
        for lane, row in rows.items():
            if row.owner != me or lane not in mine:
                continue
            if (
                not self._joined
            ):  # Lanes of this replica's previous process, whose work must not reach the database any more.
                rows[lane] = table.take_lane(connection, row, me)
                continue
            if cursors.get(lane, (row.cursor, row.journal_epoch)) != (row.cursor, row.journal_epoch):
                table.save_cursor(connection, lane, row.epoch, *cursors[lane])
            if (lane, row.epoch) in given:
                table.give_lane(connection, lane, row.epoch)
                rows[lane] = row._replace(owner=table.NOBODY)
        wanted = to_take({n: row.owner for n, row in rows.items()}, there, me)
        free = {owner: table.free_lanes(connection, owner) for owner in {rows[lane].owner for lane in wanted}}
        for lane in wanted:
            if lane in free[rows[lane].owner]:
                rows[lane] = table.take_lane(connection, rows[lane], me)
        held = tuple(lane for lane in wanted if rows[lane].owner != me)
        owned = {n: row for n, row in rows.items() if row.owner == me}
        return Turn(owned, to_hand_over({n: row.owner for n, row in rows.items()}, there, me), held=held)

    def _boot_of(self, connection: sa.Connection) -> str:
        return "" if connection.dialect.name == "postgresql" else self._boot
