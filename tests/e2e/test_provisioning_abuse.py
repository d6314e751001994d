"""Files over TLS; and clients that are slow or greedy hold up nobody, and no secret comes into a log."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from certificates import Pair, self_signed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sites import Site
from wire import DEADLINE

from blfd.demo.simulation import Missing, ServerProcess
from blfd.store import Store
from blfd.store.devices import DeviceRow
from blfd.store.secrets import of_book
from blfd.transport.certificate import CertificateError, PemFiles, TlsSettings, load
from blfd.web import limits
from blfd.web.limits import MAX_HEADER, Prompt, ShortLived

MAC = "80:5e:c0:12:34:56"
BARE = MAC.replace(":", "")


def url_of(site: Site) -> str:
    site.cli("device", "add", MAC, "--model", "yealink/t54w", "--extension", "101")
    return str(site.shown("device", "show", MAC)["url"])


# TLS


def test_over_tls(own_site: Callable[..., Site], tmp_path: Path) -> None:
    own = self_signed(tmp_path, "own")
    site = own_site("--provision", "https://127.0.0.1:0", config=own.toml())
    url = url_of(site)
    assert url.startswith("https://127.0.0.1:")
    trusting = ssl.create_default_context(cafile=own.certificate)
    answer = httpx.get(f"{url}{BARE}.cfg", verify=trusting)
    assert answer.status_code == 200
    assert f"static.auto_provision.server.url = {url}" in answer.text
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}{BARE}.cfg")  # nobody vouches for the certificate
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{url}{BARE}.cfg".replace("https", "http"))
    assert httpx.get(f"{url}{BARE}.cfg", verify=trusting).status_code == 200


def _mismatching(folder: Path) -> Pair:
    return Pair(self_signed(folder, "one").certificate, self_signed(folder, "other").key)


def _encrypted(folder: Path) -> Pair:
    return self_signed(folder, "closed", "IP:127.0.0.1", "-passout", "pass:x1234")


def _no_certificate(folder: Path) -> Pair:
    made = self_signed(folder, "own")
    made.certificate.write_text("this is none")
    return made


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_mismatching, "other.key is not the key of certificate"),
        (_encrypted, "closed.key is encrypted: 'openssl pkey"),
        (_no_certificate, "is no PEM file of a certificate"),
    ],
)
def test_a_certificate_that_does_not_fit(tmp_path: Path, make: Callable[[Path], Pair], words: str) -> None:
    config = tmp_path / "blfd.toml"
    config.write_text(make(tmp_path).toml())
    with pytest.raises(Missing, match="cannot serve with TLS: .*" + words):
        ServerProcess(
            tmp_path / "blfd.db",
            ["udp:127.0.0.1:0"],
            "--provision",
            "https://127.0.0.1:0",
            config=config,
        )


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, "own")
    with pytest.raises(CertificateError, match=r"certificate .*gone\.pem: No such file"):
        load(PemFiles(tmp_path / "gone.pem", key), TlsSettings())
    with pytest.raises(CertificateError, match=r"certificate_key .*: Is a directory"):
        load(PemFiles(certificate, tmp_path), TlsSettings())


# Limits


@pytest.fixture
def served(serving: Site) -> tuple[Site, str]:
    return serving, url_of(serving)


def connected(url: str) -> socket.socket:
    found = httpx.URL(url)
    return socket.create_connection((found.host, found.port or 80), timeout=DEADLINE)


def said(connection: socket.socket) -> bytes:
    """Receive all until the server closes the connection."""
    answer = b""
    try:
        while piece := connection.recv(65536):
            answer += piece
    except ConnectionResetError:
        pass  # the server did not read all that was sent
    return answer


@pytest.mark.parametrize(
    "request_",
    [
        b"GET {path} HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 2 * MAX_HEADER,
        b"GET {path}" + b"x" * 2 * MAX_HEADER,
        b"GET {path}\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET {path} HTTP/1.1\r\n\r\n",
    ],
    ids=["long header", "long line", "bad octet", "no Host"],
)
def test_a_bad_request_is_refused_and_its_secret_not_logged(
    served: tuple[Site, str], request_: bytes
) -> None:
    site, url = served
    with connected(url) as connection:
        connection.sendall(request_.replace(b"{path}", httpx.URL(url).raw_path))
        assert said(connection).startswith(b"HTTP/1.1 400 ")
    assert url.split("/")[-2] not in site.server.log.read_text()
    assert httpx.get(f"{url}{BARE}.cfg").status_code == 200


OTHER = "00:04:13:00:00:01"
WORDS = (BARE, MAC, OTHER, f"{BARE}.cfg", "00041300000001.htm", "snomD785.htm", "yealink-phonebook.xml")
ODD = (
    "..",
    "%2e%2e",
    "%00",
    "%ff",
    "%0d%0aX: y",
    "",
    ".",
    "p",
    "b",
    "%",
    "*",
    "//",
    "?",
    "#",
    ";",
    "a" * 300,
)
METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "TRACE", "get", "X-Y", "G\x01T", "")
HEADERS = (
    *("User-Agent", "Authorization", "Host", "Range", "Expect", "Accept-Encoding", "X-Forwarded-For"),
    *("If-None-Match", "If-Modified-Since"),
)


@dataclass(frozen=True)
class Provisioned:
    """Two phones of a site, by address, and what nobody is told who has not shown a phone's secret."""

    site: Site
    rows: tuple[DeviceRow, ...]

    def opens(self, row: DeviceRow, request: bytes) -> bool:
        """Whether a request has a phone's secret, or that of its phonebook, or credentials made of it."""
        basic = base64.b64encode(f"{row.mac}:{row.secret}".encode())
        return any(each in request for each in (row.secret.encode(), of_book(row.secret).encode(), basic))

    def told(self, row: DeviceRow, answer: bytes) -> bool:
        own = (row.password, row.admin_password, row.user_password, row.secret, of_book(row.secret))
        return any(each.encode() in answer for each in own)


