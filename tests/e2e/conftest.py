"""Fixtures of real servers on loopback, and of phones that are not ours."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import httpx
import pytest
from browser import ADMIN_PASSWORD, portal_url
from browser import Browser as PortalBrowser
from carriers import DID, Carrier
from forked import Forked
from pickups import Office
from playwright.sync_api import Browser, expect, sync_playwright
from programs import program
from sites import TCP6, TLS6, UDP6, Site
from wire import DEADLINE

from blfd.operations import routes, trunks


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failure what was seen then: nothing else explains one that happens once in a hundred runs."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for site in Site.running:
            report.sections.append((f"server of {site.folder}", site.account()))
    return report


for what in ("connect", "read", "write", "pool"):  # five seconds by default, which a busy machine may exceed
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, what, DEADLINE)


@pytest.fixture(scope="session", autouse=True)
def commands(forked: Forked) -> None:
    """Have the commands of all sites of this process run without half a second of imports each time."""
    Site.forked = forked


@pytest.fixture(scope="module")
def module_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.stop()


@pytest.fixture
def site(module_site: Site) -> Iterator[Site]:
    """One server for all tests of a module; after each test, what it has made there is closed."""
    yield module_site
    module_site.forget()


@pytest.fixture(scope="module")
def module_serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("serving"), "--provision", "http://127.0.0.1:0")
    yield site
    site.stop()


@pytest.fixture
def serving(module_serving: Site) -> Iterator[Site]:
    """One server of phones' files for all tests of a module; before each test it knows no phone."""
    yield module_serving
    module_serving.forget()
    for device in module_serving.shown("device", "list"):
        module_serving.cli("device", "remove", device["mac"], "--yes")


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """A function that starts a server of the test's own, with options and a configuration file."""
    made: list[Site] = []

    def make(*options: str, config: str = "") -> Site:
        made.append(Site(tmp_path, *options, config=config))
        return made[-1]

    yield make
    for site in made:
        site.stop()


@pytest.fixture(params=[UDP6, "tcp", TLS6])
def any_office(request: pytest.FixtureRequest, site: Site) -> Iterator[Office]:
    """Phones over each transport, for the tables that look at all of what a transport may change."""
    office = Office(site, request.param)
    yield office
    office.leave()


@pytest.fixture(params=["udp", TCP6])
def office(request: pytest.FixtureRequest, site: Site) -> Iterator[Office]:
    """Phones over UDP, and over TCP and IPv6; no call is left ringing."""
    office = Office(site, request.param)
    yield office
    office.leave()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = program("chromium")
    expect.set_options(timeout=1000 * DEADLINE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server for all tests of a module whose portal two administrators of a tenant use, and one of all."""
    site = Site(tmp_path_factory.mktemp("pages"), "--web", "http://127.0.0.1:0")
    for name in ("boss", "second"):
        site.cli("admin", "add", name, "--tenant", "default", "--password", ADMIN_PASSWORD)
    site.cli("admin", "add", "root", "--password", ADMIN_PASSWORD)
    yield site
    site.stop()


@pytest.fixture
def browser(portal: Site) -> Iterator[PortalBrowser]:
    """A browser without JavaScript, in which an administrator of the default tenant is signed in."""
    with PortalBrowser(portal_url(portal)) as browser:
        browser.sign_in("boss")
        yield browser


@pytest.fixture
def carrier(site: Site) -> Iterator[Carrier]:
    """A carrier of the site, which has numbers for all extensions and gets all calls that begin with 0."""
    carrier = Carrier(site, "127.0.0.2")
    said = {"servers": [carrier.agent.address], "dids": [f"{DID}xx=1xx"]}
    trunks.add(carrier.desk, "default", "carrier", said)
    routes.add(carrier.desk, "default", "0.", {"trunks": ["carrier"]})
    yield carrier
    carrier.agent.close()
    routes.remove(carrier.desk, "default", "0.")
    trunks.remove(carrier.desk, "default", "carrier")
