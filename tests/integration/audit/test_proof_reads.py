"""Who gets the proof of a signal, which holds its entries with the payload, and the entry that each one leaves."""

from random import Random
from typing import Any

import grpc
import pytest
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.runtime.errors import from_rpc_error, unavailable
from vantixs.runtime.grpc_server import Role
from vantixs_audit.server import ROLES

from tests.support.audit_server import Audit, audit
from tests.support.history_reads import accepted, delivered, sealed

__all__ = ["audit"]
PROVE = audit_pb2.ProveSignalRequest(signal_id="s")


async def refusal(call: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = from_rpc_error(caught.value)
    return f"{error.code.name} {error.reason}"


async def test_proof_needs_the_role_of_payloads_and_each_one_is_an_entry(
    audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ROLES["/vantixs.api.audit.v1.AuditService/ProveSignal"] is Role.AUDITOR
    assert await refusal(audit.auditor.ProveSignal(PROVE, timeout=10)) == "NOT_FOUND SIGNAL_NOT_FOUND"
    await audit.reads.record(delivered(accepted(b"plan")), Random(1), copy=False)
    assert await refusal(audit.viewer.ProveSignal(PROVE, timeout=10)) == "PERMISSION_DENIED ROLE_INSUFFICIENT"
    assert not await audit.reads.noted(), "nothing was given"
    for number, stub in enumerate((audit.auditor, audit.operator, audit.service), 1):
        proof = await stub.ProveSignal(PROVE, timeout=10, metadata=(("x-operator", "eve"),))
        assert b"plan" in proof.entries[0].data
        assert len(await audit.reads.noted()) == number
    noted = [(e.actor, e.history_read) for e in await audit.reads.noted()]
    assert [actor for actor, _ in noted] == ["auditor:eve", "operator:eve", "service:eve"]
    read = journal_pb2.HistoryRead(kind="proof", filter="s", count=1, payloads=True, proofs=True)
    assert [event for _, event in noted] == [read] * 3

    async def full(_: Any) -> None:
        raise unavailable("STORAGE_UNAVAILABLE", "disk full")

    monkeypatch.setattr(audit.reads.database, "write", full)
    assert await refusal(audit.auditor.ProveSignal(PROVE, timeout=10)) == "UNAVAILABLE STORAGE_UNAVAILABLE"


async def test_proof_of_a_sealed_signal_keeps_its_payload_sealed(audit: Audit) -> None:
    entry = sealed(b"secret plan")
    await audit.reads.record(delivered(entry), Random(1), copy=False)
    proof = await audit.auditor.ProveSignal(PROVE, timeout=10)
    assert b"secret plan" not in proof.SerializeToString()
    (proven,) = proof.entries
    request = journal_pb2.JournalEntry.FromString(proven.data).signal_accepted.request
    assert (request.payload, request.sealed_payload) == (b"", entry.signal_accepted.request.sealed_payload)


async def test_entries_of_no_signal_have_no_proof(audit: Audit) -> None:
    dead = journal_pb2.JournalEntry(event_id="d")
    dead.dead_lettered.data = b"plan"
    await audit.reads.record(delivered(dead), Random(1), copy=False)
    nothing = audit_pb2.ProveSignalRequest()
    assert await refusal(audit.auditor.ProveSignal(nothing, timeout=10)) == "NOT_FOUND SIGNAL_NOT_FOUND"
