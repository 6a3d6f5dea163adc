"""Secrets that senders write into their messages, and a search of a whole home for them: every file, answer and view."""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote
from xml.sax.saxutils import escape

import httpx
import pytest
from vantixs.testing.stack import RunningStack

MARKER = "Marker7711Visible"
# Names as traders and the documents of alert services write them.
NAMES = (
    "passphrase", "password", "passwd", "pwd", "pw", "userPw", "pass", "api_key", "apiKey", "API-KEY", "apikey", "api_secret",
    "apiSecret", "secret", "client_secret", "secretKey", "private_key", "privateKey", "PRIVATE KEY", "auth", "auth_key",
    "Authorization", "authToken", "bearer", "bearer_token", "x-token", "X-Webhook-Token", "X-Api-Key", "access_token",
    "refreshToken", "session_id", "sessionToken", "signature", "sig", "hmac", "license", "licence_id", "licenseKey", "pin",
    "pin_code", "otp", "totp", "mnemonic", "seed_phrase", "seedPhrase", "seed", "recovery_phrase", "credentials", "creds",
    "webhook_secret", "bot_token", "telegramToken", "email_token", "signal_token", "cookie", "jwt", "exchange_api_key",
    "binanceSecret", "bybit_api_secret", "kraken-private-key", "my secret", "api key", "encryption_key", "2fa_code",
)  # fmt: skip
PROSE_NAMES = (
    "password", "pw", "api key", "api_secret", "token", "secret", "passphrase", "private key", "seed phrase", "pin", "bearer",
    "otp", "license", "auth", "webhook secret", "mnemonic", "credentials", "x-token",
)  # fmt: skip
TRADE = {"action": "buy", "symbol": "BTCUSDT"}
NO_TRADE = {"action": "buy", "symbol": "NOSUCHPAIR"}
Body = Callable[[str, str, dict[str, str]], str]


def _tag(name: str) -> str:
    return re.sub(r"\W", "_", name if name[0].isalpha() else f"x{name}")


# One message with one secret: name, secret, and the trade it stands in.
FORMS: dict[str, Body] = {
    "field": lambda n, s, t: json.dumps(t | {n: s}),
    "field with spaces": lambda n, s, t: json.dumps(t | {n: f"{s} {s}"}),
    "field with escapes": lambda n, s, t: json.dumps(t | {n: s + '"\\é'}),
    "nested": lambda n, s, t: json.dumps(t | {"order": {"meta": [{"deep": {n: s}}]}}),
    "list": lambda n, s, t: json.dumps(t | {n: [s, {"a": s}]}),
    "name and value": lambda n, s, t: json.dumps(t | {"headers": [{"name": n, "value": s}]}),
    "pretty": lambda n, s, t: json.dumps({n: s} | t, indent=2),
    "json in a text": lambda n, s, t: json.dumps(t | {"payload": json.dumps({n: s})}),
    "comment": lambda n, s, t: json.dumps(t | {"comment": f"by me {n}={s} ok"}),
    "lines": lambda n, s, t: "\n".join([*(f"{k.upper()}={v}" for k, v in t.items()), f"{n}={s}", "X=1"]),
    "colon lines": lambda n, s, t: "\n".join([*(f"{k}: {v}" for k, v in t.items()), f"{n}: {s}", "x: 1"]),
    "semicolons": lambda n, s, t: ";".join([*(f"{k}={v}" for k, v in t.items()), f"{n}={s}", "x=1"]),
    "commas": lambda n, s, t: ",".join([*(f"{k}={v}" for k, v in t.items()), f"{n}={s}", "x=1"]),
    "form": lambda n, s, t: "&".join([*(f"{k}={v}" for k, v in t.items()), f"{quote(n)}={quote(s)}", "x=1"]),
    "text in a form": lambda n, s, t: "&".join([*(f"{k}={v}" for k, v in t.items()), f"note={quote(f'x&{n}={s}')}"]),
    "symbol": lambda n, s, t: json.dumps(t | {"symbol": f"{n}={s}"}),
    "symbol of two halves": lambda n, s, t: json.dumps({"action": "buy", "base": f"{n}: {s}", "quote": "USDT"}),
    "symbol repeats it": lambda n, s, t: json.dumps(t | {"symbol": s, n: s}),
    "xml": lambda n, s, t: f"<alert><symbol>{t['symbol']}</symbol><{_tag(n)}>{escape(s)}</{_tag(n)}></alert>",
    "xml attribute": lambda n, s, t: f'<alert symbol="{t["symbol"]}" {_tag(n)}="{s}"/>',
    "broken json": lambda n, s, t: json.dumps(t | {n: s})[:-1] + ",}",
    "cut json": lambda n, s, t: json.dumps(t | {n: s})[:-2],
    "single quotes": lambda n, s, t: str(t | {n: s}),
    "yaml": lambda n, s, t: f"symbol: {t['symbol']}\n{n}: '{s}'\n",
    "ini": lambda n, s, t: f"[order]\nsymbol = {t['symbol']}\n{n} = {s}\n",
    "csv": lambda n, s, t: f"licence{s},buy,{t['symbol']},risk=1",
    "pipes": lambda n, s, t: f"{s}|buy|{t['symbol']}|1",
    "first line": lambda n, s, t: f"{s}\nbuy {t['symbol']}",
}
PROSE: dict[str, Body] = {
    "is": lambda n, s, t: f"please buy {t['symbol']}, my {n} is {s} as agreed",
    "colon": lambda n, s, t: f"buy {t['symbol']} now. {n}: {s}",
    "arrow": lambda n, s, t: f"buy {t['symbol']} {n} -> {s} now",
    "in a comment": lambda n, s, t: json.dumps(t | {"comment": f"the {n} is {s}"}),
    "in a message": lambda n, s, t: json.dumps(t | {"alert_note": f"{n}: {s}, thanks"}),
}
# Tokens that are known by how they look, whatever stands before them.
SHAPES: tuple[Callable[[str], str], ...] = (
    lambda s: f"vxt_{s}abcdefghij", lambda s: f"whsec_{s}abcdefgh", lambda s: f"ghp_{s}ABCDEFGHIJ",
    lambda s: f"github_pat_{s}ABCDEFGHIJ", lambda s: f"xoxb-1234-{s}", lambda s: f"sk_live_{s}ABCDEFGH",
    lambda s: f"AKIA{s.upper()[:16]}", lambda s: f"AIza{s}ABCDEFGHIJKLMNOP", lambda s: f"123456789:{s}ABCDEFGHIJKLMNOPQ",
    lambda s: f"eyJhbGciOiJIUzI1NiJ9.{s}.{s}", lambda s: f"Bearer {s}", lambda s: f"Basic {s}ABCD==",
    lambda s: f"https://discord.com/api/webhooks/123456789/{s}", lambda s: f"https://hooks.slack.com/services/T01/B02/{s}",
    lambda s: f"https://me:{s}@example.com/x", lambda s: f"sk-proj-{s}ABCDEFGHIJ", lambda s: f"glpat-{s}ABCDEFGH",
    lambda s: f"-----BEGIN PRIVATE KEY-----\n{s}{s}\n{s}==\n-----END PRIVATE KEY-----",
)  # fmt: skip
SHAPE_FORMS: dict[str, Body] = {
    "note": lambda _, s, t: json.dumps(t | {"note": s}),
    "comment": lambda _, s, t: json.dumps(t | {"comment": f"sent via {s} today"}),
    "prose": lambda _, s, t: f"buy {t['symbol']} with {s}",
    "xml": lambda _, s, t: f"<a><symbol>{t['symbol']}</symbol><b>{escape(s)}</b></a>",
}


