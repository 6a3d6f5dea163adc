"""The web page on a phone: its table becomes cards, and nothing keeps it wider than the screen.

How it looks was checked by eye at 390 px; this holds what that depends on, without a browser.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import httpx
import pytest
from vantixs.testing.stack import RunningStack, wait_for
from vantixs_console.order_words import ORDER_COLUMNS
from vantixs_console.page import COLUMNS, HERE
from vantixs_console.replay_words import REPLAY_COLUMNS, RESULT_COLUMNS

PHONE_PX = 390
CSS = re.sub(r"/\*.*?\*/", "", (HERE / "static" / "page.css").read_text(), flags=re.DOTALL)


class Cells(HTMLParser):
    """Headings, and the label of every cell by row."""

    def __init__(self) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.rows: list[list[str]] = []
        self.viewport = ""
        self._in_heading = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._in_heading = tag == "th"
        if tag == "tr" and "data-id" in given:
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append(given.get("data-label") or "")
        if tag == "meta" and given.get("name") == "viewport":
            self.viewport = given.get("content") or ""

    def handle_data(self, data: str) -> None:
        if self._in_heading and data.strip():
            self.headings.append(data.strip())


@pytest.fixture(scope="module")
def page(stack: RunningStack) -> Iterator[httpx.Client]:
    token = (stack.home / "secrets" / "console-token").read_text().strip()
    with httpx.Client(base_url=stack.endpoints["console"], timeout=10) as client:
        client.get("/", params={"token": token})  # Gives the cookie of a session.
        yield client


def test_every_cell_names_its_column_as_a_card_needs_it(stack: RunningStack, page: httpx.Client) -> None:
    rejected = stack.send({"action": "buy", "symbol": "NOPE"}).json()["signal_id"]
    stack.ended([rejected])
    found = Cells()
    found.feed(page.get("/").text)
    assert found.viewport == "width=device-width, initial-scale=1"
    assert found.headings == [label for _, label in COLUMNS]
    assert found.rows
    assert all(row == found.headings for row in found.rows)
    script = page.get("/static/page.js").text
    names = re.search(r"const COLUMNS = \[(.*?)\]", script)
    assert names, "the script names its columns"
    assert re.findall(r'"(\w+)"', names[1]) == [name for name, _ in COLUMNS]
    assert "dataset.label = labels[number]" in script


def test_an_empty_cell_is_empty_so_that_a_card_leaves_it_out(stack: RunningStack, page: httpx.Client) -> None:
    ended = stack.send({"action": "buy", "symbol": "NOPE"}).json()["signal_id"]
    stack.ended([ended])
    row = page.get("/").text.partition(f'data-id="{ended}"')[2].partition("</tr>")[0]
    assert re.search(r'data-label="filled"></td>', row)


def test_page_of_a_signal_lists_its_orders(stack: RunningStack, page: httpx.Client) -> None:
    bought = stack.send({"action": "buy", "symbol": "LTCUSDT"}).json()["signal_id"]
    stack.ended([bought])
    orders = page.get(f"/signals/{bought}").text.partition('<table id="orders">')[2].partition("</table>")[0]
    assert [re.findall(r'data-label="(\w+)"', row) for row in orders.split("</tr>")[1:-1]] == [list(ORDER_COLUMNS)]
    cells = dict(re.findall(r'data-label="(\w+)">(.*?)</td>', orders))
    assert (cells["order"], cells["for"], cells["state"]) == (f"{bought}.1", "entry", "FILLED")
    assert cells["what"].startswith("BUY ")


def test_replays_are_listed_and_one_is_shown_with_its_differences(stack: RunningStack, page: httpx.Client) -> None:
    bought = stack.send({"action": "buy", "symbol": "DOTUSDT"}).json()["signal_id"]
    closed = stack.send({"action": "close", "symbol": "DOTUSDT"}).json()["signal_id"]
    stack.ended([bought, closed])
    assert stack.run("halt").returncode == 0
    ran = stack.json("replay", "start", closed, bought, "--mode", "paper", "--comment", "<b>why</b>")["replay"]
    assert stack.run("resume", "--yes").returncode == 0
    again = stack.json("replay", "start", "--of", ran["replay_id"], "--mode", "paper", "--comment", "more", "--yes")
    listed = Cells()
    text = page.get("/replays").text
    listed.feed(text)
    assert listed.headings == list(REPLAY_COLUMNS)
    assert all(row == listed.headings for row in listed.rows)
    assert re.findall(r'data-id="(\w+)"', text)[:2] == [again["replay"]["replay_id"], ran["replay_id"]]
    assert "&lt;b&gt;why" in text
    assert "<b>why" not in text
    shown = Cells()
    text = page.get(f"/replays/{ran['replay_id']}").text
    shown.feed(text)
    assert shown.headings == list(RESULT_COLUMNS)
    told = dict(re.findall(r'data-id="(\w+)".*data-label="differences">(.*?)</td>', text))
    expected = {r["signal_id"]: "; ".join(r.get("differences", [])) or "none" for r in ran["results"]}
    assert told == expected
    assert told[bought] == "status was EXECUTED, is REJECTED; reason was none, is TRADING_HALTED"
    assert set(told) == {bought, closed}
    repeated = page.get(f"/replays/{again['replay']['replay_id']}").text
    assert f'repeats <a href="/replays/{ran["replay_id"]}">' in repeated

    def recorded() -> bool:
        return f'last run again by <a href="/replays/{again["replay"]["replay_id"]}">' in signal_text()

    def signal_text() -> str:
        return page.get(f"/signals/{bought}").text

    wait_for(recorded, "the second replay to be recorded")
    assert f'which repeats <a href="/replays/{ran["replay_id"]}">' in signal_text()
    assert (page.get("/replays/none").status_code, page.get("/replays?page=x").status_code) == (404, 400)
    assert {httpx.get(page.base_url.join(path)).status_code for path in ("/replays", "/replays/x")} == {401}


def rules(css: str) -> dict[str, dict[str, str]]:
    """Declarations by selector, the last of each winning."""
    found: dict[str, dict[str, str]] = {}
    for selectors, body in re.findall(r"([^{}]+)\{([^{}]*)\}", css):
        declared = dict(part.split(":", 1) for part in body.split(";") if ":" in part)
        for selector in selectors.split(","):
            found.setdefault(selector.strip(), {}).update({k.strip(): v.strip() for k, v in declared.items()})
    return found


def test_narrow_rules_undo_all_that_is_wider_than_a_phone() -> None:
    wide, _, narrow = CSS.partition("@media (max-width: ")
    limit, _, narrow = narrow.partition("px)")
    assert int(limit) >= PHONE_PX
    applied = rules(narrow.partition("{")[2])
    for selector, declared in rules(wide).items():
        if declared.get("white-space") == "nowrap" and selector != "th":  # The headings are not shown.
            assert applied[selector]["white-space"] == "normal", selector
        if declared.get("display") in ("grid", "table") or "max-content" in declared.get("grid-template-columns", ""):
            assert applied[selector]["display"] == "block", selector
    assert applied["thead"]["display"] == "none"
    assert applied["td::before"]["content"] == "attr(data-label)"
    assert {applied[s]["display"] for s in ("table", "tbody", "tr")} == {"block"}
    lengths = [float(n) * {"px": 1, "rem": 16}[unit] for n, unit in re.findall(r"([\d.]+)(px|rem)\b", CSS)]
    assert max(length for length in lengths if length != float(limit)) < PHONE_PX / 2
