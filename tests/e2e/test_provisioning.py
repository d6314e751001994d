"""Phones fetch their files over HTTP, configure themselves, and their keys work; nobody else gets a file."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from makers import MAKERS, Maker, Memory
from sites import Site

MAC = "80:5e:c0:12:34:56"
BARE = MAC.replace(":", "")
YEALINK = f"Yealink SIP-T54W 96.86.0.70 {MAC}"


@pytest.fixture
def provisioned(serving: Site) -> tuple[Site, str]:
    """A site that serves files, with a phone of 101, and the URL of its files."""
    return provide(serving)


def provide(site: Site) -> tuple[Site, str]:
    who = ("--model", "yealink/t54w", "--extension", "101", "--keys", "102,103,*98=Group")
    site.cli("device", "add", MAC, *who)
    return site, device(site)["url"]


def device(site: Site) -> dict[str, str]:
    """What the site knows of the phone."""
    found: dict[str, str] = site.shown("device", "show", MAC)
    return found


def get(url: str, user_agent: str = YEALINK, **more: object) -> httpx.Response:
    return httpx.get(url, headers={"User-Agent": user_agent}, **more)  # type: ignore[arg-type]


def settings(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    return dict(line.split(" = ", 1) for line in answer.text.splitlines() if " = " in line)


@pytest.mark.parametrize("name", [f"{BARE}.cfg", f"{BARE.upper()}.cfg", f"{BARE.upper()}.CFG"])
def test_a_phone_gets_its_file(provisioned: tuple[Site, str], name: str) -> None:
    site, url = provisioned
    found = settings(get(url + name))
    assert found["account.1.user_name"] == "101"
    assert found["static.auto_provision.server.url"] == url
    row = device(site)
    assert (row["from"], row["firmware"], row["state"]) == ("127.0.0.1", YEALINK, "not registered")
    assert row["fetched"] != "never"


def test_what_is_not_its_own_is_not_there(provisioned: tuple[Site, str]) -> None:
    site, url = provisioned
    before = len(site.server.log.read_text())
    other = "80:5e:c0:00:00:02"
    site.cli("device", "add", other, "--model", "yealink/t31", "--extension", "102")
    for name in (f"{other.replace(':', '')}.cfg", "", "..%2F..%2Fetc%2Fpasswd", "000000000000.cfg", "x.boot"):
        assert get(url + name).status_code == 404, name
    assert get(url + "y000000000096.cfg").status_code == 200, "what all of its model ask for"
    boot = get(url + "y000000000000.boot").text
    assert f'include:config "{BARE}.cfg"' in boot
    assert get(f"{url}{BARE}.boot").status_code == 404, "so that the phone goes on to the one above"
    assert get(url[:-3] + "xx/" + f"{BARE}.cfg").status_code == 404
    assert get(f"{url}{BARE}.cfg", YEALINK.replace(MAC, other)).status_code == 404, (
        "it says that it is another"
    )
    log = site.server.log.read_text()[before:]
    assert url.split("/")[-2] not in log, "no secret is in the log"
    assert "asks with the address of" in log


def test_a_phonebook_is_served_as_the_phones_file_is(own_site: Callable[..., Site]) -> None:
    """The book is served at the phone's address and to its credentials alone, and follows the extensions."""
    site, url = provide(own_site("--provision", "http://127.0.0.1:0"))
    base, secret = url.split("/p/")[0], url.split("/")[-2]
    name = "yealink-phonebook.xml"
    book = get(url + name)
    assert book.headers["content-type"] == "application/xml"
    assert book.text.count("<DirectoryEntry>") == 12, "of this tenant alone"
    assert get(f"{base}/{name}", auth=httpx.DigestAuth(BARE, secret)).text == book.text
    assert get(f"{base}/{name}").status_code == 401
    assert get(f"{base}/p/{secret[:-1]}x/{name}").status_code == 404
    assert get(url + name, YEALINK.replace(MAC, "80:5e:c0:00:00:02")).status_code == 404
    for others in ("fanvil-phonebook.xml", "cisco-phonebook-1.xml", f"{BARE}-directory.xml"):
        assert get(url + others).status_code == 404, "of another maker"
    assert device(site)["fetched"] == "never", "that is said of its own file"
    site.cli("extension", "set", "103", "--name", "Zoë <Ng>")
    assert "<Name>Zoë &lt;Ng&gt;</Name>" in get(url + name).text
    told = settings(get(f"{url}{BARE}.cfg"))["remote_phonebook.data.1.url"]
    assert get(told).text == get(url + name).text
    assert secret not in told, "users see that address in their phones"
    assert told.startswith(f"{base}/b/{BARE}/")
    for others in (f"{BARE}.cfg", "y000000000000.boot", f"{BARE}-directory.xml", ""):
        assert get(told.removesuffix(name) + others).status_code == 404, "it opens the book alone"
    of_book = told.split("/")[-2]
    for wrong in (
        told.replace(of_book, secret),
        told.replace(BARE, "805ec0000002"),
        told.replace(BARE, "nobody"),
        f"{base}/p/{of_book}/{BARE}.cfg",
        f"{base}/p/{of_book}/{name}",
    ):
        assert get(wrong).status_code == 404, wrong
    for password in (of_book, of_book.upper()):
        assert get(f"{base}/{BARE}.cfg", auth=httpx.BasicAuth(BARE, password)).status_code == 401
    assert get(told, YEALINK.replace(MAC, "80:5e:c0:00:00:02")).status_code == 404
    assert of_book not in site.server.log.read_text()
    site.cli("provision", "set", "*", "phonebook", "off")
    assert "<DirectoryEntry>" not in get(url + name).text
    assert settings(get(f"{url}{BARE}.cfg"))["remote_phonebook.data.1.url"] == "%NULL%"
    site.cli("device", "renew", MAC, "--yes")
    assert get(told).status_code == 404, "a new secret is one of the book, too"


