"""At which places of a phone and its modules its keys are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning import Account, Device, ProvisioningError, ShownKey, find, layout, models, parse_keys

PATHS = [model.path for model in models()]


def device(model: str, keys: str, modules: int = 0) -> Device:
    account = Account("101", "x", "Alice Ng")
    return Device("805ec0123456", find(model), (account,), parse_keys(keys), modules)


def test_pages_and_modules() -> None:
    many = ",".join(str(number) for number in range(200, 230))
    keys = f"102=Bob,*98=Group,line:1,list:sales@pbx.example=Sales,{many}"
    pages = layout(device("yealink/t54w", keys, 2))
    assert [(page.title, len(page.keys)) for page in pages] == [
        ("Page 1", 9),
        ("Page 2", 9),
        ("Page 3", 9),
        ("Module 1", 60),
        ("Module 2", 60),
    ]
    assert pages[0].keys[:5] == (
        ShownKey(1, "line", "Alice Ng", "101"),
        ShownKey(2, "blf", "Bob", "102"),
        ShownKey(3, "speed dial", "Group", "*98"),
        ShownKey(4, "line", "Alice Ng", "101"),
        ShownKey(5, "list", "Sales", "sales@pbx.example"),
    )
    assert pages[1].keys[0].number == 10
    assert pages[3].keys[0] == ShownKey(1, "blf", "222", "222")
    assert pages[3].keys[-1] == ShownKey(60, "", "", "")


def test_keys_in_sight_come_before_the_pages() -> None:
    pages = layout(device("fanvil/x5u", "102"))
    assert [page.title for page in pages[:2]] == ["Beside the screen", "Page 1"]
    assert pages[1].keys[0].number == 5


@given(path=st.sampled_from(PATHS), share=st.floats(0, 1), more=st.floats(0, 1))
def test_every_key_is_somewhere(path: str, share: float, more: float) -> None:
    model = find(path)
    modules = round(more * model.modules)
    room = model.room(modules)
    keys = ",".join(str(number) for number in range(200, 200 + int(share * (room - 1))))
    pages = layout(device(path, keys, modules))
    shown = [key.value for page in pages for key in page.keys if key.kind]
    assert shown == ["101", *(key for key in keys.split(",") if key)]
    own = sum(len(page.keys) for page in pages if not page.title.startswith("Module"))
    assert (own, sum(len(page.keys) for page in pages)) == (model.room(0), room)


def test_a_line_that_the_phone_does_not_have() -> None:
    with pytest.raises(ProvisioningError, match="a key is for line 2, and it has 1"):
        layout(device("yealink/t54w", "line:2"))
