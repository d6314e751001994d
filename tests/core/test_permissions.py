"""Who may pick up whose calls."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
from builders import directory, group

from blfd.core.alterations import altered, sharing
from blfd.core.directory import Directory, Group, Reach
from blfd.core.permissions import Permissions
from blfd.core.values import Aor

PEOPLE = ("101", "102", "103", "104")
ON, OFF, GROUPS = Reach.ON, Reach.OFF, Reach.GROUPS


def with_rights(
    pickup: Reach | None = None,
    pickable: bool | None = None,
    *,
    tenant: tuple[Reach, bool] = (ON, True),
    groups: tuple[Group, ...] = (),
) -> Permissions:
    """Permissions where 101 has `pickup`, and 102 has `pickable`; all else is as the tenant has it."""
    plain = directory(PEOPLE, groups)
    extensions, tenants = dict(plain.extensions), dict(plain.tenants)
    one, two = Aor("default", "101"), Aor("default", "102")
    extensions[one] = replace(extensions[one], pickup=pickup)
    extensions[two] = replace(extensions[two], pickable=pickable)
    tenants["default"] = replace(tenants["default"], pickup=tenant[0], pickable=tenant[1])
    return Permissions(Directory(tenants, extensions, groups))


BOTH = (group("101 102"),)
ONE_WAY = (group("101", "102"),)
OTHER_WAY = (group("102", "101"),)


@pytest.mark.parametrize(
    ("permissions", "may"),
    [
        (with_rights(), True),
        (with_rights(OFF), False),
        (with_rights(GROUPS), False),
        (with_rights(GROUPS, groups=BOTH), True),
        (with_rights(GROUPS, groups=ONE_WAY), True),
        (with_rights(GROUPS, groups=OTHER_WAY), False),
        (with_rights(GROUPS, groups=(group("101 103"), group("102 103", name="b"))), False),
        (with_rights(GROUPS, groups=(group("101 103"), group("101 102", name="b"))), True),
        (with_rights(GROUPS, groups=(group(""),)), False),
        (with_rights(ON, False, groups=BOTH), False),
        (with_rights(tenant=(OFF, True)), False),
        (with_rights(ON, tenant=(OFF, True)), True),
        (with_rights(tenant=(GROUPS, True), groups=BOTH), True),
        (with_rights(tenant=(ON, False)), False),
        (with_rights(None, True, tenant=(ON, False)), True),
        (with_rights(OFF, groups=BOTH), False),
    ],
)
def test_may_101_pick_up_102(permissions: Permissions, may: bool) -> None:
    assert permissions.may(Aor("default", "101"), Aor("default", "102")) is may
    assert (Aor("default", "102") in permissions.in_groups(Aor("default", "101"))) <= may


def test_nobody_picks_up_across_tenants_or_what_does_not_exist() -> None:
    permissions = with_rights(groups=(group("101 102"), Group("acme.example", "sales", frozenset(("101",)))))
    assert not permissions.may(Aor("acme.example", "101"), Aor("default", "101"))
    assert not permissions.may(Aor("default", "101"), Aor("acme.example", "101"))
    assert not permissions.may(Aor("default", "101"), Aor("default", "999"))
    assert not permissions.may(Aor("default", "999"), Aor("default", "101"))
    assert permissions.in_groups(Aor("acme.example", "101")) == []


def test_the_own_calls_from_another_phone_always() -> None:
    assert with_rights(OFF).may(Aor("default", "101"), Aor("default", "101"))
    assert with_rights(None, False).may(Aor("default", "102"), Aor("default", "102"))


def test_groups_open_what_is_in_them_and_no_more() -> None:
    groups = (group("101 102"), group("101", "103", name="b"), group("103 104", name="c"))
    permissions = with_rights(groups=groups)

    def of(extension: str) -> list[str]:
        return [aor.extension for aor in permissions.in_groups(Aor("default", extension))]

    assert {e: of(e) for e in PEOPLE} == {
        "101": ["102", "103"],
        "102": ["101"],
        "103": ["104"],
        "104": ["103"],
    }


def at_random(dice: random.Random) -> Directory:
    """A directory with some of PEOPLE, and with rights and groups of any kind."""
    people = [one for one in PEOPLE if dice.random() < 0.9]
    groups = tuple(
        Group("default", name, *(frozenset(dice.sample(PEOPLE, dice.randrange(4))) for _ in range(2)))
        for name in "ab"[: dice.randrange(3)]
    )
    plain = directory(people, groups)
    pickup, pickable = dice.choice([ON, GROUPS]), dice.random() < 0.9
    tenants = {
        name: replace(tenant, pickup=pickup, pickable=pickable) for name, tenant in plain.tenants.items()
    }
    extensions = {
        aor: replace(one, pickup=dice.choice([None, None, *Reach]), pickable=dice.choice([None, None, False]))
        for aor, one in plain.extensions.items()
    }
    return Directory(tenants, extensions, groups)


def test_an_alteration_concerns_nobody_else() -> None:
    """Who may pick up whose calls changes only between extensions, or in tenants, that are said to differ."""
    dice = random.Random(4235)
    narrowed = 0
    for _ in range(500):
        before = at_random(dice)
        now = at_random(dice) if dice.random() < 0.5 else replace(before, groups=at_random(dice).groups)
        extensions, tenants, _ = altered(before, now)
        assert altered(before, sharing(before, now))[:2] == (extensions, tenants)
        assert sharing(before, now) == now
        old, new = Permissions(before), Permissions(now)
        for picker, target in itertools.product((Aor("default", one) for one in PEOPLE), repeat=2):
            concerned = picker in extensions or target in extensions or "default" in tenants
            narrowed += not concerned
            assert concerned or old.may(picker, target) == new.may(picker, target)
    assert narrowed > 500, "or it says that everything differs"
