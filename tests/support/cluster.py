"""The cluster of docs/operations.md on loopback: every machine is a directory, and what the guide says is what is run.

Each service is a process of its own with a home of its own. What it calls, and what calls it, goes through proxies of its own,
so that it can be cut off.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import psycopg
from vantixs.runtime.addresses import port_of, reserve_port
from vantixs.testing.certificates import Authority
from vantixs.testing.postgres import PostgresServer
from vantixs.testing.stack import COMMANDS, wait_for

from tests.support.paths import ROOT
from tests.support.wires import Wire, Wires

BIN = Path(sys.executable).parent
GUIDE = (ROOT / "docs" / "operations.md").read_text().partition("\n## A cluster\n")[2]
NODES = ("nats-1", "nats-2", "nats-3")
SRV, ETC = "/srv/vantixs", "/etc/vantixs"


def blocks(language: str) -> list[str]:
    """The guide's blocks in a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)


def exec_line(word: str) -> list[str]:
    """What the guide has the init system start."""
    (line,) = [
        line for block in blocks("ini") for line in re.findall(r"^ExecStart=(.*)$", block, re.MULTILINE) if word in line
    ]
    return line.split()


class Machine:
    """A directory that stands for a machine, and the process that runs on it."""

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self.service = name.rpartition("-")[0]
        self.root = root / name
        self.srv, self.etc = self.root / "srv/vantixs", self.root / "etc/vantixs"
        for directory in (self.srv, self.etc):
            directory.mkdir(parents=True)
        self.ports: dict[int, int] = {}
        self.proxies: list[Wire] = []
        self.inbound: dict[int, Wire] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.ended: list[int] = []  # Codes with which it ended by itself, and was started again.
        self._held: list[Any] = []

    def listen(self, *ports: int) -> None:
        """Takes a port on loopback for each that the machine listens on."""
        for port in ports:
            self._held.append(reserve_port())
            self.ports[port] = port_of(self._held[-1])

    def start(self) -> None:
        if self.service == "nats":
            command, cwd = (
                [str(BIN / part) if part == "nats-server" else part for part in exec_line("nats-server")],
                self.etc,
            )
            environ = {"VANTIXS_NATS_NAME": self.name}
        else:
            command = [str(BIN / "vantixs"), *exec_line("vantixs serve")[1:-1], self.service]
            cwd = self.root
            environ = {"VANTIXS_HOME": str(self.srv), "VANTIXS_INSTANCE": self.name.rpartition("-")[2]}
        with (self.root / "log").open("ab") as log:
            own = {"PATH": os.environ["PATH"], **environ}
            self.process = subprocess.Popen(command, cwd=cwd, env=own, stdout=log, stderr=log)

    def signal(self, number: int) -> None:
        assert self.process
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """kill -9; it stays away until it is started."""
        killed, self.process = self.process, None
        assert killed
        killed.kill()
        killed.wait()

    def keep(self) -> None:
        """What the guide's `Restart=always` is."""
        process = self.process
        if process and (code := process.poll()) is not None:
            self.ended.append(code)
            self.start()

    def cut(self) -> None:
        """Nothing goes to it or from it any more, and nobody is told."""
        for proxy in (*self.proxies, *self.inbound.values()):
            proxy.cut()

    def mend(self) -> None:
        for proxy in (*self.proxies, *self.inbound.values()):
            proxy.mend()

    def stop(self) -> int:
        process = self.process
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
                return -signal.SIGKILL
        return int(process.returncode)

    def close(self) -> None:
        for proxy in (*self.proxies, *self.inbound.values()):
            proxy.stop()
        for held in self._held:
            held.close()

    def log(self) -> str:
        return (self.root / "log").read_text(errors="replace")