class Canary(NamedTuple):
    what: str
    body: str


class Canaries:
    """Makes messages, each with a secret of its own that begins with its number."""

    def __init__(self) -> None:
        self.what: list[str] = []

    def new(self, what: str) -> str:
        """A secret that no other message has."""
        self.what.append(what)
        return f"Cnry{len(self.what) - 1:04d}q8Zk3VwT5mYb"

    def found_in(self, content: bytes) -> set[str]:
        """What the secrets were that stand in it."""
        return {self.what[int(n)] for n in re.findall(rb"(?i)cnry(\d{4})", content)}


def messages(canaries: Canaries) -> Iterator[Canary]:
    """Every form with names in turn, and every name in some form, as a trade that is taken and as one that is refused."""
    for trade, outcome in ((TRADE, "taken"), (NO_TRADE, "refused")):
        for number, (form, body) in enumerate(FORMS.items()):
            for name in (NAMES[number * 7 % len(NAMES)], NAMES[number * 11 % len(NAMES)]):
                what = f"{outcome}: {form}: {name}"
                yield Canary(what, body(name, canaries.new(what), trade))
        for number, name in enumerate(NAMES):
            form, body = list(FORMS.items())[number % 14]
            what = f"{outcome}: {form}: {name}"
            yield Canary(what, body(name, canaries.new(what), trade))
        for number, name in enumerate(PROSE_NAMES):
            form, body = list(PROSE.items())[number % len(PROSE)]
            what = f"{outcome}: prose {form}: {name}"
            yield Canary(what, body(name, canaries.new(what), trade))
        for number, shape in enumerate(SHAPES):
            form, body = list(SHAPE_FORMS.items())[number % len(SHAPE_FORMS)]
            what = f"{outcome}: {form}: {shape('...')}"
            yield Canary(what, body("", shape(canaries.new(what)), trade))


