"""Documents lead where they say: links to files that exist, decisions by the number that they have."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for pattern in ("*.md", "docs/**/*.md", "services/*/*.md") for path in ROOT.glob(pattern))
LINK = re.compile(r"\[([^\]]*)\]\((?!\w+:)([^)#\s]+)")
DECISIONS = {int(path.name[:4]) for path in (ROOT / "docs" / "adr").glob("[0-9]*.md")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere_and_name_the_decision_they_lead_to(page: Path) -> None:
    wrong = []
    for text, target in LINK.findall(page.read_text()):
        if not (page.parent / target).exists():
            wrong.append(target)
        number = re.search(r"/(\d{4})-[^/]*\.md$", target)
        said = re.fullmatch(r"(?:ADR )?(\d+)", text)
        if number and said and int(number[1]) != int(said[1]):
            wrong.append(f"{text} leads to {target}")
    assert wrong == []


def test_every_decision_that_is_mentioned_exists() -> None:
    sources = [*PAGES, *(p for top in ("libs", "services", "deploy") for p in (ROOT / top).rglob("*.py"))]
    mentioned = {int(number) for path in sources for number in re.findall(r"\bADR (\d+)", path.read_text())}
    assert mentioned
    assert mentioned <= DECISIONS
