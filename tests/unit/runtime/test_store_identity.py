"""What a record of a store and the store itself say together."""

import pytest
from vantixs.runtime.store_identity import Found, Identity, difference

SEEN = Identity("a", epoch=9, accepted=1)


@pytest.mark.parametrize(
    ("seen", "found", "told"),
    [
        (None, Found(Identity("a"), new=True), ""),
        (SEEN, Found(Identity("a", 9, 1)), ""),
        (SEEN, Found(Identity("a", 12, 1)), ""),
        (SEEN, Found(Identity("a", 8, 1)), "expected store a at epoch 9 or later, found it at epoch 8: an older copy"),
        (
            SEEN,
            Found(Identity("a", 30, 0)),
            "expected store a as it was accepted in place of another (1 such change), found one with 0 changes: a copy of before",
        ),
        (SEEN, Found(Identity("b"), new=True), "expected store a at epoch 9, found none: it is missing or empty"),
        (
            SEEN,
            Found(Identity("b"), adopted=True),
            "expected store a at epoch 9, found one without an identity: an older copy",
        ),
        (SEEN, Found(Identity("b", 50, 1)), "expected store a at epoch 9, found store b at epoch 50: another one"),
        # Accepted elsewhere: in place of the one that is recorded here, and not of a third one.
        (SEEN, Found(Identity("b", 10, 2, replaced="a")), ""),
        (
            SEEN,
            Found(Identity("b", 10, 2, replaced="c")),
            "expected store a at epoch 9, found store b at epoch 10: another one",
        ),
        (SEEN, Found(Identity("a", 10, 2, replaced="a")), ""),
    ],
)
def test_difference_of_a_record_and_its_store(seen: Identity | None, found: Found, told: str) -> None:
    assert difference(seen, found) == told
