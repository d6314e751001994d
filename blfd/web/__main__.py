"""`python -m blfd.web OPTIONS`: serves until its standard input ends, which the server holds open.

OPTIONS is a JSON object: `database`; `log_format`; `host`, `ports` and `ca` as in Place; `listeners`, each
with `name` (provision, portal or metrics), `scheme`, `address` and `port`; for https `certificate` and
`certificate_key`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from blfd import logs
from blfd.control import ControlClient, socket_path
from blfd.core import hosts
from blfd.devices.phones import Phones
from blfd.devices.values import Place
from blfd.store import Store
from blfd.transport.certificate import CertificateError, PemFiles, TlsSettings
from blfd.transport.certificates import Certificates
from blfd.web import metrics
from blfd.web.feed import Feed
from blfd.web.limits import MAX_HEADER, Prompt, Seldom, ShortLived, make_room
from blfd.web.portal.app import portal
from blfd.web.provision.files import Files
from blfd.web.site import Site

log = logging.getLogger("blfd.web")

RENEWAL = 1.0  # seconds between looks whether the certificate has changed
GRACE = 1  # seconds that requests have to end; a lamp board's never does
WORDS = {  # for errors: what is served, and the option that says where
    "provision": ("files", "--provision"),
    "portal": ("the portal", "--web"),
    "metrics": ("metrics", "--metrics"),
}


def main() -> None:
    options: dict[str, Any] = json.loads(sys.argv[1])
    logs.start(as_what=options["log_format"])
    logging.getLogger("uvicorn.error").addFilter(Seldom())
    certificates = _certificates(options)
    make_room()
    sockets = {one["name"]: listening(one) for one in options["listeners"]}
    urls = {
        one["name"]: f"{one['scheme']}://{_host(one, options)}:{sockets[one['name']].getsockname()[1]}"
        for one in options["listeners"]
    }
    store = Store(Path(options["database"]))
    client = ControlClient(socket_path(store.path))
    place = Place(options["host"], options["ports"], urls.get("provision", ""), options["ca"])
    phones = Phones(store, lambda: place)
    feed = Feed(client)
    applications: dict[str, Callable[[], ASGIApp]] = {
        "provision": lambda: Files(store, phones).application(),
        "portal": lambda: portal(Site(store, client, phones, feed, urls["portal"].startswith("https"))),
        "metrics": lambda: metrics.application(client),
    }
    servers = {
        one["name"]: uvicorn.Server(_config(applications[one["name"]](), one, certificates))
        for one in options["listeners"]
    }
    print(f"ready {json.dumps(urls)}", flush=True)
    asyncio.run(_serve(servers, sockets, feed, certificates))


def _certificates(options: dict[str, Any]) -> Certificates | None:
    """The certificate for https; None where nothing is served by https."""
    if all(one["scheme"] != "https" for one in options["listeners"]):
        return None
    files = PemFiles(Path(options["certificate"]), Path(options["certificate_key"]))
    try:
        return Certificates(TlsSettings(certificates=(files,)), "https")
    except CertificateError as error:
        print(f"cannot serve with TLS: {error}")
        sys.exit(1)


def listening(listener: dict[str, Any]) -> socket.socket:
    try:
        host, port = listener["address"], listener["port"]
        kind = socket.AF_INET6 if hosts.is_ipv6(host) else socket.AF_INET
        both = host == hosts.EVERY
        made = socket.create_server((host, port), family=kind, backlog=2048, dualstack_ipv6=both)
        # asyncio does so where it opens the socket itself; without it, pages wait 40 ms for an ACK
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made
    except OSError as error:
        what, option = WORDS[listener["name"]]
        where = f"{hosts.written(host)}:{port}"
        print(f"cannot serve {what} on {where}: {error.strerror}; choose another with {option}")
        sys.exit(1)


def _host(listener: dict[str, Any], options: dict[str, Any]) -> str:
    """The host at which others reach a listener, as it stands in a URL."""
    is_every = listener["address"] in (hosts.EVERY, hosts.EVERY_IPV4)
    return hosts.written(options["host"] if is_every else listener["address"])


def _config(
    application: ASGIApp, listener: dict[str, Any], certificates: Certificates | None
) -> uvicorn.Config:
    config = uvicorn.Config(
        application,
        log_config=None,
        log_level="warning",
        access_log=False,  # such a log would have the secret of each address
        server_header=False,
        http=ShortLived if listener["name"] == "provision" else Prompt,
        h11_max_incomplete_event_size=MAX_HEADER,
        ws="none",
        proxy_headers=False,  # who asks is who is connected: failures are slowed down by address
        timeout_graceful_shutdown=GRACE,
    )
    if listener["scheme"] == "https" and certificates:
        config.load()
        config.ssl = certificates.context
    return config


async def _serve(
    servers: dict[str, uvicorn.Server],
    sockets: dict[str, socket.socket],
    feed: Feed,
    certificates: Certificates | None,
) -> None:
    """Serve until the input ends; then the streams of the feed end, and requests have GRACE to do so."""
    renewal = asyncio.create_task(_renew(certificates)) if certificates else None
    loop = asyncio.get_running_loop()

    def stop() -> None:
        feed.close()
        for server in servers.values():
            server.should_exit = True

    def until_the_input_ends() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(stop)

    threading.Thread(target=until_the_input_ends, daemon=True).start()
    await asyncio.gather(*(server.serve(sockets=[sockets[name]]) for name, server in servers.items()))
    if renewal:
        renewal.cancel()


async def _renew(certificates: Certificates) -> None:
    while True:
        await asyncio.sleep(RENEWAL)
        try:
            await asyncio.to_thread(certificates.renew)
        except Exception:  # the next certificate may be in order
            log.exception("the certificates were not read again")


if __name__ == "__main__":
    main()
