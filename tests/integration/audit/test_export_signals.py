"""Exports on both databases: each signal once, payloads and proofs for auditors, each export an entry."""

from random import Random

import pytest
import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.proof.signal_proof import ProvenEntry, check_proof, write_proof
from vantixs.runtime.errors import ServiceError
from vantixs_audit import export_signals
from vantixs_audit.tables import SIGNALS

from tests.support.history_reads import AUDITOR, VIEWER, Reads, accepted, delivered
from tests.support.history_rig import SIGNER, deliveries


async def test_export_gives_each_signal_once_and_is_an_entry(reads: Reads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_signals, "PAGE", 7)
    random = Random(5)
    await reads.record(deliveries(random, 40), random, copy=False)
    found = await reads.export(VIEWER, timeline=True)
    query = sa.select(SIGNALS.c.signal_id).order_by(SIGNALS.c.number)
    assert [r.signal.signal_id for r in found] == await reads.database.read(lambda c: c.execute(query).scalars().all())
    assert [(r.exported, r.total) for r in found] == [(n, 40) for n in range(1, 41)]
    for response in found:
        timeline = [recorded.entry.signal_id for recorded in response.timeline]
        assert timeline == [response.signal.signal_id] * len(timeline) != []
    (entry,) = await reads.noted()
    read = entry.history_read
    assert (entry.actor, read.kind, read.count, read.payloads) == ("viewer:bob", "export", 40, False)
    filtered = await reads.export(filter=audit_pb2.SignalFilter(webhook_id="w2"))
    assert {r.signal.webhook_id for r in filtered} == {"w2"}
    assert not filtered[0].timeline
    noted = (await reads.noted())[1].history_read
    assert (noted.count, noted.filter) == (len(filtered), '{"webhook_id": "w2"}')


async def test_payloads_and_proofs_are_for_auditors(reads: Reads) -> None:
    await reads.record(delivered(accepted(b"secret plan")), Random(1), copy=False)
    for asked in ({"payloads": True}, {"proofs": True}):
        with pytest.raises(ServiceError) as caught:
            await reads.export(VIEWER, **asked)
        assert (caught.value.code.name, caught.value.reason) == ("PERMISSION_DENIED", "ROLE_INSUFFICIENT")
    assert not await reads.noted()
    (without,) = await reads.export(VIEWER, timeline=True)
    request = without.timeline[0].entry.signal_accepted.request
    assert (request.payload, request.payload_sha256) == (b"", b"h" * 32)
    (with_it,) = await reads.export(payloads=True)
    assert with_it.timeline[0].entry.signal_accepted.request.payload == b"secret plan"
    (proven,) = await reads.export(proofs=True)
    entries = [ProvenEntry(e.sequence, e.data, list(e.hashes)) for e in proven.proof.entries]
    assert check_proof(write_proof("s", proven.proof.checkpoint, entries), SIGNER.key).signal_id == "s"
    assert [e.history_read.proofs for e in await reads.noted()] == [False, False, True]
    # Nothing of what was read is in the entry.
    assert not any(b"secret plan" in entry.SerializeToString() for entry in await reads.noted())


async def test_export_that_is_cancelled_ends_and_frees_its_place(reads: Reads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_signals, "MOST_AT_ONCE", 1)
    random = Random(6)
    await reads.record(deliveries(random, 5), random, copy=False)
    first = reads.exports.export(audit_pb2.ExportSignalsRequest(), AUDITOR)
    await anext(first)
    with pytest.raises(ServiceError, match="at most 1 exports at once"):
        await reads.export()
    await first.aclose()
    assert len(await reads.export()) == 5
