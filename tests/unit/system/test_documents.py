"""Documents lead where they say: links to files that exist, decisions by the number that they have."""

import importlib.util
import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT

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


ANCHOR = re.compile(r"\]\((?!\w+:)([^)#\s]*)#([^)\s]+)\)")
# What is named in code spans of the pages that say where things are.
NAMED = re.compile(r"`((?:libs|services|protos|tests|docs|deploy|bench)/[\w./-]+)`")
GUIDES = [p for p in PAGES if p.parent.name != "adr" and p.name != "CHANGELOG.md"]


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_headings_lead_to_one(page: Path) -> None:
    found = ANCHOR.findall(page.read_text())
    wrong = [
        (t, a) for t, a in found if t.endswith(".md") or not t if a not in anchors_of(page.parent / t if t else page)
    ]
    assert wrong == []


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_guides_name_exist(page: Path) -> None:
    named = {name for name in NAMED.findall(page.read_text()) if "NAME" not in name and "..." not in name}
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_every_page_is_reached_from_the_entrance() -> None:
    reached, left = set(), [ROOT / "docs" / "index.md"]
    while left:
        page = left.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        left += [(page.parent / target).resolve() for _, target in LINK.findall(page.read_text())]
    assert {p for p in PAGES if p not in reached} == set()


def test_pages_cite_no_document_that_is_not_in_the_repository() -> None:
    sources = [*PAGES, *(p for top in ("libs", "services", "tests", "bench") for p in (ROOT / top).rglob("*.py"))]
    words = re.compile(r"\b(DESIGN|ENGINE|HOUSE|STYLE)(\.md| section)|\bfacts/")
    citing = [p.name for p in sources if words.search(p.read_text()) and p != Path(__file__)]
    assert citing == []


def test_check_names_the_decision_that_lacks_status_or_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("docs_check", ROOT / "docs" / "check.py")
    assert spec
    assert spec.loader
    check = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check)
    folder = tmp_path / "docs" / "adr"
    folder.mkdir(parents=True)
    head = "# {}. Batch risk decisions\n\nStatus: accepted\nDate: 2026-11-25\n"
    (folder / "0001-whole.md").write_text(head.format(1))
    (folder / "0002-number.md").write_text(head.format(3))
    (folder / "0003-date.md").write_text(head.format(3).replace("Date: 2026-11-25\n", ""))
    (folder / "0004-status.md").write_text(head.format(4).replace("accepted", "accepted, 2026-11-25."))
    monkeypatch.setattr(check, "ROOT", tmp_path)
    assert [problem.split(":")[0] for problem in check.decision_problems()] == [
        "docs/adr/0002-number.md", "docs/adr/0003-date.md", "docs/adr/0004-status.md",
    ]  # fmt: skip
