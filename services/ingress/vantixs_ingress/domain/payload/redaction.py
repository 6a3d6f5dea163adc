"""Redaction: the text as sent, with every secret replaced by `[redacted]`."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from vantixs_ingress.domain.payload.decode import MOST_FIELDS, Body, Unreadable, decode
from vantixs_ingress.domain.payload.vocabulary import hidden_members, is_hidden

REDACTED = "[redacted]"
# A known secret shorter than this may be an everyday word: it is replaced only as the value of a secret field.
SHORTEST_KNOWN = 8
# A string runs to its closing quote, or to the end of the text: a pattern that fails there starts again at every quote.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{}:,]|[^\s"\[\]{}:,]+', re.DOTALL)
_KEY = re.compile(r'"([^"\\]*+)"\s{0,8}+:')
_SIMPLE_VALUE = re.compile(r'\s{0,8}+("[^"]*"|[^\s"\[\]{},]+)')
# One or two words before `=` or `:`. The look-behind keeps a long run of letters from being tried at every letter.
_NAMED = re.compile(
    r"(?<![A-Za-z0-9_-])([A-Za-z0-9][A-Za-z0-9_-]{0,63}+)(?: ([A-Za-z][A-Za-z0-9_-]{0,63}+))?['\"]?\s{0,8}+[=:]\s{0,8}+"
)
# Source: WunderTrading's codes, an action with exchange, pair, bot and token behind it.
_CODE = re.compile(r"\b((?:ENTER|EXIT)-(?:LONG|SHORT|ALL)_)[A-Za-z0-9_./:-]{6,200}+")
# Also a single pair, and some forms that are refused.
_FORM = re.compile(r"\s*+[^\s=&;{}\"]{1,200}=[^\s&;]*+(?:&(?:[^\s=&;{}\"]{1,200}=[^\s&;]*+)?)*+\s*+")
_PART = re.compile(r"[^\s&]++")
# Tokens of this and of other services, recognised by their prefix or form. Sources: the services' own pages on
# token formats (GitHub, GitLab, Slack, Stripe, AWS, Google, Telegram, Discord, OpenAI, SendGrid, npm, Hugging Face, Standard
# Webhooks), RFC 6750, RFC 7519, RFC 7617, RFC 7468; 32 bytes in hex are the form of Ethereum's private keys.
_SHAPES = re.compile(
    r"(?<![A-Za-z0-9_])(?:vxt_[A-Za-z0-9_-]{8,}+|whsec_[A-Za-z0-9+/=_-]{8,}+|[spr]k_(?:live|test)_[A-Za-z0-9]{8,}+"
    r"|gh[pousr]_[A-Za-z0-9]{16,}+|github_pat_[A-Za-z0-9_]{16,}+|xox[abeoprs]-[A-Za-z0-9-]{8,}+|AKIA[A-Z0-9]{12,}+"
    r"|AIza[A-Za-z0-9_-]{20,}+|[0-9]{6,12}:[A-Za-z0-9_-]{25,}+|eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]*+)?"
    r"|glpat-[A-Za-z0-9_-]{16,}+|sk-[A-Za-z0-9_-]{20,}+|SG\.[A-Za-z0-9_-]{16,}+\.[A-Za-z0-9_-]{16,}+|(?:npm|hf)_[A-Za-z0-9]{20,}+"
    r"|0x[0-9A-Fa-f]{64}(?![0-9A-Fa-f])|[Bb]earer\s{1,3}[A-Za-z0-9._~+/=-]{6,}+|[Bb]asic\s{1,3}[A-Za-z0-9+/=]{20,}+)"
    r"|(?<=/webhooks/)[0-9]{5,25}/[A-Za-z0-9_-]{10,}+"
)
# Every match of `_SHAPES` holds one of these, or a digit, a colon and a long word. Looking for them takes 117 us of CPU in an
# alert of 4 KB where the pattern takes 416 us (2026-11-27, bench/clever.py).
_SHAPE_MARKS = (
    "vxt_", "whsec_", "k_live_", "k_test_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "xox", "AKIA", "AIza",
    "eyJ", "glpat-", "sk-", "SG.", "npm_", "hf_", "0x", "earer", "asic", "/webhooks/",
)  # fmt: skip
_COLON_TOKEN = re.compile(r"[0-9]:[A-Za-z0-9_-]{25}")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^\"<]*+")
# User and password of a URL, and Slack's webhooks.
_IN_URL = re.compile(
    r"(?<=hooks\.slack\.com/services/)[A-Za-z0-9/]{8,}+"
    r"|(?<=://)[^\s/@:\"'<>]{0,64}+:[^\s/@\"'<>]{1,200}+(?=@)"
)
# A secret named inside a text: `secret=...` in a comment, `password is ...` in prose. Only the word after it is replaced.
_INSIDE = re.compile(
    r"(?<![A-Za-z0-9])([A-Za-z0-9_.-]{0,40}?(?:token|secret|pass|pwd|key|credential|auth|session|signature|bearer|pin"
    r"|licen[cs]e|mnemonic|cookie|creds|jwt|hmac|(?:otp|pw|sig|[2m]fa(?: code)?)(?![a-z])|seed(?: phrase| words)?"
    r"|recovery[ _-]?(?:phrase|words|code))"
    r"(?:[A-Za-z0-9_]|-(?!>)){0,40}+)"
    r"(\s{0,3}(?:[=:]|->|\bis\b)\s{0,3}['\"]?)(?!(?:none|null|true|false|unset)\b)([^\s'\",;&<>{}\\]{3,}+)",
    re.IGNORECASE,
)
# The words from which a wallet's keys are made (BIP 39: 12 to 24 of them, of 3 to 8 letters).
_PHRASE = re.compile(
    r"\b((?:seed|recovery|mnemonic|wallet|secret|backup)(?:[ _-]?(?:phrase|words?))?['\"]?\s{0,3}(?:[=:]|->|\bis\b)\s{0,3}['\"]?)"
    r"[a-z]{3,8}(?:[\s,]{1,2}[a-z]{3,8}){11,23}+(?![a-z])",
    re.IGNORECASE,
)
# Looking for these first takes 3 us a signal where the pattern takes 35 us (2026-11-27, bench/clever.py).
# In lower case: every match of `_INSIDE` holds one of `_NAMES` before a match of `_NAMING`, every `_PHRASE` one of
# `_PHRASE_NAMES`.
_NAMES = (
    "token", "secret", "pass", "pwd", "key", "credential", "auth", "session", "signature", "bearer", "pin", "licen", "mnemonic",
    "cookie", "creds", "jwt", "hmac", "otp", "pw", "sig", "2fa", "mfa", "seed", "recovery",
)  # fmt: skip
_NAMING = re.compile(r"[A-Za-z0-9_-]\s{0,3}(?:[=:]|->|\bis\b)", re.IGNORECASE)
_PHRASE_NAMES = ("seed", "recovery", "mnemonic", "wallet", "secret", "backup")
_ELEMENT = re.compile(r"(<([A-Za-z][A-Za-z0-9_.:-]{0,63}+)[^<>]{0,200}+>)([^<]{1,2000}+)(?=</)")
_ONE_WORD = re.compile(r"[^\s=:{}\[\]\"',;|]{6,200}")
_CHECK = json.JSONDecoder(parse_int=str, parse_float=str)


def redact(text: str, *known: str, is_json: bool = False) -> str:
    """The text with known secrets and the values of secret fields replaced.

    JSON keeps its layout: only the tokens that contain a secret are replaced, also if they are escaped. In other text, the
    text after the name of a secret field is replaced, and so are the places where senders put a licence without a name: a
    first line that is one word, and the first field of comma or pipe separated text. `is_json` says that the text is known
    to be strict JSON.
    """
    sent = text
    # The longest first, because one may be a part of another.
    known = tuple(sorted([s for s in known if s], key=len, reverse=True))
    secrets = [s for s in known if len(s) >= SHORTEST_KNOWN]
    if "ENTER-" in text or "EXIT-" in text:
        text = _CODE.sub(rf"\1{REDACTED}", text)
    text = _without_shapes(text)
    if text.lstrip()[:1] in ("{", "["):
        named = may_name_secret(text) and _INSIDE.search(text) is not None
        plain = "\\" not in text and "|" not in text and len(secrets) == len(known) and not named
        simple = _simple(text, secrets) if plain else None
        text = "".join(_json_parts(text, known)) if simple is None else simple
        if (is_json and text == sent) or _is_json(text):
            return text
    if _FORM.fullmatch(text):
        # One with more fields is refused, and what is stored of it need not be encoded: each part costs some 10 us.
        few = text.count("&") < MOST_FIELDS
        text = _PART.sub(lambda m: _without_form(m[0], secrets), text) if few else unquote_plus(text)
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    if "<" in text:
        text = _ELEMENT.sub(lambda m: f"{m[1]}{REDACTED}" if is_hidden(m[2]) else m[0], text)
    return _without_unnamed(_without_named(_without_inside(text)))


def redact_inside(text: str, *known: str) -> str:
    """The text of a field, such as a comment, with tokens of well-known forms and the secrets that it names replaced.

    It may be JSON itself.
    """
    return redact(text, *known) if text[:1] in ("{", "[") else _without_inside(text, *known)


def may_hold_shape(text: str) -> bool:
    """Whether `_SHAPES` can match; never False if it does match."""
    return _holds_one(text, _SHAPE_MARKS) or _COLON_TOKEN.search(text) is not None


def may_name_secret(text: str) -> bool:
    """Whether `_INSIDE` can match; never False if it does match.

    Some characters outside ASCII match letters if case is ignored.
    """
    if not text.isascii():
        return True
    return _holds_one(text.lower(), _NAMES) and _NAMING.search(text) is not None


def may_hold_phrase(text: str) -> bool:
    """Whether `_PHRASE` can match; never False if it does match."""
    return not text.isascii() or _holds_one(text.lower(), _PHRASE_NAMES)


def _holds_one(text: str, parts: tuple[str, ...]) -> bool:
    return any(part in text for part in parts)


def _without_shapes(text: str) -> str:
    if may_hold_shape(text):
        text = _SHAPES.sub(REDACTED, text)
    if "://" in text:
        text = _IN_URL.sub(REDACTED, text)
    return _PRIVATE_KEY.sub(REDACTED, text) if "-----BEGIN" in text else text


def _without_inside(text: str, *known: str) -> str:
    text = _without_shapes(text)
    if may_hold_phrase(text):
        text = _PHRASE.sub(rf"\1{REDACTED}", text)
    if may_name_secret(text):
        text = _INSIDE.sub(lambda m: f"{m[1]}{m[2]}{REDACTED}" if is_hidden(m[1]) else m[0], text)
    for secret in known:
        if len(secret) >= SHORTEST_KNOWN:
            text = text.replace(secret, REDACTED)
    return text


def _without_form(part: str, known: list[str]) -> str:
    """One `name=value` of a form, whose characters may be percent-encoded."""
    name, equals, value = part.partition("=")
    if equals and is_hidden(unquote_plus(name)):
        return f"{_without_encoded(name, known)}={REDACTED}"
    return f"{_without_encoded(name, known)}{equals}{_without_encoded(value, known)}"


def _without_encoded(text: str, known: list[str]) -> str:
    """A name or value of a form. It is encoded again only if something in it was replaced."""
    if "%" not in text and "+" not in text:
        return text
    plain = unquote_plus(text)
    hidden = redact_inside(without_head(plain), *known)
    return text if hidden == plain else quote_plus(hidden, safe="[]=")


def _simple(text: str, known: list[str]) -> str | None:
    """Redacts JSON without escapes, by patterns. None if a secret field holds a list or an object."""
    parts, end = [], 0
    for match in _KEY.finditer(text):
        if not is_hidden(match[1]):
            continue
        value = _SIMPLE_VALUE.match(text, match.end())
        if value is None:
            return None
        parts += [text[end : value.start(1)], f'"{REDACTED}"']
        end = value.end()
    text = "".join([*parts, text[end:]])
    for secret in known:
        if len(secret) >= SHORTEST_KNOWN:
            text = text.replace(secret, REDACTED)
    return text


def _is_json(text: str) -> bool:
    """Whether the text is JSON: if not, it is redacted as plain text as well."""
    try:
        _CHECK.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _json_parts(text: str, known: Sequence[str]) -> Iterator[str]:
    """The text in pieces, with secrets replaced. `depth` counts levels inside a secret list or object; it is 0 outside."""
    end, depth, secret_key, value_next = 0, 0, False, False
    for match in _TOKEN.finditer(text):
        part = match[0]
        if depth:
            depth += (part in ("[", "{")) - (part in ("]", "}"))
            end = match.end()
            continue
        yield text[end : match.start()]
        end = match.end()
        if secret_key and part == ":":
            value_next = True
            yield part
        elif value_next:
            depth = int(part in ("[", "{"))
            secret_key = value_next = False
            yield f'"{REDACTED}"'
        elif part[0] == '"':
            content = _unescaped(part)
            secret_key = is_hidden(content)
            yield _exchanged(part, content, known)
        else:
            secret_key = False
            yield part
    if not depth:
        yield text[end:]


def _unescaped(token: str) -> str:
    if "\\" not in token:
        return token[1:-1]
    try:
        return str(json.loads(token, strict=False))
    except ValueError:
        return token[1:-1]


def _exchanged(token: str, content: str, known: Sequence[str]) -> str:
    hidden = REDACTED if content in known else redact_inside(without_head(content), *known)
    for secret in known:
        if len(secret) >= SHORTEST_KNOWN:
            hidden = hidden.replace(secret, REDACTED)
    return token if hidden == content else json.dumps(hidden)


def without_head(text: str) -> str:
    """The text without the licence at the start of pipe separated text."""
    head, _, rest = text.partition("|")
    return f"{REDACTED}|{rest}" if "|" in rest and _ONE_WORD.fullmatch(head) else text


def _without_named(text: str) -> str:
    """The text without the values after names of secret fields, each up to its closing quote or the end of its part."""
    ends = re.compile(r"[\n\r;]" if "\n" in text or ";" in text else r"[,}&]")
    parts, end = [], 0
    for match in _NAMED.finditer(text):
        last = match[2] or match[1]
        if match.start() < end or not (is_hidden(last) or is_hidden(match[1] + (match[2] or ""))):
            continue
        start = match.end()
        parts += [text[end:start], REDACTED]
        quote = text[start : start + 1]
        closing = text.find(quote, start + 1) if quote in ("'", '"') else -1
        stop = ends.search(text, start)
        end = closing + 1 if closing >= 0 else stop.start() if stop else len(text)
    return "".join([*parts, text[end:]])


def _without_unnamed(text: str) -> str:
    first, newline, rest = text.partition("\n")
    if newline and _ONE_WORD.fullmatch(first.strip()):
        return f"{REDACTED}\n{rest}"
    for separator in "|,":
        head, found, rest = text.partition(separator)
        if found and _ONE_WORD.fullmatch(head.strip()):
            return f"{REDACTED}{separator}{rest}"
    return text


def redact_payload(body: bytes, *known: str, read: Body | None = None) -> bytes:
    """The body as it is recorded, in UTF-8. Bytes that are not text are redacted too, without NULs, which could hide a secret.

    `read` is the body if it has been read already: then known JSON is not parsed again.
    """
    if read is not None and read.is_json:
        listed = listed_secrets(read.fields) if '"value"' in read.text or "Value" in read.text else ()
        return redact(read.text, *known, *listed, is_json=True).encode("utf-8", "replace")
    try:
        text = decode(body)
    except Unreadable:
        text = body.decode("latin-1")
    return redact(text.replace("\0", ""), *known).encode("utf-8", "replace")


def listed_secrets(value: Any) -> set[str]:
    """Secrets in lists of name and value, `{"name": "api_token", "value": "..."}`, at every depth."""
    found: set[str] = set()
    if isinstance(value, dict):
        found = {str(value[name]) for name in hidden_members(value) if isinstance(value[name], str)}
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            found |= listed_secrets(inner)
    return found


def hidden_values(value: Any, *, hidden: bool = False) -> set[str]:
    """The texts in secret fields, at every depth. `hidden` says that `value` itself is in one."""
    if isinstance(value, str):
        return {value.strip()} if hidden else set()
    found: set[str] = set()
    if isinstance(value, dict):
        listed = hidden_members(value)
        for name, inner in value.items():
            found |= hidden_values(inner, hidden=hidden or name in listed or is_hidden(name))
    elif isinstance(value, list):
        for inner in value:
            found |= hidden_values(inner, hidden=hidden)
    return found