def all_names(canaries: Canaries) -> Iterator[Canary]:
    """One message for each form and name."""
    for forms, names in ((FORMS, NAMES), (PROSE, PROSE_NAMES), (SHAPE_FORMS, ())):
        for form, body in forms.items():
            for name in names:
                what = f"{form}: {name}"
                yield Canary(what, body(name, canaries.new(what), TRADE))
    for form, body in SHAPE_FORMS.items():
        for shape in SHAPES:
            what = f"{form}: {shape('...')}"
            yield Canary(what, body("", shape(canaries.new(what)), TRADE))


def requests(stack: RunningStack, canaries: Canaries) -> Iterator[httpx.Request]:
    """Secrets beside the message: in headers, in the query and in the path, from a known sender and from a stranger."""
    base, body = stack.endpoints["http"], json.dumps(TRADE)
    places = {
        "authorization": "Bearer {}", "x-webhook-token": "{}", "x-api-key": "{}", "cookie": "session={}", "x-token": "{}",
        "proxy-authorization": "Basic {}", "webhook-signature": "v1,{}", "user-agent": "bot {}", "referer": "http://x/?token={}",
        "idempotency-key": "api_key={}", "x-forwarded-for": "{}", "traceparent": "00-{}", "x-request-id": "token={}",
    }  # fmt: skip
    for url, who in ((stack.url, "known"), (f"{base}/hooks/demo", "stranger")):
        for name, form in places.items():
            headers = {name: form.format(canaries.new(f"{who}: header {name}"))}
            yield httpx.Request("POST", url, content=body, headers=headers)
        for query in ("token={}", "api_key={}&x=1", "{}", "passphrase={}#x"):
            yield httpx.Request("POST", f"{url}?{query.format(canaries.new(f'{who}: query {query}'))}", content=body)
    yield httpx.Request("POST", f"{base}/hooks/demo/{canaries.new('stranger: path')}", content=body)
    yield httpx.Request("POST", f"{base}/hooks/{canaries.new('stranger: webhook')}/x", content=body)
    yield httpx.Request("GET", f"{stack.url}/{canaries.new('known: longer path')}", content=body)
    encoded = b64encode(canaries.new("known: user").encode()).decode()
    yield httpx.Request("POST", stack.url, content=body, headers={"authorization": f"Basic {encoded}"})


@pytest.mark.timeout(600)
def test_no_secret_of_a_sender_is_in_a_home_an_answer_or_a_view(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "home", VANTIXS_LOG_LEVEL="debug").start()
    canaries, leaks, ids = Canaries(), dict[str, set[str]](), []

    def search(where: str, content: str | bytes) -> None:
        data = content.encode() if isinstance(content, str) else content
        if found := canaries.found_in(data):
            leaks.setdefault(where, set()).update(found)

    with httpx.Client(timeout=20) as client:
        sent = [httpx.Request("POST", stack.url, content=c.body.encode()) for c in messages(canaries)]
        sent += requests(stack, canaries)
        sent += [
            httpx.Request("POST", stack.url, content=json.dumps(trade | {"comment": MARKER}))
            for trade in (TRADE, NO_TRADE)
        ]
        for request in sent:
            answer = client.send(request)
            assert answer.status_code < 500, answer.text
            search("answer", f"{answer.headers} {answer.text}")
            if answer.headers.get("content-type", "").endswith("json"):
                ids.append(answer.json().get("signal_id", ""))
    assert len(canaries.what) > 300
    kept = stack.ended(sorted({i for i in ids if i}))
    assert {"SIGNAL_STATUS_EXECUTED", "SIGNAL_STATUS_REJECTED"} <= {s["status"] for s in kept.values()}

    timelines = json.dumps(stack.timelines_of(list(kept)))
    search("timelines", timelines)
    search("signals list", json.dumps(kept))
    for command in (("signals", "show", ids[0]), ("signals", "show", ids[60]), ("status",), ("signals", "list")):
        search(" ".join(command[:2]), stack.run(*command).stdout)
    page = next(line.split()[1] for line in stack.output.splitlines() if line.startswith("Console"))
    with httpx.Client(follow_redirects=True, timeout=20) as browser:
        search("page", browser.get(page).text)
        for signal_id in [i for i in ids if i][:20]:
            search("page", browser.get(f"{page.partition('?')[0]}signals/{signal_id}").text)
    message = tmp_path / "message"
    for number, canary in enumerate(messages(canaries)):
        if number % 40 == 0:
            message.write_text(canary.body)
            for flags in ((), ("--json",)):
                done = stack.run("lint", str(message), *flags)
                search("lint", done.stdout + done.stderr)
    up = (tmp_path / "home.up.log").read_text()
    assert stack.stop() == 0

    search("output of vantixs up", up)
    seen = set()
    for path in (p for p in stack.home.rglob("*") if p.is_file()):
        content = path.read_bytes()
        search(str(path.relative_to(stack.home)), content)
        if MARKER.encode() in content:
            seen.add(path.relative_to(stack.home).parts[1])
    # What is no secret is found in the same places: the search could have failed.
    assert MARKER in timelines
    assert {"nats", "audit.db"} <= seen, seen
    assert leaks == {}
