"""Make docs/pictures: every page of the portal, wide and narrow, light and dark, of an office at work.

    .venv/bin/python docs/pictures.py

It needs Chromium, and the development packages.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, FilePayload, Page, sync_playwright

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
sys.path[:0] = [str(folder) for folder in (ROOT, TESTS / "e2e", TESTS / "transport", TESTS)]

from browser import ADMIN_PASSWORD, portal_url  # noqa: E402
from forked import Forked  # noqa: E402
from programs import program  # noqa: E402
from sites import Site  # noqa: E402

FOLDER = ROOT / "docs" / "pictures"
SIZES = {"desktop": (1280, 800), "phone": (390, 844)}
MAC = "80:5e:c0:12:34:56"
FILE: FilePayload = {
    "name": "phones.csv",
    "mimeType": "text/csv",
    "buffer": b"mac,model,extensions,keys\n"
    b"80:5e:c0:12:34:57,yealink/t54w,102,team\n"
    b'00:0b:82:11:22:33,grandstream/grp2614,103,"101,102,*98=Group"\n',
}
NAMES = {
    "101": "Alice Ng",
    "102": "Bob Roy",
    "103": "Carol Diaz",
    "104": "Dan Okafor",
    "105": "Erin Svensson",
    "106": "Warehouse",
    "107": "Door",
    "108": "Fatima Haddad",
}
PAGES = {
    "sign-in": "/sign-in",
    "lamps": "/t/default/lamps",
    "wall": "/t/default/lamps?wall",
    "groups-of-lamps": "/t/default/lamps?group=sales&group=warehouse",
    "extensions": "/t/default/extensions",
    "extension": "/t/default/extensions/edit/102",
    "remove": "/t/default/extensions/remove/102",
    "import": "/t/default/extensions/import",
    "phones": "/t/default/phones",
    "phone": f"/t/default/phones/show/{MAC}",
    "phone-edit": f"/t/default/phones/edit/{MAC}",
    "groups": "/t/default/groups",
    "group": "/t/default/groups/edit/sales#members",
    "codes": "/t/default/codes",
    "trunks": "/t/default/trunks",
    "settings": "/t/default/settings",
    "pickups": "/t/default/pickups",
    "explain": "/t/default/explain?extension=102",
    "administrators": "/t/default/administrators",
    "administrator": "/t/default/administrators/edit/reception@default",
    "tokens": "/t/default/tokens",
    "changes": "/t/default/changes",
    "tenants": "/tenants",
    "tenant": "/tenants/edit/acme.example",
    "health": "/health",
    "password": "/password",
}


def office(folder: Path) -> Site:
    """A site at work: 101 calls 102, which rings, 103 has picked up 104's call, and 105 and 108 talk."""
    site = Site(folder, "--web", "http://127.0.0.1:0", "--provision", "http://127.0.0.1:0")
    for extension, name in NAMES.items():
        site.cli("extension", "set", extension, "--name", name)
    for extension in ("109", "110", "111", "112"):
        site.cli("extension", "remove", extension, "--yes")
    site.cli("group", "add", "warehouse", "--targets", "106,107", "--pickers", "101,105,106")
    who = ("--model", "yealink/t54w", "--extension", "101", "--keys", "102,103,104,105,*98=Group")
    site.cli("device", "add", MAC, *who)
    site.cli("trunk", "add", "carrier", "--server", "127.0.0.9", "--default", "101")
    site.cli("route", "add", "0.", "--trunks", "carrier", "--strip", "1")
    site.cli("admin", "add", "root", "--password", ADMIN_PASSWORD)
    site.cli(
        "admin", "add", "reception", "--tenant", "default", "--role", "attendant", "--password", "x" * 12
    )
    site.cli("token", "add", "crm", "--tenant", "default", "--scope", "lamps", "--scope", "callers")
    phones = {extension: site.phone(extension) for extension in ("101", "102", "103", "104", "105", "108")}
    phones["105"].do("call", to="108")
    phones["108"].wait("incoming")
    phones["108"].do("answer")
    phones["105"].wait_call("confirmed")
    phones["101"].do("call", to="104")
    phones["104"].wait("incoming")
    phones["103"].do("call", to="*97104")
    phones["103"].wait_call("confirmed")
    phones["104"].do("call", to="102")
    phones["102"].wait("incoming")
    return site


def take(browser: Browser, url: str, dark: bool, size: str) -> None:
    width, height = SIZES[size]
    context = browser.new_context(
        base_url=url,
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    for name, address in PAGES.items():
        page.goto(address)
        save(page, f"{name}-{size}-{'dark' if dark else 'light'}")
        if name == "sign-in":
            page.get_by_label("Name").fill("root")
            page.get_by_label("Password").fill(ADMIN_PASSWORD)
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("button", name="Sign out").wait_for()
    page.goto("/t/default/phones/import")
    page.get_by_label("CSV file").set_input_files(FILE)
    page.get_by_role("button", name="Show what it will do").click()
    page.get_by_role("button", name="Add them").wait_for()
    page.wait_for_load_state()  # the page has its style
    save(page, f"preview-{size}-{'dark' if dark else 'light'}")
    context.close()


def save(page: Page, name: str) -> None:
    if page.get_by_role("tab", name="Group Members").count():
        page.get_by_role("tab", name="Group Members").click()
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if overflow > 0:
        print(f"{name} is {overflow} pixels too wide")
    page.screenshot(path=FOLDER / f"{name}.jpg", type="jpeg", quality=45)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        Site.forked = Forked()
        site = office(Path(folder))
        browser = playwright.chromium.launch(executable_path=program("chromium"), args=["--no-sandbox"])
        for size in SIZES:
            for dark in (False, True):
                take(browser, portal_url(site), dark, size)
        browser.close()
        site.forget()
        site.stop()
        Site.forked.close()


if __name__ == "__main__":
    main()
