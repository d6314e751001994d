"""What phones fetch: golden files, each maker's syntax read back, and names that try to break it."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Hashable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from makers import MAKERS, Maker, Memory

import provisioning
from provisioning import (
    COMMON,
    Account,
    Contact,
    Device,
    KeyKind,
    Layer,
    LineKey,
    ProvisioningError,
    Service,
    Shape,
    find,
    parse_keys,
)
from provisioning.formats import one_line

GOLDEN = Path(__file__).parent / "golden"
MODELS = [
    "yealink/t31p",
    "yealink/t46u",
    "yealink/t54w",
    "yealink/t87w",
    "polycom/vvx250",
    "polycom/vvx450",
    "polycom/edge-e350",
    "grandstream/gxp2160",
    "grandstream/gxp2170",
    "grandstream/grp2612",
    "snom/d785",
    "snom/d865",
    "gigaset/p82x",
    "fanvil/x5u",
    "cisco/spa504g",
    "cisco/cp8851-3pcc",
    "htek/uc924",
]
SERVICE = Service(
    "192.0.2.5",
    url="http://192.0.2.5:8080/p/5ecret/",
    books="http://192.0.2.5:8080/b/805ec0123456/b00k/",
    http_user="80:5e:c0:12:34:56",
    http_password="w0rd",
    shapes=frozenset({Shape("1", 3), Shape("2", 4)}),
    outside="0",
    emergency=("112",),
    year=2026,
    feature_sync=True,
)
ALL_SET = Layer("site", {name: common.example for name, common in COMMON.items()})
CONTACTS = [Contact("101", "Alice Ng"), Contact("103", ""), Contact("104", "Carol & Söhne")]
KEYS = parse_keys("102=Bob Roy,103,104=Carol & Söhne,*98=Group,105,106,107")


def device(model: str, **over: object) -> Device:
    """A phone, which has a module if its keys need one."""
    found = find(model)
    keys = KEYS[: found.room(found.modules) - 1]
    modules = int(len(keys) >= found.room(0))
    accounts = (Account("101", "s3cr3t&<>\"'", "Alice Ng"),)
    made = Device("805ec0123456", found, accounts, keys, modules, "Adm1n-x", "Us3r-x")
    return replace(made, **over)  # type: ignore[arg-type]


def full(model: str, keys: tuple[LineKey, ...], **over: object) -> Device:
    """A phone with as many modules as it takes."""
    return device(model, keys=keys, modules=find(model).modules, **over)


def most_keys(model: str) -> int:
    """How many keys a phone has with all modules that it takes."""
    found = find(model)
    return found.room(found.modules)


def numbered(count: int) -> tuple[LineKey, ...]:
    return parse_keys(",".join(str(number) for number in range(200, 200 + count)))


def everything(made: Device, *layers: Layer) -> dict[str, bytes]:
    """All files that the phone can fetch, by name."""
    own = provisioning.files(made, SERVICE, layers)
    of_all = provisioning.boot_files(made, SERVICE) | provisioning.common_files(made)
    return own | of_all | provisioning.phonebook(made, SERVICE, CONTACTS)


@pytest.mark.parametrize("model", MODELS)
def test_golden_files(model: str) -> None:
    """With UPDATE_GOLDEN set, the golden files are written anew; look at what has changed."""
    made = device(model)
    folder = GOLDEN / model.replace("/", "-")
    written = everything(made, ALL_SET)
    if os.environ.get("UPDATE_GOLDEN"):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in written.items():
            (folder / name).write_bytes(content)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == written


def values(model: str, files: dict[str, bytes]) -> dict[str, str]:
    """A phone's settings, read back as its maker documents the form."""
    vendor = model.partition("/")[0]
    if vendor == "yealink":
        first, *lines = files["805ec0123456.cfg"].decode().split("\n")
        assert first == "#!version:1.0.0.1"
        assert lines.pop() == ""
        return dict(line.split(" = ", 1) for line in lines)
    name = next(name for name in files if name.endswith("-blfd.cfg") or vendor != "polycom")
    root = etree.fromstring(files[name])
    if vendor == "polycom":
        return dict(root.attrib)  # type: ignore[arg-type]
    return {
        "/".join(
            f"{e.tag}{sorted((k, v) for k, v in e.attrib.items() if k in ('index', 'idx', 'name'))}"
            for e in (*reversed(list(leaf.iterancestors())), leaf)
        ): leaf.text or ""
        for leaf in root.iter()
        if len(leaf) == 0
    }


