"""Every number that has a meaning goes out as it was dialled: not early, not cut, and not late."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import pytest
from dialling import KEYS, NEVER, PHONES, Phone, Sent, cisco, dial, grandstream
from hypothesis import assume, given
from hypothesis import strategies as st
from makers import MAKERS, Maker

import provisioning
from provisioning import Account, Device, Service, find
from provisioning.dialplan import SHORT_TIMER, DialPlan, shape
from provisioning.vendors.snom import AUTO_DIAL

DOCUMENT = Path(__file__).parents[2] / "docs" / "provisioning.md"
SHORT = {"snom": float(AUTO_DIAL), "gigaset": float(AUTO_DIAL)}  # seconds; the others: SHORT_TIMER
BY_TIMER = ("fanvil", "htek")  # makers of which no document tells how a number goes out at once


@dataclass(frozen=True)
class Tenant:
    """A tenant whose numbers are dialled."""

    extensions: tuple[str, ...]
    directed: str = "*97"
    group: str = "*98"
    outside: str | None = ""
    emergency: tuple[str, ...] = ()
    others: tuple[str, ...] = ("*21", "*72", "*301555")
    numbers: tuple[str, ...] = ("301234567", "12", "110559")  # numbers outside, without the prefix
    star_codes: tuple[str, ...] = ("*78", "*73")
    prefix_codes: tuple[str, ...] = ("*72",)

    def service(self) -> Service:
        shapes = frozenset(found for each in self.extensions if (found := shape(each)))
        return Service(
            "192.0.2.5",
            directed_code=self.directed,
            group_code=self.group,
            shapes=shapes,
            outside=self.outside,
            emergency=self.emergency,
            star_codes=self.star_codes,
            prefix_codes=self.prefix_codes,
        )

    def dialled(self) -> Iterator[str]:
        """All numbers that are meant to go out."""
        internal = [each for each in self.extensions if shape(each)]
        yield from internal
        yield from (self.directed + each for each in internal)
        yield self.group
        yield from self.star_codes
        yield from (code + each for code in self.prefix_codes for each in internal)
        yield from self.emergency
        if self.outside:
            yield from (self.outside + each for each in self.emergency)
        yield from (each for each in self.others if not each.startswith((self.directed, self.group)))
        if self.outside is not None:
            found = (self.outside + each for each in self.numbers)
            yield from (each for each in found if not each.startswith(tuple(self._emergencies())))

    def _emergencies(self) -> Iterator[str]:
        yield from self.emergency
        yield from ((self.outside or "") + each for each in self.emergency)


def phone(maker: Maker, tenant: Tenant, read: Callable[..., Phone] | None = None) -> Phone:
    """A phone that has read its files."""
    found = find(maker.model)
    device = Device("805ec0123456", found, (Account("101", "s3cret", "Alice Ng"),))
    service = replace(
        tenant.service(),
        url="http://192.0.2.5:8080/p/x/",
        books="http://192.0.2.5:8080/b/805ec0123456/x/",
        http_user="u",
        http_password="p",
    )
    files = provisioning.files(device, service) | provisioning.boot_files(device, service)
    files |= provisioning.common_files(device) | provisioning.phonebook(device, service, [])
    return (read or PHONES[found.vendor])(maker.settings(files))


def vendor(maker: Maker) -> str:
    return maker.model.partition("/")[0]


ONE_EACH = list({vendor(maker): maker for maker in MAKERS}.values())
each_maker = pytest.mark.parametrize("maker", ONE_EACH, ids=vendor)


def check(maker: Maker, tenant: Tenant, found: Phone) -> None:
    for number in tenant.dialled():
        if vendor(maker) == "yealink" and "#" in number:
            continue  # a Yealink's # sends, and no document tells how that is switched off
        sent = dial(found, number)
        assert sent.number == number, f"{number} goes out as {sent.number!r}"
        assert sent.after in (0, SHORT.get(vendor(maker), SHORT_TIMER)), f"{number} waits {sent.after}"


# Tenants of any kind

extension = st.integers(1, 6).flatmap(
    lambda length: st.text(st.sampled_from("0123456789"), min_size=length, max_size=length)
)
odd = st.sampled_from(["bob", "+49301", "1a", "12345678901234567890"])
code = st.from_regex(r"[*#][0-9*#]{1,4}", fullmatch=True)
plain_code = st.from_regex(r"\*[0-9*]{1,3}", fullmatch=True)
digits = partial(st.text, st.sampled_from("0123456789"))


@st.composite
def tenants(draw: st.DrawFn) -> Tenant:
    """Tenants with extensions of mixed lengths, any codes, and numbers outside with or without a prefix."""
    codes = plain_code | code
    directed, group = draw(codes), draw(codes)
    assume(not directed.startswith(group))
    assume(not group.startswith(directed))
    return draw(of_codes(directed, group))


@st.composite
def of_codes(draw: st.DrawFn, directed: str, group: str) -> Tenant:
    apart = [directed, group]
    for each in draw(st.lists(code, max_size=4)):
        if not any(each.startswith(known) or known.startswith(each) for known in apart):
            apart.append(each)
    return Tenant(
        tuple(draw(st.lists(extension | odd, min_size=1, max_size=12, unique=True))),
        directed,
        group,
        draw(st.sampled_from(["", None, "0", "9", "00", "012"]) | digits(min_size=1, max_size=3)),
        tuple(draw(st.lists(st.sampled_from(["112", "110", "911", "999", "15"]), max_size=3, unique=True))),
        tuple(draw(st.lists(digits(min_size=2, max_size=6).map("*".__add__), max_size=5))),
        tuple(draw(st.lists(digits(min_size=2, max_size=12), max_size=6))),
        tuple(apart[2::2]),
        tuple(apart[3::2]),
    )


@each_maker
@given(tenant=tenants())
def test_every_number_goes_out_as_it_is_meant(maker: Maker, tenant: Tenant) -> None:
    check(maker, tenant, phone(maker, tenant))


@each_maker
@given(tenant=of_codes("*9", "*97"))
def test_codes_that_begin_alike(maker: Maker, tenant: Tenant) -> None:
    """No tenant may have such codes, and still every number goes out."""
    check(maker, tenant, phone(maker, tenant))


GRANDSTREAM, CISCO = (next(m for m in MAKERS if vendor(m) == name) for name in ("grandstream", "cisco"))


@given(tenant=tenants())
def test_what_documents_leave_open_changes_nothing(tenant: Tenant) -> None:
    """Documents do not tell whether a complete entry waits for one that goes on, or if `x` is any key."""
    check(GRANDSTREAM, tenant, phone(GRANDSTREAM, tenant, partial(grandstream, patient=True)))
    check(CISCO, tenant, phone(CISCO, tenant, partial(cisco, any_key=KEYS)))


# What goes out at once


@pytest.mark.parametrize(
    ("tenant", "at_once", "waiting"),
    [
        (
            Tenant(("101", "205"), outside="0", emergency=("112",)),
            "101 205 112 0112 *97101 *98",
            "0301234567 *21",
        ),
        (Tenant(("101",)), "*97101 *98", "101 301234567 *21"),
        (Tenant(("101",), outside=None), "101 *97101 *98", "*21"),
        (Tenant(("101",), emergency=("112",)), "112 *97101", "101 113"),
        (Tenant(("11", "112", "20"), outside="9", emergency=("911",)), "112 911 9911 20 *9720", "11 *9711"),
        (Tenant(("101",), outside="9", emergency=("112", "911")), "112 9112 9911", "911"),
        (Tenant(("112", "1123"), outside="0", emergency=("112",)), "1123 *971123", "112 *97112"),
        (Tenant(("012", "101"), outside="0"), "101 *97012 *97101", "012 0301"),
        (Tenant(("101",), "*9", "*8", outside="0"), "*9101 *8 101", "*21"),
        (Tenant(("101", "2001"), outside="00"), "101 2001 *972001", "0030"),
        (Tenant(("7", "71"), "*9", "*97", outside="0"), "71 *971", "7 *97"),
    ],
)
@each_maker
def test_a_number_that_no_other_begins_with_goes_out_at_once(
    maker: Maker, tenant: Tenant, at_once: str, waiting: str
) -> None:
    found = phone(maker, tenant)
    waits = SHORT.get(vendor(maker), SHORT_TIMER)
    for number in at_once.split():
        assert dial(found, number) == Sent(number, waits if vendor(maker) in BY_TIMER else 0)
    for number in waiting.split():
        assert dial(found, number) == Sent(number, waits)


@each_maker
def test_an_extension_that_is_new_goes_out_before_the_phone_knows_it(maker: Maker) -> None:
    found = phone(maker, Tenant(("101", "102"), outside="0"))
    for number in ("201", "3005", "*97201"):
        assert dial(found, number) == Sent(number, SHORT.get(vendor(maker), SHORT_TIMER))


@each_maker
def test_the_send_key_is_no_part_of_the_number(maker: Maker) -> None:
    found = phone(maker, Tenant(("101",)))
    if vendor(maker) == "cisco":
        pytest.skip("it ends what is complete, by the phone itself")
    assert dial(found, "101#") == Sent("101", 0)
    assert dial(found, "*21#") == Sent("*21", 0)


@each_maker
def test_the_interpreter_finds_what_is_wrong(maker: Maker) -> None:
    """With a plan for other extensions and codes, numbers do not go out as they are dialled."""
    there, wrong = Tenant(("101",), outside="0"), Tenant(("10",), "*9", "*8", outside="0")
    found = [dial(phone(maker, wrong), number) for number in there.dialled()]
    sent_as_meant = [sent.number for sent in found] == list(there.dialled())
    assert sent_as_meant == (vendor(maker) in BY_TIMER)


# Plans that phones come with


AS_THEY_COME = {
    "yealink": ("dialplan.digitmap.string", "[2-9]11|0T|011xxx.T|[2-9]xxxT|**x.T|+x.T|00x.T"),
    "polycom": ("dialplan.digitmap", "[2-9]11|0T|011xxx.T|[0-1][2-9]xxxxxxxxx|[2-9]xxxxxxxxx|[2-9]xxxT"),
    "grandstream": ("account.1.call.dialplan", "{x+}"),
    "snom": ("auto_dial None", "off"),
    "cisco": ("Dial_Plan_1_", "(*xx|[3469]11|0|00|[2-9]xxxxxx|1xxx[2-9]xxxxxxS0|xxxxxxxxxxxx.)"),
}


@pytest.mark.parametrize("name", AS_THEY_COME)
def test_plans_that_phones_come_with_are_why_ours_is_there(name: str) -> None:
    maker = next(maker for maker in ONE_EACH if vendor(maker) == name)
    setting, value = AS_THEY_COME[name]

    def read(found: dict[str, str]) -> Phone:
        assert setting in found
        changed = {"dialplan.digitmap.no_match_action": "0", "dialplan.impossibleMatchHandling": "0"}
        return PHONES[name]({**found, **{k: v for k, v in changed.items() if k in found}, setting: value})

    found = phone(maker, Tenant(("101",)), read)
    sent = [dial(found, number) for number in ("101", "*97101")]
    assert sent != [Sent("101", sent[0].after), Sent("*97101", sent[1].after)] or NEVER in [
        each.after for each in sent
    ]


# Plans that are too long


@each_maker
def test_a_phone_that_has_no_room_for_all_waits_more(maker: Maker) -> None:
    """The extensions of each first digit have lengths of their own, which makes the plan too long."""
    lengths = [(first, length) for first, length in product("123456789", range(2, 12)) if int(first) & length]
    tenant = Tenant(tuple(first * length for first, length in lengths), outside="0", emergency=("112",))
    check(maker, tenant, phone(maker, tenant))


def test_a_plan_is_short_where_it_can_be() -> None:
    shapes = frozenset(found for number in range(100, 900) if (found := shape(str(number))))
    plan = DialPlan("*97", "*98", shapes, "0", ("112",))
    assert len(plan.sequences) <= 13
    assert len(plan.few_sequences) <= 18


# The document


TOLD = Tenant(("101",), outside="0", emergency=("112",))
OPEN = Tenant(("101",))
NAMES = {
    "yealink": "Yealink",
    "polycom": "Polycom, Poly",
    "grandstream": "Grandstream",
    "snom": "Snom, Gigaset",
    "fanvil": "Fanvil",
    "cisco": "Cisco",
    "htek": "Htek",
}
TABLE = re.compile(r"<!-- waits -->\n(?:\|.*\n)*")


def waits() -> str:
    columns = [(TOLD, number) for number in ("101", "*97101", "*98", "112", "0301234567", "*21")]
    columns += [(OPEN, "101")]
    shown = [f"`{number}`" for _, number in columns[:-1]] + ["`101` without a prefix"]
    lines = [f"| maker | {' | '.join(shown)} |", "|---" * (len(columns) + 1) + "|"]
    for name, title in NAMES.items():
        maker = next(maker for maker in ONE_EACH if vendor(maker) == name)
        sent = [dial(phone(maker, tenant), number) for tenant, number in columns]
        cells = ["at once" if each.after == 0 else f"{each.after:g} s" for each in sent]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def test_the_document_tells_how_long_phones_wait() -> None:
    """With UPDATE_GOLDEN set, the document's table is written anew."""
    text = DOCUMENT.read_text()
    written = TABLE.sub(lambda _: f"<!-- waits -->\n{waits()}", text)
    if os.environ.get("UPDATE_GOLDEN"):
        DOCUMENT.write_text(written)
        return
    assert len(TABLE.findall(text)) == 1
    assert written == text
