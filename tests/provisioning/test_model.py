"""MAC addresses, keys and models as people write them."""

from __future__ import annotations

import pytest

from provisioning import (
    Account,
    Device,
    KeyKind,
    LineKey,
    ProvisioningError,
    Service,
    files,
    find,
    normal_mac,
    parse_keys,
    written_keys,
    written_mac,
)


@pytest.mark.parametrize("text", ["80:5e:c0:12:34:56", "805EC0123456", "80-5E-C0-12-34-56", "805e.c012.3456"])
def test_a_mac_address(text: str) -> None:
    assert normal_mac(text) == "805ec0123456"
    assert written_mac(normal_mac(text)) == "80:5e:c0:12:34:56"


@pytest.mark.parametrize("text", ["", "805ec012345", "805ec01234567", "805ec012345g", "../../etc/passwd"])
def test_no_mac_address(text: str) -> None:
    with pytest.raises(ProvisioningError, match="no MAC address"):
        normal_mac(text)


def test_keys() -> None:
    text = "102,103,*98=Group,104=Bob,line:2,list:sales@pbx.example=Sales"
    keys = parse_keys(text)
    assert keys == (
        LineKey(KeyKind.BLF, "102"),
        LineKey(KeyKind.BLF, "103"),
        LineKey(KeyKind.SPEED_DIAL, "*98", "Group"),
        LineKey(KeyKind.BLF, "104", "Bob"),
        LineKey(KeyKind.LINE, "2"),
        LineKey(KeyKind.LIST, "sales@pbx.example", "Sales"),
    )
    assert written_keys(keys) == text
    assert parse_keys(" 102 , 103=") == parse_keys("102,103")
    assert parse_keys(" ") == ()


@pytest.mark.parametrize(
    "text",
    [
        *("1 2", "102@x", "=Bob", "102|x", "102;x", "é", f"102={'x' * 33}"),
        *("line:", "line:0", "line:x", "list:", "list:a b", "list:a@b@c", "lists:a", "102:5060"),
    ],
)
def test_unsound_keys(text: str) -> None:
    with pytest.raises(ProvisioningError, match="key "):
        parse_keys(text)


def test_a_model() -> None:
    assert find("yealink/T54W") == find("t54w") == find(" Yealink/t54w")


@pytest.mark.parametrize(
    ("path", "near"), [("yealink/t54", "yealink/t54w"), ("vvx440", "vvx"), ("xyz", "models lists")]
)
def test_an_unknown_model(path: str, near: str) -> None:
    with pytest.raises(ProvisioningError, match=near):
        find(path)


def test_a_device_without_or_with_too_many_extensions() -> None:
    model = find("yealink/t31p")
    with pytest.raises(ProvisioningError, match=r"80:5e:c0:12:34:56 \(yealink/t31p\) has no extension"):
        files(Device("805ec0123456", model, ()), Service("x"))
    three = tuple(Account(str(number), "x") for number in range(3))
    with pytest.raises(ProvisioningError, match="takes 2 extensions, not 3"):
        files(Device("805ec0123456", model, three), Service("x"))
