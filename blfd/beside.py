"""Which processes run beside the server: metrics, and the files of phones."""

from __future__ import annotations

import json
from typing import Any

from blfd.companion import Companion, CompanionError
from blfd.config import Config, Web
from blfd.phones import Place


def start(config: Config, place: Place) -> tuple[list[Companion], str]:
    """Those that are wanted, and the address of phones' files, "" without. Raises CompanionError."""
    companions: list[Companion] = []
    url, where, web = "", config.metrics, config.provision
    try:
        if where:
            companions.append(Companion("blfd.metrics", str(config.database), where.host, str(where.port)))
        if web:
            companions.append(Companion("blfd.web", json.dumps(_web_options(config, web, place))))
            url = companions[-1].said
    except CompanionError:
        for companion in companions:
            companion.close()
        raise
    return companions, url


def _web_options(config: Config, web: Web, place: Place) -> dict[str, Any]:
    """What `blfd.web` has to know."""
    options = {
        "database": str(config.database),
        "host": place.host,
        "ports": place.ports,
        "scheme": web.scheme,
        "address": web.host,
        "port": web.port,
    }
    if web.scheme == "https":
        options["certificate"] = str(config.certificate)
        options["certificate_key"] = str(config.certificate_key) if config.certificate_key else None
    return options
