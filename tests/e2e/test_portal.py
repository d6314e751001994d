"""The portal as people use it, with a real browser, the real server, and real phones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from browser import ADMIN_PASSWORD, portal_url
from playwright.sync_api import Browser, Locator, Page, expect
from sites import Site


@pytest.fixture
def site(own_site: Callable[..., Site]) -> Site:
    site = own_site("--web", "http://127.0.0.1:0")
    site.cli("admin", "add", "boss", "--tenant", "default", "--password", ADMIN_PASSWORD)
    return site


@pytest.fixture
def page(chromium: Browser, site: Site) -> Iterator[Page]:
    """A page where boss has signed in."""
    context = chromium.new_context(base_url=portal_url(site))
    page = context.new_page()
    sign_in(page, "boss")
    yield page
    context.close()


def sign_in(page: Page, name: str) -> None:
    page.context.clear_cookies()
    page.goto("/sign-in")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(ADMIN_PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def make_group(page: Page, name: str, *members: str) -> None:
    """Make a group as administrators know it from other PBXs."""
    page.get_by_role("link", name="Call Pickup").click()
    page.get_by_role("link", name="Add", exact=True).click()
    page.get_by_role("textbox", name="Name").fill(name)
    page.get_by_role("tab", name="Group Members").click()
    for member in members:
        page.get_by_label("Search").fill(member)
        page.get_by_role("checkbox", name=re.compile(f"^{member} .* is a member")).check()
    page.get_by_role("button", name="OK").click()
    expect(page.get_by_role("status")).to_have_text("Added.")


def test_a_group_that_is_made_by_clicks_is_followed_by_the_next_pickup(site: Site, page: Page) -> None:
    alice, bob, carol = (site.phone(extension) for extension in ("101", "105", "106"))
    alice.do("call", to="105")
    bob.wait("incoming")
    carol.do("call", to="*98")
    carol.wait_call("disconnected")  # both are in no group yet
    make_group(page, "warehouse", "105", "106")
    expect(page.get_by_role("row", name=re.compile("warehouse"))).to_contain_text("105 106")
    carol.do("call", to="*98")
    for talking in (alice, carol):
        talking.wait_call("confirmed")


def test_who_picks_up_and_who_is_picked_up_apart(site: Site, page: Page) -> None:
    page.get_by_role("link", name="Call Pickup").click()
    page.get_by_role("link", name="Add", exact=True).click()
    page.get_by_role("textbox", name="Name").fill("doors")
    page.get_by_role("tab", name="Group Members").click()
    page.get_by_label("Choose apart").check()
    page.get_by_role("checkbox", name=re.compile("^108 .* is picked up")).check()
    page.get_by_role("checkbox", name=re.compile("^101 .* picks up")).check()
    page.get_by_role("button", name="OK").click()
    found = site.shown("group", "show", "doors")
    assert (found["pickers"], found["targets"]) == (["101"], ["108"])


def ticked(page: Page, side: str) -> list[str]:
    """The extensions whose boxes of this name are shown and ticked."""
    boxes = page.locator(f"input[name={side}]:checked")
    found = [box.get_attribute("value") for box in boxes.all() if box.is_visible()]
    return [value for value in found if value]


@pytest.mark.parametrize("with_javascript", [True, False])
def test_what_is_saved_of_a_group_is_what_is_shown(
    chromium: Browser, site: Site, page: Page, with_javascript: bool
) -> None:
    """This holds however often one switches between one list and two."""
    context = chromium.new_context(
        base_url=page.url.split("/t/")[0],
        java_script_enabled=with_javascript,
        storage_state=page.context.storage_state(),
    )
    page = context.new_page()

    def open_(path: str) -> None:
        page.goto(f"/t/default/groups/{path}")
        page.get_by_role("textbox", name="Name").fill("doors")
        if with_javascript:
            page.get_by_role("tab", name="Group Members").click()

    def box(text: str) -> Locator:
        return page.get_by_role("checkbox", name=re.compile(f"^{text}"))

    def saved() -> tuple[list[str], list[str]]:
        """What is stored, once it is checked against what was shown just before."""
        apart = page.get_by_label("Choose apart").is_checked()
        shown = ticked(page, "picker" if apart else "member"), ticked(page, "target" if apart else "member")
        page.get_by_role("button", name="OK").click()
        expect(page.get_by_role("status")).to_be_visible()
        found = site.shown("group", "show", "doors")
        assert (found["pickers"], found["targets"]) == shown
        return shown

    open_("new")
    for member in ("105", "106"):
        box(f"{member} .* is a member").check()
    page.get_by_label("Choose apart").check()
    for side in ("picks up", "is picked up"):
        for member in ("105", "106"):
            expect(box(f"{member} .* {side}")).to_be_checked(checked=with_javascript)
    box("105 .* picks up").check()
    box("105 .* is picked up").check()
    box("106 .* is picked up").uncheck()
    assert saved() == (["105", "106"] if with_javascript else ["105"], ["105"])
    open_("edit/doors")
    page.get_by_label("Choose apart").check()
    box("107 .* picks up").check()
    page.get_by_label("Choose apart").uncheck()
    expect(box("105 .* is a member")).to_be_checked()
    expect(box("107 .* is a member")).not_to_be_checked()
    assert saved() == (["105"], ["105"])
    open_("edit/doors")
    page.get_by_label("Choose apart").check()
    box("108 .* picks up").check()
    assert saved() == (["105", "108"], ["105"])
    context.close()


def test_ticks_that_the_search_hides_are_told(page: Page) -> None:
    page.goto("/t/default/groups/new#members")
    page.get_by_role("tab", name="Group Members").click()
    page.get_by_role("checkbox", name=re.compile("^105 .* is a member")).check()
    page.get_by_label("Search").fill("106")
    expect(page.get_by_text("1 more is ticked, which the search hides.")).to_be_visible()
    page.get_by_role("checkbox", name=re.compile("^106 .* is a member")).check()
    page.get_by_label("Search").fill("107")
    expect(page.get_by_text("2 more are ticked, which the search hides.")).to_be_visible()
    page.get_by_label("Search").fill("")
    expect(page.get_by_text("which the search hides")).not_to_be_visible()


def test_by_keyboard_alone(site: Site, page: Page) -> None:
    def press(
        role: Literal["link", "tab", "checkbox", "button"], name: str | re.Pattern[str], key: str
    ) -> None:
        found = page.get_by_role(role, name=name)
        found.focus()
        found.press(key)

    press("link", "Call Pickup", "Enter")
    press("link", re.compile("^Add$"), "Enter")
    expect(page.get_by_role("textbox", name="Name")).to_be_focused()
    page.keyboard.type("keys")
    press("tab", "General", "ArrowRight")
    press("checkbox", re.compile("^105 .* is a member"), "Space")
    press("checkbox", re.compile("^106 .* is a member"), "Space")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Added.")
    assert site.shown("group", "show", "keys")["targets"] == ["105", "106"]


def test_keys_are_moved(site: Site, page: Page) -> None:
    """Keys are moved by Alt and an arrow, by buttons, and by their handles."""
    mac = "80:5e:c0:12:34:56"
    site.cli(
        "device", "add", mac, "--model", "yealink/t54w", "--extension", "101", "--keys", "102,103,104,105"
    )
    page.goto(f"/t/default/phones/edit/{mac}")
    page.get_by_label("Key 3: number").press("Alt+ArrowUp")
    page.keyboard.press("Alt+ArrowUp")
    expect(page.get_by_label("Key 1: number")).to_be_focused()
    expect(page.get_by_label("Key 1: number")).to_have_value("104")
    page.get_by_role("button", name="Key 2: move down").click()
    expect(page.get_by_role("button", name="Key 3: move down")).to_be_focused()
    rows = page.locator(".key-rows li")
    rows.nth(3).locator(".handle").drag_to(rows.nth(0))
    page.get_by_role("button", name="OK").click()
    expect(page.get_by_role("status")).to_have_text("Saved.")
    assert site.shown("device", "show", mac)["keys"] == "105,104,103,102"


def test_two_who_edit_the_same_group(site: Site, page: Page) -> None:
    make_group(page, "warehouse", "105", "106")
    page.get_by_role("link", name="Edit").first.click()
    site.cli("group", "set", "sales", "102", "103")  # the members of SALES, the first group in the list
    page.get_by_role("button", name="OK").click()
    expect(page.get_by_role("alert")).to_contain_text("changed by somebody else")
    assert site.shown("group", "show", "sales")["pickers"] == ["102", "103"]
    page.get_by_role("tab", name="Group Members").click()
    expect(page.get_by_role("checkbox", name=re.compile("^104 .* is a member"))).not_to_be_checked()
    page.get_by_role("button", name="OK").click()
    expect(page.get_by_role("status")).to_have_text("Saved.")


def test_removing_asks_first(site: Site, page: Page) -> None:
    page.get_by_role("link", name="Call Pickup").click()
    page.get_by_role("link", name="Remove").click()
    expect(page.get_by_role("heading", name="Remove group sales?")).to_be_visible()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("There is no pickup group yet")).to_be_visible()
    assert site.shown("group", "list") == []


def test_it_works_without_javascript(chromium: Browser, site: Site, page: Page) -> None:
    context = chromium.new_context(
        base_url=page.url.split("/t/")[0],
        java_script_enabled=False,
        storage_state=page.context.storage_state(),
    )
    plain = context.new_page()
    plain.goto("/t/default/groups/new")
    plain.get_by_role("textbox", name="Name").fill("warehouse")
    plain.get_by_role("checkbox", name=re.compile("^105 .* is a member")).check()
    plain.get_by_role("checkbox", name=re.compile("^106 .* is a member")).check()
    plain.get_by_role("button", name="OK").click()
    expect(plain.get_by_role("row", name=re.compile("warehouse"))).to_contain_text("105 106")
    context.close()


def measured(page: Page, what: str) -> Any:
    """What an expression about the layout gives; a click does not wait for the stylesheet, as goto does."""
    page.wait_for_load_state()
    return page.evaluate(what)


NO_TABLE_SCROLLS_SIDEWAYS = """
    [...document.querySelectorAll(".wide, .scroll")].every((one) => one.scrollWidth <= one.clientWidth + 20)