NASTY = st.text(max_size=40) | st.sampled_from(
    [
        *("a\r\nlinekey.1.type = 0", "<!-- ", "]]>", '" onload="', "a&amp;b", "|*97", "日本 🎉"),
        *("\u2028x", "\0", "%NULL%", "${x}", "{{x}}", "{% raw %}", "#{x}"),
        *("x;fnc=dnd;ext=911", "$PROXY", "9@1/f", "x|y", "SIP2", "<br>", "=", "a = b"),
    ]
)


@pytest.mark.parametrize("model", MODELS)
@given(name=NASTY, password=NASTY, label=NASTY)
def test_no_text_breaks_a_file(model: str, name: str, password: str, label: str) -> None:
    """The same settings come back, with the texts in them unchanged but for control characters."""
    keys = tuple(replace(key, label=label) for key in device(model).keys)
    plain = device(model)
    nasty = replace(plain, accounts=(Account("101", password, name),), keys=keys)
    found = values(model, provisioning.files(nasty, SERVICE))
    assert found.keys() == values(model, provisioning.files(plain, SERVICE)).keys()
    assert one_line(password) in found.values()
    if one_line(name):
        assert one_line(name) in found.values()


@pytest.mark.parametrize("model", MODELS)
@given(
    kinds=st.lists(st.sampled_from(KeyKind), max_size=60),
    accounts=st.integers(0, 20),
    modules=st.integers(0, 7),
    name=NASTY,
    extension=st.from_regex(r"[0-9*#+]{1,9}", fullmatch=True),
)
def test_texts_do_not_decide_whether_a_device_is_accepted(
    model: str, kinds: list[KeyKind], accounts: int, modules: int, name: str, extension: str
) -> None:
    """Devices that differ only in texts that people write are all accepted or all refused."""

    def passes(value: str, text: str) -> bool:
        fixed = {KeyKind.LINE: "2", KeyKind.LIST: "all@192.0.2.7"}
        keys = tuple(LineKey(kind, fixed.get(kind, value), text) for kind in kinds)
        made = Device("805ec0123456", find(model), (Account(value, text, text),) * accounts, keys, modules)
        outlines.add(provisioning.outline(made))
        try:
            provisioning.check(made)
        except ProvisioningError:
            return False
        return True

    outlines: set[Hashable] = set()
    assert passes("102", "") == passes(extension, name)
    assert len(outlines) == 1


FUNCTION = re.compile(r"fnc=(sd;ext|blf\+sd\+cp;sub)=[\w*#]+@\$PROXY;nme=[^;$]*")


@pytest.mark.parametrize("model", ["cisco/spa504g", "cisco/cp8851-3pcc"])
@given(label=NASTY)
def test_a_label_adds_nothing_to_what_a_key_does(model: str, label: str) -> None:
    """Cisco alone writes the label among the parts of the key's function."""
    made = device(model, keys=tuple(replace(key, label=label) for key in device(model).keys))
    functions = [
        value
        for name, value in values(model, provisioning.files(made, SERVICE)).items()
        if value and re.search("Extended_Function|Unit_._Key", name)
    ]
    assert functions
    assert all(FUNCTION.fullmatch(function) for function in functions), functions


