"""Two strategies share an account and an instrument, through their URLs and to the end."""

from vantixs.testing.stack import RunningStack


def test_exits_of_two_webhooks_close_what_each_of_them_opened(stack: RunningStack) -> None:
    stack.json("account", "create", "shared", "--balance", "1000000")
    flags = ("--position-owner", "webhook", "--sizing-method", "signal_quantity", "--dedupe-window-s", "0")
    urls = {}
    for name in ("one", "other"):
        made = stack.json("webhook", "create", "--account", "shared", "--webhook-id", name, *flags)
        assert made["webhook"]["position_owner"] == "POSITION_OWNER_WEBHOOK"
        urls[name] = f"{stack.endpoints['http']}/hooks/{name}/{made['token']}"

    def send(name: str, **fields: str) -> tuple[str, str, str]:
        response = stack.send({"symbol": "BTCUSDT", **fields}, urls[name])
        assert response.is_success, response.text
        signal_id = response.json()["signal_id"]
        signal = stack.ended([signal_id])[signal_id]
        return signal["status"].removeprefix("SIGNAL_STATUS_"), signal.get("reason", ""), position(stack)

    assert send("one", action="buy", quantity="0.01") == ("EXECUTED", "", "0.01")
    assert send("other", action="buy", quantity="0.02") == ("EXECUTED", "", "0.03")
    assert send("other", action="close") == ("EXECUTED", "", "0.01")
    assert send("other", action="close") == ("REJECTED", "NOTHING_TO_CLOSE", "0.01")
    assert send("other", action="buy", quantity="0.02") == ("EXECUTED", "", "0.03")
    assert send("one", action="close") == ("EXECUTED", "", "0.02")
    # One that is to act on all of the account does, from its next signal on; what is owned stays owned.
    stack.json("webhook", "update", "one", "--position-owner", "account")
    assert send("one", action="close") == ("REJECTED", "NOTHING_TO_CLOSE", "0.02")
    stack.json("position", "close", "--account", "shared", "--instrument", "BTC/USDT", "--reason", "test")


def position(stack: RunningStack) -> str:
    """What the account holds."""
    listed = stack.json("account", "positions", "shared").get("positions", [])
    return next((held["quantity"] for held in listed if held["instrument"] == "BTC/USDT"), "0")
