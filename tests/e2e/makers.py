"""How phones of each maker read their files: which they fetch, in which order, and what these set."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from lxml import etree

Files = dict[str, bytes]
Settings = dict[str, str]
Get = Callable[[str], bytes]
Book = dict[str, str]  # names by number
MAC = "805ec0123456"


class Told(NamedTuple):
    """What a phone knows from its files; keys dial `code` before the extension, or use Replaces if it is "".

    `lines` are the users that it registers, `watched` and `dialled` what its keys show and dial.
    """

    user: str
    password: str
    server: str
    watched: list[str]
    code: str
    lines: list[str]
    dialled: list[str]


class Maker(NamedTuple):
    """A maker's phone: the files that it asks for, with which User-Agent, and how it reads them.

    `book` reads its directory, and may ask for more files by their address.
    """

    model: str
    user_agent: str
    names: tuple[str, ...]
    settings: Callable[[Files], Settings]
    understand: Callable[[Settings], Told]
    book: Callable[[Settings, Get], Book]


class Memory:
    """The settings that a phone keeps: those that a file does not name stay as they were."""

    def __init__(self, maker: Maker) -> None:
        self.maker = maker
        self.kept: Settings = {}

    def read(self, files: Files) -> Told:
        self.kept |= self.maker.settings(files)
        return self.maker.understand(self.kept)

    def book(self, get: Get) -> Book:
        return self.maker.book(self.kept, get)


def values(found: Settings, pattern: str) -> dict[str, str]:
    """The values of names that match the pattern, by its group, in the order of the groups' numbers."""
    fits = ((re.fullmatch(pattern, name), value) for name, value in found.items())
    rows = {fit[1]: value for fit, value in fits if fit}
    return dict(sorted(rows.items(), key=lambda row: [int(part) for part in re.findall(r"\d+", row[0])]))


# Yealink


def yealink_settings(files: Files) -> Settings:
    lines = files[f"{MAC}.cfg"].decode().splitlines()
    return dict(line.split(" = ", 1) for line in lines if " = " in line)


def yealink_booting(files: Files) -> Settings:
    """The settings that newer firmware reads: those of the files that the boot file names, and no more."""
    included = re.findall(r'include:config "(\S+)"', files["y000000000000.boot"].decode())
    return yealink_settings({name: files[name] for name in included})


def yealink_understands(found: Settings) -> Told:
    line = {name.removeprefix("account.1."): value for name, value in found.items() if "account.1." in name}
    server = f"{line['sip_server.1.address']}:{line['sip_server.1.port']}"
    own = values(found, r"(linekey\.\d+)\.type")
    modules = values(found, r"(expansion_module\.\d+\.key\.\d+)\.type")
    keys = [(kind, found.get(f"{key}.value", "")) for key, kind in (own | modules).items()]
    code = "" if line["dialoginfo_callpickup"] == "1" else line["direct_pickup_code"]
    return Told(
        line["user_name"],
        line["password"],
        server,
        [value for kind, value in keys if kind == "16"],
        code,
        [
            found[f"account.{number}.user_name"]
            for number, on in values(found, r"account\.(\d+)\.enable").items()
            if on == "1"
        ],
        [value for kind, value in keys if kind == "13"],
    )


def yealink(files: Files) -> Told:
    return yealink_understands(yealink_settings(files))


# Polycom


def polycom_settings(files: Files) -> Settings:
    """The settings, of which the directory is one, so that no earlier entry of it stays."""
    master = etree.fromstring(files[f"{MAC}.cfg"])
    (name,) = (part.strip() for part in master.get("CONFIG_FILES", "").split(","))
    settings = {str(each): str(value) for each, value in etree.fromstring(files[name]).attrib.items()}
    return {**settings, "directory": files[f"{MAC}-directory.xml"].decode()}


def polycom_understands(found: Settings) -> Told:
    """What the phone knows: a key that watches takes the next resource, any other has an entry of its own."""
    server = f"{found['reg.1.server.1.address']}:{found['reg.1.server.1.port']}"
    resources = [
        value for value in values(found, r"attendant\.resourceList\.(\d+)\.address").values() if value
    ]
    items = etree.fromstring(found["directory"].encode()).iter("item")
    entries = {item.findtext("sd"): item.findtext("ct", "") for item in items}
    assert found["lineKey.reassignment.enabled"] == "1"
    left, watched, dialled = iter(resources), [], []
    for number, category in values(found, r"lineKey\.(\d+)\.category").items():
        match category:
            case "BLF":
                watched.append(next(left))
            case "SpeedDial":
                dialled.append(entries[found[f"lineKey.{number}.index"]])
    assert not list(left), "each has a key"
    assert found["call.directedCallPickupMethod"] == "legacy"
    code = found["call.directedCallPickupString"]
    lines = [value for value in values(found, r"reg\.(\d+)\.address").values() if value]
    return Told(lines[0], found["reg.1.auth.password"], server, watched, code, lines, dialled)


