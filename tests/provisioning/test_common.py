"""Settings with one name for all makers, and makers' own settings beside them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import provisioning
from provisioning import (
    COMMON,
    Account,
    Device,
    Layer,
    ProvisioningError,
    Service,
    Shape,
    accepted,
    find,
    models,
    unknown_setting,
    untold,
)
from provisioning.common import maker_of
from provisioning.common.own import known_names
from provisioning.common.table import REFETCH_FROM

DOCUMENT = Path(__file__).parents[2] / "docs" / "provisioning.md"
MAKERS = sorted({model.vendor for model in models()})
A_MODEL = {
    "yealink": "yealink/t54w",
    "polycom": "polycom/vvx450",
    "grandstream": "grandstream/gxp2170",
    "snom": "snom/d785",
    "gigaset": "gigaset/p82x",
    "fanvil": "fanvil/x5u",
    "cisco": "cisco/cp8851-3pcc",
    "htek": "htek/uc924",
}
SHAPES = frozenset({Shape("0", 3), Shape("9", 3)})
SERVICE = Service(
    "192.0.2.5",
    url="http://192.0.2.5:8080/p/5ecret/",
    books="http://192.0.2.5:8080/b/805ec0123456/b00k/",
    year=2026,
    shapes=SHAPES,
)
ACCOUNTS = (Account("101", "x", "Alice"), Account("102", "y", "Bob"))


def phone(maker: str, lines: int = 1) -> Device:
    model = find(A_MODEL.get(maker, maker))
    return Device("805ec0123456", model, ACCOUNTS[:lines], (), 0, "Adm1n-x", "Us3r-x")


def settings(maker: str, *layers: Layer, lines: int = 1) -> dict[str, str]:
    found = provisioning.settings(phone(maker, lines), SERVICE, layers)
    return {setting.name: setting.value for setting in found}


def site(**settings: str | None) -> Layer:
    return Layer("site", {name.replace("_", "-"): value for name, value in settings.items()})


# Values


@pytest.mark.parametrize("name", COMMON)
def test_an_example_is_taken_as_it_is(name: str) -> None:
    assert accepted(MAKERS, name, COMMON[name].example) == (name, COMMON[name].example)


@pytest.mark.parametrize(
    ("name", "written", "kept"),
    [
        ("timezone", "europe/berlin", "Europe/Berlin"),
        ("timezone", " America/New_York ", "America/New_York"),
        ("ntp-servers", "a.example, b.example", "a.example,b.example"),
        ("language", "DE", "de"),
        ("codecs", "PCMA, opus", "pcma,opus"),
        ("refetch", "OFF", "off"),
        ("ring-tone", "Silent", "silent"),
    ],
)
def test_values_as_people_write_them(name: str, written: str, kept: str) -> None:
    assert accepted(MAKERS, name, written) == (name, kept)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("timezone", "Berlin", "'Berlin' is no time zone; near it: Europe/Berlin"),
        ("timezone", "Europe/Berlni", "near it: Europe/Berlin"),
        ("timezone", "new york", "near it: America/New_York"),
        ("timezone", "GER+1", "write it as the tz database does"),
        ("timezone", "../../etc/passwd", "is no time zone"),
        ("timezone", "", "is no time zone"),
        ("ntp-servers", "", "write one host or two"),
        ("ntp-servers", "a,b,c", "write one host or two"),
        ("ntp-servers", "a b", "write one host or two"),
        ("ntp-servers", "a\nlinekey.1.type = 0", "write one host or two"),
        ("time-format", "25", "'25' is not one of 12, 24"),
        ("language", "klingon", "is not one of ar, bs"),
        ("codecs", "pcma,pcma", "each once"),
        ("codecs", "speex", "write some of pcmu,pcma"),
        ("codecs", ",", "leave that comma out"),
        ("codecs", " ", "write some of"),
        ("call-waiting", "1", "is not one of on, off"),
        ("refetch", "24:00", "write when the phones may begin"),
        ("refetch", "1:00", "write when the phones may begin"),
    ],
)
def test_values_that_are_refused(name: str, value: str, words: str) -> None:
    with pytest.raises(ProvisioningError) as told:
        accepted(MAKERS, name, value)
    assert str(told.value).startswith(f"{name}: ")
    assert words in str(told.value)
    assert len(str(told.value).splitlines()) == 1


@given(name=st.sampled_from(sorted(COMMON)), value=st.text(max_size=30))
def test_no_value_breaks_the_table(name: str, value: str) -> None:
    """A value is refused, or files for every maker's phone can be made with it."""
    try:
        kept = accepted(MAKERS, name, value)[1]
    except ProvisioningError:
        return
    for maker in MAKERS:
        provisioning.files(phone(maker), SERVICE, [Layer("site", {name: kept})])


