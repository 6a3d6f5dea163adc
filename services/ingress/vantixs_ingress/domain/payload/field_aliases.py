"""The names that senders give to fields, folded to lower case without `_`, `-` and spaces, and the slot of each.

A slot is an intermediate name for a value: a canonical field, or one of several values from which a canonical field is made.
"""

ALIASES: dict[str, tuple[str, ...]] = {
    "symbol": ("symbol", "ticker", "pair", "market", "instrument", "tvinstrument", "asset", "stocks", "instid"),
    "exchange": ("exchange", "tvexchange"),
    "platform": ("platformname",),
    "kind": ("instrumentkind", "category", "markettype", "instrumenttype", "producttype", "defaulttype"),
    "base": ("base",),
    "quote": ("quote",),
    "verb": ("action", "orderaction", "command", "cmd", "tradeaction", "c"),
    # Some senders put an action into these, others a label of their own.
    "label": ("signal", "signaltype", "msgtype", "data"),
    "verb_or_order_type": ("type", "order"),
    "side": ("side", "direction", "positiondirection", "orderside", "tradeside", "tradedirection"),
    "position_side": ("positionside", "posside"),
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
        "orderqty", "orderquantity", "amountpertrade", "tradesize", "tradeqty", "tradequantity", "tradeamount",
        "orderamount", "orderunits", "baseqty", "basequantity", "baseamount",
    ),
    "native_contracts": ("sz",),
    "volume": ("volume",),
    "quantity_notional": (
        "dollaramount", "quoteamount", "sizeusd", "amountusd", "usdamount", "quotequantity", "quoteorderqty",
        "notional", "cost",
    ),
    "quantity_equity_percent": (
        "positionpct", "suggestedpositionsizepercent", "positionsizepercent", "percentofequity", "equitypercent",
        "balancepercent",
    ),
    # freqtrade's cost of the whole order, used if there is no quantity.
    "stake": ("stakeamount",),
    # In percent of equity for an entry, of the position for an exit.
    "quantity_percent": ("unitspercent", "quantitypercent", "sizepercent"),
    "quantity_risk_percent": ("risk", "riskpercent", "riskpct"),
    "quantity_position_percent": ("percentofposition", "positionpercent", "closepercent", "reducepercent"),
    "quantity_type": (
        "quantitytype", "investmenttype", "currencytype", "unitstype", "amountpertradetype", "sizetype", "qtytype",
    ),
    "price": ("price", "signalprice", "marketprice", "orderprice", "triggerprices"),
    # For an exit it is the price at which the position was opened.
    "entry_price": ("entryprice", "entrypriceestimate", "entry"),
    "trigger_price": ("triggerprice",),
    "close": ("close",),
    "order_type": ("ordertype", "pricetype", "ordtype"),
    "order_mode": ("ordermode",),
    "limit_price": ("limitprice", "limit"),
    "stop_price": ("stopprice",),
    # The trigger of the order if it is a stop order, else the stop loss.
    "stop": ("stop",),
    "time_in_force": ("timeinforce", "tif"),
    "order_expire_time": (
        "orderexpiretime", "orderexpiresat", "orderexpiry", "orderexpiration", "goodtilldate", "goodtildate", "goodtilltime",
        "gooduntil", "gtddate", "gtdtime",
    ),
    # The order's expiry if its time in force is GTD, otherwise without effect.
    "expire": ("expire",),
    "post_only": ("postonly", "makeronly"),
    # Binance's names for a trailing order.
    "trail_percent": ("callbackrate",),
    "trail_start": ("activationprice", "activateprice"),
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
    "targets": ("takeprofits", "takeprofitlevels", "targets", "takeprofittargets", "tps", "tptargets", "tplevels"),
    "long_stop_loss": ("longsl", "longstoploss"),
    "short_stop_loss": ("shortsl", "shortstoploss"),
    "long_take_profit": ("longtp", "longtakeprofit"),
    "short_take_profit": ("shorttp", "shorttakeprofit"),
    "reduce_only": ("reduceonly", "reduce"),
    "close_position": ("closeposition", "fullclosed", "fullclose"),
    "metrics": ("metrics",),
    "idempotency_key": ("idempotencykey", "nonce"),
    # Often the id of a position, or of an order in a script, which an entry and its exit share.
    "reference": ("signalid",),
    "emit_time": ("timestamp", "timenow", "sourcetimestamp", "alerttimestamp", "triggeredat", "emittime"),
    # Used as emit time only if they hold a full time and no name above is sent: some senders put a day or a number there.
    "other_time": ("date", "ts", "sentat", "firedat", "alerttime", "triggertime", "createdat", "datetime"),
    "bar_time": ("time", "bartime"),
    "expires_after_s": ("expiresafters", "maxlag"),
    "expires_after_ms": ("ttlms",),
    "expire_time": ("expiresat", "expiretime"),
    "comment": ("comment", "alertmessage", "orderalertmessage", "ordercomment"),
    "tag": ("tag",),
    "mode": ("mode",),
    "test": ("test",),
    "account": ("account", "subaccount", "accountid"),
    # Not supported: an entry that asks for one of these is rejected.
    "unheld": (
        "dcaorders", "dca", "orderpriceoffset", "offset", "delay", "delayseconds", "sizebyleverage", "riskdollaramount",
        "stoplosslimitprice", "slticks", "tpticks", "stoplossticks", "takeprofitticks",
        "stoplosspips", "takeprofitpips", "slpips", "tppips", "dollarsl", "dollartp", "sloffset", "tpoffset",
        "tpcount", "disclosedquantity", "callbackratio", "callbackspread",
    ),
    # Known and without effect: if such a field asks for something, there is a warning.
    "unused": (
        "cancelorders", "cancelpolicy", "cancelordertype", "cancel", "margintype", "marginmode", "extendedhours",
        "useextendedhours", "product",
    ),
    "option": ("optiontype", "strikeprice", "strike", "expiration", "expirationdate", "expiry", "optionside"),
}  # fmt: skip
FIELD_OF = {alias: slot for slot, aliases in ALIASES.items() for alias in aliases}

# Flags whose name is an action. At most one of them may be true.
FLAGS = {
    "isbuy": "BUY", "buy": "BUY", "issell": "SELL", "sell": "SELL", "isclose": "CLOSE", "isexit": "CLOSE",
    "islong": "OPEN_LONG", "long": "OPEN_LONG", "isshort": "OPEN_SHORT", "short": "OPEN_SHORT", "cover": "CLOSE_SHORT",
}  # fmt: skip
ORDER_TYPE_FLAGS = {"ismarket": "MARKET", "islimit": "LIMIT", "isstop": "STOP"}

# Nested objects whose fields are read as if they were at the top level. The inner table has the names with another slot
# inside than outside; "" is for fields that are stored but not used.
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
# Nested objects of which only these fields are read.
PARTLY: dict[str, dict[str, str]] = {
    "metadata": {"timestamp": "emit_time"},
    "bar": {"time": "bar_time"},
    "currency": {},
    "extras": {},
    "syminfo": {},
}
DESCRIBING = ("bar", "syminfo")  # Objects whose other fields describe the chart and the instrument.
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
# Fields that are rejected whatever their value, because the webhook's configuration decides what they would change.
STEERING = frozenset(
    [
        "killswitch", "maxpositions", "dilution", "flag", "outofsync", "startbot", "stopbot", "eaon", "eaoff",
        "leveragemode", "requiremarketposition", "strategyexitblock", "ratelimit", "tradingwindow",
    ]
)  # fmt: skip
