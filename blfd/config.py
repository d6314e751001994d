"""Configuration: defaults beside the fields, one optional TOML file, the command line over both."""

from __future__ import annotations

import difflib
import itertools
import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from blfd.core import hosts
from blfd.core.access.digest import ALGORITHMS
from blfd.core.values import TRANSPORTS, Settings
from blfd.transport.addresses import AddressError, ListenAddress
from blfd.transport.certificates import (
    ASKED,
    OLDEST,
    CertificateError,
    PemFiles,
    TlsSettings,
    authority,
)

DEFAULT_DATABASE = Path("blfd.db")
KEYS = (
    "database",
    "listen",
    "trust",
    "metrics",
    "provision",
    "web",
    "pnp",
    "hang_up_on_stop",
    "address",
    "certificate",
    "certificate_key",
    "tls",
    "sip",
)
TLS_KEYS = ("oldest", "client_certificates", "client_ca", "ca", "trust")
MOST = 2**31 - 1  # what an Expires header and PJSIP take

T = TypeVar("T")


class ConfigError(Exception):
    """One line that says what is wrong and what is allowed."""


_WEB = re.compile(r"(https?)://(\[[0-9A-Fa-f:.]+\]|[0-9.]+):([0-9]{1,5})/?").fullmatch
PNP = ListenAddress("udp", "224.0.1.75", 5060)  # sip.mcast.net, where phones look for their files


@dataclass(frozen=True, slots=True)
class Web:
    """Where to serve HTTP: "http://0.0.0.0:8080". Port 0 takes a free one."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{hosts.written(self.host)}:{self.port}"

    @classmethod
    def parse(cls, text: Any, where: str) -> Web:
        """Raises ConfigError."""
        found = _WEB(text) if isinstance(text, str) else None
        try:
            listen = ListenAddress.parse(f"tcp:{found[2]}:{found[3]}") if found else None
        except AddressError:
            listen = None
        if not found or not listen:
            raise ConfigError(f"{where} is an address such as http://0.0.0.0:8080, not {text!r}")
        return cls(found[1], listen.host, listen.port)


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that `blfd run` needs to know."""

    database: Path = DEFAULT_DATABASE
    listen: tuple[ListenAddress, ...] = (
        ListenAddress("udp", "0.0.0.0", 5060),
        ListenAddress("tcp", "0.0.0.0", 5060),
    )
    sip: Settings = field(default_factory=Settings)
    metrics: Web | None = None
    provision: Web | None = None
    web: Web | None = None
    pnp: ListenAddress | None = None  # the multicast group where new phones ask
    address: str = ""  # where phones reach this machine; "": as its routes say
    tls: TlsSettings = field(default_factory=TlsSettings)
    hang_up_on_stop: bool = False
    drain: bool = False
    verbose: bool = False


def load(
    path: Path | None,
    *,
    database: Path | None = None,
    listen: list[str] | None = None,
    trust: list[str] | None = None,
    metrics: str | None = None,
    provision: str | None = None,
    web: str | None = None,
    pnp: bool = False,
    certificate: list[str] | None = None,
    certificate_key: list[str] | None = None,
) -> Config:
    """Read the file, if any, and put the command line's options over it. Raises ConfigError."""
    table = _read(path) if path else {}
    _known(table, KEYS, str(path))
    sip = _settings(table.get("sip", {}), str(path))
    tls = _tls(table, certificate, certificate_key, str(path))
    trusted = _each(_network, trust, table, "trust", str(path))
    sip = replace(sip, trust=trusted, trust_names=tls.trust)
    where = _metrics(metrics or table.get("metrics"), "--metrics" if metrics else f"{path}, metrics")
    config = Config(
        database=database or _database(table, str(path)),
        sip=sip,
        metrics=where,
        provision=_web(provision, table, "provision", str(path)),
        web=_web(web, table, "web", str(path)),
        pnp=_pnp(pnp or table.get("pnp", False), str(path)),
        address=_address(table, str(path)),
        tls=tls,
        hang_up_on_stop=_switch(table, "hang_up_on_stop", str(path)),
    )
    wanted = _each(_listen, listen, table, "listen", str(path))
    config = replace(config, listen=wanted) if wanted else config
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


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None


