"""A sender that sends the same key again until it is answered."""

import random
import threading
from collections import Counter

import httpx
from vantixs.testing.stack import RunningStack

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")


class Sender:
    """Sends signals from several threads until stopped; a sender that gets no answer sends the same key again."""

    def __init__(self, stack: RunningStack, seed: int, threads: int = 3, pause_s: float = 0.02) -> None:
        self._stack, self._pause_s = stack, pause_s
        self._stop = threading.Event()
        self._seed, self._random = seed, random.Random(seed)
        self._lock = threading.Lock()
        self._number = 0
        self.accepted: dict[str, str] = {}  # signal id -> key
        self.answers: Counter[str] = Counter()
        self._url = stack.url
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        with httpx.Client(timeout=5) as client:
            while not self._stop.is_set():
                with self._lock:
                    self._number += 1
                    key = f"key-{self._seed}-{self._number}"
                    action = self._random.choice(("buy", "buy", "sell"))
                    body = {"action": action, "symbol": self._random.choice(SYMBOLS), "idempotency_key": key}
                self._send(client, key, body)
                self._stop.wait(self._pause_s)

    def _send(self, client: httpx.Client, key: str, body: dict[str, str]) -> None:
        while True:
            try:
                response = client.post(self._url, json=body)
            except httpx.TransportError:
                self.answers["no answer"] += 1
                if self._stop.wait(0.1):
                    return
                continue
            with self._lock:
                self.answers[str(response.status_code)] += 1
                if response.is_success:
                    assert self.accepted.setdefault(response.json()["signal_id"], key) == key
            return

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