# Grandstream


def grandstream_settings(files: Files) -> Settings:
    root = etree.fromstring(files[f"cfg{MAC}.xml"])
    return {item.get("name", ""): item.text or "" for item in root.iter("item")}


def grandstream_understands(found: Settings) -> Told:
    modes = {
        key: mode
        for part in ("vpk", "mpk", "ext")
        for key, mode in values(found, rf"(pks\.{part}\.\d+)\.keyMode").items()
    }
    of = {mode: [found[f"{key}.value"] for key, it in modes.items() if it == mode] for mode in modes.values()}
    line = "account.1.sip."
    lines = [
        found[f"account.{number}.sip.userid"]
        for number, on in values(found, r"account\.(\d+)\.enable").items()
        if on == "Yes"
    ]
    server, code = found[line + "server.1.address"], found[line + "blf.callPickup.prefix"]
    password = found[line + "subscriber.password"]
    return Told(lines[0], password, server, of.get("BLF", []), code, lines, of.get("SpeedDial", []))


# Snom, and Gigaset's phones with its software


def snom_settings(files: Files) -> Settings:
    return _of_snom(files["snomD785.htm"], files[f"snomD785-{MAC.upper()}.htm"])


def gigaset_settings(files: Files) -> Settings:
    return _of_snom(files["GigasetP82x.htm"], files[f"GigasetP82x-{MAC.upper()}.htm"])


def _of_snom(common: bytes, own: bytes) -> Settings:
    """The settings: those of all phones of the model, then those of the phone."""
    assert len(etree.fromstring(common).findall(".//fkey")) == 0
    elements = (element for element in etree.fromstring(own).iter() if len(element) == 0)
    found = {f"{element.tag} {element.get('idx')}": element.text or "" for element in elements}
    return {**found, "first file": common.decode()}


def snom_understands(found: Settings) -> Told:
    keys = [value.partition(" ") for value in values(found, r"fkey (\d+)").values()]
    watching = [value.partition("|") for kind, _, value in keys if kind == "blf"]
    (code,) = {code for _, _, code in watching} or {""}
    active = values(found, r"user_active (\d+)")
    lines = [found[f"user_name {number}"] for number, on in active.items() if on == "on"]
    server = found["user_outbound 1"].partition(";")[0]
    watched = [extension for extension, _, _ in watching]
    dialled = [value for kind, _, value in keys if kind == "speed"]
    return Told(lines[0], found["user_pass 1"], server, watched, code, lines, dialled)


# Fanvil


def fanvil_settings(files: Files) -> Settings:
    """The settings, named by the way to each element, as `sip/line1/PhoneNumber`."""
    root = etree.fromstring(files[f"{MAC}.cfg"])
    return dict(_leaves(root, ""))


def _leaves(element: etree._Element, way: str) -> Iterator[tuple[str, str]]:
    for child in element:
        here = f"{way}{child.tag}{child.get('index', '')}"
        yield from _leaves(child, f"{here}/") if len(child) else [(here, child.text or "")]


def fanvil_understands(found: Settings) -> Told:
    line = {name.removeprefix("sip/line1/"): value for name, value in found.items() if "sip/line1/" in name}
    side = values(found, r"(dsskey/dssSide\d+/Fkey\d+)/Type")
    pages = values(found, r"(dsskey/internal\d+/Fkey\d+)/Type")
    shown = [found[f"{key}/Value"] for key, kind in (side | pages).items() if kind == "1"]
    keys = [key for value in shown if (key := re.fullmatch(r"([^@]+)@1/ba(\S+)", value))]
    assert {key[2].removesuffix(key[1]) for key in keys} <= {"*97"}
    server = f"{line['RegisterAddr']}:{line['RegisterPort']}"
    on = values(found, r"sip/line(\d+)/EnableReg")
    lines = [found[f"sip/line{number}/RegisterUser"] for number, is_on in on.items() if is_on == "1"]
    dialled = [value.removesuffix("@1/f") for value in shown if value.endswith("@1/f")]
    watched = [key[1] for key in keys]
    return Told(lines[0], line["RegisterPswd"], server, watched, line["PickupNum"], lines, dialled)


