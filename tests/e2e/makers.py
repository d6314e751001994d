"""How phones of each maker read their files: what they ask for, in which order, and what they do then."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import NamedTuple

from lxml import etree

Files = dict[str, bytes]
MAC = "805ec0123456"


class Told(NamedTuple):
    """What a phone knows then; `code` is what its keys dial before the extension, "" for Replaces."""

    user: str
    password: str
    server: str
    watched: list[str]
    code: str


class Maker(NamedTuple):
    """A maker's phone: what it asks for, with which User-Agent, and how it reads that."""

    model: str
    user_agent: str
    names: tuple[str, ...]
    read: Callable[[Files], Told]


def yealink(files: Files) -> Told:
    lines = files[f"{MAC}.cfg"].decode().splitlines()
    found = dict(line.split(" = ", 1) for line in lines if " = " in line)
    line = {name.removeprefix("account.1."): value for name, value in found.items() if "account.1." in name}
    server = f"{line['sip_server.1.address']}:{line['sip_server.1.port']}"
    keys = [
        name.removesuffix(".type") for name, kind in found.items() if name.endswith(".type") and kind == "16"
    ]
    watched = [found[f"{key}.value"] for key in keys]
    code = "" if line["dialoginfo_callpickup"] == "1" else line["direct_pickup_code"]
    return Told(line["user_name"], line["password"], server, watched, code)


def yealink_booting(files: Files) -> Told:
    """Newer firmware: what the boot file names, and no more."""
    included = re.findall(r'include:config "(\S+)"', files["y000000000000.boot"].decode())
    return yealink({name: files[name] for name in included})


def polycom(files: Files) -> Told:
    master = etree.fromstring(files[f"{MAC}.cfg"])
    (name,) = (part.strip() for part in master.attrib["CONFIG_FILES"].split(","))
    found = dict(etree.fromstring(files[name]).attrib)
    server = f"{found['reg.1.server.1.address']}:{found['reg.1.server.1.port']}"
    watched = _arranged(found, files[f"{MAC}-directory.xml"])
    assert found["call.directedCallPickupMethod"] == "legacy"
    code = found["call.directedCallPickupString"]
    return Told(found["reg.1.address"], found["reg.1.auth.password"], server, watched, code)


def _arranged(found: dict[str, str], directory: bytes) -> list[str]:
    """Keys one after the other: who watches takes the next of the resources, who dials its own entry."""
    resources = (
        value for name, value in found.items() if re.fullmatch(r"attendant.resourceList.\d+.address", name)
    )
    entries = {item.findtext("sd"): item for item in etree.fromstring(directory).iter("item")}
    assert found["lineKey.reassignment.enabled"] == "1"
    watched = []
    for number in itertools.count(1):
        category, index = found.get(f"lineKey.{number}.category"), found.get(f"lineKey.{number}.index", "")
        match category:
            case "BLF":
                watched.append(next(resources))
            case "SpeedDial":
                assert entries[index].findtext("ct")
            case None:
                break
    assert not list(resources), "each has a key"
    return watched


def grandstream(files: Files) -> Told:
    root = etree.fromstring(files[f"cfg{MAC}.xml"])
    found = {item.get("name", ""): item.text or "" for item in root.iter("item")}
    keys = [name.removesuffix(".keyMode") for name, mode in found.items() if mode == "BLF"]
    watched = [found[f"{key}.value"] for key in keys]
    line = "account.1.sip."
    password = found[line + "subscriber.password"]
    server, code = found[line + "server.1.address"], found[line + "blf.callPickup.prefix"]
    return Told(found[line + "userid"], password, server, watched, code)


def snom(files: Files) -> Told:
    return _snom(files["snomD785.htm"], files[f"snomD785-{MAC.upper()}.htm"])


def gigaset(files: Files) -> Told:
    return _snom(files["GigasetP82x.htm"], files[f"GigasetP82x-{MAC.upper()}.htm"])


def _snom(common: bytes, own: bytes) -> Told:
    """What is of all its model, then what is its own."""
    assert len(etree.fromstring(common).findall(".//fkey")) == 0
    root = etree.fromstring(own)
    found = {
        f"{element.tag} {element.get('idx')}": element.text or ""
        for element in root.iter()
        if len(element) == 0
    }
    keys = [
        re.fullmatch(r"blf (\w+)\|(\S+)", value) for name, value in found.items() if name.startswith("fkey ")
    ]
    watched = [key[1] for key in keys if key]
    (code,) = {key[2] for key in keys if key}
    server = found["user_outbound 1"].partition(";")[0]
    return Told(found["user_name 1"], found["user_pass 1"], server, watched, code)


