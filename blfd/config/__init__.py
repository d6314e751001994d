"""Configuration: the command line over the environment (BLFD_*), over a TOML file, over the defaults."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

from blfd.config.config import DEFAULT_DATABASE, PREFIX, Config, ConfigError
from blfd.config.values import PNP, Web
from blfd.core.values import TRANSPORTS
from blfd.transport.addresses import ListenAddress

__all__ = ["DEFAULT_DATABASE", "PNP", "Config", "ConfigError", "Web", "load"]

CONFIG_FILE = "BLFD_CONFIG"
ELSEWHERE = {CONFIG_FILE, "BLFD_PJSIP", "BLFD_RESTARTS"}  # variables that are no settings


def load(path: Path | None, **given: Any) -> Config:
    """Read what is set. `given` is the command line's, by the names of settings, where it is not empty.

    Raises ConfigError.
    """
    options = {name: value for name, value in given.items() if value}
    if "certificate" in options or "certificate_key" in options:  # neither goes with a file's other half
        options = {"certificate": [], "certificate_key": [], **options}
    environment = {name for name in os.environ if name.startswith(PREFIX)} - ELSEWHERE
    if path is None and not environment and options.keys() <= {"database"}:
        return Config(**options)  # most commands: without pydantic, which takes longer to load than they run
    from blfd.config.file import read

    config = read(path, options, environment)
    _check_apart(config.listen)
    secure = [f"{one}" for one in config.listen if TRANSPORTS[one.transport].secure]
    secure += [f"{one}" for one in (config.provision, config.web) if one and one.scheme == "https"]
    if secure and not config.tls.certificates:
        text = (
            "needs `certificate`, and `certificate_key`, in the file, or --certificate and --certificate-key"
        )
        raise ConfigError(f"{secure[0]} {text}")
    return config


def _check_apart(listen: tuple[ListenAddress, ...]) -> None:
    for one, other in itertools.combinations(listen, 2):
        if one.overlaps(other):
            raise ConfigError(f"{one} and {other} overlap, as [::] serves all addresses: leave one out")