# Cisco


def cisco_settings(files: Files) -> Settings:
    first = etree.fromstring(files["spa504g.cfg"]).findtext("Profile_Rule", "")
    assert first.endswith("/$MA.xml")
    root = etree.fromstring(files[first.rpartition("/")[2].replace("$MA", MAC)])
    return {child.tag: child.text or "" for child in root}


def cisco_understands(found: Settings) -> Told:
    """What the phone knows; a key that is a line has no function, and a module that is off has no keys."""
    own = values(found, r"Extended_Function_(\d+)_")
    functions = [value for number, value in own.items() if found[f"Extension_{number}_"] == "Disabled"]
    for unit, on in values(found, r"Unit_(\d)_Enable").items():
        functions += values(found, rf"(Unit_{unit}_Key_\d+)").values() if on == "Yes" else ()
    watched = [key[1] for value in functions if (key := re.search(r"fnc=blf\+sd\+cp;sub=([^@]+)@", value))]
    dialled = [key[1] for value in functions if (key := re.search(r"fnc=sd;ext=([^@]+)@", value))]
    enabled = values(found, r"Line_Enable_(\d+)_")
    lines = [found[f"User_ID_{number}_"] for number, is_on in enabled.items() if is_on == "Yes"]
    server, code = found["Proxy_1_"], found["Attendant_Console_Call_Pickup_Code"].removesuffix("#")
    return Told(lines[0], found["Password_1_"], server, watched, code, lines, dialled)


# Htek


def htek_settings(files: Files) -> Settings:
    root = etree.fromstring(files[f"cfg{MAC}.xml"])
    return {element.get("para", ""): element.text or "" for element in root.iter() if element.get("para")}


def htek_understands(found: Settings) -> Told:
    own = values(found, r"(LineKey\d+)\.Type")
    modules = values(found, r"(Exp\d+_\d+_\d+)\.KeyType")
    kinds = own | modules
    watching = [key for key, kind in kinds.items() if kind == "3"]
    (code,) = {found[f"{key}.PickupCode"] for key in watching} or {""}
    on = values(found, r"Account(\d+)\.Active")
    lines = [found[f"Account{number}.SipUserId"] for number, is_on in on.items() if is_on == "1"]
    password, server = found["Account1.AuthenticatePassword"], found["Account1.SipServer"]
    watched = [found[f"{key}.Value"] for key in watching]
    dialled = [found[f"{key}.Value"] for key, kind in kinds.items() if kind == "2"]
    return Told(lines[0], password, server, watched, code, lines, dialled)


# Directories: where the phone's settings say that there is one


def _directory(content: bytes, root: str) -> Book:
    made = etree.fromstring(content)
    assert made.tag == root
    entries = made.iter("DirectoryEntry")
    return {entry.findtext("Telephone", ""): entry.findtext("Name", "") for entry in entries}


def yealink_book(found: Settings, get: Get) -> Book:
    return _directory(get(found["remote_phonebook.data.1.url"]), "YealinkIPPhoneDirectory")


def polycom_book(found: Settings, get: Get) -> Book:
    """The book without speed dials; it is read again with the files only if it is not the user's own."""
    assert found["dir.local.readonly"] == "1"
    items = etree.fromstring(found["directory"].encode()).iter("item")
    return {item.findtext("ct", ""): item.findtext("ln", "") for item in items if item.find("sd") is None}


def grandstream_book(found: Settings, get: Get) -> Book:
    scheme = {"EnabledUseHTTP": "http", "EnabledUseHTTPS": "https"}[found["phonebook.download.mode"]]
    made = etree.fromstring(get(f"{scheme}://{found['phonebook.download.server']}/phonebook.xml"))
    assert made.tag == "AddressBook"
    entries = made.iter("Contact")
    return {entry.findtext("Phone/phonenumber", ""): entry.findtext("FirstName", "") for entry in entries}


def snom_book(found: Settings, get: Get) -> Book:
    """The book, which is in the first file that the phone asks for, and replaces the one before."""
    (book,) = etree.fromstring(found["first file"].encode()).findall("tbook")
    assert book.get("complete") == "true"
    return {item.findtext("number", ""): item.findtext("name", "") for item in book.iter("item")}


