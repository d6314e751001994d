"""TLS beside TCP: CPU time of a SUBSCRIBE, memory of a connection, and what handshakes cost lamps over UDP.

`python bench/tls.py` prints a line for each figure. The server trusts loopback, so nothing is challenged.
"""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "e2e")]

from certificates import RSA, self_signed  # noqa: E402
from wire import Agent, trusting_all  # noqa: E402

from blfd.demo.simulation import ServerProcess  # noqa: E402
from blfd.store import NewExtension, Store  # noqa: E402

SUBSCRIBES, HANDSHAKES, HELD = 3000, 2000, 5000
STORM = """
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
for _ in range(int(sys.argv[3])):
    context.wrap_socket(socket.create_connection((sys.argv[1], int(sys.argv[2])))).close()
"""


class Measured:
    """A server with a certificate of RSA 2048, and the CPU time and memory of its process."""

    def __init__(self, folder: Path) -> None:
        names = [NewExtension(str(number), "x", str(number)) for number in range(101, 110)]
        Store(folder / "blfd.db").extensions.add("default", names)
        config = folder / "blfd.toml"
        config.write_text('trust = ["127.0.0.0/8"]\n')
        listen = [f"{transport}:127.0.0.1:0" for transport in ("udp", "tcp", "tls")]
        pair = self_signed(folder, "rsa", kind=RSA)
        self.server = ServerProcess(folder / "blfd.db", listen, *pair.options(), config=config)

    def cpu(self) -> float:
        """The CPU time of the process so far, in seconds."""
        text = Path(f"/proc/{self.server.process.pid}/stat").read_text()
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """The memory of the process, in KiB."""
        text = Path(f"/proc/{self.server.process.pid}/smaps_rollup").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))

    def subscribe(self, agent: Agent) -> None:
        agent.subscribe("102", expires=0)
        agent.watched.clear()

    def of_subscribe(self, transport: str) -> float:
        """The CPU time of a SUBSCRIBE with its NOTIFY and both responses, in microseconds."""
        agent, before = Agent(self.server.address(transport), "101", "", transport), self.cpu()
        for _ in range(SUBSCRIBES):
            self.subscribe(agent)
        agent.close()
        return (self.cpu() - before) / SUBSCRIBES * 1e6

    def of_connection(self, transport: str) -> float:
        """The memory of a connection that is held, in KiB."""
        host, _, port = self.server.address(transport).partition(":")
        before, context, held = self.memory(), trusting_all(), []
        for _ in range(HELD):
            one = socket.create_connection((host, int(port)))
            held.append(context.wrap_socket(one) if transport == "tls" else one)
        time.sleep(1)
        used = (self.memory() - before) / HELD
        for one in held:
            one.close()
        return used

    def storm(self) -> None:
        host, _, port = self.server.address("tls").partition(":")
        subprocess.run([sys.executable, "-c", STORM, host, port, str(HANDSHAKES)], check=True)

    def latencies(self, meanwhile: Callable[[], None]) -> str:
        """The latencies from SUBSCRIBE to NOTIFY over UDP while something goes on, in words."""
        took: list[float] = []
        ended = threading.Event()

        def watch() -> None:
            agent = Agent(self.server.address("udp"), "103", "", "udp")
            while not ended.is_set():
                begun = time.perf_counter()
                self.subscribe(agent)
                took.append((time.perf_counter() - begun) * 1000)
                time.sleep(0.002)
            agent.close()

        thread = threading.Thread(target=watch)
        thread.start()
        meanwhile()
        ended.set()
        thread.join()
        took.sort()
        return f"median {took[len(took) // 2]:.1f} ms, p99 {took[int(len(took) * 0.99)]:.1f} ms"


def main() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (16_384, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with tempfile.TemporaryDirectory() as folder:
        measured = Measured(Path(folder))
        try:
            tcp, tls = (min(measured.of_subscribe(each) for _ in range(3)) for each in ("tcp", "tls"))
            print(f"SUBSCRIBE, CPU: TCP {tcp:.0f} us, TLS {tls:.0f} us, {tls / tcp:.2f} times")
            print(f"NOTIFY over UDP, quiet: {measured.latencies(lambda: time.sleep(4))}")
            print(f"NOTIFY over UDP, {HANDSHAKES} handshakes: {measured.latencies(measured.storm)}")
            for transport in ("tcp", "tls"):
                print(f"{HELD} connections, {transport}: {measured.of_connection(transport):.1f} KiB each")
        finally:
            measured.server.stop()


if __name__ == "__main__":
    main()
