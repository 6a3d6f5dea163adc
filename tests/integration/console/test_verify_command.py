"""What `vantixs audit verify` says of entries that are no longer kept."""

from typing import Any

import pytest

from tests.support.console_services import Services, lines

INTACT = "20 entries are as they were recorded"
LEAVES = "of entries 1 to 9, which are no longer kept, the leaf hashes were checked"
UNLISTED = "of the changes of configuration that stay of those, no entry lists which they are: one that was removed is not found"


@pytest.mark.parametrize(
    ("not_kept", "unlisted", "said"),
    [(0, False, [INTACT]), (9, False, [INTACT, LEAVES]), (9, True, [INTACT, LEAVES, UNLISTED])],
)
def test_verify_says_what_it_could_not_look_at(
    services: Services, run: Any, not_kept: int, unlisted: bool, said: list[str]
) -> None:
    services.checked.not_kept, services.checked.kept_configuration_unlisted = not_kept, unlisted
    done = run("audit", "verify")
    assert done.returncode == 0, done.stderr
    assert " ".join(lines(done)) == " ".join(said)
