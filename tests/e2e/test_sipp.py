"""SIPp as phones: makers' SUBSCRIBEs watch while SIPp calls, makers' keys pick up and transfer.

SIPp knows only MD5 and takes the first challenge, so here it sends from a trusted source.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from calls import Calling, Dialog, audio_port, sdp
from pickups import Ringing
from ports import free_port
from programs import program
from scenarios import PICKERS, TRANSFERRING, WATCHERS, picking_up, told_mark, transferring, watching
from sites import Site
from wire import DEADLINE

SCENARIOS = Path(__file__).parent / "sipp"


class Sipp:
    """A SIPp process that runs `calls` calls of a scenario."""

    def __init__(
        self,
        site: Site,
        scenario: Path,
        user: str,
        to: str,
        transport: str,
        port: int = 0,
        host: str = "127.0.0.1",
        calls: int = 1,
    ) -> None:
        self.log = site.folder / f"sipp-{scenario.stem}-{user}-{transport}.log"
        values = site.folder / f"{scenario.stem}-{user}.csv"
        values.write_text(f"SEQUENTIAL\n{user};{to};\n")
        command = [program("sipp"), site.server.address(transport), "-sf", scenario]
        command += ["-inf", values, "-m", calls, "-i", host, "-nostdin", "-timeout", "90s"]
        command += ["-t", "t1" if transport == "tcp" else "u1", "-trace_err", "-error_file", self.log]
        if port:
            command += ["-p", str(port)]
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=site.folder,
        )

    def wait_file(self, name: str) -> None:
        """Wait until the scenario has come to the step that writes this file."""
        until = time.monotonic() + DEADLINE
        while not (self.log.parent / name).exists():
            if self.process.poll() is not None or time.monotonic() > until:
                self.finish()
                pytest.fail(f"the scenario has ended without {name}")
            time.sleep(0.02)

    def finish(self) -> None:
        """Wait for the end, and check that the scenario has passed."""
        try:
            output, _ = self.process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            output, _ = self.process.communicate()
        errors = self.log.read_text() if self.log.exists() else ""
        assert self.process.returncode == 0, f"{errors}\n{output.decode()[-1500:]}"


def trusting(own_site: Callable[..., Site]) -> Site:
    return own_site("--trust", "127.0.0.0/8")


def written(site: Site, text: str) -> Path:
    path = site.folder / "phone.xml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("maker", WATCHERS)
def test_a_makers_phone_watches_a_call(own_site: Callable[..., Site], maker: str, transport: str) -> None:
    """Each scenario checks every NOTIFY: idle, early, confirmed, and idle again."""
    site = trusting(own_site)
    callee = site.registered("102")
    keys = Sipp(site, written(site, watching(WATCHERS[maker])), "103", "102", transport)
    site.wait_watched("102")
    calling = Sipp(site, SCENARIOS / "caller.xml", "101", "102", transport)
    invite = callee.wait_request("INVITE")
    for status, lamp in ((180, "ringing"), (200, "talking")):
        more = {"body": sdp(5000), "Content_Type": "application/sdp"} if status == 200 else {}
        callee.reply(invite, status, "OK", **more)  # type: ignore[arg-type]
        site.wait_lamp("102", lamp)
        site.wait_watched("102")  # a change that comes sooner takes the place of this one
    callee.wait_request("ACK")
    assert Dialog.of_invite(callee, invite).request("BYE").status == 200
    for process in (calling, keys):
        process.finish()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("key", PICKERS)
def test_a_makers_key_picks_up(own_site: Callable[..., Site], key: str, transport: str) -> None:
    """The flashing key is pressed, and sends what it makes of its NOTIFY."""
    site = trusting(own_site)
    caller, phone = site.registered("101"), site.registered("102")
    keys = Sipp(site, written(site, picking_up(PICKERS[key])), "103", "102", transport)
    site.wait_watched("102")
    calling = Calling.trusted(caller, "102", sdp(4000))
    invite = phone.wait_request("INVITE")
    phone.reply(invite, 180, "Ringing")
    ringing = Ringing(caller, phone, calling, invite)
    answer = ringing.ok()
    assert answer["p-asserted-identity"].startswith('"Name 103" <sip:103@')
    ringing.stops()
    calling.acknowledge(answer)
    caller.reply(caller.wait_request("BYE"), 200)
    keys.finish()
    site.wait_no_call()


@pytest.mark.parametrize("maker", TRANSFERRING)
def test_a_makers_phone_transfers(own_site: Callable[..., Site], maker: str) -> None:
    """101 calls 102 and transfers it to 103, by the menu or by its BLF key."""
    site = trusting(own_site)
    transferee, target, watcher = (site.registered(user) for user in ("102", "103", "104"))
    watcher.subscribe("103")
    phone = Sipp(site, written(site, transferring(TRANSFERRING[maker])), "101", "102", "udp")
    first = transferee.wait_request("INVITE")
    transferee.reply(first, 200, "OK", sdp(5000), Content_Type="application/sdp")
    transferee.wait_request("ACK")
    second = target.wait_request("INVITE")
    assert second["referred-by"].rstrip(">").endswith(f"sip:101@{target.server}")
    target.reply(second, 180, "Ringing")
    (element,) = watcher.notify("early").document.dialogs
    assert element.referred_by
    assert element.referred_by.uri.startswith("sip:101@")
    if not TRANSFERRING[maker].stays:
        phone.finish()
    elif TRANSFERRING[maker].is_told:
        phone.wait_file(told_mark("180"))  # an answer that comes sooner takes the place of the 180
    target.reply(second, 200, "OK", sdp(7000), Content_Type="application/sdp")
    again = transferee.wait_request("INVITE")
    assert audio_port(again) == 7000
    transferee.reply(again, 200, "OK", sdp(5000), Content_Type="application/sdp")
    phone.finish()
    target.wait_request("ACK")
    watcher.notify("confirmed")
    assert Dialog.of_invite(transferee, first).request("BYE").status == 200
    target.reply(target.wait_request("BYE"), 200)
    site.wait_no_call()


def test_a_phone_that_forwards_its_calls(own_site: Callable[..., Site]) -> None:
    """SIPp answers 302 in a maker's form; the other phone rings, and hears who has forwarded."""
    site = trusting(own_site)
    forwarding, caller, phone = site.agent("102"), site.registered("101"), site.registered("105")
    forwarding.register()
    port = int(forwarding.address.rpartition(":")[2])
    forwarding.close()
    site.agents.remove(forwarding)
    answering = Sipp(site, SCENARIOS / "forwards.xml", "102", "105", "udp", port)
    calling = Calling.trusted(caller, "102", sdp(4000))
    invite = phone.wait_request("INVITE")
    assert invite["diversion"].endswith(";reason=unconditional")
    phone.reply(invite, 200, "OK", sdp(5000), Content_Type="application/sdp")
    dialog = calling.acknowledge(calling.final())
    phone.wait_request("ACK")
    answering.finish()
    assert dialog.request("BYE").status == 200
    phone.reply(phone.wait_request("BYE"), 200)
    site.wait_no_call()


