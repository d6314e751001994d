"""`python -m blfd.web OPTIONS`: serves until its standard input ends, which is the server's to hold open.

OPTIONS is a JSON object: `database`, `host` and `ports` for SIP, `scheme`, `address` and `port` for HTTP, and
for https `certificate` and `certificate_key`.
"""

from __future__ import annotations

import json
import logging
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import uvicorn

from blfd.phones import Phones, Place
from blfd.store import Store
from blfd.web import tls
from blfd.web.files import Files
from blfd.web.limits import MAX_HEADER, ShortLived, make_room


def main() -> None:
    options: dict[str, Any] = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    if options["scheme"] == "https":
        try:
            tls.check(options["certificate"], options["certificate_key"])
        except tls.TlsError as error:
            print(f"cannot serve files with TLS: {error}")
            sys.exit(1)
    make_room()
    try:
        listener = socket.create_server((options["address"], options["port"]), backlog=2048)
    except OSError as error:
        where = f"{options['address']}:{options['port']}"
        print(f"cannot serve files on {where}: {error.strerror}; choose another with --provision")
        sys.exit(1)
    port = listener.getsockname()[1]
    host = options["host"] if options["address"] == "0.0.0.0" else options["address"]
    url = f"{options['scheme']}://{host}:{port}"
    store = Store(Path(options["database"]))
    phones = Phones(store, Place(options["host"], options["ports"], url))
    config = uvicorn.Config(
        Files(store, phones).application(),
        log_config=None,
        log_level="warning",
        access_log=False,  # it would show the secret in each address
        server_header=False,
        http=ShortLived,
        h11_max_incomplete_event_size=MAX_HEADER,
        ws="none",
        ssl_certfile=options.get("certificate"),
        ssl_keyfile=options.get("certificate_key"),
    )
    server = uvicorn.Server(config)

    def until_the_input_ends() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=until_the_input_ends, daemon=True).start()
    print(f"ready {url}", flush=True)
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