def fanvil(files: Files) -> Told:
    root = etree.fromstring(files[f"{MAC}.cfg"])
    line = {child.tag: child.text or "" for child in root.iterfind("sip/line[@index='1']/*")}
    values = [key.findtext("Value", "") for key in root.iter("Fkey") if key.findtext("Type") == "1"]
    keys = [found for value in values if (found := re.fullmatch(r"(\w+)@1/ba(\S+)", value))]
    assert {key[2].removesuffix(key[1]) for key in keys} == {"*97"}
    server = f"{line['RegisterAddr']}:{line['RegisterPort']}"
    return Told(
        line["RegisterUser"], line["RegisterPswd"], server, [key[1] for key in keys], line["PickupNum"]
    )


def cisco(files: Files) -> Told:
    first = etree.fromstring(files["spa504g.cfg"]).findtext("Profile_Rule", "")
    assert first.endswith("/$MA.xml")
    root = etree.fromstring(files[first.rpartition("/")[2].replace("$MA", MAC)])
    found = {child.tag: child.text or "" for child in root}
    functions = [value for name, value in found.items() if re.match(r"Extended_Function_|Unit_\d_Key_", name)]
    watched = [key[1] for value in functions if (key := re.search(r"fnc=blf\+sd\+cp;sub=(\w+)@", value))]
    return Told(
        found["User_ID_1_"], found["Password_1_"], found["Proxy_1_"], watched, found["Call_Pickup_Code"]
    )


def htek(files: Files) -> Told:
    root = etree.fromstring(files[f"cfg{MAC}.xml"])
    found = {element.get("para", ""): element.text or "" for element in root.iter() if element.get("para")}
    keys = [
        re.sub(r"\.(Key)?Type$", "", name)
        for name, kind in found.items()
        if kind == "3" and re.search(r"\.(Key)?Type$", name)
    ]
    watched = [found[f"{key}.Value"] for key in keys]
    (code,) = {found[f"{key}.PickupCode"] for key in keys}
    account = "Account1."
    password, server = found[account + "AuthenticatePassword"], found[account + "SipServer"]
    return Told(found[account + "SipUserId"], password, server, watched, code)


MAKERS = (
    Maker(
        "yealink/t54w",
        "Yealink SIP-T54W 96.86.0.70 80:5e:c0:12:34:56",
        (f"{MAC}.boot", "y000000000000.boot", "y000000000096.cfg", f"{MAC}.cfg"),
        yealink_booting,
    ),
    Maker(
        "yealink/t27g",
        "Yealink SIP-T27G 69.80.0.95 80:5e:c0:12:34:56",
        ("y000000000069.cfg", f"{MAC}.cfg"),
        yealink,
    ),
    Maker(
        "polycom/vvx450",
        "FileTransport PolycomVVX-VVX_450-UA/6.4.3.5018 Type/Application",
        (f"{MAC}.cfg", f"{MAC}-blfd.cfg", f"{MAC}-phone.cfg", f"{MAC}-web.cfg", f"{MAC}-directory.xml"),
        polycom,
    ),
    Maker(
        "polycom/edge-e350",
        "FileTransport PolyEdge-Edge_E350-UA/8.0.2.3267 Type/Application",
        ("000000000000.cfg", f"{MAC}.cfg", f"{MAC}-blfd.cfg", f"{MAC}-directory.xml"),
        polycom,
    ),
    Maker(
        "grandstream/gxp2170",
        f"Grandstream Model HW GXP2170 V1.6B SW 1.0.11.57 DevId {MAC}",
        (f"cfg{MAC}", f"cfg{MAC}.xml"),
        grandstream,
    ),
    Maker(
        "grandstream/grp2614",
        f"Grandstream Model HW GRP2614 SW 1.0.5.15 DevId {MAC}",
        (f"cfg{MAC}", f"cfg{MAC}.xml"),
        grandstream,
    ),
    Maker(
        "snom/d785",
        f"Mozilla/4.0 (compatible; snomD785-SIP 10.1.84.12 {MAC.upper()})",
        ("snomD785.htm", f"snomD785-{MAC.upper()}.htm"),
        snom,
    ),
    Maker(
        "gigaset/p82x",
        f"Mozilla/4.0 (compatible; GigasetP82x-SIP 10.1.188.2 {MAC.upper()})",
        ("GigasetP82x.htm", f"GigasetP82x-{MAC.upper()}.htm", "GigasetP82x-firmware.htm"),
        gigaset,
    ),
    Maker("fanvil/x5u", f"Fanvil X5U 2.12.1.3 {MAC}", (f"{MAC}.cfg",), fanvil),
    Maker(
        "cisco/spa504g",
        f"Cisco/SPA504G-7.6.2 ({MAC.upper()})(CBT141400UK)",
        ("spa504g.cfg", f"{MAC}.xml"),
        cisco,
    ),
    Maker("htek/uc924", "Htek UC924 2.0.4.2 80:5e:c0:12:34:56", (f"cfg{MAC}.xml",), htek),
)