def fanvil_book(found: Settings, get: Get) -> Book:
    return _directory(get(found["phone/xmlContact1/Addr"]), "FanvilIPPhoneDirectory")


def cisco_book(found: Settings, get: Get) -> Book:
    """The book, in directories of 32 entries at most; where there are several, the first is a menu."""
    first = get(found["XML_Directory_Service_URL"])
    pages = [get(item.findtext("URL", "")) for item in etree.fromstring(first).iter("MenuItem")]
    books = [_directory(page, "CiscoIPPhoneDirectory") for page in pages or [first]]
    assert all(len(book) <= 32 for book in books)
    return {number: name for book in books for number, name in book.items()}


def htek_book(found: Settings, get: Get) -> Book:
    return _directory(get(found["RemotePhoneBook1.Url"]), "PhoneDirectory")


MAKERS = (
    Maker(
        "yealink/t54w",
        "Yealink SIP-T54W 96.86.0.70 80:5e:c0:12:34:56",
        (f"{MAC}.boot", "y000000000000.boot", "y000000000096.cfg", f"{MAC}.cfg"),
        yealink_booting,
        yealink_understands,
        yealink_book,
    ),
    Maker(
        "yealink/t27g",
        "Yealink SIP-T27G 69.80.0.95 80:5e:c0:12:34:56",
        ("y000000000069.cfg", f"{MAC}.cfg"),
        yealink_settings,
        yealink_understands,
        yealink_book,
    ),
    Maker(
        "polycom/vvx450",
        "FileTransport PolycomVVX-VVX_450-UA/6.4.3.5018 Type/Application",
        (f"{MAC}.cfg", f"{MAC}-blfd.cfg", f"{MAC}-phone.cfg", f"{MAC}-web.cfg", f"{MAC}-directory.xml"),
        polycom_settings,
        polycom_understands,
        polycom_book,
    ),
    Maker(
        "polycom/edge-e350",
        "FileTransport PolyEdge-Edge_E350-UA/8.0.2.3267 Type/Application",
        ("000000000000.cfg", f"{MAC}.cfg", f"{MAC}-blfd.cfg", f"{MAC}-directory.xml"),
        polycom_settings,
        polycom_understands,
        polycom_book,
    ),
    Maker(
        "grandstream/gxp2170",
        f"Grandstream Model HW GXP2170 V1.6B SW 1.0.11.57 DevId {MAC}",
        (f"cfg{MAC}", f"cfg{MAC}.xml"),
        grandstream_settings,
        grandstream_understands,
        grandstream_book,
    ),
    Maker(
        "grandstream/grp2614",
        f"Grandstream Model HW GRP2614 SW 1.0.5.15 DevId {MAC}",
        (f"cfg{MAC}", f"cfg{MAC}.xml"),
        grandstream_settings,
        grandstream_understands,
        grandstream_book,
    ),
    Maker(
        "snom/d785",
        f"Mozilla/4.0 (compatible; snomD785-SIP 10.1.84.12 {MAC.upper()})",
        ("snomD785.htm", f"snomD785-{MAC.upper()}.htm"),
        snom_settings,
        snom_understands,
        snom_book,
    ),
    Maker(
        "gigaset/p82x",
        f"Mozilla/4.0 (compatible; GigasetP82x-SIP 10.1.188.2 {MAC.upper()})",
        ("GigasetP82x.htm", f"GigasetP82x-{MAC.upper()}.htm", "GigasetP82x-firmware.htm"),
        gigaset_settings,
        snom_understands,
        snom_book,
    ),
    Maker(
        "fanvil/x5u",
        f"Fanvil X5U 2.12.1.3 {MAC}",
        (f"{MAC}.cfg",),
        fanvil_settings,
        fanvil_understands,
        fanvil_book,
    ),
    Maker(
        "cisco/spa504g",
        f"Cisco/SPA504G-7.6.2 ({MAC.upper()})(CBT141400UK)",
        ("spa504g.cfg", f"{MAC}.xml"),
        cisco_settings,
        cisco_understands,
        cisco_book,
    ),
    Maker(
        "htek/uc924",
        "Htek UC924 2.0.4.2 80:5e:c0:12:34:56",
        (f"cfg{MAC}.xml",),
        htek_settings,
        htek_understands,
        htek_book,
    ),
)