"""
"""A letter or two are not counted: fonts differ."""
NO_ROW_IS_HALF_A_SCREEN_HIGH = """
    [...document.querySelectorAll("tr")].every((one) => one.getBoundingClientRect().height < innerHeight / 2)
"""


def fits(page: Page, address: str) -> None:
    """A page and its tables are not wider than the screen, and no row of them fills it."""
    page.goto(address)
    root = "document.documentElement"
    assert measured(page, f"{root}.scrollWidth <= {root}.clientWidth"), address
    assert measured(page, NO_TABLE_SCROLLS_SIDEWAYS), address
    assert measured(page, NO_ROW_IS_HALF_A_SCREEN_HIGH), address


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_screen(site: Site, page: Page, width: int) -> None:
    """No page writes an error to the console either, such as for what the content policy forbids."""
    site.cli("device", "add", "80:5e:c0:12:34:56", "--model", "yealink/t54w", "--extension", "101")
    site.cli("extension", "set", "101", "--name", "W" * 200)
    numbers = ("--did", "+493012345101=101", "--did", "+4930123451xx=1xx", "--enabled", "off")
    site.cli("trunk", "add", "carrier", "--server", "127.0.0.109:15061", *numbers)
    site.cli("route", "add", "0.", "--trunks", "carrier", "--strip", "1", "--prefix", "+49")
    pbx = ("--server", "127.0.0.11", "--extensions", "110,111,112", "--enabled", "off")
    site.cli("upstream", "add", "headquarters", *pbx)
    site.cli("admin", "add", "root", "--password", ADMIN_PASSWORD)
    far = "branch-office.of-a-city-far-away.example"
    site.cli("tenant", "add", far, "--alias", f"pbx.{far}")
    site.cli("admin", "add", "barbara", "--tenant", far, "--password", ADMIN_PASSWORD)
    site.cli("token", "add", "t" * 60, "--scope", "lamps", "--scope", "read", "--scope", "system")
    (site.folder / "many.csv").write_text(
        "extension,password\n" + "".join(f"{n},x\n" for n in range(30000, 30060))
    )
    site.cli("extension", "import", str(site.folder / "many.csv"))
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.set_viewport_size({"width": width, "height": 800})
    shown = (
        "lamps",
        "extensions",
        "phones",
        "phones/show/80:5e:c0:12:34:56",
        "groups",
        "groups/new",
        "codes",
        "settings",
        "trunks",
        "upstreams",
    )
    for name in (*shown, "pickups", "explain?extension=101", "administrators", "tokens", "changes"):
        fits(page, f"/t/default/{name}")
    page.goto("/t/default/extensions/import")
    page.get_by_label("CSV file").set_input_files(
        {
            "name": "new.csv",
            "mimeType": "text/csv",
            "buffer": f"extension,password,name\n201,x,{'N' * 40}\n".encode(),
        }
    )
    page.get_by_role("button", name="Show what it will do").click()
    expect(page.get_by_role("button", name="Add them")).to_be_visible()
    assert measured(page, NO_TABLE_SCROLLS_SIDEWAYS), "import"
    sign_in(page, "root")
    for name in ("tenants", "administrators", "tokens", "settings", "changes", "health"):
        fits(page, f"/{name}")
    assert not said


RUN_AXE = "rules => axe.run(rules).then(({violations}) => violations)"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
RULES: dict[str, dict[str, Any]] = {  # in the dark only colours can differ
    "light": {"resultTypes": ["violations"]},
    "dark": {"resultTypes": ["violations"], "runOnly": {"type": "rule", "values": ["color-contrast"]}},
}


OF_TENANT = (
    "lamps",
    "lamps?wall=dense",
    "lamps?group=sales&group=front",
    "lamps?wall=dense&group=sales&group=front",
    "extensions",
    "extensions?q=nobody",
    "extensions/edit/101",
    "extensions/renumber/101",
    "extensions/remove/101",
    "extensions/import",
    "phones",
    "phones/show/80:5e:c0:12:34:56",
    "phones/edit/80:5e:c0:12:34:56",
    "phones/new",
    "groups",
    "groups/edit/sales",
    "codes",
    "trunks",
    "trunks/edit/carrier",
    "routes/edit/0.",
    "upstreams",
    "upstreams/new",
    "pickups",
    "explain?extension=101",
    "explain?extension=name",
    "settings",
    "administrators",
    "administrators/edit/boss@default",
    "tokens",
    "changes",
    "nothing",
)
OF_SYSTEM = (
    "/tenants",
    "/tenants/new",
    "/tenants/edit/default",
    "/administrators",
    "/tokens",
    "/settings",
    "/templates",
    "/templates/edit?scope=yealink",
    "/changes",
    "/health",
    "/password",
    "/api/v1/docs",
)


def test_no_page_keeps_anybody_out(site: Site, page: Page) -> None:
    """Pages keep axe-core's rules of contrast, labels and keyboard, in light and dark, wide and narrow."""
    site.cli(
        "device",
        "add",
        "80:5e:c0:12:34:56",
        "--model",
        "yealink/t54w",
        "--extension",
        "101",
        "--keys",
        "102,103,*98=Group",
    )
    site.cli("extension", "set", "102", "--dnd", "on")
    site.cli("group", "add", "front", "101", "102")
    site.cli("admin", "add", "root", "--password", ADMIN_PASSWORD)
    site.cli("upstream", "add", "pbx", "--server", "127.0.0.11", "--extensions", "112")
    site.registered("101")
    site.cli("trunk", "add", "carrier", "--server", "127.0.0.9", "--default", "101")
    site.cli("route", "add", "0.", "--trunks", "carrier")
    pages = [f"/t/default/{name}" for name in OF_TENANT]
    violations = list[str]()
    for name in (*pages, *OF_SYSTEM, "/sign-in"):
        if name == OF_SYSTEM[0]:
            sign_in(page, "root")
        if name == "/sign-in":
            page.context.clear_cookies()
        page.emulate_media(color_scheme="light")
        page.goto(name)
        page.evaluate(AXE_SCRIPT)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            for width in (1280, 390):
                page.set_viewport_size({"width": width, "height": 800})
                found = page.evaluate(RUN_AXE, RULES[scheme])
                where = f"{name}, {scheme}, {width}"
                violations += [f"{where}: {one['id']} {one['nodes'][0]['html'][:90]}" for one in found]
    site.cli("upstream", "remove", "pbx", "--yes")
    assert not violations, "\n".join(violations)


