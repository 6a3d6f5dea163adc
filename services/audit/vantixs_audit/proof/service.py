"""What audit answers about its history: whether it is as it was recorded, and what shows it of a signal."""

from collections.abc import AsyncIterator

import grpc
from vantixs.api.audit.v1 import audit_pb2
from vantixs.proof.note import Checkpoint, Key, NoteError, open_checkpoint
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError, invalid, not_found

from vantixs_audit.proof.findings import CHECKPOINT, Fault, at
from vantixs_audit.proof.nodes import last_checkpoint
from vantixs_audit.proof.prove import prove_signal
from vantixs_audit.proof.verify import Step, verify_history
from vantixs_audit.proof.witness import NotContinued, Witness

MOST_AT_ONCE = 1
GIVEN, WITNESS = "checkpoint given", "witness's checkpoint"


class HistoryProof:
    """Checks and proofs, by the history's key and what its witness keeps."""

    def __init__(self, database: Database, key: Key, witness: Witness) -> None:
        self._database = database
        self._key = key
        self._witness = witness
        self._running = 0

    async def check(self, request: audit_pb2.CheckHistoryRequest) -> AsyncIterator[audit_pb2.CheckHistoryResponse]:
        """Walks the whole history.

        Raises:
            ServiceError: INVALID_ARGUMENT where the checkpoint given is none of this history; RESOURCE_EXHAUSTED where
                another walk is on its way, for each takes a good part of what the database can read; or as `Database.read`.
        """
        against: dict[str, Checkpoint] = {}
        if request.checkpoint:
            try:
                against[GIVEN] = open_checkpoint(request.checkpoint, self._key)
            except NoteError as error:
                raise invalid("checkpoint", str(error)) from None
        unwitnessed: Fault | None = None
        try:
            if seen := self._witness.last():
                against[WITNESS] = seen
        except (NotContinued, OSError) as error:
            unwitnessed = at(CHECKPOINT, 0, f"the witness: {error}")
        if self._running >= MOST_AT_ONCE:
            raise ServiceError(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED", "history is being checked already")
        self._running += 1
        try:
            async for step in verify_history(self._database, self._key, against):
                yield _response(step, step.fault or (unwitnessed if step.done else None), leaves=request.leaves)
        finally:
            self._running -= 1

    async def verify(self, request: audit_pb2.VerifyHistoryRequest) -> audit_pb2.VerifyHistoryResponse:
        """Walks the whole history, and tells the result.

        Raises:
            ServiceError: UNIMPLEMENTED where a part of it is asked for; or as `check`.
        """
        if request.first_sequence > 1 or request.last_sequence:
            detail = "expected no range: whether an entry is as it was recorded depends on all before it"
            raise ServiceError(grpc.StatusCode.UNIMPLEMENTED, "NOT_IMPLEMENTED", detail)
        result = audit_pb2.VerifyHistoryResponse()
        async for response in self.check(audit_pb2.CheckHistoryRequest()):
            fault = response.fault
            result = audit_pb2.VerifyHistoryResponse(
                intact=not response.HasField("fault"),
                checked=response.checked,
                first_bad_sequence=fault.first_sequence,
                detail=fault.detail,
                not_kept=response.not_kept,
                kept_configuration_unlisted=response.kept_configuration_unlisted,
            )
        return result

    async def checkpoint(self) -> audit_pb2.GetCheckpointResponse:
        """The last checkpoint.

        Raises:
            ServiceError: NOT_FOUND before the first.
        """
        row = await self._database.read(last_checkpoint)
        if row is None:
            raise not_found("checkpoint", "last")
        return audit_pb2.GetCheckpointResponse(checkpoint=row.note, key=self._key.text)

    async def prove(self, request: audit_pb2.ProveSignalRequest) -> audit_pb2.ProveSignalResponse:
        """What shows that a signal's entries are in history; raises as `prove_signal`."""
        return await self._database.read(lambda c: prove_signal(c, request.signal_id, self._key))


def _response(step: Step, fault: Fault | None, *, leaves: bool) -> audit_pb2.CheckHistoryResponse:
    return audit_pb2.CheckHistoryResponse(
        checked=step.checked,
        rows_checked=step.rows_checked,
        total=step.total,
        finished=step.done,
        fault=fault.message if fault else None,
        leaf_hashes=step.leaves if leaves else b"",
        not_kept=step.not_kept,
        kept_configuration_unlisted=step.unlisted,
    )
