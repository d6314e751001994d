"""Which phone asks for files, and how long whoever keeps asking wrongly has to wait."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import httpx
import pytest

from blfd.core.access.digest import ALGORITHMS, response
from blfd.core.hosts import sender
from blfd.core.macs import mac_in
from blfd.core.messages import Credentials
from blfd.devices.phones import Phones
from blfd.devices.values import Place, Wanted
from blfd.store import NewExtension, Store, StoreError
from blfd.store.devices import Devices
from blfd.web.limits import Seldom
from blfd.web.patience import FORGET_AFTER, FREE_FAILURES, LONGEST_WAIT, Patience
from blfd.web.provision.access import REALM, Access, Stale
from blfd.web.provision.files import Files

MAC = "805ec0123456"


@pytest.mark.parametrize(
    ("user_agent", "mac"),
    [
        ("Yealink SIP-T31G 124.85.257.55 80:5e:c0:d5:7d:72", "805ec0d57d72"),
        ("Yealink T58 58.80.0.5 805EC0D57D72", "805ec0d57d72"),
        ("Grandstream Model HW GXP1628 SW 1.0.4.138 DevId c074ad2bd859", "c074ad2bd859"),
        ("Mozilla/4.0 (compatible; snom710-SIP 8.7.5.35 1.1.5-IFX-05.01.12 000413741767)", "000413741767"),
        ("Fanvil X6U Pro 0.0.10 0c383e2cd782", "0c383e2cd782"),
        ("Htek UC926 2.0.4.2 00:1f:c1:00:00:00", "001fc1000000"),
        ("PolycomVVX-VVX_150-UA/6.4.1.2280_482567164887", "482567164887"),
        ("Cisco/SPA508G-7.4.4 (0002FDFF2103)(CBT141400UK)", "0002fdff2103"),
        ("FileTransport PolycomVVX-VVX_400-UA/4.1.4.7430 Type/Application", ""),
        ("curl/8.0", ""),
        ("x 0123456789abcdef0123", ""),
    ],
)
def test_the_address_in_a_user_agent(user_agent: str, mac: str) -> None:
    assert mac_in(user_agent) == mac


def test_who_keeps_failing_waits_longer_and_longer() -> None:
    patience = Patience()
    waits = []
    for _ in range(FREE_FAILURES + 8):
        waits.append(patience.wait("192.0.2.1", 0.0))
        patience.failed("192.0.2.1", 0.0)
    assert waits[: FREE_FAILURES + 1] == [0.0] * (FREE_FAILURES + 1)
    assert waits[FREE_FAILURES + 1 :] == [0.25, 0.5, 1.0, 2.0, 4.0, LONGEST_WAIT, LONGEST_WAIT]
    assert patience.wait("192.0.2.2", 0.0) == 0.0
    assert patience.wait("192.0.2.1", FORGET_AFTER + 1) == 0.0
    patience.succeeded("192.0.2.1")
    assert patience.wait("192.0.2.1", 0.0) == 0.0


def test_the_table_of_sources_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blfd.web.patience.MAX_SOURCES", 3)
    patience = Patience()
    for number in range(10):
        patience.failed(str(number), 0.0)
    assert len(patience._failures) == 3


def answer_of(files: Files, path: str, source: str = "127.0.0.1") -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(files.application(), client=(source, 9))
        async with httpx.AsyncClient(transport=transport, base_url="http://blfd") as client:
            return await client.get(path)

    return asyncio.run(ask())


def failing(*arguments: object) -> None:
    raise StoreError("database blfd.db: disk I/O error")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    store = Store(tmp_path / "blfd.db")
    store.extensions.add("default", [NewExtension("101", "x")])
    phones = Phones(store, lambda: Place("192.0.2.5", {"udp": 5060}, ""))
    phones.keep(phones.checked("default", [Wanted(MAC, "yealink/t54w", ("101",))]))
    return Files(store, phones)


def test_addresses_of_one_site_wait_together(files: Files) -> None:
    """A site counts as one source, since anybody has a /64 of IPv6 addresses to try from."""
    for number in range(FREE_FAILURES + 1):
        assert answer_of(files, f"/p/wrong/{MAC}.cfg", f"2001:db8:0:7::{number:x}").status_code == 404
    waits = [
        files._patience.wait(sender(host), time.monotonic())
        for host in ("2001:db8:0:7::99", "2001:db8:0:8::1")
    ]
    assert [wait > 0 for wait in waits] == [True, False]


def test_a_database_that_fails_is_no_refusal_and_shows_no_secret(
    files: Files, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Devices, "by_secret", failing)
    answer = answer_of(files, f"/p/s3cret/{MAC}.cfg")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert "disk I/O error" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_phone_gets_its_file_from_a_full_disk(
    tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    row = Store(tmp_path / "blfd.db").devices.get(MAC)
    assert row
    monkeypatch.setattr(Devices, "fetched", failing)
    assert answer_of(files, f"/p/{row.secret}/{MAC}.cfg").status_code == 200
    assert "is not noted: database blfd.db: disk I/O error" in caplog.text
    assert row.secret not in caplog.text


def test_a_nonce_that_is_not_fresh_is_no_wrong_secret(
    tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The phone asks again with the new nonce (RFC 7616, section 3.3), and nobody is slowed down."""
    store = Store(tmp_path / "blfd.db")
    access, source = Access(store.devices), "192.0.2.9"
    row = store.devices.get(MAC)
    assert row

    def shown(nonce: str, count: str, secret: str = row.secret) -> str:
        fields = (MAC, REALM, nonce, f"/{MAC}.cfg", "", "MD5", "c", "auth", count)
        credentials = Credentials(*fields)
        hashed = ALGORITHMS["MD5"]
        given = credentials._replace(
            response=response(credentials, hashed(f"{MAC}:{REALM}:{secret}"), "GET", hashed)
        )
        return "Digest " + ", ".join(f'{name}="{value}"' for name, value in given._asdict().items())

    nonce = access.challenges(source)[0].split('nonce="')[1].split('"')[0]
    found = access.by_credentials(shown(nonce, "00000001"), "GET", source)
    assert found == row
    assert access.by_credentials(shown(nonce, "00000002", "wrong"), "GET", source) is None
    with pytest.raises(Stale):
        access.by_credentials(shown(nonce, "00000001"), "GET", source)
    monkeypatch.setattr("blfd.web.provision.access.NONCE_LIFETIME", -1)
    with pytest.raises(Stale):
        access.by_credentials(shown(nonce, "00000003"), "GET", source)
    assert all("stale=true" in value for value in access.challenges(source, stale=True)[:2])


def test_who_sends_nonsense_fills_no_log() -> None:
    """Nor hides what is logged of others, or a fault of ours."""
    seldom = Seldom()

    def is_logged(client: str, at: float, level: int = logging.WARNING) -> bool:
        record = logging.LogRecord(
            "", level, "", 0, f"HTTP from {client}: Invalid HTTP request received.", (), None
        )
        record.created = at
        return seldom.filter(record)

    at_once = [is_logged("192.0.2.1", 1000.0) for _ in range(1000)]
    assert 0 < sum(at_once) < 20
    assert is_logged("192.0.2.2", 1000.0)
    assert is_logged("192.0.2.1", 1000.0, logging.ERROR)
    assert sum(is_logged("192.0.2.1", 1000.0 + second) for second in range(60)) >= 59, "it goes on"