@pytest.fixture
def provisioned(serving: Site) -> Provisioned:
    serving.cli("device", "add", MAC, "--model", "yealink/t54w", "--extension", "101", "--keys", "102")
    serving.cli("device", "add", OTHER, "--model", "snom/d785", "--extension", "102", "--keys", "team")
    return Provisioned(serving, tuple(Store(serving.database).devices.all("default")))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_request_fails_or_is_told_of_another_phone(provisioned: Provisioned, data: st.DataObject) -> None:
    """Whatever its method, path and headers are: no 5xx, nothing of others' phones, and a sound log."""
    rows, site = provisioned.rows, provisioned.site
    secrets = [secret for row in rows for secret in (row.secret, of_book(row.secret))]
    basic = [
        f"Basic {base64.b64encode(f'{row.mac}:{other.secret}'.encode()).decode()}"
        for row in rows
        for other in rows
    ]
    text = st.text(st.characters(max_codepoint=255), max_size=40)
    opened = [f"p/{row.secret}" for row in rows] + [f"b/{row.mac}/{of_book(row.secret)}" for row in rows]
    part = st.sampled_from((*WORDS, *ODD, *secrets)) | st.sampled_from(opened) | text
    path = "/" + "/".join(data.draw(st.lists(part, max_size=5)))
    values = st.sampled_from((*basic, *WORDS, *ODD, f"Yealink {MAC}", "Digest x", "bytes=0-5", "gzip")) | text
    headers = data.draw(st.lists(st.tuples(st.sampled_from(HEADERS) | text, values), max_size=4))
    method = data.draw(st.sampled_from(METHODS))
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    request = "\r\n".join([*lines, "", ""]).encode("latin-1")
    at = data.draw(st.integers(1, 254)), data.draw(st.integers(0, 255))
    source = "127.{}.{}.9".format(*at)  # an address that has failed before has to wait
    host, port = served_at(site)
    with socket.create_connection((host, port), DEADLINE, (source, 0)) as connection:
        connection.sendall(request)
        answer = said(connection)
    status = answer.split(b" ", 2)[1:2]
    assert status, (request, answer)
    assert b"200" <= status[0] < b"500", (request, answer)
    for row in rows:
        assert provisioned.opens(row, request) or not provisioned.told(row, answer), row.mac
    log = site.server.log.read_text()
    assert all(line.isprintable() for line in log.splitlines()[-20:])
    assert "Traceback" not in log
    assert all("HTTP from 127." in line for line in log.splitlines() if "Invalid HTTP" in line)
    assert not any(secret in log for secret in secrets)


def served_at(site: Site) -> tuple[str, int]:
    url = httpx.URL(site.ask("status")["serves"][0].partition(": ")[2])
    return url.host, url.port or 80


@pytest.mark.parametrize("octets", [b"\xff", b"\xc3\xa4"])
def test_credentials_of_odd_octets(served: tuple[Site, str], octets: bytes) -> None:
    _, url = served
    base = url.split("/p/")[0]
    for value in (
        b"Basic " + octets,
        b'Digest username="' + octets + b'", response="' + octets + b'", algorithm=MD5',
        b'Digest username="x", response="x", algorithm=' + octets,
    ):
        assert httpx.get(f"{base}/{BARE}.cfg", headers={b"Authorization": value}).status_code == 401