# What phones are told

ALL_VALUES = {
    "time-format": ("12", "24"),
    "date-format": ("dmy", "mdy", "ymd"),
    "language": ("de", "en", "zh", "el"),
    "tones": ("de", "us", "tw"),
    "codecs": ("pcma", "opus,g722,pcma,pcmu", "ilbc"),
    "ring-tone": ("1", "8", "silent"),
    "key-alerts": ("screen", "sound", "both", "off"),
    "web-access": ("https", "http", "off"),
    "refetch": ("off", "23:30"),
    "ntp-servers": ("a.example", "a.example,b.example"),
    "outside-prefix": ("0", "9", "none"),
    "emergency-numbers": ("112", "112,110"),
}


@pytest.mark.parametrize("model", [*A_MODEL.values(), "cisco/spa504g"])
@pytest.mark.parametrize("name", COMMON)
def test_each_value_tells_something_of_its_own_or_is_said_not_to(model: str, name: str) -> None:
    found = set()
    values = ALL_VALUES.get(name, ("on", "off"))
    if name == "timezone":
        values = ("Europe/Berlin", "Asia/Kolkata")
    noted = 0
    for value in values:
        told = provisioning.settings(phone(model), SERVICE, [Layer("site", {name: value})])
        found.add(tuple((setting.name, setting.value) for setting in told))
        noted += bool(untold(phone(model), SERVICE, [Layer("site", {name: value})]))
    in_a_file_of_its_own = name == "phonebook" and model.startswith(("snom", "gigaset"))
    assert len(found) + noted >= len(values) or in_a_file_of_its_own


def test_settings_of_accounts_are_told_for_each() -> None:
    found = settings("yealink", site(codecs="g722"), lines=2)
    assert found["account.2.codec.g722.priority"] == "1"
    assert found["account.2.codec.pcmu.enable"] == "0"
    assert settings("fanvil", site(ring_tone="3"), lines=2)["sip/line[2]/RingType"] == "Type 3"


def test_a_later_layer_wins_and_a_makers_own_setting_over_all() -> None:
    wide, narrow = site(timezone="Europe/Berlin", language="de"), Layer("device", {"timezone": "UTC"})
    found = settings("yealink", wide, narrow)
    assert (found["local_time.time_zone"], found["lang.gui"]) == ("0", "German")
    own = Layer("all tenants", {"local_time.time_zone": "+9"})
    assert settings("yealink", own, wide, narrow)["local_time.time_zone"] == "+9"
    origins = {
        setting.name: setting.origin
        for setting in provisioning.settings(phone("yealink"), SERVICE, [wide, narrow])
    }
    assert origins["local_time.time_zone"] == "device: timezone"
    assert origins["static.wui.https_enable"] == "blfd"


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize(
    ("name", "value"), [("timezone", "Mars/Phobos"), ("timezone", "../x"), ("refetch", "?")]
)
def test_a_value_that_is_refused_now_takes_no_phone_its_file(maker: str, name: str, value: str) -> None:
    layer = Layer("site", {name: value})
    assert "101" in settings(maker, layer).values()
    if name == "timezone":
        (said,) = untold(phone(maker), SERVICE, [layer])
        assert said == f"timezone {value}: it is no value of this setting here; set another"


