"""Kamailio as the carrier of a trunk: a proxy that challenges, forwards, and records its route."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from calls import Calling, Dialog, audio_port, hang_up, sdp
from ports import free_port
from proxies import PATIENCE, Kamailio
from sites import Site
from test_survive import alive
from wire import Agent, Message

from blfd.core.calls.ringing import SILENT

DID = "+4930123451"
SDP = "application/sdp"


class Carrier(Kamailio):
    """Kamailio as the carrier, and the telephone network behind it, which is a raw agent."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.address = f"127.0.0.6:{free_port()}"
        self.network = Agent(self.address, "network", "", "udp", host="127.0.0.7")
        config = (Path(__file__).parent / "kamailio" / "carrier.cfg").read_text()
        filled = {"CARRIER": self.address, "NETWORK": self.network.address, "FROM_NETWORK": self.network.host}
        for name, value in filled.items():
            config = config.replace(f"@{name}@", value)
        self._config = config
        self.start()

    def start(self) -> None:
        """Start the carrier, which knows nobody, since all that it knew was in its memory."""
        self.run(self._config, 32, self._answers)

    def _answers(self) -> bool:
        with contextlib.suppress(AssertionError):
            asked = self.network.headers("OPTIONS", "x")
            self.network.send(f"OPTIONS sip:{self.address} SIP/2.0", asked)
            return self.network.final(asked, 0.2).status == 200
        return False

    def calls_in(self, phone: Agent) -> tuple[Calling, Message]:
        """Call the number of 101, which rings as soon as the carrier knows where we are."""
        until = time.monotonic() + PATIENCE
        while True:
            to = f"<sip:{DID}01@carrier.example>"
            calling = Calling.trusted(self.network, f"{DID}01", sdp(7002), To=to)
            while True:
                assert time.monotonic() < until, "the carrier does not know us"
                self.network.receive(0.02)
                phone.receive(0.02)
                if any(message.method == "INVITE" for message in phone.received):
                    invite = phone.wait_request("INVITE")
                    phone.reply(invite, 180, "Ringing")
                    return calling, invite
                if any(message.status == 480 for message in self.network.received):
                    break
            calling.refused()
            time.sleep(0.1)

    def talks(self, phone: Agent) -> tuple[Dialog, Dialog]:
        """Set up a call in, and return the network's side and the phone's."""
        calling, invite = self.calls_in(phone)
        assert calling.provisional(180)
        phone.reply(invite, 200, "OK", sdp(5002), Content_Type=SDP)
        answer = calling.final()
        assert (answer.status, audio_port(answer)) == (200, 5002)
        dialog = calling.acknowledge(answer)
        phone.wait_request("ACK")
        return dialog, Dialog.of_invite(phone, invite)

    def is_away_for_pings(self) -> None:
        """Have nobody answer there until a ping has been sent three times."""
        host, _, port = self.address.partition(":")
        with socket.socket(type=socket.SOCK_DGRAM) as silent:
            silent.settimeout(PATIENCE)
            silent.bind((host, int(port)))
            seen: dict[str, int] = {}
            while not seen or max(seen.values()) < 3:
                message = Message.read(silent.recv(65535))
                if message.method == "OPTIONS":
                    seen[message["via"]] = seen.get(message["via"], 0) + 1


@pytest.fixture
def carrier(tmp_path: Path) -> Iterator[Carrier]:
    folder = tmp_path / "carrier"
    folder.mkdir()
    one = Carrier(folder)
    yield one
    one.network.close()
    one.stop()


def customer(site: Site, carrier: Carrier, transport: str) -> Agent:
    """Have a site register there, and return its phone 101."""
    account = ("--domain", "carrier.example", "--username", "acct", "--password", "s3cret")
    soon = ("--transport", transport, "--ping", "5", "--retry", "2")
    way = ("--mode", "register", "--did", f"{DID}xx=1xx")
    site.cli("trunk", "add", "carrier", "--server", carrier.address, *account, *way, *soon)
    site.cli("route", "add", "0.", "--trunks", "carrier", "--strip", "1", "--prefix", "+49")
    site.wait_trunk("carrier", state="registered", up=True)
    return site.registered("101")


