"""A browser without JavaScript, which signs in, follows links, and sends forms with what they hide."""

from __future__ import annotations

import secrets
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from lxml import html
from sites import Site
from wire import DEADLINE

ADMIN_PASSWORD = "correct horse"


def portal_url(site: Site) -> str:
    """The URL at which a site that was started with --web serves its portal."""
    serves = site.ask("status")["serves"]
    (url,) = (entry.removeprefix("portal: ") for entry in serves if entry.startswith("portal: "))
    return str(url)


def web_processes(server: int) -> list[int]:
    """The ids of the server's children that serve HTTP."""
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    lines = {int(pid): Path(f"/proc/{pid}/cmdline").read_text() for pid in children}
    return [pid for pid, line in lines.items() if "blfd.web" in line]


def program(site: Site, *scopes: str, tenant: str | None = "default") -> httpx.Client:
    """A client of the API with a new token that has these rights."""
    whose = ["--tenant", tenant] if tenant else []
    wanted = [word for scope in scopes for word in ("--scope", scope)]
    name = f"t{secrets.token_hex(8)}"
    token = site.cli("token", "add", name, *wanted, *whose).strip()
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=f"{portal_url(site)}/api/v1", headers=headers, timeout=DEADLINE)


class Browser:
    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, follow_redirects=True, timeout=DEADLINE)

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()

    def sign_in(self, name: str, password: str = ADMIN_PASSWORD) -> httpx.Response:
        return self.client.post("/sign-in", data={"name": name, "password": password})

    def get(self, path: str) -> httpx.Response:
        return self.client.get(path)

    def submit(self, path: str, files: Any = None, **fields: Any) -> httpx.Response:
        """Send the page's form with its hidden fields and with `fields`; a list is sent value by value."""
        page = self.get(path)
        assert page.status_code in (200, 409), page.text
        return self.send(page, files, **fields)

    def send(self, page: httpx.Response, files: Any = None, to: str = "", **fields: Any) -> httpx.Response:
        """Send a form of a page that is open already: the first of those whose address has `to` in it."""
        forms = found_in(page.text, "//main//form[@method='post']")
        form = next(form for form in forms if to in form.get("action", ""))
        inputs = form.xpath(".//input[@type='hidden']")
        hidden: dict[str, Any] = {field.get("name"): field.get("value", "") for field in inputs}
        address = httpx.URL(page.url).join(form.get("action") or str(page.url))
        return self.client.post(address, data={**hidden, **fields}, files=files)


def found_in(page: str, path: str) -> list[Any]:
    """The elements, or values of attributes, that an XPath leads to."""
    result = html.fromstring(page).xpath(path)
    assert isinstance(result, list)
    return result


def words(answer: httpx.Response) -> str:
    """The text of a page as a person reads it."""
    return " ".join(found_in(answer.text, "//main")[0].text_content().split())
