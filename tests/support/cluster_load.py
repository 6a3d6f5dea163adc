"""Signals for a cluster, through what the guide asks of a load balancer."""

import re
import threading
import time
import zlib
from collections import Counter

import httpx

from tests.support.cluster import Cluster, blocks

SYMBOLS = tuple(
    f"{base}USDT" for base in ["BTC", "ETH", "SOL", "BNB", "XRP", "ADA", "DOGE", "AVAX", "LINK", "DOT", "LTC", "ATOM"]
)


class Balancer:
    """What the guide asks of a load balancer: a webhook's path has one ingress while that is ready, by /readyz every second."""

    def __init__(self, cluster: Cluster) -> None:
        (proxy,) = blocks("haproxy")
        self._check = re.search(r"option httpchk GET (\S+)", proxy)[1]  # type: ignore[index]
        names = re.findall(r"^  server (\S+) \1:8080$", proxy, re.MULTILINE)
        self._machines = {name: cluster.services[name] for name in names if name in cluster.services}
        self._ways = {name: cluster._inbound(machine, 8080) for name, machine in self._machines.items()}
        self.up = dict.fromkeys(self._machines, True)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        down = Counter[str]()
        with httpx.Client(timeout=1, trust_env=False) as client:
            while not self._stop.wait(1):
                for name in self._machines:
                    try:
                        ready = client.get(self._target(name) + self._check).status_code == 200
                    except httpx.HTTPError:
                        ready = False
                    down[name] = 0 if ready else down[name] + 1
                    self.up[name] = down[name] < 2

    def _target(self, name: str) -> str:
        """Its wire; where it was killed its own port, which refuses connections as a wire to it does not."""
        machine = self._machines[name]
        return f"http://127.0.0.1:{machine.ports[8080] if machine.process is None else self._ways[name]}"

    def post(self, client: httpx.Client, path: str, body: dict[str, str]) -> tuple[str, httpx.Response | None]:
        """The ingress that it went to, and its answer: None where there was none."""
        order = sorted(self._machines, key=lambda name: zlib.crc32(f"{name} {path}".encode()))
        usable = [name for name in order if self.up[name]] or order
        for name in usable:
            try:
                return name, client.post(self._target(name) + path, json=body, headers={"X-Forwarded-For": "192.0.2.7"})
            except httpx.ConnectError:
                continue
            except httpx.TransportError:
                return name, None
        return usable[-1], None

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


class Load:
    """Signals at a rate through the balancer, each webhook's in turn for every instrument, in and out; who gets no answer, or a 5xx, sends the same key again."""

    def __init__(self, cluster: Cluster, balancer: Balancer, webhooks: dict[str, str], *, per_second: float) -> None:
        self._balancer = balancer
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._pause = len(webhooks) / per_second
        self.accepted: dict[str, str] = {}  # Signal id by key; the last one that was answered.
        self.answers: Counter[tuple[str, str]] = Counter()
        self._threads = [threading.Thread(target=self._run, args=item) for item in webhooks.items()]
        for thread in self._threads:
            thread.start()

    def _run(self, name: str, path: str) -> None:
        number = 0
        due = time.monotonic()
        with httpx.Client(timeout=5, trust_env=False) as client:
            while not self._stop.is_set():
                turn, at = divmod(number, len(SYMBOLS))
                action = "sell" if turn % 2 else "buy"
                body = {"action": action, "symbol": SYMBOLS[at], "idempotency_key": f"{name}-{number}"}
                number += 1
                while not self._send(client, path, body) and not self._stop.wait(0.3):
                    pass
                # Who was held up does not send all that was missed at once.
                due = max(due + self._pause, time.monotonic() - self._pause)
                self._stop.wait(max(0.0, due - time.monotonic()))

    def _send(self, client: httpx.Client, path: str, body: dict[str, str]) -> bool:
        name, response = self._balancer.post(client, path, body)
        with self._lock:
            self.answers[name, str(response.status_code) if response else "no answer"] += 1
            if response is not None and response.is_success:
                self.accepted[body["idempotency_key"]] = response.json()["signal_id"]
                return True
        assert response is None or response.status_code >= 500, response.text
        return False

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