NEEDED = {
    "yealink": (
        "account.1.user_name = 101",
        "account.1.password",
        "sip_server.1.address = 192.0.2.5",
        "transport_type = 1",
        "sip_server.1.expires = 1800",
        "subscribe_period = 300",
        "direct_pickup_code = *97",
        "group_pickup_code = *98",
        "blf_visual_enable = 1",
        "blf_audio_enable = 1",
        "dialoginfo_callpickup = 1",
        "auto_provision.server.username = 80:5e",
    ),
    "polycom": (
        'reg.1.address="101"',
        "reg.1.auth.password",
        'server.1.address="192.0.2.5"',
        'transport="TCPOnly"',
        'server.1.expires="1800"',
        'subscribe.expires="300"',
        'directedCallPickupString="*97"',
        'softkey.1.action="*98$',
        'spontaneousCallAppearances.normal="1"',
        'attendant.ringType="ringer2"',
        'device.prov.user="80:5e',
    ),
    "grandstream": (
        'sip.userid">101',
        "subscriber.password",
        'server.1.address">192.0.2.5:5060',
        'sip.transport">TCP',
        'registerExpiration">30<',
        'subscribe.expiration">5<',
        'callPickup.prefix">*97',
        'pickupScreen.enable">Yes',
        'pickupSound.enable">Yes',
        'provisioning.config.username">80:5e',
    ),
    "snom": (
        'user_name idx="1" perm="R">101',
        "user_pass",
        ">192.0.2.5:5060;transport=tcp<",
        "user_expiry",
        ">1800<",
        "user_subscription_expiry",
        ">300<",
        "blf 102|*97",
        "callpickup_dialoginfo",
        "http_client_user",
    ),
    "fanvil": (
        "<PhoneNumber>101",
        "<RegisterPswd>",
        "<RegisterAddr>192.0.2.5",
        "<Transport>1<",
        "<RegisterTTL>1800",
        "<SubExpire>300",
        "<PickupNum>*97",
        "<PickupVisualAlert>1",
        "<PickupAudioAlert>1",
        "<DefaultUsername>80:5e",
    ),
    "cisco": (
        "<User_ID_1_>101",
        "<Password_1_>",
        "<Proxy_1_>192.0.2.5:5060",
        "<SIP_Transport_1_>TCP",
        "<Register_Expires_1_>1800",
        "<Subscribe_Expires>300",
        "<Attendant_Console_Call_Pickup_Code>*97#",
        "<Dial_Plan_1_>(",
        "<Call_Pickup_Audio_Notification>Yes",
        "--uid 80:5e",
    ),
    "htek": (
        'SipUserId">101',
        "AuthenticatePassword",
        'SipServer">192.0.2.5:5060',
        'SipTransport">1<',
        'RegisterExpiration">30<',
        'SubscribeExpires">300',
        'DirectCallPickupCode">*97',
        'GroupCallPickupCode">*98',
        'VisualAlertForBLFPickup">1',
        'AudioAlertForBLFPickup">1',
        'UserName">80:5e',
    ),
}


@pytest.mark.parametrize("model", MODELS)
def test_every_phone_gets_all_that_lamps_and_pickup_need(model: str) -> None:
    """A phone is told its account, server, transport, times, codes, alerts, keys, and where its files are."""
    made = device(model)
    service = replace(SERVICE, transport="tcp", register_expires=1800, subscribe_expires=300)
    files = provisioning.files(made, service) | provisioning.phonebook(made, service, ())
    text = b"".join(files.values()).decode()
    vendor = model.partition("/")[0]
    for needed in (*NEEDED["snom" if vendor == "gigaset" else vendor], "s3cr3t", "/p/5ecret"):
        assert needed in text
    for key in made.keys:
        assert key.value in text
        assert html.escape(key.shown, quote=False) in text or key.shown in text


@pytest.mark.parametrize("model", MODELS)
def test_over_tls_a_phone_is_told_whom_to_trust_if_its_maker_has_a_way(model: str) -> None:
    made, known = (
        device(model),
        {"yealink": "ca.pem", "cisco": "ca.pem", "htek": "ca.pem", "snom": "ca.der", "gigaset": "ca.der"},
    )
    name = known.get(model.partition("/")[0])
    for transport, has_ca in (("tls", True), ("tls", False), ("tcp", True)):
        service = replace(SERVICE, port=5061, transport=transport, has_ca=has_ca)
        text = b"".join(provisioning.files(made, service).values()).decode()
        told = f"{SERVICE.url}{name}" in text
        assert told is bool(name and transport == "tls" and has_ca)
        assert "5061" in text