class Cluster:
    """Machines by name, made by the guide's steps."""

    def __init__(self, root: Path, names: tuple[str, ...]) -> None:
        self.root = root
        self.postgres = PostgresServer(root / "postgres")
        self._socket = self._socket_directory()
        self._wires = Wires()
        self._stopping = threading.Event()
        self._keeping: threading.Thread | None = None
        self.machines = {name: Machine(root, name) for name in ("admin", "db", *NODES, *names)}
        self.services = {name: self.machines[name] for name in names}
        self.nodes = {name: self.machines[name] for name in NODES}
        for node in self.nodes.values():
            node.listen(4222, 6222, 8222)
        for machine in self.services.values():
            machine.listen(*((7000, 8080) if machine.service == "ingress" else (7000,)))
        self._stubs()
        self._certificates()
        self._run_guide()
        for machine in self.machines.values():
            if machine.name == "admin" or machine in self.services.values():
                self._settle(machine)

    def _socket_directory(self) -> str:
        with psycopg.connect(self.postgres._server.get_uri()) as connection:
            return connection.info.host

    def _stubs(self) -> None:
        """What the guide calls on other machines: `ssh`, `scp` and `psql`, by directories and the server's socket."""
        stubs = self.root / "bin"
        stubs.mkdir()
        here = self.root / "admin"
        psql = next(Path(self.postgres._server.bin_path).glob("psql"))
        place = f'sed "s|{here}|{self.root}/$machine|g"'
        scripts = {
            "ssh": f'machine=$1; shift; exec /bin/bash -ec "$({place} <<< "$*")"',
            "scp": f'machine=${{2%%:*}}; exec cp "$1" "$({place} <<< "${{2#*:}}")"',
            "psql": f"exec {psql} -q -h {self._socket} -U postgres -v ON_ERROR_STOP=1 postgres",
        }
        for name, text in scripts.items():
            (stubs / name).write_text(f"#!/bin/bash\n{text}\n")
            (stubs / name).chmod(0o755)

    def _certificates(self) -> None:
        self.authority = Authority(self.root / "ca")
        for machine in self.machines.values():
            made = self.authority.issue(machine.name, machine.name, "127.0.0.1")
            (machine.etc / "ca.pem").write_bytes(self.authority.file.read_bytes())
            (machine.etc / "cert.pem").write_bytes(made.certificate.read_bytes())
            (machine.etc / "key.pem").write_bytes(made.key.read_bytes())

    def _run_guide(self) -> None:
        """The steps before anything runs, with the machines that there are."""
        admin = self.machines["admin"]
        (settings,) = blocks("toml")
        (admin.root / "settings.toml").write_text(settings)
        before, _, _ = GUIDE.partition("**6. Services**")
        for script in re.findall(r"^```sh\n(.*?)^```", before, re.DOTALL | re.MULTILINE):
            self.run(script)

    def run(self, script: str) -> str:
        """A block of the guide, on `admin`."""
        admin = self.machines["admin"]
        there = re.compile(r"\b(ingress|router|risk|audit)-\d\b")
        script = there.sub(lambda m: m[0] if m[0] in self.services else "", script)
        script = script.replace(SRV, str(admin.srv)).replace(ETC, str(admin.etc))
        script = script.replace("deploy/", f"{ROOT}/deploy/")
        path = f"{self.root / 'bin'}:{BIN}:{os.environ['PATH']}"
        done = subprocess.run(
            ["/bin/bash"],
            input="set -eo pipefail\n" + script,
            cwd=admin.root,
            env={"PATH": path, "HOME": str(self.root), "GRPC_VERBOSITY": "NONE"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        assert done.stderr == "", f"{script}\n{done.stderr}"
        return done.stdout

    def _settle(self, machine: Machine) -> None:
        """Names and ports of the guide become ports on loopback: proxies that are the machine's own, as it listens itself."""
        file = machine.srv / "settings.toml"
        text = file.read_text().replace(SRV, str(machine.srv)).replace(ETC, str(machine.etc))
        for name, node in self.nodes.items():
            text = text.replace(f"{name}:4222", self._way(machine, node.ports[4222]))
        text = text.replace("db:5432", self._way(machine, Path(self._socket, ".s.PGSQL.5432")))
        # The server of the wheel was built without TLS; tests/integration/runtime/test_tls.py has PostgreSQL with it.
        text = re.sub(r"&sslmode=verify-full&sslrootcert=[^\"]*", "", text)
        for service in ("ingress", "router", "risk", "audit"):
            lines = [f"127.0.0.1:{self._inbound(m, 7000)}" for m in self.services.values() if m.service == service]
            text = re.sub(
                rf'^{service}_addresses = ".*"$', f'{service}_addresses = "{",".join(lines)}"', text, flags=re.MULTILINE
            )
        for port in (7000, 8080):
            text = text.replace(f"0.0.0.0:{port}", f"127.0.0.1:{machine.ports.get(port, 0)}")
        text = text.replace("10.0.0.10/32", "127.0.0.1/32")
        file.write_text(text)

    def _way(self, machine: Machine, target: int | Path) -> str:
        if machine.name == "admin" and isinstance(target, int):
            return f"127.0.0.1:{target}"
        machine.proxies.append(Wire(self._wires, target))
        return f"127.0.0.1:{machine.proxies[-1].port}"

    def _inbound(self, machine: Machine, port: int) -> int:
        if port not in machine.inbound:
            machine.inbound[port] = Wire(self._wires, machine.ports[port])
        return machine.inbound[port].port

    def start(self) -> "Cluster":
        for node in self.nodes.values():
            text = (node.etc / "nats.conf").read_text().replace(SRV, str(node.srv))
            for port, own in node.ports.items():
                text = re.sub(rf'"[\d.]+:{port}"', f'"127.0.0.1:{own}"', text)
            (node.etc / "nats.conf").write_text(text)
            routes = (node.etc / "routes.conf").read_text()
            for name, other in self.nodes.items():
                routes = routes.replace(f"{name}:6222", f"127.0.0.1:{other.ports[6222]}")
            (node.etc / "routes.conf").write_text(routes)
            node.start()
        for machine in self.services.values():
            machine.start()
        self._keeping = threading.Thread(target=self._keep, daemon=True)
        self._keeping.start()
        return self

    def _keep(self) -> None:
        while not self._stopping.wait(1):
            for machine in (*self.nodes.values(), *self.services.values()):
                machine.keep()

    def ended(self) -> dict[str, list[int]]:
        """Who ended by itself, with which codes."""
        return {name: machine.ended.copy() for name, machine in self.machines.items() if machine.ended}

    @property
    def environ(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "VANTIXS_HOME": str(self.machines["admin"].srv)}

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return COMMANDS.run(arguments, self.environ)

    def failing(self) -> list[str]:
        """What `vantixs status` says of every process that is not well."""
        done = self.command("status", "--json")
        if not done.stdout:
            return [done.stderr.strip()]
        return [
            f"{i['service']} {i['state']}{' ' + '+'.join(i['failing']) if i['failing'] else ''}"
            for i in json.loads(done.stdout)["instances"]
            if i["state"] != "SERVING" or i["failing"]
        ]

    def healthy(self) -> bool:
        return self.command("status", "--json").returncode == 0

    def leader(self) -> Machine:
        """The node that leads the journal's stream."""
        for node in self.nodes.values():
            if node.process is None or node.process.poll() is not None:
                continue
            url = f"http://127.0.0.1:{node.ports[8222]}/jsz?streams=1&accounts=1"
            with urllib.request.urlopen(url, timeout=5) as answer:
                for account in json.load(answer)["account_details"]:
                    for stream in account["stream_detail"]:
                        if stream["name"].startswith("VANTIXS_JOURNAL") and stream["cluster"].get("leader"):
                            return self.machines[stream["cluster"]["leader"]]
        raise AssertionError("no node knows the stream's leader")

    def query(self, text: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Rows of the cluster's database."""
        with psycopg.connect(host=self._socket, user="postgres", dbname="vantixs", autocommit=True) as connection:
            return connection.execute(text.encode(), parameters).fetchall()

    def kill_postgres(self) -> None:
        """kill -9 of the whole server, as at a loss of power."""
        server = psutil.Process(self.postgres._server.get_pid())
        every = [server, *server.children(recursive=True)]
        for process in every:
            process.kill()
        psutil.wait_procs(every, 10)

    def cut_database(self) -> None:
        for machine in self.services.values():
            machine.proxies[len(NODES)].cut()

    def mend_database(self) -> None:
        for machine in self.services.values():
            machine.proxies[len(NODES)].mend()

    def stop(self) -> dict[str, int]:
        """Ends everything, and returns with which code each service ended."""
        self._stopping.set()
        if self._keeping:
            self._keeping.join()
        codes = {name: machine.stop() for name, machine in self.services.items()}
        for node in self.nodes.values():
            node.stop()
        for machine in self.machines.values():
            machine.close()
        self._wires.stop()
        self.postgres.stop()
        return codes


def until(condition: Callable[[], Any], what: str, timeout_s: float) -> Any:
    return wait_for(lambda: time.sleep(0.2) or condition(), what, timeout_s)
