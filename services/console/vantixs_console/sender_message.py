"""What to paste into TradingView, or to run as a script, so that one webhook takes it: message, URL and how to prove oneself."""

import enum
import json
from typing import Any, NamedTuple

import jmespath
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import webhook_pb2


class Kind(enum.StrEnum):
    """Who sends."""

    TRADINGVIEW_STRATEGY = "tradingview-strategy"
    TRADINGVIEW_INDICATOR = "tradingview-indicator"
    SCRIPT = "script"


class SenderMessage(NamedTuple):
    """What to send to a webhook.

    Attributes:
        text: what to paste or run; empty where such a sender cannot do what the webhook demands.
        payload: the body it sends, to be tried on the webhook.
        url: where it goes.
        notes: what else has to be done, a sentence each.
        obstacles: why the webhook would refuse whatever such a sender sends, a sentence each.
    """

    text: str
    payload: str
    url: str
    notes: list[str]
    obstacles: list[str]


_STRATEGY = {
    "action": "{{strategy.order.action}}",
    "symbol": "{{ticker}}",
    "sentiment": "{{strategy.market_position}}",
    "prev_market_position": "{{strategy.prev_market_position}}",
    "quantity": "{{strategy.order.contracts}}",
    "quantity_type": "units",
    "price": "{{close}}",
    "timestamp": "{{timenow}}",
    "comment": "{{strategy.order.id}}",
}
_INDICATOR = {"action": "buy", "symbol": "{{ticker}}", "price": "{{close}}", "timestamp": "{{timenow}}"}
_SCRIPT = {"action": "buy", "symbol": "BTCUSDT"}
_MESSAGES = {Kind.TRADINGVIEW_STRATEGY: _STRATEGY, Kind.TRADINGVIEW_INDICATOR: _INDICATOR, Kind.SCRIPT: _SCRIPT}
# Names in the messages above that a mapping calls by another.
_MAPPED_AS = {"sentiment": "target_position", "prev_market_position": "previous_position", "timestamp": "emit_time"}
_PASTE = "Paste it into the alert's message, and the URL into Notifications, Webhook URL."
_NOTES = {
    Kind.TRADINGVIEW_STRATEGY: [_PASTE],
    Kind.TRADINGVIEW_INDICATOR: [_PASTE, "One alert an action: put long, short, close, ... in place of buy. Once per bar close."],
    Kind.SCRIPT: [],
}  # fmt: skip
_PYTHON = """
# The same in Python, with its standard library. A resend with the same webhook-id is the same signal.
import {imports}

def send(signal, url="{url}"{arguments}):
    body = json.dumps(signal).encode()
    headers = {{"Content-Type": "application/json", "webhook-id": str(uuid.uuid4())}}
    for wait in (1, 2, 4, 8, 0):
{sign}        request = urllib.request.Request(url, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 429 and error.code < 500:
                raise RuntimeError(error.read().decode()) from None
        except OSError:
            pass
        time.sleep(wait)
    raise RuntimeError("not accepted after five tries")

print(send({body}))
"""
_SIGN = """        headers["webhook-timestamp"] = now = str(int(time.time()))
        signed = f"{headers['webhook-id']}.{now}.".encode() + body
        digest = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), signed, "sha256")
        headers["webhook-signature"] = "v1," + base64.b64encode(digest).decode()
"""
_CURL = """curl -H "Content-Type: application/json" -H "webhook-id: $(uuidgen)" \\
  -d '{body}' "{url}"
"""
_SIGNED_CURL = """secret=whsec_SECRET; body='{body}'; id=$(openssl rand -hex 16); now=$(date +%s)
key=$(printf %s "${{secret#whsec_}}" | base64 -d | od -An -v -tx1 | tr -d ' \\n')
signature=$(printf %s "$id.$now.$body" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64)
curl -H "Content-Type: application/json" -H "webhook-id: $id" -H "webhook-timestamp: $now" \\
  -H "webhook-signature: v1,$signature" -d "$body" "{url}"
"""


def sender_message(kind: Kind, webhook: webhook_pb2.Webhook, base: str) -> SenderMessage:
    """What such a sender has to send to `base`, the address of the webhook URLs, for this webhook to take it."""
    notes, obstacles = list(_NOTES[kind]), _obstacles(kind, webhook)
    signed = webhook.minimum_proof == webhook_pb2.PROOF_LEVEL_SIGNATURE
    content = dict(_MESSAGES[kind])
    if webhook.actions and kind != Kind.TRADINGVIEW_STRATEGY and common_pb2.ACTION_BUY not in webhook.actions:
        content["action"] = common_pb2.Action.Name(webhook.actions[0]).removeprefix("ACTION_").lower()
    if webhook.instruments and kind == Kind.SCRIPT:
        content["symbol"] = webhook.instruments[0]
    document, in_body = content, False
    if webhook.mapping.fields:
        document, in_body, missing = _mapped(content, dict(webhook.mapping.fields), with_token=not signed)
        notes += [
            f"{name} goes where the mapping finds it by {where!r}: put it there by hand." for name, where in missing
        ]
    url = f"{base}/hooks/{webhook.webhook_id or 'WEBHOOK'}" + ("" if signed or in_body else "/TOKEN")
    notes += _proof_notes(kind, webhook, in_body=in_body)
    if kind == Kind.SCRIPT:
        payload = json.dumps(document)
        text = _script(payload, url, signed=signed)
    else:
        payload = text = json.dumps(document, indent=2)
    return SenderMessage("" if obstacles else text, payload, url, notes, obstacles)


