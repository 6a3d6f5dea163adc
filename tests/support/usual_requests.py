"""Requests that a running system answers, made of what it recorded: hostile ones are made of them, one value at a time."""

from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.message import Message
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import ingress_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs.client import AsyncClient


async def usual_requests(client: AsyncClient, signal_ids: Sequence[str]) -> list[Message]:
    """Requests of most calls, for the account `paper`, the webhook `demo` and signals that were executed."""
    made: list[Message] = []
    for signal_id in signal_ids:
        found = await client.call(audit_pb2.GetSignalRequest(signal_id=signal_id))
        made += _of_signal([recorded.entry for recorded in found.timeline])
    account = (await client.call(risk_pb2.GetAccountRequest(account_id="paper"))).account
    webhook = (await client.call(ingress_pb2.GetWebhookRequest(webhook_id="demo"))).webhook
    instrument = (await client.call(router_pb2.ListInstrumentsRequest())).instruments[0]
    made += [
        risk_pb2.UpdateAccountRequest(account=account),
        risk_pb2.CreateAccountRequest(request_id="x", account=_changed(account, account_id="new", revision=0)),
        ingress_pb2.UpdateWebhookRequest(webhook=webhook),
        ingress_pb2.CreateWebhookRequest(request_id="y", webhook=_changed(webhook, webhook_id="new", tokens=[])),
        router_pb2.CreateInstrumentRequest(instrument=instrument),
    ]
    return [*made, *_of_signals(signal_ids[0]), *_of_market()]


def _changed(message: Any, **values: Any) -> Any:
    """A copy with other values; an empty list clears the field."""
    copy = type(message)()
    copy.CopyFrom(message)
    for name, value in values.items():
        if value == []:
            copy.ClearField(name)
        else:
            setattr(copy, name, value)
    return copy


def _of_signal(entries: Sequence[journal_pb2.JournalEntry]) -> Iterator[Message]:
    """Requests that decide a signal again, or settle its orders."""
    for entry in entries:
        if entry.HasField("signal_accepted"):
            accepted = entry.signal_accepted
            yield router_pb2.PreviewSignalRequest(accepted=accepted)
            yield router_pb2.PreviewSignalRequest(accepted=accepted, replay_id="r")
            yield router_pb2.VerifySignalRequest(accepted=accepted, entries=entries)
            yield router_pb2.VerifySignalRequest(accepted=accepted, entries=entries, webhook=accepted.webhook)
        elif entry.HasField("order_evaluated"):
            inputs = risk_pb2.DecisionInputs.FromString(entry.order_evaluated.decision.inputs)
            yield risk_pb2.VerifyDecisionRequest(inputs=inputs)
            yield risk_pb2.VerifyDecisionRequest(inputs=inputs, current=True)
            asked = _changed(inputs.request, preview=True)
            asked.quote.quote_time.GetCurrentTime()
            yield asked
            yield risk_pb2.BatchEvaluateOrdersRequest(requests=[asked, inputs.request])
            copied = risk_pb2.CreateAccountRequest(request_id="c", copy_from_account_id="paper", seed=inputs)
            copied.account.account_id = "copy"
            yield copied
        elif entry.HasField("fill_recorded"):
            fill = entry.fill_recorded.fill
            settled = risk_pb2.SettleOrderRequest(order_id=fill.order_id, fills=[fill], account_id="paper")
            yield settled
            yield risk_pb2.BatchSettleOrdersRequest(requests=[_changed(settled, instrument="BTC/USDT")])


def _of_signals(signal_id: str) -> Iterator[Message]:
    replay = audit_pb2.ReplaySignalsRequest(signal_ids=[signal_id], name="n", comment="c")
    yield _changed(replay, mode=journal_pb2.REPLAY_MODE_VERIFY)
    yield _changed(replay, mode=journal_pb2.REPLAY_MODE_PAPER)
    yield audit_pb2.ReplaySignalsRequest(filter=audit_pb2.SignalFilter(webhook_id="demo"), count_only=True)
    statistics = audit_pb2.GetStatisticsRequest()
    statistics.filter.since.GetCurrentTime()
    yield _changed(statistics, bucket=audit_pb2.STATISTICS_BUCKET_HOUR)
    until = audit_pb2.GetStatisticsRequest()
    until.filter.until.GetCurrentTime()
    yield until
    yield audit_pb2.ListSignalsRequest(page_size=1)
    yield audit_pb2.ExportSignalsRequest(timeline=True)
    yield audit_pb2.ExportSignalsRequest(payloads=True, proofs=True)
    yield audit_pb2.WatchSignalsRequest(after_sequence=1)


def _of_market() -> Iterator[Message]:
    quote = common_pb2.Quote(instrument="BTC/USDT", bid="100000", ask="100001")
    yield router_pb2.PublishQuoteRequest(quote=quote)
    yield router_pb2.PublishQuotesRequest(quotes=[quote])
    yield risk_pb2.RefreshMarksRequest(marks=[quote])
    key = {"account_id": "paper", "instrument": "BTC/USDT:USDT"}
    funding = risk_pb2.BookFundingRequest(**key, interval_s=28_800, rate_ratio="0.0001", quote=quote)
    funding.until_time.GetCurrentTime()
    yield funding
    due = risk_pb2.ListFundingDueRequest(interval_s=28_800)
    due.until_time.GetCurrentTime()
    yield due
    adjusted = risk_pb2.RecordAdjustmentRequest(request_id="a", account_id="paper", comment="c")
    adjusted.cash.asset, adjusted.cash.amount = "USDT", "1"
    yield adjusted
    yield risk_pb2.SetTradingStateRequest(scope="account:a", state=common_pb2.TRADING_STATE_ACTIVE, comment="c")
    yield router_pb2.ClosePositionRequest(account_id="paper", instrument="BTC/USDT")
    yield router_pb2.CancelOrdersRequest(account_id="paper")
    yield ingress_pb2.RotateTokenRequest(webhook_id="demo")
    yield ingress_pb2.RotateSigningSecretRequest(webhook_id="demo")
    yield ingress_pb2.CreateTokenRequest(webhook_id="demo")
    yield ingress_pb2.LintPayloadRequest(webhook_id="demo")