def calls_out(carrier: Carrier, phone: Agent, number: str = "301234") -> Dialog:
    """Set up a call out, and return the phone's side."""
    calling, network = Calling.start(phone, f"0{number}", sdp(5001)), carrier.network
    invite = network.wait(lambda m: m.method == "INVITE" and m.uri.startswith(f"sip:+49{number}@"))
    assert "proxy-authorization" not in dict(invite.headers)
    network.reply(invite, 183, "Session Progress", sdp(7001), Content_Type=SDP)
    assert audio_port(calling.provisional(183)) == 7001
    network.reply(invite, 200, "OK", sdp(7001), Content_Type=SDP)
    dialog = calling.acknowledge(calling.final())
    network.wait_request("ACK")
    return dialog


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_kill_9_of_either_side(own_site: Callable[..., Site], carrier: Carrier, transport: str) -> None:
    """Calls that are up go on and end on both sides, and further calls come.

    A carrier that has forgotten us, which shows by its connection or by a ping, is registered with anew.
    """
    site = own_site()
    phone = customer(site, carrier, transport)
    outside, mine = carrier.talks(phone)
    site.wait_lamp("101", "talking")
    site.kill()
    site.start()
    alive(outside, 7002)
    alive(mine, 5002)
    site.wait_trunk("carrier", state="registered", up=True)
    carrier.kill()
    if transport == "udp":
        carrier.is_away_for_pings()
    else:
        site.wait_trunk("carrier", registered=False)
    site.wait_lamp("101", "talking")
    if transport == "tcp":  # messages wait for a connection where there is none
        assert mine.request("BYE").status == 200
        carrier.start()
        carrier.network.reply(carrier.network.wait_request("BYE"), 200)
    else:
        carrier.start()
        hang_up(mine, carrier.network)
    site.wait_no_call()
    outside, mine = carrier.talks(phone)
    hang_up(mine, carrier.network)
    site.wait_no_call()
    dialog = calls_out(carrier, phone)
    site.wait_lamp("101", "talking")
    carrier.kill()
    assert dialog.request("BYE").status == 200
    site.wait_idle("101")
    if transport == "udp":  # the request is sent again until somebody is there
        carrier.start()
        carrier.network.reply(carrier.network.wait_request("BYE"), 200)
    site.wait_no_call()


def test_a_carrier_that_goes_silent_while_a_route_has_another(
    own_site: Callable[..., Site], carrier: Carrier
) -> None:
    """A call goes on to the second trunk, soon, and at once when pings have found out; all is well again when
    the carrier is there again. The commands say which it is."""
    site = own_site()
    phone = customer(site, carrier, "udp")
    second = Agent("127.0.0.1:9", "second", "", "udp", host="127.0.0.8")
    second.peer = ("127.0.0.1", int(site.server.address().rpartition(":")[2]))
    site.agents.append(second)
    site.cli("trunk", "add", "second", "--server", second.address, "--ping", "0")
    site.cli("route", "set", "0.", "--trunks", "carrier,second")

    def goes_to_the_second() -> float:
        began = time.monotonic()
        calling = Calling.start(phone, "0301234", sdp(5001))
        invite = second.wait_request("INVITE")
        took = time.monotonic() - began
        second.reply(invite, 486, "Busy Here")
        assert calling.refused().status == 486
        return took

    with carrier.frozen():
        goes_to_the_second()
        site.wait_trunk("carrier", up=False)
        (row,) = (one for one in site.ask("trunks") if one["name"] == "carrier")
        assert not row["usable"]
        assert goes_to_the_second() < SILENT, "it is not asked first any more"
        assert "does not answer, so it is down" in site.server.log.read_text()
        said = site.forked.run(("--db", str(site.database), "doctor"), site.folder, os.environ).stdout
        assert "carrier" in said
    site.wait_trunk("carrier", up=True, state="registered")
    hang_up(calls_out(carrier, phone, "305678"), carrier.network)
    assert second.silent(lambda m: m.method == "INVITE", 0.1)
