"""The servers that are measured: each is started fresh, in a folder of its own, and stopped afterwards."""

import csv
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parent
BLFD_ADDRESS = "127.0.7.2:5070"
FILES_ADDRESS = "127.0.7.2:8070"
PORTAL_ADDRESS = "127.0.7.2:8089"
KAMAILIO_ADDRESS = "127.0.7.1:5060"
CARRIER_HOST = "127.0.7.8"  # the generator is here, too, as the carrier of a trunk
CARRIER_ADDRESS = f"{CARRIER_HOST}:5080"
# Debian has Kamailio in a folder that is only in root's PATH.
KAMAILIO = shutil.which("kamailio", path=os.environ.get("PATH", "") + ":/usr/sbin")
KAMAILIO_TABLES = Path("/usr/share/kamailio/dbtext/kamailio")
KAMAILIO_PACKAGES = "kamailio kamailio-presence-modules"
# Phones, their callers and the watchers, as the generator numbers them (load.h).
EXTENSIONS = (range(100000, 101000), range(102000, 103000), range(104000, 109000))
TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """A measurement could not be made; the message says what was in the way."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: where it listens, and the process that it was started as."""

    name: str
    address: str
    process: subprocess.Popen[bytes]
    database: Path | None = None

    def cpu_seconds(self) -> float:
        """The user and system time so far of the process and its descendants, in seconds."""
        return sum(sum(map(int, _stat(pid)[11:13])) for pid in self._pids()) / TICKS

    def memory_kib(self) -> int:
        """The proportional set size of the process and its descendants, in KiB."""
        return sum(_pss_kib(pid) for pid in self._pids())

    def kill_child(self) -> int:
        """Send SIGKILL to the newest process below a supervisor; return when, in ns of the wall clock."""
        pid = self._pids()[-1]
        if pid == self.process.pid:
            raise BenchError(f"{self.name} runs without a supervisor")
        os.kill(pid, signal.SIGKILL)
        return time.time_ns()

    def _pids(self) -> list[int]:
        if self.process.poll() is not None:
            raise BenchError(f"{self.name} ended by itself with exit code {self.process.returncode}")
        everyone = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        parents = {pid: int(_stat(pid)[1]) for pid in everyone}
        family = [self.process.pid]
        for pid in family:
            family += [child for child, parent in parents.items() if parent == pid]
        return family


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, from the state on; zeros if the process has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["0"] * 50


def _pss_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


@dataclass(frozen=True, slots=True)
class Blfd:
    """A checkout of blfd with its .venv, and what the table calls it."""

    name: str = "blfd"
    project: Path = PROJECT

    def trusting(self) -> AbstractContextManager[Server]:
        """A server that believes From in requests of loopback, as behind a proxy that authenticates."""
        return self._run("--trust", "127.0.0.0/8")

    def supervised(self) -> AbstractContextManager[Server]:
        """A server as `trusting`, started again when it dies."""
        return self._run("--trust", "127.0.0.0/8", "--supervise")

    def with_digest(self) -> AbstractContextManager[Server]:
        """A server that challenges every request."""
        return self._run()

    def with_extensions(self, count: int) -> AbstractContextManager[Server]:
        """A server as `trusting`, with `count` more extensions."""
        return self._run("--trust", "127.0.0.0/8", extensions=(*EXTENSIONS, range(200000, 200000 + count)))

    def provisioning(self, devices: Iterable[tuple[str, ...]]) -> AbstractContextManager[Server]:
        """A server as `trusting`, with phones (MAC, model, extension, keys) whose files it serves."""
        return self._run("--trust", "127.0.0.0/8", "--provision", f"http://{FILES_ADDRESS}", devices=devices)

    def with_portal(self) -> AbstractContextManager[Server]:
        """A server as `trusting`, with the portal."""
        return self._run("--trust", "127.0.0.0/8", "--web", f"http://{PORTAL_ADDRESS}")

    def command(self, database: Path, *words: str) -> None:
        """Run an administrator's command on the database. Raises BenchError."""
        done = subprocess.run(
            [*self._blfd(database), *words], cwd=self.project, capture_output=True, text=True
        )
        if done.returncode:
            said = _last_line(done.stderr or done.stdout)
            raise BenchError(f"{self.name} {' '.join(words)} failed: {said}")

    def _blfd(self, database: Path) -> list[str]:
        python = sys.executable if self.project == PROJECT else str(self.project / ".venv" / "bin" / "python")
        return [python, "-m", "blfd", "--db", str(database)]

    @contextmanager
    def _run(
        self,
        *options: str,
        devices: Iterable[tuple[str, ...]] = (),
        extensions: Iterable[range] = EXTENSIONS,
    ) -> Iterator[Server]:
        with tempfile.TemporaryDirectory(prefix="blfd-bench-") as folder:
            log, database = Path(folder, "log"), Path(folder, "blfd.db")
            users = ((str(n), f"pw{n}", f"Bench {n}") for numbers in extensions for n in numbers)
            self._import(database, Path(folder, "extension.csv"), ("extension", "password", "name"), users)
            self._import(
                database, Path(folder, "device.csv"), ("mac", "model", "extensions", "keys"), devices
            )
            command = [*self._blfd(database), "run", "--listen", f"udp:{BLFD_ADDRESS}", *options]
            ready = _running(
                self.name, BLFD_ADDRESS, command, log, lambda: _says_ready(log), cwd=self.project
            )
            with ready as server:
                yield replace(server, database=database)

    def _import(
        self, database: Path, file: Path, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]
    ) -> None:
        """Write rows to a file, and import it by the command that has the file's name. Raises BenchError."""
        with file.open("w", newline="") as opened:
            lines = csv.writer(opened)
            lines.writerow(header)
            lines.writerows(rows)
        self.command(database, file.stem, "import", str(file))