def test_two_carriers(own_site: Callable[..., Site]) -> None:
    """blfd registers with the first and is called by number; where that one has no way, the second has."""
    site = own_site()
    ports = free_port(), free_port()
    hosts = "127.0.0.11", "127.0.0.12"
    first, second = (f"{host}:{port}" for host, port in zip(hosts, ports, strict=True))
    carrier = Sipp(site, SCENARIOS / "carrier.xml", "first", "x", "udp", ports[0], hosts[0], calls=2)
    backup = Sipp(site, SCENARIOS / "callee.xml", "second", "x", "udp", ports[1], hosts[1])
    account = ("--mode", "register", "--username", "acct", "--password", "s3cret", "--ping", "0")
    numbers = ("--did", "+4930123451xx=1xx", "--country", "49", "--area", "30")
    site.cli("trunk", "add", "first", "--server", first, *account, *numbers)
    site.cli("trunk", "add", "second", "--server", second, "--ping", "0")
    site.cli("route", "add", "0.", "--trunks", "first,second")
    site.wait_trunk("first", state="registered")

    called, caller = site.registered("102"), site.registered("101")
    calling_in = Sipp(site, SCENARIOS / "caller.xml", "491701234567", "03012345102", "udp", host=hosts[0])
    invite = called.wait_request("INVITE")
    assert "<sip:491701234567@" in invite["from"]
    called.reply(invite, 180, "Ringing")
    called.reply(invite, 200, "OK", sdp(5000), Content_Type="application/sdp")
    called.wait_request("ACK")
    assert Dialog.of_invite(called, invite).request("BYE").status == 200
    calling_in.finish()
    site.wait_no_call()

    calling = Calling.start(caller, "0301", sdp(4000))
    assert calling.provisional(180)
    dialog = calling.acknowledge(calling.final())
    site.wait_lamp("101", "talking")
    assert dialog.request("BYE").status == 200
    backup.finish()
    site.wait_no_call()
    carrier.finish()
