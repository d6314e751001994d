"""SIPp as phones: vendors' SUBSCRIBEs watch while SIPp calls SIPp through the server.

SIPp knows MD5 only and takes the first challenge, so it comes from a trusted source here.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sites import Site, program

SCENARIOS = Path(__file__).parent / "sipp"
DEADLINE = 30


class Sipp:
    """One SIPp process running one call of a scenario."""

    def __init__(self, site: Site, scenario: str, user: str, to: str, transport: str, port: int = 0) -> None:
        self.log = site.folder / f"sipp-{scenario}-{user}-{transport}.log"
        values = site.folder / f"{scenario}-{user}.csv"
        values.write_text(f"SEQUENTIAL\n{user};{to};\n")
        command = [program("sipp"), site.server.address(transport), "-sf", SCENARIOS / f"{scenario}.xml"]
        command += ["-inf", values, "-m", "1", "-i", "127.0.0.1", "-nostdin", "-timeout", "20s"]
        command += ["-t", "t1" if transport == "tcp" else "u1", "-trace_err", "-error_file", self.log]
        if port:
            command += ["-p", str(port)]
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=site.folder,
        )

    def finish(self) -> None:
        """Wait for the end; the scenario has to have passed."""
        try:
            output, _ = self.process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            output, _ = self.process.communicate()
        errors = self.log.read_text() if self.log.exists() else ""
        assert self.process.returncode == 0, f"{errors}\n{output.decode()[-1500:]}"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("vendor", ["yealink", "polycom", "grandstream"])
def test_a_vendors_phone_watches_a_call(own_site: Callable[..., Site], vendor: str, transport: str) -> None:
    """idle, early, confirmed, idle: each scenario checks every NOTIFY."""
    site = own_site("--trust", "127.0.0.0/8")
    callee = site.agent("102")
    callee.register()
    port = int(callee.address.rpartition(":")[2])
    callee.close()
    site.agents.remove(callee)
    ringing = Sipp(site, "callee", "102", "101", "udp", port)
    watching = Sipp(site, f"{vendor}-watches", "103", "102", transport)
    site.wait_watched("102")
    calling = Sipp(site, "caller", "101", "102", transport)
    for process in (calling, ringing, watching):
        process.finish()