UNCHALLENGED = {
    "grandstream": {"sip.notify.challenge": "No"},
    "snom": {"challenge_response": "off"},
    "gigaset": {"challenge_response": "off"},
    "cisco": {"Auth_Resync-Reboot_1_": "No"},
    "htek": {"P20983 Preference.CheckSyncWithAuth": "0"},
}
"""What has a phone fetch its files when a NOTIFY says so; the others' documents have no challenge of it."""

ONLY_OUR_CODES = {
    "grandstream": {"account.1.featureCodes.callFeatures": "No"},
    "cisco": {"Blind_Transfer_Code": "", "Call_Return_Code": "", "DND_Act_Code": ""},
    "htek": {"P191 Account1.EnableCallFeatures": "0"},
}
"""What keeps a phone from acting itself on star codes that the server has."""

IN_THE_CLEAR_TOO = {
    "grandstream": {"account.1.sip.uriSchemeWhenUsingTls": "sip", "account.1.sip.transport": "Tls Or Tcp"},
}
"""What has a phone on TLS call others by `sip:`, so that those without TLS can be reached."""


@pytest.mark.parametrize("model", MODELS)
def test_a_phone_leaves_to_the_server_what_is_its_part(model: str) -> None:
    vendor, service = model.partition("/")[0], replace(SERVICE, transport="tls", port=5061)
    told = {setting.name: setting.value for setting in provisioning.settings(device(model), service)}
    wanted = {**UNCHALLENGED.get(vendor, {}), **ONLY_OUR_CODES.get(vendor, {})}
    wanted |= IN_THE_CLEAR_TOO.get(vendor, {})
    assert {name: told.get(name) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("model", "on", "off"),
    [
        ("yealink/t54w", ("account.1.outbound_proxy_enable", "1"), "0"),
        ("grandstream/gxp2170", ("account.1.sip.outboundProxy.1.address", "192.0.2.5:5060"), ""),
        ("fanvil/x5u", ("sip/line[1]/ProxyAddr", "192.0.2.5"), ""),
        ("cisco/spa504g", ("Outbound_Proxy_1_", "192.0.2.5:5060"), ""),
        ("htek/uc924", ("P48 Account1.OutboundProxy", "192.0.2.5:5060"), ""),
    ],
)
def test_a_phone_of_the_default_tenant_goes_by_no_proxy_any_more(
    model: str, on: tuple[str, str], off: str
) -> None:
    """It may have been one of another tenant, whose domain is no address."""
    name, value = on
    plain = device(model)
    of_tenant = replace(plain, accounts=(replace(plain.accounts[0], domain="acme.example"),))
    told = [
        {each.name: each.value for each in provisioning.settings(made, SERVICE)}[name]
        for made in (of_tenant, plain)
    ]
    assert told == [value, off]


@pytest.mark.parametrize(
    ("model", "name", "none"),
    [
        ("yealink/t54w", "account.1.blf.blf_list_uri", "%NULL%"),
        ("snom/d785", "user_event_list_uri[1]", ""),
        ("gigaset/p82x", "user_event_list_uri[1]", ""),
        ("htek/uc924", "P134 Account1.EventlistBlfUrl", ""),
    ],
)
def test_a_list_that_is_taken_away_is_watched_no_more(model: str, name: str, none: str) -> None:
    keys = parse_keys("list:sales@pbx.example")
    told = [
        {each.name: each.value for each in provisioning.settings(made, SERVICE)}[name]
        for made in (device(model, keys=keys), device(model, keys=()))
    ]
    assert told == ["sales@pbx.example", none]