def test_a_setting_of_ours_can_be_left_out() -> None:
    assert "static.wui.http_enable" in settings("yealink")
    assert "static.wui.http_enable" not in settings("yealink", site(web_access=None))
    assert "lang.gui" not in settings("yealink", site(language="de"), site(language=None))


def test_a_makers_setting_that_is_called_as_ours_is_raw() -> None:
    """Snom's own settings are called `timezone` and `language`, too."""
    berlin, own = site(timezone="Europe/Berlin"), Layer("site", {"raw:timezone": "AUT+1"})
    assert settings("snom", berlin, own)["timezone"] == "AUT+1"
    assert settings("snom", own, berlin)["timezone"] == "AUT+1"
    assert "timezone" not in settings("snom", berlin, Layer("site", {"raw:timezone": None}))
    assert accepted(["snom"], "raw:timezone", "AUT+1") == ("raw:timezone", "AUT+1")
    assert accepted(["snom"], "raw:backlight", "9") == ("backlight", "9")


@pytest.mark.parametrize("maker", MAKERS)
def test_phones_fetch_at_times_of_their_own(maker: str) -> None:
    """The time is chosen by chance in the phone, or by its address, so not all phones fetch at once."""
    made = [replace(phone(maker), mac=f"805ec01234{number:02x}") for number in range(40)]
    told = {
        tuple(
            (s.name, s.value)
            for s in provisioning.settings(each, SERVICE)
            if re.search("weekly|polling|auto|Resync_|Flash|P19[34]", s.name)
        )
        for each in made
    }
    (one, *_) = told
    spread = ("end_time", "timeRandomEnd", "time_rand_end", "randomTime")
    by_chance = any(word in name for name, _ in one for word in spread)
    assert by_chance or len(told) > 3


def test_refetching_may_pass_midnight() -> None:
    found = settings("yealink", site(refetch="23:30"))
    weekly = "static.auto_provision.weekly."
    assert (found[weekly + "begin_time"], found[weekly + "end_time"]) == ("23:30", "03:30")
    assert COMMON["refetch"].default == REFETCH_FROM


# Passwords, and settings that replace each other


@pytest.mark.parametrize("maker", MAKERS)
def test_no_phone_keeps_a_well_known_password(maker: str) -> None:
    text = b"".join(provisioning.files(phone(maker), SERVICE).values()).decode()
    assert "Adm1n-x" in text
    assert "Us3r-x" in text
    assert len(provisioning.web_users(A_MODEL[maker])) == 2
    plain = replace(phone(maker), admin_password="", user_password="")
    without = b"".join(provisioning.files(plain, SERVICE).values()).decode()
    assert all(word not in without.lower() for word in ("admin:", "adminpassword", "admin_pass", "var:"))


def test_a_line_for_each_user_of_a_yealink() -> None:
    def lines(*layers: Layer) -> list[str]:
        text = provisioning.files(phone("yealink"), SERVICE, layers)["805ec0123456.cfg"].decode()
        return re.findall("static.security.user_password = (.*)", text)

    assert lines() == ["admin:Adm1n-x", "user:Us3r-x", "var:Adm1n-x"]
    own = Layer("site", {"static.security.user_password": "admin:ours"})
    assert lines(own) == ["admin:ours", "user:Us3r-x", "var:Adm1n-x"]
    assert lines(Layer("site", {"static.security.user_password": None})) == []


@pytest.mark.parametrize("name", ["P30", "P30 Whatever", "P30 UrlOrIpAddress"])
def test_an_htek_setting_is_its_number(name: str) -> None:
    own = Layer("site", {name: "own.example"})
    text = provisioning.files(phone("htek"), SERVICE, [site(ntp_servers="a.example"), own])
    assert re.findall(r"<P30\b[^>]*>([^<]*)<", text["cfg805ec0123456.xml"].decode()) == ["own.example"]
    left_out = Layer("site", {name: None})
    text = provisioning.files(phone("htek"), SERVICE, [site(ntp_servers="a.example"), left_out])
    assert b"<P30 " not in text["cfg805ec0123456.xml"]


