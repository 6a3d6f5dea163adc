"""The words that senders use as values, folded, and the canonical value of each."""

import re
from collections.abc import Mapping

from vantixs_ingress.domain.payload.vocabulary import fold


def _table(rows: Mapping[str, str]) -> dict[str, str]:
    return {word: value for value, words in rows.items() for word in words.split()}


OPEN, NEUTRAL, PERCENT = "OPEN", "NEUTRAL", "PERCENT"
# OPEN needs a side in another field. NEUTRAL words say that there is an order, but not which action.
ACTIONS = _table(
    {
        "BUY": "buy",
        "SELL": "sell",
        "OPEN_LONG": "long bull bullish enterlong entrylong longentry bullentry openlong golong bto buytoopen positiontypebuy",
        "OPEN_SHORT": "short bear bearish entershort entryshort shortentry bearentry openshort goshort sto selltoopen"
        " sellshort positiontypesell",
        "CLOSE": "close exit flat flatten exitall closeall closeposition closepositions closetrade flattenall"
        " flatteneverything closeatmarketprice stoploss sl takeprofit tp tp1 tp2 tp3 tp4 tp5 tp6 tp7 tp8 tp9"
        " takeprofit1 takeprofit2 takeprofit3",
        "CLOSE_LONG": "exitlong closelong longexit longclose stc selltoclose closebuy bullexit exitbull",
        "CLOSE_SHORT": "exitshort closeshort shortexit shortclose cover btc buytoclose buytocover closesell bearexit exitbear",
        "CANCEL": "cancel cancelall cancelorder cancelorders cancelallorders cancellong cancelshort",
        "ADD": "add increase scalein",
        "REDUCE": "reduce decrease scaleout reducelong reduceshort partialclose closepartial",
        "REVERSE": "reverse swing reverseposition",
        OPEN: "open enter entry openposition",
        NEUTRAL: "place placeorder neworder order trade alert signal",
    }
)
# The side of the position in a word whose action does not contain it.
ABOUT = {"reducelong": "LONG", "reduceshort": "SHORT"}
# Words that are rejected: they start, stop or change strategies, or change resting orders.
_REFUSED = re.compile(
    r"^(start|stop(bot|trading|and)|resume|unpause|pause|enable|disable|activate|killswitch|eaon|eaoff|restart"
    r"|breakeven|be$|modify|move|change|update|cancelreplace|replace|newsltp|trail|deposit|withdraw|transfer)"
)
POSITIONS = _table(
    {"LONG": "long bullish bull buy", "SHORT": "short bearish bear sell", "FLAT": "flat none neutral closed"}
)
QUANTITY_TYPES = _table(
    {
        "UNITS": "fixed fixedquantity absolute base units contract contracts quantity",
        "NOTIONAL": "quote dollaramount notional margin usd usdt cash",
        # In percent of equity for an entry, of the position for an exit.
        PERCENT: "percent percents percentage pct",
        "EQUITY_PERCENT": "percentagebalance percentageinvestment percentofequity"
        " equitypercent marginpercent percentbalance balancepercent",
        "RISK_PERCENT": "risk riskpercent",
        "POSITION_PERCENT": "percentofposition positionpercent percentageposition",
    }
)
ORDER_TYPES = _table(
    {
        "MARKET": "market mkt marketorder",
        "LIMIT": "limit lmt limitorder",
        "STOP": "stop stp stopmarket slm",
        "STOP_LIMIT": "stoplimit stoplmt stplmt sl",
        "TRAILING_STOP": "trailingstop trailingstopmarket trailingstoporder trailing trailingmarket trailstop",
    }
)
# Post-only, as an order type or a time in force.
POST_ONLY_WORDS = frozenset(("postonly", "limitmaker", "gtx"))
# Order types that wait for a price, if a side and a price are sent too. "" is for types that are not supported.
# Source: Kraken's and Binance's order types.
WAITING_ORDERS = _table({"STOP": "stoploss stoplossmarket", "STOP_LIMIT": "stoplosslimit"}) | dict.fromkeys(
    ("takeprofit", "takeprofitmarket", "takeprofitlimit", "trailingstoplimit"), ""
)
TIMES_IN_FORCE = _table(
    {
        "GTC": "gtc goodtillcancel goodtillcanceled goodtillcancelled",
        "IOC": "ioc immediateorcancel",
        "FOK": "fok fillorkill",
        "DAY": "day",
        "GTD": "gtd goodtilldate goodtildate goodtilltime",
    }
)
LEVEL_KINDS = _table(
    {"price": "price absolute fixed stop limit", "percent": "percent percentage pct", "amount": "amount distance"}
)
INSTRUMENT_KINDS = _table(
    {"LINEAR_PERPETUAL": "linearperpetual linear swap perp perpetual futures future", "SPOT": "spot"}
)
EXITS = frozenset(("CLOSE", "CLOSE_LONG", "CLOSE_SHORT", "REDUCE", "CANCEL"))


def folded_word(word: str) -> str:
    """The word as the tables contain it; "" if it does not begin with a letter or digit, so that a sign is not ignored."""
    stripped = word.strip()
    return fold(stripped) if stripped[:1].isalnum() else ""


def action_of(word: str) -> str:
    """The action of a word, OPEN, NEUTRAL, or "" for none."""
    return ACTIONS.get(folded_word(word).removeprefix("strategy."), "")


def is_refused(word: str) -> bool:
    """Whether a word is a known verb that no signal may use, not just an unknown word."""
    return bool(_REFUSED.match(fold(word.strip())[:64]))
