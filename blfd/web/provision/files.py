"""The files of provisioned phones, over HTTP: to each phone its own, and to nobody else."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from blfd.core import hosts
from blfd.core.errors import auth_failed
from blfd.core.macs import mac_in
from blfd.devices.phones import Phones
from blfd.store import Store, StoreError
from blfd.store.devices import DeviceRow, Fetch
from blfd.web.patience import Patience
from blfd.web.provision.access import Access, Stale
from provisioning import ProvisioningError, written_mac

log = logging.getLogger("blfd.provisioning")

MAX_USER_AGENT = 200
TAG_OCTETS = 16


class Files:
    """Serves `/p/SECRET/NAME`, and `/NAME` to who has credentials; names in any case.

    `/b/MAC/SECRET/NAME` is a phonebook: its secret is another one, as phones show that address to users.
    """

    def __init__(self, store: Store, phones: Phones) -> None:
        self._store, self._phones = store, phones
        self._access, self._patience = Access(store.devices), Patience()
        self._thread = ThreadPoolExecutor(1, "files")  # one: nonces and patience are not made for several

    def application(self) -> Starlette:
        routes = [
            Route("/p/{secret}/{name:path}", self._by_secret, methods=["GET", "HEAD", "PUT"]),
            Route("/b/{mac}/{secret}/{name:path}", self._by_book, methods=["GET", "HEAD"]),
            Route("/{name:path}", self._by_credentials, methods=["GET", "HEAD", "PUT"]),
        ]
        return Starlette(routes=routes, exception_handlers={StoreError: _unavailable})

    async def _by_secret(self, request: Request) -> Response:
        return await self._answered(request, self._to_secret)

    async def _by_book(self, request: Request) -> Response:
        return await self._answered(request, self._to_book)

    async def _by_credentials(self, request: Request) -> Response:
        return await self._answered(request, self._to_credentials)

    async def _answered(self, request: Request, answer: Callable[[Request, str], Response]) -> Response:
        """The answer, made on the thread of files: while the database is locked, other pages go on."""
        source = _source(request)
        if seconds := self._patience.wait(hosts.sender(source), time.monotonic()):
            await asyncio.sleep(seconds)
        return await asyncio.get_running_loop().run_in_executor(self._thread, answer, request, source)

    def _to_secret(self, request: Request, source: str) -> Response:
        row = self._access.by_secret(request.path_params["secret"])
        if row is None:
            return self._refused(source, PlainTextResponse("Not found\n", 404))
        return self._serve(request, row, source)

    def _to_book(self, request: Request, source: str) -> Response:
        row = self._access.by_book(request.path_params["mac"], request.path_params["secret"])
        if row is None:
            return self._refused(source, PlainTextResponse("Not found\n", 404))
        return self._serve(request, row, source, is_book=True)

    def _to_credentials(self, request: Request, source: str) -> Response:
        given = request.headers.get("authorization", "")
        try:
            row = self._access.by_credentials(given, request.method, source)
        except Stale:
            return self._challenge(source, stale=True)
        if row is None:
            challenge = self._challenge(source)
            return self._refused(source, challenge) if given else challenge
        return self._serve(request, row, source)

    def _challenge(self, source: str, stale: bool = False) -> Response:
        challenge = PlainTextResponse("Credentials are needed\n", 401)
        for value in self._access.challenges(source, stale):
            challenge.headers.append("WWW-Authenticate", value)
        return challenge

    def _refused(self, source: str, response: Response) -> Response:
        self._patience.failed(hosts.sender(source), time.monotonic())
        log.warning("%s", auth_failed(source, "phones' files: no such phone, or not its secret"))
        return response

    def _serve(self, request: Request, row: DeviceRow, source: str, is_book: bool = False) -> Response:
        user_agent = request.headers.get("user-agent", "")[:MAX_USER_AGENT]
        said = mac_in(user_agent)
        if said and said != row.mac:
            text = "%s at %s asks with the address of %s: refused"
            log.warning(text, written_mac(said), source, written_mac(row.mac))
            return self._refused(source, PlainTextResponse("Not found\n", 404))
        self._patience.succeeded(hosts.sender(source))
        if request.method == "PUT":
            return Response(status_code=204)  # phones send logs and their own changes; nobody reads them here
        name = request.path_params["name"].rpartition("/")[2].lower()
        try:
            content = self._phones.book(row, name) if is_book else self._phones.file(row, name)
        except (ProvisioningError, StoreError) as error:
            log.error("device %s: its files cannot be made: %s", written_mac(row.mac), error)
            return _later()
        if content is None:
            return PlainTextResponse("Not found\n", 404)
        if row.mac in name and request.method == "GET" and not is_book:
            self._note(row, Fetch(time.time(), source, user_agent), name)
        tag = f'"{hashlib.blake2b(content, digest_size=TAG_OCTETS).hexdigest()}"'
        headers = {"Cache-Control": "no-store", "ETag": tag}
        if _has(request.headers.getlist("if-none-match"), tag):
            return Response(status_code=304, headers=headers)
        kind = "application/xml" if content.startswith(b"<?xml") else "text/plain; charset=utf-8"
        return Response(content, headers=headers, media_type=kind)

    def _note(self, row: DeviceRow, fetch: Fetch, name: str) -> None:
        """Record that a phone has fetched a file, which it gets even if the disk is full."""
        text = "%s fetched %s from %s (%s)"
        log.info(text, written_mac(row.mac), name, fetch.address, fetch.user_agent)
        try:
            self._store.devices.fetched(row.mac, fetch)
        except StoreError as error:
            log.error("that %s has fetched its file is not noted: %s", written_mac(row.mac), error)


def _has(said: list[str], tag: str) -> bool:
    """Whether a client has the file of this tag, as it says by If-None-Match (RFC 9110, section 13.1.2)."""
    tags = [each.strip() for value in said for each in value.split(",")]
    return tags == ["*"] or any(each.removeprefix("W/") == tag for each in tags)


async def _unavailable(request: Request, error: Exception) -> Response:
    log.error("%s was not served: %s", _source(request), error)
    return _later()


def _later() -> Response:
    return PlainTextResponse("This phone's files cannot be had now\n", 503, {"Retry-After": "60"})


def _source(request: Request) -> str:
    return hosts.unmapped(request.client.host) if request.client else ""