def test_layers_say_where_a_setting_comes_from() -> None:
    made = device("yealink/t54w")
    layers = [
        Layer("vendor yealink", {"features.blf_led_mode": "1", "account.1.label": "Desk"}),
        Layer("device", {"account.1.label": "Reception", "features.blf.show_callinfo.enable": None}),
    ]
    found = {setting.name: setting for setting in provisioning.settings(made, SERVICE, layers)}
    assert found["features.blf_led_mode"][1:] == ("1", "vendor yealink")
    assert found["account.1.label"][1:] == ("Reception", "device")
    assert found["account.1.password"].origin == "blfd"
    assert "features.blf.show_callinfo.enable" not in found


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.model)
def test_keys_are_read_in_their_order_through_pages_and_modules(maker: Maker) -> None:
    keys = (*parse_keys("*98"), *numbered(most_keys(maker.model) - 2))
    told = Memory(maker).read(everything(full(maker.model, keys)))
    assert (told.watched, told.dialled) == ([key.value for key in keys[1:]], ["*98"])
    assert (told.user, told.password, told.server) == ("101", "s3cr3t&<>\"'", "192.0.2.5:5060")
    assert told.lines == ["101"]


PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


@pytest.mark.parametrize("extension", ["alice", "bob.smith", "a-b_c", "+4930", "A1"])
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.model)
def test_extensions_with_letters_and_passwords_of_all_characters(maker: Maker, extension: str) -> None:
    made = device(maker.model, keys=(LineKey(KeyKind.BLF, extension), *parse_keys("*98")))
    made = replace(made, accounts=(Account(extension, PRINTABLE, "שלום 🎉"),))
    told = Memory(maker).read(everything(made))
    assert (told.user, told.password, told.lines) == (extension, PRINTABLE, [extension])
    assert (told.watched, told.dialled) == ([extension], ["*98"])


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.model)
def test_what_is_taken_away_is_gone_from_a_phone_that_keeps_what_it_had(maker: Maker) -> None:
    """Keys of the phone and of its modules, a line, and a module are taken away."""
    phone, room = Memory(maker), most_keys(maker.model)
    second = Account("102", "x", "Bob Roy")
    before = full(maker.model, (*parse_keys("*98"), *numbered(room - 3)))
    told = phone.read(everything(replace(before, accounts=(*before.accounts, second))))
    assert (told.lines, len(told.watched), told.dialled) == (["101", "102"], room - 3, ["*98"])
    told = phone.read(everything(full(maker.model, parse_keys("200,*21"))))
    assert (told.lines, told.watched, told.dialled) == (["101"], ["200"], ["*21"])
    told = phone.read(everything(full(maker.model, numbered(room - 1))))
    assert len(told.watched) == room - 1
    told = phone.read(everything(full(maker.model, ())))
    assert (told.lines, told.watched, told.dialled) == (["101"], [], [])


@pytest.mark.parametrize("model", [model.path for model in provisioning.models() if model.modules])
def test_a_module_is_used_where_the_device_has_one(model: str) -> None:
    found = find(model)
    for modules in range(found.modules):
        keys = numbered(found.room(modules))
        words = f"has {found.room(modules)} keys, and {found.room(modules) + 1} are wanted: 1 for its lines, "
        advice = f"{len(keys)} others; with --modules {modules + 1} it would have {found.room(modules + 1)}$"
        with pytest.raises(provisioning.ProvisioningError, match=words + advice):
            provisioning.files(device(model, keys=keys, modules=modules), SERVICE)
        assert provisioning.files(device(model, keys=keys, modules=modules + 1), SERVICE)
    with pytest.raises(provisioning.ProvisioningError, match=f"takes {found.modules} modules at most, not"):
        provisioning.files(device(model, modules=found.modules + 1), SERVICE)


