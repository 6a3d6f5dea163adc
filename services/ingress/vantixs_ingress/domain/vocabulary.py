"""The names senders give to fields, folded to lower case without `_`, `-` and spaces, and what each is here.

A slot is where a value goes before the whole is looked at: a canonical field, or one of the several that make one up.
"""

import re
from functools import lru_cache

ALIASES: dict[str, tuple[str, ...]] = {
    "symbol": ("symbol", "ticker", "pair", "market", "instrument", "tvinstrument", "asset", "stocks"),
    "exchange": ("exchange", "tvexchange"),
    "platform": ("platformname",),
    "kind": ("instrumentkind", "category", "markettype", "instrumenttype", "producttype", "defaulttype"),
    "verb": ("action", "orderaction", "signal", "signaltype", "command", "cmd", "msgtype", "tradeaction", "c"),
    "verb_or_order_type": ("type", "order"),
    "side": ("side", "direction", "positiondirection", "orderside", "tradeside", "tradedirection"),
    "position_side": ("positionside",),
    "word": ("message",),
    "code": ("code",),
    "target_position": ("sentiment", "marketposition", "currentposition", "targetposition"),
    "position": ("position", "pos"),
    "signed_size": ("positionsize",),
    "size_after": ("marketpositionsize",),
    "previous_position": ("prevmarketposition", "prevposition", "previousposition", "previousmarketposition"),
    "size_before": (
        "prevmarketpositionsize", "prevpositionsize", "previouspositionsize", "previousmarketpositionsize",
    ),
    "quantity": (
        "quantity", "qty", "q", "size", "amount", "units", "contracts", "ordercontracts", "lot", "lots", "ordersize",
        "orderqty", "orderquantity", "amountpertrade",
    ),
    "volume": ("volume",),
    "quantity_notional": (
        "dollaramount", "quoteamount", "sizeusd", "amountusd", "usdamount", "quotequantity", "quoteorderqty",
        "notional", "cost",
    ),
    "quantity_equity_percent": (
        "positionpct", "unitspercent", "suggestedpositionsizepercent", "positionsizepercent", "quantitypercent",
        "sizepercent", "percentofequity", "equitypercent", "balancepercent",
    ),
    "quantity_risk_percent": ("risk", "riskpercent", "riskpct"),
    "quantity_position_percent": ("percentofposition", "positionpercent", "closepercent", "reducepercent"),
    "quantity_type": (
        "quantitytype", "investmenttype", "currencytype", "unitstype", "amountpertradetype", "sizetype", "qtytype",
    ),
    "price": (
        "price", "signalprice", "marketprice", "entryprice", "entrypriceestimate", "entry", "orderprice",
        "triggerprices",
    ),
    "trigger_price": ("triggerprice",),
    "close": ("close",),
    "order_type": ("ordertype", "pricetype"),
    "order_mode": ("ordermode",),
    "limit_price": ("limitprice",),
    "stop_price": ("stopprice",),
    "time_in_force": ("timeinforce", "tif"),
    "leverage": ("leverage", "suggestedleverage", "lev"),
    "stop_loss": ("stoploss", "sl", "stoptrigger"),
    "stop_loss_price": ("slprice", "stoplossprice"),
    "stop_loss_percent": ("stoplosspercent", "slpercent", "stoplosspct", "slpct"),
    "stop_loss_amount": ("stoplossamount", "slamount"),
    "stop_loss_kind": ("stoplosstype", "sltype", "slmode", "stoptype"),
    "take_profit": ("takeprofit", "tp", "profittrigger"),
    "take_profit_price": ("tpprice", "takeprofitprice"),
    "take_profit_percent": ("takeprofitpercent", "tppercent", "takeprofitpct", "tppct"),
    "take_profit_amount": ("takeprofitamount", "tpamount"),
    "take_profit_kind": ("takeprofittype", "tptype", "tpmode", "targettype"),
    "targets": ("takeprofits", "takeprofitlevels", "targets", "takeprofittargets"),
    "long_stop_loss": ("longsl", "longstoploss"),
    "short_stop_loss": ("shortsl", "shortstoploss"),
    "long_take_profit": ("longtp", "longtakeprofit"),
    "short_take_profit": ("shorttp", "shorttakeprofit"),
    "reduce_only": ("reduceonly", "reduce"),
    "close_position": ("closeposition",),
    "metrics": ("metrics",),
    "idempotency_key": ("idempotencykey", "signalid", "nonce"),
    "emit_time": ("timestamp", "timenow", "sourcetimestamp", "alerttimestamp", "triggeredat", "emittime"),
    "bar_time": ("time", "bartime"),
    "expires_after_s": ("expiresafters", "maxlag"),
    "expires_after_ms": ("ttlms",),
    "expire_time": ("expiresat", "expiretime"),
    "comment": ("comment", "alertmessage", "orderalertmessage", "ordercomment"),
    "tag": ("tag",),
    "mode": ("mode",),
    "test": ("test",),
    "account": ("account", "subaccount", "accountid"),
    # Nothing here can hold these: an entry that asks for one is refused, and told so.
    "unheld": (
        "dcaorders", "dca", "orderpriceoffset", "offset", "delay", "delayseconds", "sizebyleverage", "riskdollaramount",
        "breakeven", "breakevenat", "stoplosslimitprice", "slticks", "tpticks", "stoplossticks", "takeprofitticks",
        "stoplosspips", "takeprofitpips", "slpips", "tppips",
    ),
    # Known, and nothing here does it: told where it asks for something.
    "unused": (
        "cancelorders", "cancelpolicy", "cancelordertype", "cancel", "margintype", "marginmode", "tpcount",
        "disclosedquantity", "extendedhours", "useextendedhours", "product",
    ),
    "option": ("optiontype", "strikeprice", "strike", "expiration", "expirationdate", "expiry", "optionside"),
}  # fmt: skip
FIELD_OF = {alias: slot for slot, aliases in ALIASES.items() for alias in aliases}