def _script(body: str, url: str, *, signed: bool) -> str:
    """The script, in shell and in Python. Its generated key is a `webhook-id`, which gives way to a key in the body."""
    modules = "json, time, urllib.error, urllib.request, uuid"
    if not signed:
        python = _PYTHON.format(imports=modules, arguments="", sign="", url=url, body=body)
        return _CURL.format(body=body, url=url) + python
    argument = ', secret="whsec_SECRET"'
    python = _PYTHON.format(imports=f"base64, hmac, {modules}", arguments=argument, sign=_SIGN, url=url, body=body)
    return _SIGNED_CURL.format(body=body, url=url) + python


def _obstacles(kind: Kind, webhook: webhook_pb2.Webhook) -> list[str]:
    """What the webhook demands and such a sender cannot give."""
    name, networks = webhook.webhook_id, list(webhook.source_networks)
    found = []
    if webhook.minimum_proof == webhook_pb2.PROOF_LEVEL_SIGNATURE and kind != Kind.SCRIPT:
        found.append(
            f"{name} takes signed requests only, and TradingView does not sign: set another --minimum-proof, or send by "
            "way of a program that signs (--for script)."
        )
    if webhook.minimum_proof == webhook_pb2.PROOF_LEVEL_CERTIFICATE and kind == Kind.SCRIPT:
        found.append(f"{name} asks for TradingView's client certificate, which a script does not have.")
    if networks == ["tradingview"] and kind == Kind.SCRIPT:
        found.append(f"{name} takes requests from TradingView's addresses only.")
    return found


def _proof_notes(kind: Kind, webhook: webhook_pb2.Webhook, *, in_body: bool) -> list[str]:
    """How a sender proves itself to this webhook."""
    notes = []
    if webhook.minimum_proof == webhook_pb2.PROOF_LEVEL_SIGNATURE:
        notes.append("Put the signing secret (`vantixs webhook rotate-secret`) for whsec_SECRET. No token is needed.")
    elif in_body:
        notes.append("Put the webhook's token for TOKEN in the message; the URL is without it.")
    else:
        notes.append("Put the webhook's token for TOKEN in the URL.")
    if webhook.minimum_proof == webhook_pb2.PROOF_LEVEL_CERTIFICATE:
        notes.append("The URL's host has to be the HTTPS proxy that verifies TradingView's client certificate.")
    networks = list(webhook.source_networks)
    if networks and kind == Kind.SCRIPT:
        notes.append(f"Run it at an address in {', '.join(networks)}: others are refused.")
    elif networks and "tradingview" not in networks:
        notes.append(
            f"Requests from {', '.join(networks)} only are taken: TradingView's addresses have to be among them."
        )
    if webhook.webhook_id and not webhook.enabled:
        notes.append(f"It is disabled: `vantixs webhook enable {webhook.webhook_id}`.")
    return notes


def _mapped(
    content: dict[str, str], fields: dict[str, str], *, with_token: bool
) -> tuple[dict[str, Any], bool, list[tuple[str, str]]]:
    """The message with every value where the mapping looks for it.

    Returns it, whether the token is in it, and the fields with expressions that say no single place.
    """
    document: dict[str, Any] = {}
    missing, in_body = [], False
    values = {_MAPPED_AS.get(name, name): value for name, value in content.items()}
    if with_token:
        values["token"] = "TOKEN"  # noqa: S105 - stands for one
    for name, value in values.items():
        if name not in fields:
            continue
        parsed = jmespath.compile(fields[name]).parsed
        if parsed["type"] == "literal":
            continue  # The mapping says the value itself.
        path = _path(parsed)
        if path is None or not _put(document, path, value):
            missing.append((name, fields[name]))
        elif name == "token":
            in_body = True
    return document, in_body, missing


def _path(node: Any) -> list[str | int] | None:
    """Keys and indexes to a place where the expression finds a value; None where it says no single one."""
    kind, children = node["type"], node.get("children", [])
    if kind == "field":
        return [node["value"]]
    if kind == "index":
        return [max(node["value"], 0)]
    if kind in ("identity", "current"):
        return []
    if kind in ("subexpression", "index_expression", "pipe"):
        parts = [_path(child) for child in children]
        return None if None in parts else [step for part in parts if part is not None for step in part]
    if kind == "or_expression" or (kind == "function_expression" and node["value"] == "not_null"):
        return next((path for child in children if (path := _path(child))), None)
    return None


def _put(document: dict[str, Any], path: list[str | int], value: str) -> bool:
    """Sets the value at the path, making what is on the way; False where something else is there."""
    if not path or not isinstance(path[0], str):
        return False
    here: Any = document
    for step, following in zip(path, [*path[1:], None], strict=True):
        made: Any = value if following is None else [] if isinstance(following, int) else {}
        if isinstance(step, int):
            if not isinstance(here, list):
                return False
            here.extend({} for _ in range(step - len(here)))
            if len(here) == step:
                here.append(made)
        elif not isinstance(here, dict):
            return False
        else:
            here.setdefault(step, made)
        here = here[step]
    return bool(here == value)