def test_a_phone_without_modules_takes_none() -> None:
    with pytest.raises(provisioning.ProvisioningError, match="takes no modules that are known here, not 1"):
        provisioning.files(device("yealink/t31p", modules=1), SERVICE)


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.model)
@pytest.mark.parametrize("count", [0, 1, 32, 33, 20_000])
def test_a_directory_has_as_many_as_phones_take(maker: Maker, count: int) -> None:
    """A directory has the first extensions by number, sorted by name, even those without a name."""
    made = device(maker.model, keys=parse_keys("*98=Group"))
    numbers = [str(number) for number in range(10_000, 10_000 + count)]
    contacts = [Contact(number, f"Name {number[::-1]}" if number[-1] != "7" else "") for number in numbers]
    files = everything(made) | provisioning.phonebook(made, SERVICE, contacts)
    phone = Memory(maker)
    phone.read(files)
    book = phone.book(lambda address: files[address.rpartition("/")[2]])
    kept = contacts[: provisioning.MOST_CONTACTS]
    assert book == {contact.number: contact.name or contact.number for contact in kept}
    assert list(book) == sorted(book, key=lambda number: (book[number].casefold(), number))
    assert all(len(content) < 200_000 for content in files.values())


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.model)
@given(name=NASTY)
def test_a_name_in_a_directory_is_that_of_its_key(maker: Maker, name: str) -> None:
    made = device(maker.model, keys=())
    files = everything(made) | provisioning.phonebook(
        made, SERVICE, [Contact("101", name), Contact("102", "Bob")]
    )
    phone = Memory(maker)
    phone.read(files)
    book = phone.book(lambda address: files[address.rpartition("/")[2]])
    assert book.keys() == {"101", "102"}
    shown = one_line(name) or "101"
    assert book["101"] == shown or (len(shown.encode()) > 40 and shown.startswith(book["101"]))


@pytest.mark.parametrize("model", MODELS)
def test_which_files_are_the_directory(model: str) -> None:
    made = device(model)
    many = [Contact(str(number), "") for number in range(100)]
    book = provisioning.phonebook(made, SERVICE, many)
    others = provisioning.files(made, SERVICE) | provisioning.boot_files(made, SERVICE)
    assert all(provisioning.is_phonebook(made, name.lower()) for name in book)
    assert not any(provisioning.is_phonebook(made, name.lower()) for name in others)
    assert provisioning.book_name(made) in book


@pytest.mark.parametrize("model", [model.path for model in provisioning.models()])
def test_a_full_phone(model: str) -> None:
    """A phone takes as many keys as its model has, and not one more."""
    found = find(model)
    keys = numbered(found.room(found.modules) - 1)
    made = full(model, keys)
    text = b"".join(provisioning.files(made, SERVICE).values()).decode()
    assert all(key.value in text for key in keys)
    with pytest.raises(provisioning.ProvisioningError, match=f"has {found.room(found.modules)} keys, and"):
        provisioning.files(replace(made, keys=(*keys, *parse_keys("999"))), SERVICE)


@pytest.mark.parametrize("model", MODELS)
@given(name=NASTY, value=NASTY)
def test_a_setting_of_a_site_has_a_place_or_is_refused(model: str, name: str, value: str) -> None:
    """A setting adds one line or element, or none; never two, and it never changes another's."""
    made = device(model)
    plain = values(model, provisioning.files(made, SERVICE))
    found, refusal = plain, ""
    try:
        found = values(model, provisioning.files(made, SERVICE, [Layer("site", {name: value})]))
    except provisioning.ProvisioningError as error:
        refusal = str(error)
    assert len(found) - len(plain) <= 1
    assert not refusal or "a setting has no place in its files" in refusal
    assert len(refusal.splitlines()) <= 1


FEATURE_SYNC = {
    "yealink": {
        "features.feature_key_sync.enable": "1",
        "features.dnd.feature_key_sync.enable": "1",
        "features.forward.feature_key_sync.enable": "1",
    },
    "polycom": {"reg.1.serverFeatureControl.dnd": "1", "reg.1.serverFeatureControl.cf": "1"},
    "grandstream": {"account.1.sip.syncFeatureKey": "Yes"},
    "fanvil": {"sip/line[1]/FeatureSync": "1"},
    "cisco": {"Feature_Key_Sync_1_": "Yes"},
    "htek": {"P8633 Account1.FeatureKeySyn": "1"},
}
"""Of snom, and so of Gigaset, no document tells the name."""


@pytest.mark.parametrize("model", MODELS)
def test_phones_are_told_whether_the_server_knows_of_their_features(model: str) -> None:
    def told(feature_sync: bool) -> dict[str, str]:
        service = replace(SERVICE, feature_sync=feature_sync)
        return {setting.name: setting.value for setting in provisioning.settings(device(model), service)}

    on, off = told(True), told(False)
    assert {name: value for name, value in on.items() if off[name] != value} == FEATURE_SYNC.get(
        model.partition("/")[0], {}
    )
    assert on.keys() == off.keys()
