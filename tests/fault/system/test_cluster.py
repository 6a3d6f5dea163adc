"""The cluster of docs/operations.md, put up by the guide's own commands, while each part of it fails under load."""

import itertools
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from tests.support.cluster import GUIDE, Cluster, Machine, until
from tests.support.cluster_load import Balancer, Load

INGRESS, ROUTERS, RISKS, AUDITS = 2, 3, 2, 2
NAMES = tuple(
    f"{service}-{number}"
    for service, count in (("ingress", INGRESS), ("router", ROUTERS), ("risk", RISKS), ("audit", AUDITS))
    for number in range(1, count + 1)
)
FAULT_S, STALL_S, END_S = 6.0, 12.0, 120.0
PER_SECOND = float(os.environ.get("CLUSTER_RATE", "50"))
WEBHOOKS = 8  # Each on an account of its own: with twelve instruments about a hundred keys.

pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]


class Fault(NamedTuple):
    """What is done to the cluster, and how it is taken back; 5xx of `culprit` are its own."""

    name: str
    begin: Callable[[], object]
    end: Callable[[], object]
    culprit: str = ""
    lasts_s: float = FAULT_S


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("c"), NAMES)
    try:
        yield made.start()
    finally:
        codes = made.stop()
    assert {name: code for name, code in codes.items() if code} == {}


@pytest.fixture(scope="module")
def webhooks(cluster: Cluster) -> dict[str, str]:
    """The paths of webhooks, so many that both ingress have some; the guide's last steps have run before."""
    _, _, after = GUIDE.partition("**6. Services**")
    first, *others = re.findall(r"^```sh\n(.*?)^```", after, re.DOTALL | re.MULTILINE)
    until(cluster.healthy, "the cluster to be healthy", 120)
    said = cluster.run(first)
    assert "account paper and webhook demo are ready" in said
    for name in NAMES:
        assert name.rpartition("-")[0] in said
    assert "https://hooks.example.com/hooks/demo/vxt_" in said
    for block in others:
        assert "is complete" in cluster.run(block)
    paths = {}
    for name in (f"webhook-{number}" for number in range(WEBHOOKS)):
        account = cluster.command("account", "create", name)
        assert account.returncode == 0, account.stderr
        made = cluster.command("webhook", "create", "--account", name, "--webhook-id", name, "--json")
        assert made.returncode == 0, made.stderr
        token = re.search(r"vxt_[A-Za-z0-9_-]+", made.stdout)
        assert token
        paths[name] = f"/hooks/{name}/{token[0]}"
    return paths


def executed(cluster: Cluster) -> int:
    return int(cluster.query("SELECT count(*) FROM audit.signals WHERE status = 'EXECUTED'")[0][0])


def waiting(cluster: Cluster, load: Load) -> set[str]:
    """What was accepted and has not come to its end, as far as history knows."""
    ended = {row[0] for row in cluster.query("SELECT signal_id FROM audit.signals WHERE status <> 'ACCEPTED'")}
    return set(load.accepted.copy().values()) - ended


def doubled(cluster: Cluster) -> int:
    """Signals with two orders, or with two ends."""
    text = (
        "SELECT count(*) FROM (SELECT signal_id FROM audit.entries WHERE kind IN ('order_submitted', 'signal_completed') "
        "GROUP BY signal_id, kind HAVING count(*) > 1) AS more"
    )
    return int(cluster.query(text)[0][0])


def stall(cluster: Cluster, begin_us: int, end_us: int) -> float:
    """The longest time in which no signal came to its end, in seconds."""
    text = (
        "SELECT event_time FROM audit.entries WHERE kind = 'signal_completed' AND event_time BETWEEN %s AND %s "
        "ORDER BY event_time"
    )
    times = [begin_us, *(int(row[0]) for row in cluster.query(text, begin_us, end_us)), end_us]
    return max(later - sooner for sooner, later in itertools.pairwise(times)) / 1e6


