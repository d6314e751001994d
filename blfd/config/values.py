"""What a setting may be. Whatever is wrong raises ValueError, with what is allowed and what is there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from blfd.core import hosts
from blfd.core.access.digest import ALGORITHMS
from blfd.core.settings import Settings
from blfd.transport.addresses import AddressError, ListenAddress

MOST = 2**31 - 1  # what an Expires header and PJSIP take
PNP = ListenAddress("udp", "224.0.1.75", 5060)  # sip.mcast.net, where phones look for their files

_WEB = re.compile(r"(https?)://(\[[0-9A-Fa-f:.]+\]|[0-9.]+):([0-9]{1,5})/?").fullmatch

_DNS_SERVER = re.compile(r"([0-9.]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?").fullmatch


@dataclass(frozen=True, slots=True)
class Web:
    """Where to serve HTTP: "http://0.0.0.0:8080". Port 0 takes a free one."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{hosts.written(self.host)}:{self.port}"

    @classmethod
    def parse(cls, text: Any) -> Web:
        found = _WEB(text) if isinstance(text, str) else None
        try:
            listen = ListenAddress.parse(f"tcp:{found[2]}:{found[3]}") if found else None
        except AddressError:
            listen = None
        if not found or not listen:
            raise ValueError(f"an address such as http://0.0.0.0:8080 is needed, not {text!r}")
        return cls(found[1], listen.host, listen.port)


def metrics(value: Any) -> Web:
    try:
        return Web.parse(f"http://{value}")
    except ValueError:
        raise ValueError(f"an address such as 127.0.0.1:9145 is needed, not {value!r}") from None


def listen(value: Any) -> ListenAddress:
    return ListenAddress.parse(_text(value))


def network(value: Any) -> hosts.Network:
    text = _text(value)
    try:
        return hosts.network(text)
    except ValueError as error:
        raise ValueError(f"cannot trust {text!r}: {error}; write 10.0.0.0/8 or 2001:db8::/32") from None


def host_name(value: Any) -> str:
    """A name in a certificate."""
    text = _text(value)
    if not re.fullmatch(r"[A-Za-z0-9.-]{1,253}", text):
        raise ValueError(f"the name of a certificate is needed, such as edge.example.com, not {text!r}")
    return text.lower()


def address(value: Any) -> str:
    if isinstance(value, str) and (re.fullmatch(r"[A-Za-z0-9.-]{0,253}", value) or hosts.is_address(value)):
        return value
    raise ValueError(f"this machine's address for phones is needed, such as 192.0.2.5, not {value!r}")


def dns_server(value: Any) -> tuple[str, int]:
    """The address and port of a DNS server; the port may be left out."""
    found = _DNS_SERVER(_text(value))
    try:
        host = hosts.read(found[1]) if found else ""
    except ValueError:
        host = ""
    if found and hosts.is_address(host) and int(port := found[2] or "53") <= 65535:
        return host, int(port)
    raise ValueError(f"an address such as 192.0.2.53, or [2001:db8::53]:53, is needed, not {value!r}")


def database(value: Any) -> Path:
    if isinstance(value, Path) or (isinstance(value, str) and value):
        return Path(value)
    raise ValueError(f"the name of a file is needed, not {value!r}")


def pem(value: Any) -> Path:
    if not isinstance(value, str | Path) or not Path(value).is_file():
        raise ValueError(f"the name of a PEM file that exists is needed, not {str(value)!r}")
    return Path(value)


def pnp(value: Any) -> ListenAddress | None:
    """A multicast group; true, and from a text such as the environment's "true", is the usual one."""
    known = {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value
    if isinstance(known, bool):
        return PNP if known else None
    try:
        group = ListenAddress.parse(f"udp:{known}")
        if not hosts.is_ipv6(group.host) and ip_network(group.host).is_multicast:
            return group
    except ValueError:
        pass
    raise ValueError(f"true, or a multicast group such as {PNP.host}:{PNP.port}, is needed, not {value!r}")


def sip(table: Any) -> Settings:
    """The section [sip], of which `trust` and `trust_names` are said elsewhere."""
    known: dict[str, Any] = {
        name: whole(value, name) for name, value in table.items() if name != "digest_algorithms"
    }
    if "digest_algorithms" in table:
        known["digest_algorithms"] = algorithms(table["digest_algorithms"])
    settings = Settings(**known)
    for what in ("register", "subscribe", "publish"):
        names = [f"{what}_{which}_expires" for which in ("min", "default", "max")]
        values = [getattr(settings, name) for name in names]
        if values != sorted(values):
            given = ", ".join(f"{name} = {value}" for name, value in zip(names, values, strict=True))
            raise ValueError(f"{given}: these have to rise from min to max")
    return settings


def whole(value: Any, name: str) -> int:
    """A whole number, also from text, as the environment has it."""
    number = int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,10}", value) else value
    if type(number) is not int or not 0 <= number <= MOST:
        raise ValueError(f"{name} is a whole number from 0 to {MOST}, not {value!r}")
    return number


def algorithms(value: Any) -> tuple[str, ...]:
    """A list of digest algorithms, also from text with commas, as the environment has it."""
    names = [name.strip() for name in value.split(",")] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or any(name not in ALGORITHMS for name in names):
        raise ValueError(f"digest_algorithms is a list of {', '.join(ALGORITHMS)}, not {value!r}")
    return tuple(names)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f'a list of texts is needed, such as ["..."], not {value!r}')
