"""Finds the slot of a field by its name, and the names of secret fields."""

import re
from collections.abc import Mapping
from functools import lru_cache

from vantixs_ingress.domain.payload.field_aliases import (
    FIELD_OF,
    FLAGS,
    NESTS,
    ORDER_TYPE_FLAGS,
    PARTLY,
    SECRETS,
    STEERING,
)
from vantixs_ingress.domain.payload.protection_names import (
    LEVEL_NAME,
    SHARES_NAME,
    LevelName,
    even_name,
    level_name,
    share_name,
    trail_name,
)

# Rejected unless their value means no.
_STEERING_FLAGS = re.compile(
    r"^(bypass|ignore(trading|risk|limit|window|max|check)|override|disable(risk|limit|check|stop)|skip(risk|check|limit)"
    r"|force(entry|order|trade)?$|unlimited|syncstrategy|flattenfirst|reverse$|overflow$|invert)"
)
# Names whose values are redacted in every record, also secrets of other products; only SECRETS can be the webhook's token.
_HIDDEN = re.compile(
    r"token|secret|pass|pwd|key|auth|session|credential|signature|bearer|licen[cs]e|mnemonic|otp$|pw\d?$|creds?$|cookie|jwt|hmac"
    r"|^(?:api|x|request|webhook)?sig$|pin(?:code|number)?\d?$|seed(?:phrase|words?)?$|recovery(?:phrase|words?|code)|[2m]fa(?:code)?$"
)
_NOT_HIDDEN = frozenset(
    ["idempotencykey", "keyword", "keywords", "tradingsession", "marketsession", "sessiontype", "passed"]
)
_TRAILING = re.compile(r"^(sl)?trail")
# Names about a stop, target, size, limit or trigger: an entry with such a field that is not understood is rejected.
_PROTECTS = re.compile(
    r"stop|target|tgt|limit|trigger|trail|profit|loss|protect|bracket|breakeven|(?:sl|tp)\d{0,2}$"
    r"|(?:sl|tp)(?:offset|dist|price|point|val|px|money|pip|tick|atr|level|lvl|perc|pct|buffer|usd|dollar|mult|ratio|delta|line)"
    r"|qty|quantity|size|amount|lots?\d{0,2}$|contracts|units|notional|^(?:initial|order|position|trade)?margin$"
    r"|(?:order|trade|position|entry|buy|sell)(?:volume|usd|value)|^(?:usd|percent|percentage|pct|stake|invest\w*)$"
)
# Names that describe the chart, the instrument or a result, and names of texts about them.
_DESCRIBES = re.compile(
    r"^(?:bar|candle|chart)|(?:tick|pip|brick|box|body|wick|gap|window|step|point|contract)size$"
    r"|^(?:net|open|gross|total|realized|unrealized|current|closed)?(?:profit|loss|profitloss)(?:pct|percent|factor)?$"
    r"|(?:order|trade|signal|deal|user|bot|strategy|position|client)ids?$|uuid$|^(?:https?|ftp|ssl)$"
    r"|target(?:exchange|broker|account|symbol)$|(?:name|comment|reason|note|text|label|message|msg|color|colour|url|ref)$"
)
# Names about prices or sizes: lint warns of an unknown field with such a name.
_PRICE_LIKE = re.compile(r"price|leverage|margin|entry|exit|volume|percent|pct|usd|capital|balance|equity")
# Names of bars, plots and settings of the sender, which the patterns above would match wrongly.
_FREE = frozenset(
    [
        "open", "high", "low", "ohlc", "interval", "timeframe", "strategy", "strategyname", "scanname", "alertname",
        "id", "orderid", "orderref", "clientid", "contract", "currency", "basecurrency", "quotecurrency", "netprofit",
        "openprofit", "barvolume", "maxdrawdown", "accountbalance", "accountequity",
    ]
)  # fmt: skip
LONGEST_NAME = 64
STEER_FLAG, LEVEL, TARGET_SHARE, TRAIL, EVEN, PROTECTS, PRICE_LIKE, HIDDEN = (
    "steer_flag", "level", "target_share", "trail", "break_even", "protects", "price_like", "hidden",
)  # fmt: skip
_PROTECTIVE = frozenset((PROTECTS, LEVEL, TARGET_SHARE, TRAIL, EVEN, "trail_percent", "trail_start", "unheld"))
_FOLD = str.maketrans("", "", "_- ")


def fold(name: str) -> str:
    """The name without case, `_`, `-` and spaces."""
    return name.lower().translate(_FOLD)