# Names


def refusal(maker: str, name: str) -> str:
    """The words by which a setting is refused to a phone of one account; "" where it is taken."""
    try:
        accepted([maker], name, "x", 1)
    except ProvisioningError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("maker", MAKERS)
def test_what_registers_a_phone_is_refused_and_nothing_else_of_ours(maker: str) -> None:
    """Refused are the account, its password, the server, and where the files are."""
    found = settings(maker)
    told = {name: refusal(maker, name) for name in found}
    refused = {found[name] for name, text in told.items() if text}
    assert all(text.startswith(f"{name} is not set: ") for name, text in told.items() if text)
    assert {"101", "x"} <= refused
    assert any("192.0.2.5" in value for value in refused)
    assert any("5ecret" in value for value in refused)
    assert len(refused) < 12
    assert "Alice" not in refused


@pytest.mark.parametrize(
    ("maker", "name"),
    [
        ("yealink", "account.2.password"),
        ("polycom", "reg.2.auth.password"),
        ("grandstream", "account.2.sip.subscriber.password"),
        ("snom", "user_pass[2]"),
        ("fanvil", "sip/line[2]/RegisterPswd"),
        ("cisco", "Password_2_"),
    ],
)
def test_an_account_of_another_server_may_be_set_where_the_phone_has_none_of_ours(
    maker: str, name: str
) -> None:
    assert accepted([maker], name, "x", 1) == (name, "x")
    for refused in (name, f"raw:{name}"):
        with pytest.raises(ProvisioningError, match="is not set: "):
            accepted([maker], refused, "x", 2)


@pytest.mark.parametrize("maker", MAKERS)
def test_all_settings_that_we_tell_are_known(maker: str) -> None:
    for lines in (1, 2):
        for name in settings(maker, Layer("s", {n: c.example for n, c in COMMON.items()}), lines=lines):
            assert unknown_setting([maker], name) == "", name
    assert len(known_names(maker)) > 100


@pytest.mark.parametrize(
    ("makers", "name", "words"),
    [
        (
            ["yealink"],
            "feature.dnd.alow",
            "is no setting of yealink that is known here; near it: features.dnd",
        ),
        (["yealink"], "account.2.lable", "near it: account.2.label"),
        (["cisco"], "dial_plan_1_", "near it: Dial_Plan_1_"),
        (["snom"], "user_mailbx[3]", "near it: user_mailbox[3]"),
        (["polycom"], "time-zone", "near it: timezone"),
        (["htek"], "P99999", "P99999 is no setting of htek that is known here"),
        (MAKERS, "use_backlite", "is no setting of any maker that is known here; near it: use_backlight"),
        (MAKERS, "qqq", "is no setting of any maker that is known here"),
    ],
)
def test_an_unknown_name_is_said_with_those_near_it(makers: list[str], name: str, words: str) -> None:
    assert words in unknown_setting(makers, name)


@pytest.mark.parametrize("name", ["timezone", "raw:timezone", "phone_setting.backlight_time", "P85"])
def test_a_name_that_some_maker_has_is_known(name: str) -> None:
    assert unknown_setting(MAKERS, name) == ""


def test_the_document_lists_what_each_maker_is_told() -> None:
    """Its table has a row for each common setting, and a maker's cell is a dash where no translation is."""
    rows = {
        cells[0].strip("`"): cells[1:]
        for line in DOCUMENT.read_text().splitlines()
        if (cells := [cell.strip() for cell in line.strip("|").split(" | ")])
        and cells[0].strip("`") in COMMON
    }
    columns = ("yealink", "polycom", "grandstream", "snom", "fanvil", "cisco", "htek")
    assert rows.keys() == COMMON.keys()
    for name, cells in rows.items():
        assert len(cells) == len(columns), name
        for maker, cell in zip(columns, cells, strict=True):
            assert (cell == "-") == (name not in maker_of(maker).TRANSLATIONS), (name, maker, cell)
