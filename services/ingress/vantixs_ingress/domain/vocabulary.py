"""The words senders use: field names and values, folded to lower case without `_`, `-` and spaces."""

ALIASES: dict[str, tuple[str, ...]] = {
    "symbol": ("symbol", "ticker", "pair", "market", "instrument", "tvinstrument", "asset"),
    "exchange": ("exchange", "tvexchange", "platformname"),
    "action": (
        "action",
        "orderaction",
        "side",
        "signal",
        "signaltype",
        "direction",
        "order",
        "positiondirection",
        "command",
    ),
    "target_position": ("sentiment", "marketposition", "position", "currentposition", "targetposition"),
    "previous_position": ("prevmarketposition", "prevposition", "previousposition"),
    "quantity": (
        "quantity",
        "qty",
        "q",
        "size",
        "amount",
        "units",
        "volume",
        "contracts",
        "ordercontracts",
        "lot",
        "lots",
    ),
    "quantity_type": ("quantitytype", "investmenttype", "currencytype", "unitstype"),
    "price": (
        "price",
        "signalprice",
        "triggerprice",
        "marketprice",
        "entryprice",
        "entrypriceestimate",
        "entry",
        "orderprice",
    ),
    "order_type": ("ordertype", "type", "pricetype"),
    "limit_price": ("limitprice",),
    "stop_price": ("stopprice",),
    "time_in_force": ("timeinforce", "tif"),
    "leverage": ("leverage", "suggestedleverage"),
    "stop_loss": ("stoploss", "sl"),
    "stop_loss_price": ("slprice", "stoplossprice"),
    "stop_loss_percent": ("stoplosspercent",),
    "take_profit": ("takeprofit", "tp"),
    "take_profit_price": ("tpprice", "takeprofitprice"),
    "take_profit_percent": ("takeprofitpercent",),
    "idempotency_key": ("idempotencykey", "signalid", "nonce"),
    "emit_time": ("timestamp", "timenow", "sourcetimestamp", "alerttimestamp", "triggeredat", "emittime"),
    "bar_time": ("time", "bartime"),
    "expires_after_s": ("expiresafters", "maxlag"),
    "comment": ("comment", "message", "alertmessage", "orderalertmessage"),
    "tag": ("tag",),
    "mode": ("mode",),
    "account": ("account", "subaccount", "accountid"),
}
FIELD_OF = {alias: field for field, aliases in ALIASES.items() for alias in aliases}
NESTS = ("order", "strategy", "strategyinfo", "general", "currency", "data")
# Names that mean something else inside a nest than at the top.
NEST_EXCEPT = {"order": ("type", "id", "position"), "currency": ("base", "quote")}

SECRETS = frozenset(
    [
        "secret",
        "token",
        "key",
        "apikey",
        "apisecret",
        "authkey",
        "passphrase",
        "password",
        "pin",
        "signaltoken",
        "webhooksecret",
        "signature",
    ]
)
STEERING = frozenset(
    [
        "killswitch",
        "ignoretradingwindows",
        "bypass",
        "maxpositions",
        "dilution",
        "flag",
        "syncstrategy",
        "outofsync",
        "startbot",
        "stopbot",
        "eaon",
        "eaoff",
        "leveragemode",
    ]
)

ACTIONS: dict[str, str] = {
    **dict.fromkeys(("buy", "bto", "positiontypebuy"), "BUY"),
    **dict.fromkeys(("sell", "positiontypesell"), "SELL"),
    **dict.fromkeys(
        ("long", "bull", "bullish", "enterlong", "entrylong", "strategy.entrylong", "bullentry", "openlong", "golong"),
        "OPEN_LONG",
    ),
    **dict.fromkeys(
        ("short", "bear", "bearish", "entershort", "entryshort", "bearentry", "openshort", "goshort"), "OPEN_SHORT"
    ),
    **dict.fromkeys(
        (
            "close",
            "exit",
            "flat",
            "flatten",
            "exitall",
            "closeall",
            "closeposition",
            "stoploss",
            "tp",
            "takeprofit",
            *(f"tp{n}" for n in range(1, 10)),
        ),
        "CLOSE",
    ),
    **dict.fromkeys(("exitlong", "closelong", "stc"), "CLOSE_LONG"),
    **dict.fromkeys(("exitshort", "closeshort", "cover", "btc"), "CLOSE_SHORT"),
    **dict.fromkeys(("cancel", "cancelall", "cancellong", "cancelshort"), "CANCEL"),
    **dict.fromkeys(("add", "increase"), "ADD"),
    **dict.fromkeys(("reduce", "decrease", "reducelong", "reduceshort"), "REDUCE"),
    **dict.fromkeys(("reverse", "swing"), "REVERSE"),
}
EXITS = frozenset(("CLOSE", "CLOSE_LONG", "CLOSE_SHORT", "REDUCE", "CANCEL"))
POSITIONS = {
    **dict.fromkeys(("long", "bullish", "bull", "buy"), "LONG"),
    **dict.fromkeys(("short", "bearish", "bear", "sell"), "SHORT"),
    **dict.fromkeys(("flat", "none", "neutral", "closed"), "FLAT"),
}
QUANTITY_TYPES = {
    **dict.fromkeys(("fixed", "fixedquantity", "absolute", "base", "units", "contract", "contracts"), "UNITS"),
    **dict.fromkeys(("quote", "dollaramount", "notional", "margin"), "NOTIONAL"),
    **dict.fromkeys(
        ("percent", "percentage", "percentagebalance", "percentofequity", "equitypercent"), "EQUITY_PERCENT"
    ),
    **dict.fromkeys(("risk", "riskpercent"), "RISK_PERCENT"),
    **dict.fromkeys(("percentofposition", "positionpercent"), "POSITION_PERCENT"),
}
ORDER_TYPES = {"market": "MARKET", "limit": "LIMIT", "stop": "STOP", "stoplimit": "STOP_LIMIT"}
TIMES_IN_FORCE = {"gtc": "GTC", "ioc": "IOC", "fok": "FOK", "day": "DAY"}


def fold(name: str) -> str:
    """The name without case, `_`, `-` and spaces."""
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")
