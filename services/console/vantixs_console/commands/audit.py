"""Commands that check history, and proofs that a signal is in it."""

import asyncio
import io
import sys
import tarfile
from pathlib import Path
from typing import Annotated

import grpc
import typer
from google.protobuf.message import DecodeError
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.proof.note import LONGEST, Key, NoteError, history_signer
from vantixs.proof.signal_proof import ProvenEntry, check_proof, write_proof
from vantixs.proof.tiles import tiles
from vantixs.proof.tree import HASH_BYTES
from vantixs.runtime.errors import from_rpc_error
from vantixs.runtime.home import read_secret, write_atomically
from vantixs.runtime.settings import SettingsError

from vantixs_console.clients import Clients
from vantixs_console.commands.signals import signals
from vantixs_console.plain_text import complain
from vantixs_console.signal_files import check_output
from vantixs_console.terminal import TIMEOUT_S, HomeOption, JsonOption, ask, home_path, out, show
from vantixs_console.timeline import describe_timeline

app = typer.Typer(no_args_is_help=True)
audit = typer.Typer(no_args_is_help=True, help="History: check that nothing was changed, and check proofs")
app.add_typer(audit, name="audit")
WALK_S = 86_400.0
COVERED_S = 60.0  # How long a proof waits for a checkpoint that covers the signal.
LONGEST_PROOF = 64 << 20


