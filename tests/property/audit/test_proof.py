"""Trees of any size agree with RFC 6962 as it is written; a proof that was altered shows nothing."""

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st
from vantixs.proof.tree import Tree, consistency_proof, continues, includes, inclusion_proof, leaf_hash, range_root

from tests.reference import merkle

MOST = 700
ENTRIES = [n.to_bytes(2, "big") for n in range(MOST)]
SIZES = st.integers(1, MOST)


@cache
def nodes() -> dict[tuple[int, int], bytes]:
    """What a store keeps: the leaves, and the nodes that became complete."""
    tree = Tree()
    for entry in ENTRIES:
        tree.append(leaf_hash(entry))
    kept = {(0, n): leaf_hash(entry) for n, entry in enumerate(ENTRIES)}
    return kept | {(node.level, node.position): node.hash for node in tree.made}


def read(level: int, position: int, count: int) -> list[bytes]:
    return [nodes()[level, position + n] for n in range(count)]


@given(SIZES)
@settings(max_examples=60)
def test_root_is_that_of_the_reference(size: int) -> None:
    tree = Tree()
    for entry in ENTRIES[:size]:
        tree.append(leaf_hash(entry))
    assert tree.root == merkle.root(ENTRIES[:size]) == range_root(read, 0, size)
    assert Tree(size, tree.edge_bytes).root == tree.root


@given(SIZES, st.data())
@settings(max_examples=60)
def test_inclusion_is_shown_and_nothing_altered_is(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaf, root = leaf_hash(ENTRIES[index]), range_root(read, 0, size)
    proof = inclusion_proof(read, index, size)
    assert proof == merkle.path(index, ENTRIES[:size])
    assert includes(leaf, index, size, proof, root)
    assert not includes(leaf_hash(b"another"), index, size, proof, root)
    for other in sorted({0, index - 1, index + 1, size - 1} - {index}):
        assert not includes(leaf, other, size, proof, root)
    for altered in altered_proofs(proof, data):
        assert not includes(leaf, index, size, altered, root)


@given(SIZES, st.data())
@settings(max_examples=60)
def test_consistency_is_shown_and_nothing_altered_is(second: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(1, second))
    roots = range_root(read, 0, first), range_root(read, 0, second)
    proof = consistency_proof(read, first, second)
    assert proof == merkle.proof(first, ENTRIES[:second])
    assert continues(first, roots[0], second, roots[1], proof)
    assert not continues(first, leaf_hash(b"another"), second, roots[1], proof)
    assert not continues(first, roots[0], second, leaf_hash(b"another"), proof)
    for altered in altered_proofs(proof, data):
        assert not continues(first, roots[0], second, roots[1], altered)


def altered_proofs(proof: list[bytes], data: st.DataObject) -> list[list[bytes]]:
    altered = [[*proof, bytes(32)]]
    if proof:
        at, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
        flipped = (int.from_bytes(proof[at], "big") ^ 1 << bit).to_bytes(32, "big")
        altered += [
            proof[:at] + proof[at + 1 :],
            [*proof[:at], flipped, *proof[at + 1 :]],
            [*proof[:at], b"", *proof[at:]],
        ]
    return altered