def faults(cluster: Cluster) -> Iterator[Fault]:
    for name, node in cluster.nodes.items():
        yield Fault(f"kill {name}", node.kill, node.start)
        yield Fault(f"freeze {name}", lambda n=node: n.signal(signal.SIGSTOP), lambda n=node: n.signal(signal.SIGCONT))
    leading: list[Machine] = []

    def kill_leader() -> None:
        leading.append(cluster.leader())
        leading[-1].kill()

    def freeze_leader() -> None:
        leading.append(cluster.leader())
        leading[-1].signal(signal.SIGSTOP)

    def revive() -> None:
        leading[-1].start()

    yield Fault("kill the journal's leader", kill_leader, revive)
    yield Fault("freeze the journal's leader", freeze_leader, lambda: leading[-1].signal(signal.SIGCONT))
    yield Fault("restart PostgreSQL", cluster.postgres.halt, cluster.postgres.resume, lasts_s=1.0)
    yield Fault("kill PostgreSQL", cluster.kill_postgres, cluster.postgres.resume, lasts_s=1.0)
    yield Fault("black hole to PostgreSQL", cluster.cut_database, cluster.mend_database)
    for name, machine in cluster.services.items():
        yield Fault(f"kill {name}", machine.kill, machine.start, name)
        freeze, thaw = (lambda n=machine, s=s: n.signal(s) for s in (signal.SIGSTOP, signal.SIGCONT))
        yield Fault(f"freeze {name}", freeze, thaw, name)
        yield Fault(f"cut off {name}", machine.cut, machine.mend, name)


def test_every_signal_is_executed_once_while_any_one_part_fails(cluster: Cluster, webhooks: dict[str, str]) -> None:
    balancer = Balancer(cluster)
    load = Load(cluster, balancer, webhooks, per_second=PER_SECOND)
    problems: list[str] = []
    print(
        f"\n{'fault':<30} {'stall s':>7} {'sent':>5} {'5xx':>4} {'no answer':>9} {'waiting':>7} {'doubled':>7}  status meanwhile"
    )
    try:
        for fault in [Fault("none", lambda: None, lambda: None), *faults(cluster)]:
            if not re.search(os.environ.get("CLUSTER_FAULTS", ""), fault.name):
                continue
            sent, answers, before_it = len(load.accepted), load.answers.copy(), cluster.ended()
            begin = time.time()
            fault.begin()
            time.sleep(fault.lasts_s / 2)  # How long the fault lasts is what is tested.
            shown = cluster.failing()
            time.sleep(max(0.0, fault.lasts_s - (time.time() - begin)))
            fault.end()
            until(cluster.healthy, f"the cluster to be healthy after: {fault.name}", 60)
            before = len(load.accepted)
            until(lambda n=before: len(load.accepted) > n + 20, "signals to flow again", 30)
            end = time.time()
            until(
                lambda e=end: cluster.query(
                    "SELECT 1 FROM audit.entries WHERE kind = 'signal_completed' AND event_time > %s LIMIT 1",
                    int(e * 1e6),
                ),
                "signals to end",
                60,
            )
            longest = stall(cluster, int(begin * 1e6), int(end * 1e6))
            answered = load.answers - answers
            errors = Counter({name: n for (name, code), n in answered.items() if code.startswith("5")})
            silent = sum(n for (_, code), n in answered.items() if code == "no answer")
            others = sum(n for name, n in errors.items() if name != fault.culprit)
            more = doubled(cluster)
            ended = {name: codes for name, codes in cluster.ended().items() if codes != before_it.get(name)}
            shown += [f"ended by itself: {ended}"] if ended else []
            print(
                f"{fault.name:<30} {longest:>7.1f} {len(load.accepted) - sent:>5} {errors.total():>4} {silent:>9} {len(waiting(cluster, load)):>7} {more:>7}  {'; '.join(shown)}",
                flush=True,
            )
            if longest > STALL_S:
                problems.append(f"{fault.name}: nothing ended for {longest:.1f} s")
            if others:
                problems.append(f"{fault.name}: {dict(errors)} x 5xx")
            if more:
                problems.append(f"{fault.name}: {more} doubled")
    finally:
        load.stop()
        balancer.stop()
    print(f"{len(waiting(cluster, load))} signals have not ended; waiting for them")
    try:
        until(lambda: not waiting(cluster, load), "every signal to end", END_S)
    except AssertionError:
        lost = waiting(cluster, load)
        problems.append(f"{len(lost)} lost, such as {sorted(lost)[:3]}")
    left = Counter(row[0] for row in cluster.query("SELECT status || ' ' || reason FROM audit.signals"))
    print(f"accepted {len(load.accepted)} keys; ends: {dict(left)}")
    assert problems == []
    # A key that was sent again, to the other ingress as well, has come to one end by one of its signals. What an ingress had
    # accepted when it failed, or waited while PostgreSQL was away, may be overtaken by the next signal of its key.
    overtaken = sum(left[f"REJECTED {reason}"] for reason in ("NOTHING_TO_CLOSE", "SIGNAL_SUPERSEDED"))
    assert executed(cluster) + overtaken == len(load.accepted)
    assert overtaken <= len(load.accepted) / 200
