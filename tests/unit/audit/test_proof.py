"""Trees, checkpoints, tiles and proof files against published vectors."""

import base64
import json

import pytest
from vantixs.proof.note import Key, NoteError, Signer, open_checkpoint, open_note
from vantixs.proof.signal_proof import ProvenEntry, check_proof, write_proof
from vantixs.proof.tiles import tile_path, tiles
from vantixs.proof.tree import EMPTY_ROOT, Tree, consistency_proof, inclusion_proof, leaf_hash

# The leaves, roots and proofs with which implementations of Certificate Transparency are tested.
LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEFT, FOUR, RIGHT = (
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
)
FIFTH, LAST = (
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
)
SIXTH = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
INCLUSION = [
    ((0, 1), []),
    ((0, 8), [LEFT, FOUR, RIGHT]),
    ((5, 8), [FIFTH, LAST, ROOTS[3]]),
    ((1, 5), [ROOTS[0], FOUR, FIFTH]),
]
CONSISTENCY = [((1, 1), []), ((1, 8), [LEFT, FOUR, RIGHT]), ((6, 8), [SIXTH, LAST, ROOTS[3]]), ((2, 5), [FOUR, FIFTH])]
# Of golang.org/x/mod/sumdb/note.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
SIGNER = Signer("log", bytes(range(32)))


def read(level: int, position: int, count: int) -> list[bytes]:
    assert level == 0
    return [leaf_hash(leaf) for leaf in LEAVES[position : position + count]]


def test_roots_are_the_published_ones() -> None:
    tree = Tree()
    assert tree.root == EMPTY_ROOT
    for leaf, root in zip(LEAVES, ROOTS, strict=True):
        tree.append(leaf_hash(leaf))
        assert tree.root.hex() == root
        tree = Tree(tree.size, tree.edge_bytes)
        assert tree.root.hex() == root


@pytest.mark.parametrize(("place", "proof"), INCLUSION)
def test_inclusion_proofs_are_the_published_ones(place: tuple[int, int], proof: list[str]) -> None:
    assert [one.hex() for one in inclusion_proof(read, *place)] == proof


@pytest.mark.parametrize(("sizes", "proof"), CONSISTENCY)
def test_consistency_proofs_are_the_published_ones(sizes: tuple[int, int], proof: list[str]) -> None:
    assert [one.hex() for one in consistency_proof(read, *sizes)] == proof


def test_signed_note_of_another_implementation_is_opened() -> None:
    key = Key.parse(PETER)
    assert key.text == PETER
    assert open_note(NOTE, key) == NOTE.partition("\n\n")[0] + "\n"
    with pytest.raises(NoteError, match="was of another one"):
        open_note(NOTE.replace("answer", "Answer"), key)


def test_checkpoint_is_opened_by_its_key_and_by_no_other() -> None:
    note = SIGNER.sign(8, bytes.fromhex(ROOTS[7]))
    assert note.splitlines()[:4] == ["log", "8", base64.b64encode(bytes.fromhex(ROOTS[7])).decode(), ""]
    opened = open_checkpoint(note, Key.parse(SIGNER.key.text))
    assert (opened.origin, opened.size, opened.root.hex()) == ("log", 8, ROOTS[7])
    cosigned = note + NOTE.splitlines()[-1] + "\n"
    assert open_checkpoint(cosigned, SIGNER.key) == opened
    with pytest.raises(NoteError, match="found none"):
        open_checkpoint(note, Signer("log", bytes(32)).key)
    with pytest.raises(NoteError, match="was of another one"):
        open_checkpoint(note.replace("\n8\n", "\n7\n"), SIGNER.key)


@pytest.mark.parametrize(
    "text", ["", "log+00000000+AAAA", SIGNER.key.text.replace("log", "lag"), SIGNER.key.text[:-4], "a b+1+x"]
)
def test_text_that_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        Key.parse(text)


@pytest.mark.parametrize("size", ["08", "-1", "", "x", "9" * 30, "٣"])
def test_checkpoint_of_no_size_is_refused(size: str) -> None:
    note = Signer("log", bytes(32))
    text = f"log\n{size}\n{'A' * 43}=\n"
    signature = base64.b64encode(note.key.id + note._private.sign(text.encode())).decode()
    with pytest.raises(NoteError, match="expected origin, size and root"):
        open_checkpoint(f"{text}\n— log {signature}\n", note.key)


def test_tiles_have_the_names_and_widths_of_the_specification() -> None:
    assert tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert tile_path(1, 0, 2) == "tile/1/000.p/2"
    leaves = [leaf_hash(bytes([n % 256, n // 256])) for n in range(600)]
    made = dict(tiles(leaves))
    assert sorted(made) == ["tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2"]
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf)
    assert made["tile/1/000.p/2"] == b"".join(node.hash for node in tree.made)
    assert [(node.level, node.position) for node in tree.made] == [(8, 0), (8, 1)]


def proof_of(indexes: list[int]) -> str:
    note = SIGNER.sign(8, bytes.fromhex(ROOTS[7]))
    entries = [ProvenEntry(i + 1, LEAVES[i], inclusion_proof(read, i, 8)) for i in indexes]
    return write_proof("s1", note, entries)


def test_proof_file_shows_its_entries() -> None:
    shown = check_proof(proof_of([2, 5]), SIGNER.key)
    assert (shown.signal_id, shown.checkpoint.size) == ("s1", 8)
    assert [(e.sequence, e.data) for e in shown.entries] == [(3, LEAVES[2]), (6, LEAVES[5])]


def test_line_of_an_export_shows_what_its_proof_shows() -> None:
    proof = json.loads(proof_of([2, 5]))
    line = json.dumps({"signal": {"signal_id": "s1"}, "proof": proof})
    assert check_proof(line, SIGNER.key) == check_proof(proof_of([2, 5]), SIGNER.key)
    for nothing in ('{"signal": {}}', '{"signal": {}, "proof": null}', "[]", '{"proof": {"proof": {}}}'):
        with pytest.raises(NoteError, match="expected what `vantixs signals proof` wrote"):
            check_proof(nothing, SIGNER.key)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"data": "IC', '"data": "IT', "entry 4 is not in the history"),
        ("index 3", "index 4", "entry 5 is not in the history"),
        ("log\\n8", "log\\n9", "signature"),
        ("signal-proof/1", "signal-proof/2", "expected format"),
        ("index 3", "index x", "expected an index"),
        ('"entries"', '"others"', "was another thing"),
    ],
)
def test_altered_proof_file_is_refused(old: str, new: str, why: str) -> None:
    text = proof_of([3])
    assert old in text
    with pytest.raises(NoteError, match=why):
        check_proof(text.replace(old, new), SIGNER.key)


def test_proof_file_is_json_with_a_tlog_proof_of_each_entry() -> None:
    content = json.loads(proof_of([0]))
    assert content["entries"][0]["tlog_proof"].startswith("c2sp.org/tlog-proof@v1\nindex 0\n")
