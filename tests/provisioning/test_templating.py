"""A site's templates: what they see, what they cannot do, and that no text breaks out of them."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from provisioning import (
    Account,
    Device,
    Layer,
    ProvisioningError,
    Service,
    Template,
    common_files,
    files,
    find,
    layout,
    parse_keys,
)

SERVICE = Service("192.0.2.5")
YEALINK = Device("805ec0123456", find("t54w"), (Account("101", "x", "Alice"),), parse_keys("102=Bob"))
SNOM = replace(YEALINK, model=find("d785"))


def made(device: Device, source: str, *layers: Layer) -> str:
    found = files(device, SERVICE, layers, Template("scope", source))
    return next(iter(found.values())).decode()


def test_what_a_template_is_given() -> None:
    source = (
        "{{ device.mac }} {{ device.keys[0].shown }} {{ service.host }} {{ version }} {{ settings[0][0] }}"
    )
    first = made(YEALINK, source)
    mac, key, host, version, name = first.split()
    assert (mac, key, host, name) == ("805ec0123456", "Bob", "192.0.2.5", "account.1.enable")
    assert len(version) == 10
    later = replace(SERVICE, changed=4_000_000_000)
    (rendered,) = files(YEALINK, later, (), Template("scope", source)).values()
    assert rendered.split()[3] == b"4000000000"
    assert int(version) < 4_000_000_000
    assert made(YEALINK, "{{ dict(settings)['x'] }}", Layer("site", {"x": "y"})) == "y"


def test_a_template_replaces_the_main_file_alone() -> None:
    polycom = replace(YEALINK, model=find("vvx450"))
    found = files(polycom, SERVICE, (), Template("polycom", "<x>{{ device.accounts[0].name }}</x>"))
    assert found["805ec0123456-blfd.cfg"] == b"<x>Alice</x>"
    assert b"805ec0123456-blfd.cfg" in common_files(polycom)["805ec0123456.cfg"]


@pytest.mark.parametrize("source", ["<x>", "x", "", "<x>{{ '<y>' | safe }}</x>"])
def test_what_is_not_well_formed_is_refused(source: str) -> None:
    with pytest.raises(ProvisioningError, match=r"80:5e:c0:12:34:56 \(snom/d785\): template scope") as told:
        made(SNOM, source)
    assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ settings.__init__.__globals__ }}",
        "{% set x = settings.append(1) %}",
        "{{ device.check.__func__.__globals__ }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{{ range(1000000000) | list }}",
        "{{ nothing }}",
    ],
)
def test_a_template_is_kept_in_its_box(source: str) -> None:
    with pytest.raises(ProvisioningError, match="template scope"):
        made(YEALINK, source)


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in settings %}{% for b in settings %}{% for c in settings %}x{% endfor %}"
        "{% endfor %}{% endfor %}",
        "{% for a in 'x' * 99999 %}{% for b in 'x' * 99999 %}{% set c = b %}{% endfor %}{% endfor %}",
        "{% macro one() %}{% for a in settings %}{% for b in settings %}{% for c in settings %}"
        "{{ c[0] | one_line }}{% endfor %}{% endfor %}{% endfor %}{% endmacro %}{{ one() }}",
    ],
)
def test_a_template_that_comes_to_no_end_is_ended(source: str) -> None:
    """Else it would hold up the files of all phones, or the command that sets it."""
    tracing = sys.gettrace()
    with pytest.raises(ProvisioningError, match=r"template scope, line 1: it takes more than \d+ steps"):
        made(YEALINK, source)
    assert sys.gettrace() is tracing


def test_a_long_template_of_a_full_phone_comes_to_its_end() -> None:
    full = replace(
        YEALINK, model=find("t46u"), modules=3, keys=parse_keys(",".join(map(str, range(200, 406))))
    )
    source = (
        "{% for name, value in settings %}\n{{ name | one_line }} = {{ value | one_line }}\n{% endfor %}\n"
    )
    assert len(made(full, 10 * source).splitlines()) > 8000


@given(name=st.text(max_size=40), label=st.text(max_size=40), value=st.text(max_size=40))
def test_no_text_leaves_its_line_or_its_element(name: str, label: str, value: str) -> None:
    keys = tuple(replace(key, label=label) for key in YEALINK.keys)
    nasty = replace(YEALINK, accounts=(Account("101", value, name),), keys=keys)
    layer = Layer("site", {"x": value})
    source = "{{ device.accounts[0].name }}|{{ device.keys[0].label }}|{{ dict(settings)['x'] }}"
    assert len(made(nasty, source, layer).splitlines()) <= 1
    snom = replace(nasty, model=SNOM.model)
    root = etree.fromstring(made(snom, f'<x y="{source}">{source}</x>', layer).encode())
    assert len(root) == 0
    assert list(root.attrib) == ["y"]


def test_every_known_kind_of_key_is_where_its_maker_documents_it() -> None:
    keys = parse_keys("102=Bob,*98=Group,line:1=More,list:sales@pbx.example=Sales")
    told = {
        "yealink/t54w": ("linekey.4.type = 15", "account.1.blf.blf_list_uri = sales@pbx.example"),
        "snom/d785": ('context="1" label="More"', ">BW-ServerBLF<"),
        "gigaset/p82x": ('context="1" label="More"', ">sales@pbx.example<"),
    }
    for model, words in told.items():
        device = replace(YEALINK, model=find(model), keys=keys)
        text = b"".join(files(device, SERVICE).values()).decode()
        assert all(word in text for word in words), model
        assert [key.kind for key in layout(device)[0].keys[1:5]][:3] == ["blf", "speed dial", "line"]


@pytest.mark.parametrize(
    ("model", "keys", "words"),
    [
        ("polycom/vvx450", "list:sales", "no list key (sales): no document of polycom"),
        ("grandstream/gxp2170", "list:sales", "no list key (sales): no document of grandstream"),
        ("htek/uc924", "line:1", "no line key (1): no document of htek"),
        ("grandstream/grp2612", "102,103,104,105,line:1", "only its first 4 keys can be lines"),
        ("cisco/spa504g", "102,103,104,105,line:1", "only its first 4 keys can be lines"),
    ],
)
def test_a_key_that_no_document_tells_of(model: str, keys: str, words: str) -> None:
    device = replace(YEALINK, model=find(model), keys=parse_keys(keys), modules=find(model).modules)
    with pytest.raises(ProvisioningError) as told:
        layout(device)
    assert f"80:5e:c0:12:34:56 ({model}): " in str(told.value)
    assert words in str(told.value)
