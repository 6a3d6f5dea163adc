"""Every reason this system gives, once: what it means, what to do, and its HTTP status at the webhook.

Append-only. `protos/vantixs/api/common/v1/reason.proto` and `docs/reference/reasons.md` are generated from it.
"""

from typing import NamedTuple


class Reason(NamedTuple):
    """A reason: `http` is the webhook's answer, 0 where the webhook never gives it."""

    name: str
    http: int
    meaning: str
    remedy: str


_ROWS = (
    ("DUPLICATE_SIGNAL", 200, "the same key with the same content came before", "nothing: the first one counts"),
    ("DUPLICATE_SUPPRESSED", 200, "the same bytes came within the window", "send a key, or set dedupe_window_s to 0"),
    ("IDEMPOTENCY_CONFLICT", 409, "the key was used before with other content", "use a new key for a new signal"),
    ("TOKEN_INVALID", 401, "unknown webhook, or wrong or missing token", "copy the webhook's URL again, or rotate"),
    ("TOKEN_EXPIRED", 401, "the token's time is over", "rotate the token"),
    ("TOKEN_REVOKED", 401, "the token was revoked", "use the newer token"),
    ("SIGNATURE_INVALID", 401, "the signature does not fit the body", "check secret and signed content"),
    ("TIMESTAMP_OUT_OF_TOLERANCE", 401, "the signed time is too far from now", "check the sender's clock"),
    ("WEBHOOK_DISABLED", 403, "the webhook is switched off", "enable it"),
    ("SOURCE_ADDRESS_NOT_ALLOWED", 403, "the address is not in the webhook's networks", "add the network"),
    (
        "BODY_UNREADABLE",
        400,
        "not text, not strict JSON, no known text dialect, or not an object",
        "send a JSON object",
    ),
    ("FIELD_MISSING", 422, "a required field is not there", "add it"),
    ("FIELD_INVALID", 422, "a field has a value that is not allowed", "see the field's detail"),
    ("FIELD_CONFLICT", 422, "two fields contradict each other", "send one of them"),
    (
        "PLACEHOLDER_NOT_RENDERED",
        422,
        "a template placeholder arrived unfilled",
        "use a placeholder this alert type has",
    ),
    ("ACTION_UNSUPPORTED", 422, "the action is not one we know, or would raise risk", "use buy, sell, close, ..."),
    ("ACTION_NOT_ALLOWED", 422, "the webhook or token does not allow the action", "allow it on the webhook"),
    ("SYMBOL_UNSUPPORTED", 422, "the symbol is not in the catalogue", "add the instrument"),
    ("SYMBOL_AMBIGUOUS", 422, "the symbol fits several instruments", "name the quote asset"),
    ("SYMBOL_NOT_ALLOWED", 422, "the webhook or account does not allow the instrument", "allow it"),
    ("MODE_NOT_ALLOWED", 422, "the payload asks for a mode the webhook does not have", "change the webhook's mode"),
    ("OVERRIDE_NOT_ALLOWED", 422, "the payload would widen what the webhook allows", "leave the field out"),
    ("SIGNAL_EXPIRED", 422, "the signal is too old to act on", "check delays, or raise the limit"),
    ("BODY_TOO_LARGE", 413, "the body is over 64 KiB", "send less"),
    ("RATE_LIMITED", 429, "too many requests", "wait as Retry-After says"),
    ("STORAGE_UNAVAILABLE", 503, "it could not be stored, and was not", "send again; look at the disk"),
    ("METHOD_NOT_ALLOWED", 405, "the URL takes another method", "use POST"),
    ("NOT_FOUND", 404, "there is nothing at this URL", "check the URL"),
    ("REQUEST_TIMEOUT", 408, "the body did not arrive in time", "send it at once"),
    ("NOTHING_TO_CLOSE", 0, "the position is flat, or not on that side", "nothing"),
    ("NOTHING_TO_ADD_TO", 0, "there is no position to add to", "open one first"),
    ("NOTHING_TO_CANCEL", 0, "no order rests", "nothing"),
    ("RISK_UNAVAILABLE", 0, "risk did not answer before the signal expired", "look at the risk service"),
    ("ACCOUNT_NOT_FOUND", 0, "the account does not exist", "create it, or change the webhook"),
    ("TRADING_HALTED", 0, "trading is halted in this scope", "resume it when it is safe"),
    ("TRADING_REDUCING", 0, "only exits are allowed in this scope", "resume it when it is safe"),
    ("ACCOUNT_DISABLED", 0, "the account is switched off for entries", "enable it"),
    ("LIVE_NOT_READY", 0, "the account may not trade live", "see CheckLiveReadiness"),
    ("ORDER_QUANTITY_BELOW_MINIMUM", 0, "less than the lot or the account's minimum", "raise the size"),
    ("ORDER_QUANTITY_ABOVE_MAXIMUM", 0, "more than the account's maximum", "lower the size or raise the limit"),
    ("ORDER_NOTIONAL_BELOW_MINIMUM", 0, "less than the instrument's or account's minimum", "raise the size"),
    ("ORDER_NOTIONAL_ABOVE_MAXIMUM", 0, "more than the account's maximum", "lower the size or raise the limit"),
    ("POSITION_NOTIONAL_ABOVE_MAXIMUM", 0, "the position would be too large", "close some, or raise the limit"),
    ("GROSS_EXPOSURE_ABOVE_MAXIMUM", 0, "all positions together would be too large", "close some, or raise the limit"),
    ("OPEN_POSITIONS_ABOVE_MAXIMUM", 0, "too many positions would be open", "close one, or raise the limit"),
    ("LEVERAGE_ABOVE_MAXIMUM", 0, "exposure over equity would be too high", "lower the size or raise the limit"),
    ("INSUFFICIENT_FUNDS", 0, "the account does not have the amount", "lower the size or add funds"),
    ("DAILY_LOSS_LIMIT_REACHED", 0, "the day's loss is at its limit", "wait for the next day"),
    ("DRAWDOWN_LIMIT_REACHED", 0, "the fall from the peak is at its limit", "review, then resume"),
    ("LOSS_COOLDOWN_ACTIVE", 0, "a loss was taken a moment ago", "wait"),
    ("ORDER_RATE_EXCEEDED", 0, "too many orders a minute", "wait"),
    ("PRICE_DEVIATION_EXCEEDED", 0, "the signal's price is too far from the market", "check the symbol and delays"),
    ("PRICE_STALE", 0, "there is no quote young enough", "look at the quote source"),
    ("DUPLICATE_ORDER", 0, "the same order was placed a moment ago", "wait, or send another"),
    ("OUTSIDE_TRADING_WINDOW", 0, "entries are not allowed at this time", "wait for the window"),
    ("SHORT_NOT_ALLOWED", 0, "the account may not be short", "allow it on the account"),
    ("SIZING_UNAVAILABLE", 0, "the sizing lacks an input", "give the webhook or account a sizing that works"),
    ("ORDER_TYPE_UNSUPPORTED", 0, "the venue does not take this type of order", "send a market order"),
    ("STRATEGY_UNAVAILABLE", 0, "the strategy is missing, off, or not built", "use DIRECT, or mend the strategy"),
    ("VENUE_REJECTED", 0, "the venue refused the order", "see the detail"),
    ("VENUE_OUTCOME_UNKNOWN", 0, "the venue's answer is not known", "wait for reconciliation"),
    ("NOT_IMPLEMENTED", 0, "this call is not built yet", "see the changelog"),
    ("DEADLINE_REQUIRED", 0, "the call has no deadline", "set one"),
    ("ROLE_INSUFFICIENT", 0, "the token may not call this", "use a token of the role named"),
    ("REVISION_CONFLICT", 0, "somebody else changed it", "read it again, then change it"),
    ("STORAGE_BUSY", 0, "too much is queued", "try again"),
    ("STORAGE_OUTCOME_UNKNOWN", 0, "the connection was lost during the commit", "repeat the call: it is idempotent"),
    ("JOURNAL_UNAVAILABLE", 0, "NATS cannot be reached", "look at nats-server"),
    ("REQUEST_ID_REUSED", 0, "the request_id was used for another request", "make a new one"),
    ("WEBHOOK_NOT_FOUND", 0, "the webhook does not exist", "check the id"),
    ("WEBHOOK_ALREADY_EXISTS", 0, "the webhook's id is taken", "choose another"),
    ("ACCOUNT_ALREADY_EXISTS", 0, "the account's id is taken", "choose another"),
    ("SIGNAL_NOT_FOUND", 0, "the signal is not in history", "check the id; it may be on its way"),
    ("ORDER_NOT_FOUND", 0, "the order does not exist", "check the id"),
    ("REPLAY_NOT_FOUND", 0, "the replay does not exist", "check the id"),
    ("TOKEN_NOT_FOUND", 0, "the webhook has no such token", "check the id"),
    ("INSTRUMENT_NOT_FOUND", 0, "the instrument is not in the catalogue", "check the name"),
    ("INTERNAL", 500, "a fault of ours", "look at the service's log"),
    ("POSITION_CHANGED", 0, "the position was not the one assumed", "nothing: the intent is derived again"),
    ("MESSAGE_UNREADABLE", 0, "a journal message could not be read", "see the dead letter"),
    ("REQUEST_MALFORMED", 400, "not a readable HTTP/1.1 request", "check what sends it"),
    ("HEADERS_TOO_LARGE", 431, "the headers are over 16 KiB or 100", "send less"),
    ("OVERLOADED", 503, "every connection is in use", "send again"),
    ("SECRET_NOT_FOUND", 0, "the webhook has no such signing secret", "check the id"),
)
REASONS: dict[str, Reason] = {row[0]: Reason(*row) for row in _ROWS}