# Exactly one of these may be true; each says an action.
FLAGS = {
    "isbuy": "BUY", "buy": "BUY", "issell": "SELL", "sell": "SELL", "isclose": "CLOSE", "isexit": "CLOSE",
    "islong": "OPEN_LONG", "long": "OPEN_LONG", "isshort": "OPEN_SHORT", "short": "OPEN_SHORT", "cover": "CLOSE_SHORT",
}  # fmt: skip
ORDER_TYPE_FLAGS = {"ismarket": "MARKET", "islimit": "LIMIT", "isstop": "STOP"}

# Objects whose content is read as if it stood at the top. What a name means inside, where that is another thing than
# outside; "" keeps it and reads nothing into it.
NESTS: dict[str, dict[str, str]] = {
    "order": {"id": "", "position": "", "name": ""},
    "strategy": {"name": "", "id": ""},
    "strategy.order": {"id": "", "position": "", "name": ""},
    "strategyinfo": {},
    "general": {"strategy": "", "currency": ""},
    "data": {},
    "market": {
        "position": "target_position",
        "positionsize": "size_after",
        "previousposition": "previous_position",
        "previouspositionsize": "size_before",
        "type": "kind",
    },
}
# Objects of which only these names are read.
PARTLY: dict[str, dict[str, str]] = {
    "metadata": {"timestamp": "emit_time"},
    "bar": {"time": "bar_time"},
    "currency": {},
    "extras": {},
}
# Source: the alert format of tbot-tradingboat, where 0 means "none".
METRICS = {
    "qty": "quantity",
    "price": "price",
    "entry.limit": "limit_price",
    "entry.stop": "stop_price",
    "exit.limit": "take_profit_price",
    "exit.stop": "stop_loss_price",
}