def test_no_log_has_a_password_of_the_web_page(provisioned: tuple[Site, str]) -> None:
    site, url = provisioned
    secrets = site.shown("device", "show", MAC, "--secrets")
    both = (secrets["admin_password"], secrets["user_password"])
    text = get(f"{url}{BARE}.cfg").text
    assert all(password in text for password in both)
    for password in both:  # somebody may take one password for the other
        assert get(f"{url[:-33]}{password}/{BARE}.cfg").status_code == 404
        basic = httpx.BasicAuth(BARE, password)
        assert get(f"{url.split('/p/')[0]}/{BARE}.cfg", auth=basic).status_code == 401
    site.cli("device", "renew", MAC, "--yes")
    log = site.server.log.read_text()
    assert not any(password in log for password in both)
    assert not any(password in site.cli("changes", "--json") for password in both)


@pytest.mark.parametrize("scheme", [httpx.BasicAuth, httpx.DigestAuth])
def test_credentials_instead_of_the_secret_address(
    provisioned: tuple[Site, str], scheme: Callable[[str, str], httpx.Auth]
) -> None:
    _, url = provisioned
    base, secret = url.split("/p/")[0], url.split("/")[-2]
    plain = f"{base}/{BARE}.cfg"
    challenged = get(plain)
    assert challenged.status_code == 401
    assert {value.split()[0] for value in challenged.headers.get_list("www-authenticate")} == {
        "Digest",
        "Basic",
    }
    assert settings(get(plain, auth=scheme(BARE, secret)))["account.1.user_name"] == "101"
    assert settings(get(plain, auth=scheme(MAC, secret)))["account.1.user_name"] == "101"
    assert get(plain, auth=scheme(BARE, "wrong")).status_code == 401
    assert get(plain, auth=scheme("80:5e:c0:00:00:09", secret)).status_code == 401, (
        "an unknown phone likewise"
    )
    assert get(f"{base}/805ec0000009.cfg").status_code == 401


