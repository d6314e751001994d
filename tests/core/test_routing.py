"""What a dialled request means: a table of who dials what."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import HOST, directory, uri

from blfd.core.access.domains import Domains
from blfd.core.calls.attempts import Way
from blfd.core.directory import Directory, Rule, StarCodes, Tenant
from blfd.core.routing import Refused, Route, Routing, ToExtension, ToPickup, ToRule
from blfd.core.values import DEFAULT_TENANT, Aor, Replaces, Uri

ACME = "acme.example"


def here(extension: str) -> Aor:
    return Aor(DEFAULT_TENANT, extension)


def known() -> Directory:
    """The usual directory, where acme.example has other codes, and an extension that begins with a code."""
    usual = directory(("101", "102", "*97", "*97102", "*2"))
    stars = StarCodes(dnd="*3", dnd_off="", forward_always="**")
    codes = Tenant(ACME, pickup_code="*2", group_pickup_code="*22", star_codes=stars)
    return replace(usual, tenants={**usual.tenants, ACME: codes})


def to(extension: str, tenant: str = DEFAULT_TENANT) -> ToExtension:
    return ToExtension(known().extensions[Aor(tenant, extension)])


def directed(extension: str, target: Aor | None) -> ToPickup:
    return ToPickup(Way.DIRECTED, extension, target)


def nobody(user: str, who: str = "101") -> Refused:
    return Refused(404, f"{user or 'This'} does not exist", f"{who} calls {user}, which does not exist")


def elsewhere(user: str, host: str, who: str = "101") -> Refused:
    add = f"blfd tenant set {who.partition('@')[2] or DEFAULT_TENANT} --alias"
    text = f"{who} calls {user} at {host}, which is no name of its tenant; see '{add}'"
    return Refused(404, f"{user} does not exist", text)


def other(text: str, scheme: str) -> Uri:
    return Uri(text, scheme, "", "", 0)


NO_EXTENSION = "101 forwards its calls to {}, which is no extension here"
IN_ACME = "101@acme.example"
DIALLED: list[tuple[Uri, Route]] = [
    (uri("102"), to("102")),
    (uri("102", port=5070), to("102")),
    (uri("102")._replace(scheme="sips"), to("102")),
    (uri("101"), to("101")),
    (uri("102")._replace(parameters=(("user", "phone"),), headers="Replaces=a"), to("102")),
    (uri("999"), nobody("999")),
    (uri(""), nobody("")),
    (uri("102", "other.example"), elsewhere("102", "other.example")),
    (uri("101", ACME), elsewhere("101", ACME)),
    (uri("9\r\n9"), nobody("9\ufffd\ufffd9")),
    (uri("*2"), to("*2")),
    (uri("*97102"), directed("102", here("102"))),
    (uri("*97101"), directed("101", here("101"))),
    (uri("*97"), directed("", None)),
    (uri("*97999"), directed("999", None)),
    (uri("*97*97"), directed("*97", here("*97"))),
    (uri("*97102", ACME), directed("102", None)),
    (uri("*97102", "other.example"), directed("102", None)),
    (uri("*98"), ToPickup(Way.GROUP)),
    (uri("*98102"), nobody("*98102")),
    (uri("*78"), ToRule(Rule("dnd", True))),
    (uri("*79"), ToRule(Rule("dnd", False))),
    (uri("*72102"), ToRule(Rule("always", "102"), "102")),
    (uri("*73"), ToRule(Rule("always", ""))),
    (uri("*90*97"), ToRule(Rule("busy", "*97"), "*97")),
    (uri("*91"), ToRule(Rule("busy", ""))),
    (uri("*92102"), ToRule(Rule("no_answer", "102"), "102")),
    (uri("*93"), ToRule(Rule("no_answer", ""))),
    (uri("*72"), Refused(484, "Dial *72 and the extension")),
    (uri("*72101"), Refused(403, "Calls of 101 cannot be forwarded to itself")),
    (uri("*72999"), Refused(404, "999 does not exist", NO_EXTENSION.format("999"))),
    (uri("*72*98"), Refused(404, "*98 does not exist", NO_EXTENSION.format("*98"))),
    (uri("*72\r\n"), Refused(404, "\ufffd\ufffd does not exist", NO_EXTENSION.format("\ufffd\ufffd"))),
    (uri("*78102"), nobody("*78102")),
    (uri("*73102"), nobody("*73102")),
    (other("tel:102", "tel"), Refused(416, "Scheme tel, only sip is served")),
]


@pytest.mark.parametrize(("target", "route"), DIALLED)
def test_what_an_extension_dials(target: Uri, route: Route) -> None:
    assert routing().route(here("101"), target) == route


@pytest.mark.parametrize(
    ("target", "route"),
    [
        (uri("101", ACME), to("101", ACME)),
        (uri("102", HOST), elsewhere("102", HOST, IN_ACME)),
        (uri("*2101", ACME), directed("101", Aor(ACME, "101"))),
        (uri("*2101", HOST), directed("101", None)),
        (uri("*22", ACME), ToPickup(Way.GROUP)),
        (uri("*97101", ACME), nobody("*97101", IN_ACME)),
        (uri("*3", ACME), ToRule(Rule("dnd", True))),
        (uri("*78", ACME), nobody("*78", IN_ACME)),
        (uri("*79", ACME), nobody("*79", IN_ACME)),
        (uri("**101", ACME), Refused(403, "Calls of 101 cannot be forwarded to itself")),
        (uri("", ACME), nobody("", IN_ACME)),
    ],
)
def test_each_tenant_has_its_extensions_and_codes(target: Uri, route: Route) -> None:
    assert routing().route(Aor(ACME, "101"), target) == route


@pytest.mark.parametrize("target", [uri("102"), uri("*98"), uri("", "other.example"), other("tel:1", "tel")])
def test_replaces_means_a_dialog_whatever_the_uri(target: Uri) -> None:
    good, bad = "a@b;to-tag=1;from-tag=2;early-only", "a@b;to-tag=1"
    to_dialog = ToPickup(Way.REPLACES, replaces=Replaces("a@b", "1", "2", early_only=True))
    assert routing().route(here("101"), target, (good,)) == to_dialog
    assert routing().route(here("101"), target, (bad,)) == Refused(
        400, "Replaces needs a to-tag and a from-tag"
    )
    assert routing().route(here("101"), target, (good, good)) == Refused(400, "More than one Replaces")


def routing() -> Routing:
    return Routing(known(), Domains(known(), [HOST]))