@dataclass(frozen=True, slots=True)
class Kamailio:
    """Debian's Kamailio with its presence modules, everything in memory (kamailio/kamailio.cfg)."""

    name: str = "Kamailio"

    @contextmanager
    def trusting(self) -> Iterator[Server]:
        with tempfile.TemporaryDirectory(prefix="blfd-bench-") as folder:
            config = _configured(Path(folder))
            memory = ("-m", "3072", "-M", "64")  # MB, shared and for each process, reserved and not used
            files = ("-f", str(config), "-Y", folder, "-w", folder)
            command = [KAMAILIO or "kamailio", "-DD", "-E", *files, *memory]
            log = Path(folder, "log")
            with _running(self.name, KAMAILIO_ADDRESS, command, log, _kamailio_answers) as server:
                yield server

    @staticmethod
    def missing() -> str | None:
        """Why Kamailio cannot be measured here; None when it can."""
        if KAMAILIO and KAMAILIO_TABLES.is_dir():
            with tempfile.TemporaryDirectory(prefix="blfd-bench-") as folder:
                check = [KAMAILIO, "-c", "-f", str(_configured(Path(folder))), "-Y", folder]
                if subprocess.run(check, capture_output=True).returncode == 0:
                    return None
        return f"Kamailio is not installed (Debian: apt install {KAMAILIO_PACKAGES})"


Peer = Blfd | Kamailio


def _configured(folder: Path) -> Path:
    """Kamailio's configuration, with tables of its own in `folder`."""
    tables, config = folder / "tables", folder / "kamailio.cfg"
    shutil.copytree(KAMAILIO_TABLES, tables)
    text = (HERE / "kamailio" / "kamailio.cfg").read_text()
    for name, value in (
        ("@LISTEN@", f"udp:{KAMAILIO_ADDRESS}"),
        ("@ADDRESS@", f"sip:{KAMAILIO_ADDRESS}"),
        ("@TABLES@", str(tables)),
        ("@CARRIER_HOST@", CARRIER_HOST),
        ("@CARRIER@", CARRIER_ADDRESS),
    ):
        text = text.replace(name, value)
    config.write_text(text)
    return config


@contextmanager
def _running(
    name: str,
    address: str,
    command: list[str],
    log: Path,
    is_ready: Callable[[], bool],
    cwd: Path = PROJECT,
) -> Iterator[Server]:
    with log.open("wb") as output:
        nothing = subprocess.DEVNULL
        process = subprocess.Popen(command, cwd=cwd, stdin=nothing, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 30
        while not is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"{name} did not start: {_last_line(log.read_text(errors='replace'))}")
            time.sleep(0.05)
        yield Server(name, address, process)
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _says_ready(log: Path) -> bool:
    return any(line.startswith("ready") for line in log.read_text(errors="replace").splitlines())


def _kamailio_answers() -> bool:
    host, port = KAMAILIO_ADDRESS.split(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, int(port)))
        probe.settimeout(0.2)
        own = "{}:{}".format(*probe.getsockname())
        request = (
            f"OPTIONS sip:{KAMAILIO_ADDRESS} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKprobe\r\n"
            f"From: <sip:probe@{own}>;tag=probe\r\nTo: <sip:{KAMAILIO_ADDRESS}>\r\nCall-ID: probe@{own}\r\n"
            "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
        try:
            probe.send(request.encode())
            return probe.recv(4096).startswith(b"SIP/2.0 200")
        except OSError:
            return False


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"