@audit.command()
def verify(
    against: Annotated[str, typer.Option(help="file with a checkpoint that was stored elsewhere")] = "",
    export: Annotated[str, typer.Option(help="file to write the tree to: a tar of C2SP tlog-tiles")] = "",
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Checks the whole history, and shows the first entry that is not as it was recorded; then the exit code is 1."""
    request = audit_pb2.CheckHistoryRequest(leaves=bool(export))
    if against:
        request.checkpoint = _read(against, "--against", LONGEST)
    leaves = bytearray()
    note = ask(home, _checkpoint).checkpoint if export else ""

    async def walk(clients: Clients) -> audit_pb2.CheckHistoryResponse:
        shown, last = sys.stderr.isatty() and not as_json, audit_pb2.CheckHistoryResponse()
        async for last in clients.audit.CheckHistory(request, timeout=WALK_S):
            leaves.extend(last.leaf_hashes)
            if shown:
                told = f"{last.checked:,} of {last.total:,} entries, {last.rows_checked:,} with columns and rows"
                print(f"\r{told}", end="", file=sys.stderr, flush=True)
        if shown:
            print(file=sys.stderr)
        return last

    response = ask(home, walk)
    response.ClearField("leaf_hashes")

    def text() -> None:
        if not response.HasField("fault"):
            out.print(f"{response.checked:,} entries are as they were recorded")
            if response.not_kept:
                out.print(
                    f"of entries 1 to {response.not_kept:,}, which are no longer kept, the leaf hashes were checked"
                )
            if response.kept_configuration_unlisted:
                out.print(
                    "of the changes of configuration that stay of those, no entry lists which they are: one that was removed "
                    "is not found"
                )
            return
        fault = response.fault
        kind = audit_pb2.HistoryFaultKind.Name(fault.kind).removeprefix("HISTORY_FAULT_KIND_").lower().replace("_", " ")
        out.print(f"{kind}: {fault.detail}")

    show(response, as_json=as_json, text=text)
    if response.HasField("fault"):
        return 1
    if export:
        _write_tiles(Path(export), note, bytes(leaves))
    return 0


@audit.command()
def checkpoint(home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Prints the last signed checkpoint. Store it where nobody who can change the database can write."""
    response = ask(home, _checkpoint)
    show(response, as_json=as_json, text=lambda: print(response.checkpoint, end=""))
    return 0


@audit.command()
def key(home: HomeOption = "") -> int:
    """Prints the public key that verifies checkpoints and proofs; no service has to run."""
    print(_own_key(home).text)
    return 0


@audit.command()
def check(
    proof: Annotated[
        str, typer.Argument(help="file written by `vantixs signals proof`, or a line of an export with --proof")
    ],
    key_file: Annotated[
        str, typer.Option("--key", help="file with the public key; empty for the key of this home")
    ] = "",
    home: HomeOption = "",
) -> int:
    """Checks a signal's proof without the database; exit code 1 if the proof is not valid."""
    text = _read(proof, "PROOF", LONGEST_PROOF)
    try:
        known = Key.parse(_read(key_file, "--key", LONGEST)) if key_file else _own_key(home)
        shown = check_proof(text, known)
        entries = [journal_pb2.JournalEntry.FromString(entry.data) for entry in shown.entries]
    except (NoteError, DecodeError) as error:
        complain(f"{proof}: {error}")
        return 1
    if other := [e for e in entries if e.signal_id != shown.signal_id]:
        detail = f"expected entries of signal {shown.signal_id}, was one of {other[0].signal_id[:100]!r}"
        complain(f"{proof}: {detail}")
        return 1
    out.print(f"{shown.signal_id}: {len(entries)} entries are in the history of {shown.checkpoint.origin}")
    out.print(f"as signed at {shown.checkpoint.size} entries")
    for step in describe_timeline(entries):
        out.print(f"{step.time}  {step.title:<10} {step.text}")
    return 0


@signals.command(name="proof")
def signals_proof(
    signal_id: str,
    output: Annotated[str, typer.Option("--output", help="file to write; empty for ID.proof.json")] = "",
    home: HomeOption = "",
) -> int:
    """Writes a proof of a signal, for `vantixs audit check`; waits for a signed checkpoint. Role AUDITOR.

    The proof contains the signal's entries as stored, with the payload: encrypted if the webhook seals payloads, else
    in plain text. History records each call.
    """
    request = audit_pb2.ProveSignalRequest(signal_id=signal_id)

    async def prove(clients: Clients) -> audit_pb2.ProveSignalResponse:
        deadline = asyncio.get_running_loop().time() + COVERED_S
        while True:
            try:
                return await clients.audit.ProveSignal(request, timeout=TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                late = asyncio.get_running_loop().time() > deadline
                if late or from_rpc_error(error).reason != "PROOF_NOT_YET":
                    raise
            await asyncio.sleep(0.5)

    path = Path(output or f"{signal_id}.proof.json")
    check_output(path)
    response = ask(home, prove)
    entries = [ProvenEntry(entry.sequence, entry.data, list(entry.hashes)) for entry in response.entries]
    try:
        write_atomically(path, write_proof(signal_id, response.checkpoint, entries))
    except OSError as error:
        raise SettingsError(f"--output: expected a file that can be written, {error.strerror}: {path}") from None
    out.print(f"{path}: {len(entries)} entries; check it with `vantixs audit check {path}`")
    return 0


async def _checkpoint(clients: Clients) -> audit_pb2.GetCheckpointResponse:
    return await clients.audit.GetCheckpoint(audit_pb2.GetCheckpointRequest(), timeout=TIMEOUT_S)


def _own_key(home: str) -> Key:
    path = home_path(home) / "secrets" / "history-key"
    if not path.exists():
        raise SettingsError(
            f"{path}: expected the key of this home's history, found none; give its public key with --key"
        )
    return history_signer(read_secret(path)).key


def _read(path: str, option: str, most: int) -> str:
    try:
        with Path(path).open(encoding="utf-8") as file:
            text = file.read(most + 1)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "was not UTF-8"
        raise SettingsError(f"{option}: expected a text file, {why}: {path}") from None
    if len(text) > most:
        raise SettingsError(f"{option}: expected at most {most} characters, was more: {path}")
    return text


def _write_tiles(path: Path, note: str, leaves: bytes) -> None:
    size = int(note.split("\n")[1])
    hashes = [leaves[at : at + HASH_BYTES] for at in range(0, size * HASH_BYTES, HASH_BYTES)]
    try:
        with tarfile.open(path, "w") as tar:
            for name, content in [("checkpoint", note.encode()), *tiles(hashes)]:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    except OSError as error:
        raise SettingsError(f"--export: expected a file that can be written, {error.strerror}: {path}") from None
    out.print(f"{path}: the tree of the checkpoint at {size}")