def test_a_body_without_end_is_not_kept(served: tuple[Site, str]) -> None:
    site, url = served
    path = httpx.URL(url).raw_path + b"boot.log"
    with connected(url) as connection:
        connection.sendall(b"PUT " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 204 ")
        connection.settimeout(0.1)
        before = _web_memory(site)
        try:
            for _ in range(500):
                connection.sendall(b"x" * 65536)
        except OSError:
            pass  # the server does not read on, or has closed
        assert _web_memory(site) - before < 8
    assert httpx.get(f"{url}{BARE}.cfg").status_code == 200


def _web_memory(site: Site) -> float:
    """The memory of the process that serves the files, in MiB."""
    pid = site.server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    (web,) = [child for child in children if b"blfd.web" in Path(f"/proc/{child}/cmdline").read_bytes()]
    status = Path(f"/proc/{web}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def test_a_look_is_no_fetch(served: tuple[Site, str]) -> None:
    """HEAD says what GET would, and a phone that has only looked has not fetched its file."""
    site, url = served
    head = httpx.head(f"{url}{BARE}.cfg")
    assert site.shown("device", "show", MAC)["fetched"] == "never"
    get = httpx.get(f"{url}{BARE}.cfg")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.content))
    assert site.shown("device", "show", MAC)["fetched"] != "never"


@pytest.mark.parametrize("name", [f"{BARE}.cfg", "yealink-phonebook.xml", "y000000000096.cfg"])
def test_a_phone_that_has_a_file_is_not_sent_it_again(served: tuple[Site, str], name: str) -> None:
    """304 to whoever names the tag of the file as it is now (RFC 9110, section 13.1.2); of the phone's own
    file that counts as a fetch."""
    site, url = served
    tag = httpx.get(url + name).headers["etag"]
    for said in (tag, f'"x", W/{tag}', "*"):
        for method in ("GET", "HEAD"):
            answer = httpx.request(method, url + name, headers={"If-None-Match": said})
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    for said in ("", '"x"', tag.strip('"'), f"{tag}x", "**"):
        assert httpx.get(url + name, headers={"If-None-Match": said}).status_code == 200, said
    site.cli("device", "renew", MAC, "--yes")
    assert httpx.get(url + name, headers={"If-None-Match": "*"}).status_code == 404, "not without the secret"
    url = site.shown("device", "show", MAC)["url"]
    assert site.shown("device", "show", MAC)["fetched"] == "never"
    if BARE in name:
        assert httpx.get(url + name, headers={"If-None-Match": tag}).status_code == 200, "it has changed"
    httpx.get(url + name, headers={"If-None-Match": httpx.head(url + name).headers["etag"]})
    fetched = site.shown("device", "show", MAC)["fetched"]
    assert (fetched != "never") is (BARE in name)


def test_digest_with_sha_256(served: tuple[Site, str]) -> None:
    """A client may know nothing but SHA-256; MD5 is offered before it, and Basic last."""
    _, url = served
    base, secret = url.split("/p/")[0], url.split("/")[-2]
    offered = httpx.get(f"{base}/{BARE}.cfg").headers.get_list("www-authenticate")
    kinds = [next(k for k in ("algorithm=MD5", "SHA-256", "Basic") if k in value) for value in offered]
    assert kinds == ["algorithm=MD5", "SHA-256", "Basic"]
    only = httpx.Response(401, headers={"WWW-Authenticate": offered[1]})
    digest = httpx.DigestAuth(BARE, secret)
    request = httpx.Request("GET", f"{base}/{BARE}.cfg")
    flow = digest.auth_flow(request)
    next(flow)
    only.request = request
    asked = flow.send(only)
    assert "SHA-256" in asked.headers["Authorization"]
    with httpx.Client() as client:
        assert client.send(asked).status_code == 200
        assert client.send(asked).status_code == 401, "the same credentials do not work twice"


@pytest.fixture(params=[ShortLived, Prompt])
def impatient(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of a server that is patient for a moment only, and answers a POST in two halves."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"ha", "more_body": True})
        await asyncio.sleep(4 * limits.LONGEST)
        await send({"type": "http.response.body", "body": b"lf"})

    monkeypatch.setattr(limits, "LONGEST", 0.5)
    config = uvicorn.Config(application, http=request.param, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(DEADLINE)


HALF = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n12"


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n", HALF])
def test_who_does_not_finish_is_cut_off(impatient: int, begun: bytes) -> None:
    with socket.create_connection(("127.0.0.1", impatient), timeout=DEADLINE) as connection:
        connection.sendall(begun)
        assert said(connection) == b""


@pytest.mark.parametrize("impatient", [Prompt], indirect=True)
def test_an_answer_may_take_its_time_where_boards_are(impatient: int) -> None:
    with socket.create_connection(("127.0.0.1", impatient), timeout=DEADLINE) as connection:
        for _ in range(2):
            connection.sendall(HALF[:40])
            connection.sendall(HALF[40:] + b"34")
            answer = b""
            while not answer.endswith(b"half"):
                part = connection.recv(65535)
                assert part, answer
                answer += part
        connection.sendall(HALF)
        assert said(connection) == b"", "the next request has to be complete in time, too"