SECRETS = frozenset(
    [
        "secret", "token", "t", "key", "apikey", "apisecret", "authkey", "auth", "authtoken", "passphrase", "password",
        "pin", "signaltoken", "webhooksecret", "webhooktoken", "emailtoken", "accesstoken", "signature", "license",
        "licence", "licenseid", "licenceid", "licensekey", "privatekey", "secretkey",
    ]
)  # fmt: skip
# Refused whatever they say: each would start or steer what the webhook's configuration decides.
STEERING = frozenset(
    [
        "killswitch", "maxpositions", "dilution", "flag", "outofsync", "startbot", "stopbot", "eaon", "eaoff",
        "leveragemode", "requiremarketposition", "strategyexitblock", "ratelimit", "tradingwindow",
    ]
)  # fmt: skip
# Refused unless they say no.
_STEERING_FLAGS = re.compile(
    r"^(bypass|ignore(trading|risk|limit|window|max|check)|override|disable(risk|limit|check|stop)|skip(risk|check|limit)"
    r"|force(entry|order|trade)?$|unlimited|syncstrategy|flattenfirst|reverse$|overflow$|invert)"
)
_TRAILING = re.compile(r"^(sl)?trail")
_TARGET = re.compile(r"^(?:tp|takeprofit|target)(price|percent|pct)?(\d{1,2})(price|percent|pct)?$")
# What an unknown name would have to be about for its silence to cost money.
_SIZE_LIKE = re.compile(
    r"qty|quantity|size|amount|volume|lots?$|contracts$|units|notional|usd|capital|balance|equity|margin|percent|pct|invest"
)
_PRICE_LIKE = re.compile(r"price|limit|stop|profit|loss|^(tp|sl)\w*|target|trigger|entry|exit|leverage")
# Bars, plots and settings of the sender that the patterns above would take for more.
_FREE = frozenset(
    [
        "open", "high", "low", "ohlc", "interval", "timeframe", "strategy", "strategyname", "scanname", "alertname",
        "id", "orderid", "orderref", "clientid", "contract", "currency", "basecurrency", "quotecurrency", "netprofit",
        "openprofit", "barvolume", "maxdrawdown", "accountbalance", "accountequity",
    ]
)  # fmt: skip
LONGEST_NAME = 64
STEER_FLAG, TARGET, SIZE_LIKE, PRICE_LIKE = "steer_flag", "target", "size_like", "price_like"
_FOLD = str.maketrans("", "", "_- ")


def fold(name: str) -> str:
    """The name without case, `_`, `-` and spaces."""
    return name.lower().translate(_FOLD)


def _slot(folded: str) -> str:
    """What a name is: a slot, "secret", "steer", "steer_flag", "flag", "target", "size_like", "price_like", or ""."""
    known = FIELD_OF.get(folded)
    if known is not None:
        return known
    tests = (
        (folded in SECRETS, "secret"),
        (folded in STEERING, "steer"),
        (folded in FLAGS or folded in ORDER_TYPE_FLAGS, "flag"),
        (_STEERING_FLAGS.match(folded), STEER_FLAG),
        (_TRAILING.match(folded), "unheld"),
        (_TARGET.match(folded), TARGET),
        (folded in _FREE or folded in PARTLY, ""),
        (_SIZE_LIKE.search(folded), SIZE_LIKE),
        (_PRICE_LIKE.search(folded), PRICE_LIKE),
    )
    return next((slot for hit, slot in tests if hit), "")


@lru_cache(maxsize=4096)
def _slot_of_short(name: str) -> tuple[str, str]:
    folded = fold(name)
    return folded, _slot(folded)


def slot_of(name: str) -> tuple[str, str]:
    """The folded name and its slot. Remembers spellings, of bounded length and number; a long name is no field."""
    return _slot_of_short(name) if len(name) <= LONGEST_NAME else (name, "")


def is_secret(name: str) -> bool:
    """Whether a field of this name holds a secret."""
    return slot_of(name)[1] == "secret"


def target_kind(folded: str) -> str:
    """What a numbered take profit counts in: "price", "percent", or "" where its name does not say."""
    match = _TARGET.match(folded)
    said = (match[1] or match[3] or "") if match else ""
    return "percent" if said == "pct" else said


def is_informative(name: str) -> bool:
    """Whether a field that is not used is none that anybody would expect to be: a bar, an interval, a name of the sender's."""
    folded = slot_of(name.rpartition(".")[2])[0]
    return (
        folded in _FREE or folded in PARTLY or FIELD_OF.get(folded, "") in ("exchange", "volume", "close", "platform")
    )
