"""What phones fetch: golden files, each vendor's syntax read back, and names that try to break it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

import provisioning
from provisioning import Account, Device, Layer, Service, find, parse_keys
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
    "192.0.2.5", url="http://192.0.2.5:8080/p/5ecret/", http_user="80:5e:c0:12:34:56", http_password="w0rd"
)
KEYS = parse_keys("102=Bob Roy,103,104=Carol & Söhne,*98=Group,105,106,107")


def device(model: str, **over: object) -> Device:
    found = find(model)
    keys = KEYS[: found.most_keys - 1]
    made = Device("805ec0123456", found, (Account("101", "s3cr3t&<>\"'", "Alice Ng"),), keys)
    return replace(made, **over)  # type: ignore[arg-type]


def everything(made: Device) -> dict[str, bytes]:
    """All that the phone can fetch."""
    own = provisioning.files(made, SERVICE)
    return own | provisioning.boot_files(made, SERVICE) | provisioning.common_files(made)


@pytest.mark.parametrize("model", MODELS)
def test_golden_files(model: str) -> None:
    """With UPDATE_GOLDEN set they are written anew; look at what has changed."""
    made = device(model)
    folder = GOLDEN / model.replace("/", "-")
    written = everything(made)
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
        *("\u2028x", "\0", "%NULL%", "${x}", "{{x}}"),
    ]
)


@pytest.mark.parametrize("model", MODELS)
@given(name=NASTY, password=NASTY, label=NASTY)
def test_no_text_breaks_a_file(model: str, name: str, password: str, label: str) -> None:
    """The same settings come back, with the text in them as it was but for control characters."""
    keys = tuple(replace(key, label=label) for key in device(model).keys)
    plain = device(model)
    nasty = replace(plain, accounts=(Account("101", password, name),), keys=keys)
    found = values(model, provisioning.files(nasty, SERVICE))
    assert found.keys() == values(model, provisioning.files(plain, SERVICE)).keys()
    assert one_line(password) in found.values()
    if one_line(name):
        assert one_line(name) in found.values()


@pytest.mark.parametrize("model", MODELS)
def test_every_phone_gets_all_that_lamps_and_pickup_need(model: str) -> None:
    """Account, password, server, period, codes; and each key its extension."""
    made = device(model)
    everything = b"".join(provisioning.files(made, SERVICE).values()).decode()
    for needed in ("192.0.2.5", "101", "s3cr3t", "*97", "/p/5ecret"):
        assert needed in everything
    for key in made.keys:
        assert key.value in everything
        assert etree.Element("x", y=key.shown).get("y") is not None
    assert "*98" in everything or model.partition("/")[0] in ("grandstream", "snom", "fanvil")


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


@pytest.mark.parametrize("model", [model.path for model in provisioning.models()])
def test_a_full_phone(model: str) -> None:
    """Every key that a model has, and not one more."""
    found = find(model)
    keys = parse_keys(",".join(str(number) for number in range(200, 200 + found.most_keys - 1)))
    full = device(model, keys=keys)
    everything = b"".join(provisioning.files(full, SERVICE).values()).decode()
    assert all(key.value in everything for key in keys)
    with pytest.raises(provisioning.ProvisioningError, match=f"has {found.most_keys} keys, and"):
        provisioning.files(replace(full, keys=(*keys, *parse_keys("999"))), SERVICE)