def _known(table: dict[str, Any], names: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in names:
            near = difflib.get_close_matches(key, names, 1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"
            raise ConfigError(f"{where}: unknown key {key}; {hint}")


def _each(
    parse: Callable[[str], T], option: list[str] | None, table: dict[str, Any], key: str, where: str
) -> tuple[T, ...]:
    """What the command line gives, or else the file; an error in the file names it and the key."""
    if option:
        return tuple(parse(text) for text in option)
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigError(f'{where}: {key} is a list of texts, such as {key} = ["..."]')
    try:
        return tuple(parse(text) for text in value)
    except ConfigError as error:
        raise ConfigError(f"{where}, {key}: {error}") from None


def _database(table: dict[str, Any], where: str) -> Path:
    value = table.get("database", str(DEFAULT_DATABASE))
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{where}: database is the name of a file, not {value!r}")
    return Path(value)


def _web(option: str | None, table: dict[str, Any], key: str, where: str) -> Web | None:
    value = option or table.get(key)
    return None if value is None else Web.parse(value, f"--{key}" if option else f"{where}, {key}")


def _switch(table: dict[str, Any], key: str, where: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise ConfigError(f"{where}: {key} is true or false, not {value!r}")
    return value


def _pnp(value: Any, where: str) -> ListenAddress | None:
    if isinstance(value, bool):
        return PNP if value else None
    try:
        group = ListenAddress.parse(f"udp:{value}")
        if not hosts.is_ipv6(group.host):
            return group
        raise AddressError
    except AddressError:
        text = f"{where}: pnp is true, or an address such as {PNP.host}:{PNP.port}, not {value!r}"
        raise ConfigError(text) from None


def _address(table: dict[str, Any], where: str) -> str:
    value = table.get("address", "")
    if isinstance(value, str) and (re.fullmatch(r"[A-Za-z0-9.-]{0,253}", value) or hosts.is_address(value)):
        return value
    raise ConfigError(f"{where}: address is this machine's for phones, such as 192.0.2.5, not {value!r}")


def _tls(
    table: dict[str, Any], certificates: list[str] | None, keys: list[str] | None, where: str
) -> TlsSettings:
    if certificates or keys:
        given, where = {"certificate": certificates or [], "certificate_key": keys or []}, "command line"
    else:
        given = {key: table[key] for key in ("certificate", "certificate_key") if key in table}
    found = {key: _pem_files(key, value, where) for key, value in given.items()}
    own = found.get("certificate", ())
    keys_of = found.get("certificate_key") or own
    if len(own) != len(keys_of):
        text = f"{len(own)} certificates and {len(keys_of)} keys: each has its own, in the same order"
        raise ConfigError(f"{where}: {text}")
    section = table.get("tls", {})
    if not isinstance(section, dict):
        raise ConfigError(f"{where}: tls is a section, written [tls]")
    _known(section, TLS_KEYS, f"{where}, [tls]")
    settings = TlsSettings(
        certificates=tuple(PemFiles(*pair) for pair in zip(own, keys_of, strict=True)),
        oldest=_one_of(section, "oldest", OLDEST, "1.2", where),
        client_certificates=_one_of(section, "client_certificates", ASKED, "no", where),
        client_ca=_pem_file(section, "client_ca", where),
        ca=_pem_file(section, "ca", where),
        trust=_each(_host_name, None, section, "trust", f"{where}, [tls]"),
    )
    if settings.client_certificates != "no" and not settings.client_ca:
        raise ConfigError(f"{where}, [tls]: client_certificates needs client_ca: who signs them")
    if settings.trust and settings.client_certificates == "no":
        raise ConfigError(f'{where}, [tls]: trust needs client_certificates = "asked" or "required"')
    try:
        authority(settings)
    except CertificateError as error:
        raise ConfigError(f"{where}, [tls]: {error}") from None
    return settings


def _pem_files(key: str, value: Any, where: str) -> tuple[Path, ...]:
    """One, or several in a list."""
    return tuple(_pem(key, each, where) for each in (value if isinstance(value, list) else [value]))


def _pem_file(section: dict[str, Any], key: str, where: str) -> Path | None:
    return _pem(key, section[key], f"{where}, [tls]") if key in section else None


def _pem(key: str, value: Any, where: str) -> Path:
    if not isinstance(value, str) or not Path(value).is_file():
        raise ConfigError(f"{where}: {key} is the name of a PEM file that exists, not {value!r}")
    return Path(value)


def _one_of(section: dict[str, Any], key: str, known: Iterable[str], default: str, where: str) -> str:
    value = section.get(key, default)
    if value not in known:
        raise ConfigError(f"{where}, [tls]: {key} is one of {', '.join(known)}, not {value!r}")
    return str(value)


def _host_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.-]{1,253}", text):
        raise ConfigError(f"trust has the names of certificates, such as edge.example.com, not {text!r}")
    return text.lower()


def _metrics(value: Any, where: str) -> Web | None:
    if value is None:
        return None
    try:
        return Web.parse(f"http://{value}", where)
    except ConfigError:
        raise ConfigError(f"{where} is an address such as 127.0.0.1:9145, not {value!r}") from None


def _settings(table: Any, where: str) -> Settings:
    names = tuple(f.name for f in fields(Settings) if f.name not in ("trust", "trust_names"))
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: sip is a section, written [sip]")
    _known(table, names, f"{where}, [sip]")
    for key, value in table.items():
        if key == "digest_algorithms":
            table = {**table, key: _algorithms(value, where)}
        elif type(value) is not int or not 0 <= value <= MOST:
            raise ConfigError(f"{where}, [sip]: {key} is a whole number from 0 to {MOST}, not {value!r}")
    settings = Settings(**table)
    _check_order(settings, f"{where}, [sip]")
    return settings


def _check_order(settings: Settings, where: str) -> None:
    for what in ("register", "subscribe"):
        names = [f"{what}_{which}_expires" for which in ("min", "default", "max")]
        values = [getattr(settings, name) for name in names]
        if values != sorted(values):
            given = ", ".join(f"{name} = {value}" for name, value in zip(names, values, strict=True))
            raise ConfigError(f"{where}: {given}: these have to rise from min to max")


def _algorithms(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or any(name not in ALGORITHMS for name in value):
        known = ", ".join(ALGORITHMS)
        raise ConfigError(f"{where}, [sip]: digest_algorithms is a list of {known}, not {value!r}")
    return tuple(value)


def _listen(text: str) -> ListenAddress:
    try:
        return ListenAddress.parse(text)
    except AddressError as error:
        raise ConfigError(str(error)) from None


def _network(text: str) -> hosts.Network:
    try:
        return hosts.network(text)
    except ValueError as error:
        raise ConfigError(f"cannot trust {text!r}: {error}; write 10.0.0.0/8 or 2001:db8::/32") from None