def test_logs_that_a_phone_sends_are_taken_calmly(provisioned: tuple[Site, str]) -> None:
    _, url = provisioned
    assert httpx.put(f"{url}{BARE}-boot.log", content=b"x" * 100_000).status_code == 204


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.model.replace("/", "-"))
def test_from_its_files_to_a_pickup(own_site: Callable[..., Site], maker: Maker) -> None:
    """A phone that knows only where its files are registers, watches, and picks a call up."""
    site = own_site("--provision", "http://127.0.0.1:0")
    site.cli(
        "device", "add", MAC, "--model", maker.model, "--extension", "101", "--keys", "102,103,*98=Group"
    )
    url, memory = device(site)["url"], Memory(maker)
    told = memory.read(fetched(maker, url))
    book = memory.book(lambda address: get(address, maker.user_agent).content)
    assert book == {str(number): f"Name {number}" for number in range(101, 113)}
    assert told.server == site.server.address()
    assert (told.watched, told.dialled) == (["102", "103"], ["*98"])
    phone = site.phone(told.user, watch=",".join(told.watched), password=told.password)
    alice, bob = site.phone("104"), site.phone("102")
    for extension in told.watched:
        phone.wait_lamp(extension, "idle")
        site.wait_watched(extension)
    assert device(site)["state"] == "registered, watches all its keys"
    alice.do("call", to="102")
    bob.wait("incoming")
    phone.wait_lamp("102", "ringing")
    if told.code:
        phone.do("call", to=f"{told.code}102")
    else:
        phone.do("press", key="102")
    for talking in (phone, alice):
        talking.wait_call("confirmed")
    phone.wait_lamp("102", "idle")
    site.cli("device", "set", MAC, "--keys", "103")
    told = memory.read(fetched(maker, url))
    assert (told.watched, told.dialled) == (["103"], []), "what is taken away is gone"


def fetched(maker: Maker, url: str) -> dict[str, bytes]:
    """The files that a maker's phones ask for and get."""
    answers = {name: get(url + name, maker.user_agent) for name in maker.names}
    return {name: answer.content for name, answer in answers.items() if answer.status_code == 200}


def test_sync_has_a_phone_fetch_its_files(provisioned: tuple[Site, str]) -> None:
    """The phone is told in its maker's form, where it is registered, over UDP and TCP."""
    site, _ = provisioned
    phones = [site.registered("101"), site.registered("101", "tcp")]
    assert "2 registrations of 1 phone told" in site.cli("device", "sync", MAC)
    for phone in phones:
        notify = phone.wait_request("NOTIFY")
        assert notify["event"] == "check-sync;reboot=false"
        assert notify.uri == f"sip:101@{phone.address}"
    assert "2 registrations of 1 phone" in site.cli("device", "sync", "--all")


def test_another_number_reaches_who_had_the_old_one(provisioned: tuple[Site, str]) -> None:
    """The phone is told to fetch its files while it can be, and watchers that the old number is gone. It is
    let in by the new one alone."""
    site, url = provisioned
    site.cli("extension", "add", "778", "--password", "x")
    site.cli("device", "set", MAC, "--extension", "778")
    phone, watcher = site.agent("778"), site.agent("103")
    phone.password = "x"
    assert phone.register().status == 200
    watcher.subscribe("778")
    assert site.cli("extension", "renumber", "778", "779", "--password", "y") == "extension 778 is 779 now\n"
    assert phone.wait_request("NOTIFY")["event"] == "check-sync;reboot=false"
    assert watcher.wait_request("NOTIFY")["subscription-state"] == "terminated;reason=noresource"
    found = settings(get(f"{url}{BARE}.cfg"))
    assert (found["account.1.user_name"], found["linekey.2.value"]) == ("779", "102")
    assert phone.register().status == 401
    for password in ("y", found["account.1.password"]):
        anew = site.agent("779")
        anew.password = password
        assert [anew.register().status, anew.register(expires=0).status] == [200, 200]
    site.cli("extension", "remove", "779", "--yes")


def test_a_removed_device_is_let_in_nowhere(provisioned: tuple[Site, str]) -> None:
    site, url = provisioned
    password = settings(get(f"{url}{BARE}.cfg"))["account.1.password"]
    agent = site.agent("101")
    agent.password = password
    assert agent.register().status == 200
    assert agent.register(expires=0).status == 200
    site.cli("device", "remove", MAC, "--yes")
    assert agent.register().status == 401
    assert get(f"{url}{BARE}.cfg").status_code == 404