def test_a_slash_leads_to_the_search_and_a_menu_closes(page: Page) -> None:
    page.goto("/t/default/extensions")
    page.keyboard.press("/")
    page.keyboard.type("104")
    page.keyboard.press("Enter")
    expect(page.get_by_role("row")).to_have_count(2)
    expect(page.get_by_role("row", name=re.compile("Name 104"))).to_be_visible()
    expect(page.get_by_label("Search")).to_have_value("104")
    page.goto("/t/default/lamps")
    menu, choice = page.locator("details.choose > summary"), page.get_by_role("checkbox", name="sales")
    ways: list[Callable[[], None]] = [
        lambda: page.keyboard.press("Escape"),
        lambda: page.get_by_role("heading", name="Lamps").click(),
        lambda: page.get_by_label("Search").focus(),
    ]
    for leave in ways:
        menu.click()
        choice.check()
        leave()
        expect(choice).to_be_hidden()
    menu.press("Enter")
    expect(choice).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(menu).to_be_focused()
    expect(choice).to_be_hidden()


def test_three_hundred_lamps_on_one_screen(site: Site, page: Page) -> None:
    rows = "".join(f"{number},x,Person {number}\n" for number in range(2000, 2288))
    (site.folder / "many.csv").write_text(f"extension,password,name\n{rows}")
    site.cli("extension", "import", str(site.folder / "many.csv"))
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto("/t/default/lamps?wall=dense")
    expect(page.locator("#board > li")).to_have_count(300)
    root = "document.documentElement"
    assert measured(page, f"{root}.scrollHeight") <= 900
    numbers = [str(number) for number in (*range(2000, 2288), *range(101, 113))]
    for at in range(10):
        site.cli("group", "add", f"wall {at}", *numbers[at * 30 :][:30])
    page.goto("/t/default/lamps?wall=dense")
    page.locator("summary").click()
    for at in range(10):
        page.get_by_label(f"wall {at}").check()
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#board > .tile")).to_have_count(300)
    expect(page.locator("#board h2")).to_have_text([f"wall {at}" for at in range(10)])
    assert measured(page, f"{root}.scrollHeight") <= 900
    page.goto("/t/default/groups/edit/wall%200")  # the tenant is so large that members are found by a search
    page.get_by_role("textbox", name="Name").fill("wall zero")
    page.get_by_role("textbox", name="Name").press("Enter")
    expect(page.get_by_role("status")).to_have_text("Saved.")
    expect(page.get_by_role("link", name="wall zero")).to_be_visible()
    page.goto("/t/default/lamps?wall=dense")
    page.get_by_role("link", name="2287").click()
    expect(page.get_by_role("heading", name=re.compile("2287"))).to_be_visible()