# Words of a name, by separators and by case: `my_sl`, `mySl`, `MY-SL2`.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SHORT_FOR_LEVELS = ("sl", "tp")


def _slot(folded: str) -> str:
    """The slot of a name: one of ALIASES, "secret", "hidden", "steer", "steer_flag", "flag", "level", ..., or "" for none."""
    known = FIELD_OF.get(folded)
    if known is not None:
        return known
    spelt = _spelt_nest(folded)
    if spelt is not None:
        return spelt
    tests = (
        (folded in SECRETS, "secret"),
        (folded in STEERING, "steer"),
        (folded in FLAGS or folded in ORDER_TYPE_FLAGS, "flag"),
        (_STEERING_FLAGS.match(folded), STEER_FLAG),
        (is_hidden(folded) and not _PROTECTS.search(folded), HIDDEN),
        (trail_name(folded), TRAIL),
        (_TRAILING.match(folded), "unheld"),
        (LEVEL_NAME.match(folded), LEVEL),
        (share_name(folded) or SHARES_NAME.match(folded), TARGET_SHARE),
        (even_name(folded), EVEN),
        (folded in _FREE or folded in PARTLY, ""),
        (_PROTECTS.search(folded) and not _DESCRIBES.search(folded), PROTECTS),
        (_PRICE_LIKE.search(folded), PRICE_LIKE),
    )
    return next((slot for hit, slot in tests if hit), "")


def _spelt_nest(folded: str) -> str | None:
    """The slot of a TradingView placeholder's name with `_` instead of dots: `strategy_order_action`; None for other names."""
    for nest in ("strategyorder", "strategy"):
        inner = folded.removeprefix(nest)
        if inner != folded and inner:
            names = NESTS["strategy.order" if nest == "strategyorder" else "strategy"]
            slot = names.get(inner, FIELD_OF.get(inner))
            if slot is not None:
                return slot
    return None


@lru_cache(maxsize=4096)
def _slot_of_short(name: str) -> tuple[str, str]:
    folded = fold(name)
    slot = _slot(folded)
    short = slot in ("", PRICE_LIKE) and any(word.lower() in _SHORT_FOR_LEVELS for word in _WORD.findall(name))
    return folded, PROTECTS if short and not _DESCRIBES.search(folded) else slot


def slot_of(name: str) -> tuple[str, str]:
    """The folded name and its slot, cached. A name that is too long has no slot."""
    return _slot_of_short(name) if len(name) <= LONGEST_NAME else (name, "")


def is_secret(name: str) -> bool:
    """Whether a field of this name may hold the webhook's token."""
    return slot_of(name)[1] == "secret"


def is_hidden(name: str) -> bool:
    """Whether the value of a field of this name is redacted: it may be a secret of this or of another product."""
    return _is_hidden_short(name) if len(name) <= LONGEST_NAME else _is_hidden(name)


def _is_hidden(name: str) -> bool:
    folded = fold(name)
    return folded in SECRETS or (_HIDDEN.search(folded) is not None and folded not in _NOT_HIDDEN)


_is_hidden_short = lru_cache(maxsize=4096)(_is_hidden)


_NAMING = ("name", "key", "field", "param", "parameter", "label")
_HOLDING = ("value", "val", "content", "data")


def hidden_members(fields: Mapping[str, object]) -> tuple[str, ...]:
    """The members of an object that hold a secret which another member names: `{"name": "api_token", "value": "..."}`."""
    if not any(
        isinstance(text, str) and fold(name) in _NAMING and is_hidden(text[:200]) for name, text in fields.items()
    ):
        return ()
    return tuple(name for name in fields if fold(name) in _HOLDING)


def protects(name: str) -> bool:
    """Whether a name is about a stop, target, size, limit or trigger, whether it is understood at the top level or not."""
    folded, slot = slot_of(name)
    return slot in _PROTECTIVE or (
        slot != "" and _PROTECTS.search(folded) is not None and _DESCRIBES.search(folded) is None
    )


def level_of(folded: str) -> LevelName:
    """The meaning of a name of the slot LEVEL."""
    found = level_name(folded)
    assert found  # noqa: S101 - asked for names of the slot LEVEL only
    return found


def is_informative(name: str) -> bool:
    """Whether a field of this name is only information: about a bar, an interval, or a name of the sender."""
    folded = slot_of(name.rpartition(".")[2])[0]
    return (
        folded in _FREE
        or folded in PARTLY
        or FIELD_OF.get(folded, "") in ("exchange", "volume", "close", "platform", "label", "other_time", "entry_price")
    )
