"""The process beside the server that serves HTTP: phones' files, the portal with its API, metrics."""

from __future__ import annotations

import json
from typing import Any

from blfd.companion import Companion
from blfd.config import Config
from blfd.phones import Place


def start(config: Config, place: Place) -> tuple[Companion | None, dict[str, str]]:
    """It, if it is wanted, and the address of each listener by its name. Raises CompanionError."""
    wanted = {"provision": config.provision, "portal": config.web, "metrics": config.metrics}
    listeners = [
        {"name": name, "scheme": web.scheme, "address": web.host, "port": web.port}
        for name, web in wanted.items()
        if web
    ]
    if not listeners:
        return None, {}
    options: dict[str, Any] = {
        "database": str(config.database),
        "host": place.host,
        "ports": place.ports,
        "listeners": listeners,
        "certificate": config.certificate and str(config.certificate),
        "certificate_key": config.certificate_key and str(config.certificate_key),
    }
    companion = Companion("blfd.web", json.dumps(options))
    return companion, json.loads(companion.said)
