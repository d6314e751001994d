"""Do not disturb, an extension's rules, and phones that forward: who rings, who is told what, which lamps."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from builders import (
    HOST,
    SDP,
    World,
    dials,
    directory,
    document,
    flow,
    group,
    invite,
    notifies,
    over_tls,
    register,
    reply,
    subscribe,
    uri,
)

from blfd.core.calls.leg_effects import Accept, Answer, Dial, HangUp, Progress
from blfd.core.calls.leg_inputs import LegAccepted, LegAnswered, LegEnded, LegProgress, MediaMatched
from blfd.core.calls.outward import ELSEWHERE
from blfd.core.directory import Directory, DndLamp, Forwarding, Whose
from blfd.core.effects import Effect, Reply
from blfd.core.inputs import DirectoryChanged
from blfd.core.values import Aor, DialogId, Headers, Reason, Redirect, Uri

PEOPLE = ("101", "102", "103", "104", "105", "106", "107", "108")


def with_rules(rules: dict[str, Forwarding], **tenant: object) -> Directory:
    known = directory(PEOPLE, (group("103 105"),))
    extensions = dict(known.extensions)
    for who, forwarding in rules.items():
        aor = Aor("default", who)
        extensions[aor] = replace(extensions[aor], forwarding=forwarding)
    of_tenant = replace(known.tenants["default"], **tenant)  # type: ignore[arg-type]
    return replace(known, extensions=extensions, tenants={**known.tenants, "default": of_tenant})


@dataclass
class Story:
    """101 calls 102; `rings` says whose each live callee leg is."""

    rules: dict[str, Forwarding] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    second_phone: bool = False
    tenant: dict[str, object] = field(default_factory=dict)
    headers: Headers = ()
    privacy: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        phones = [who for who in PEOPLE if who not in self.without]
        self.world = World(None, phones, with_rules(self.rules, **self.tenant))
        if self.second_phone:
            self.world.give(register("102", "sip:102@198.51.100.99", cseq=2))
        self.rings: dict[int, str] = {}
        self.told: list[Effect] = []
        self.dialled: list[Dial] = []
        asked = invite("101", "102")
        asked = asked._replace(headers=self.headers, request=asked.request._replace(privacy=self.privacy))
        effects = self.give(asked)
        self.caller = next((effect.leg for effect in effects if isinstance(effect, Accept)), 0)
        if self.caller:
            self.give(LegAccepted(self.caller, "ours"))

    def give(self, event: object) -> list[Effect]:
        return self.took(self.world.give(event))  # type: ignore[arg-type]

    def took(self, effects: list[Effect]) -> list[Effect]:
        for dial in dials(effects):
            self.dialled.append(dial)
            self.rings[dial.leg] = dial.to.uri.partition(":")[2].partition("@")[0]
        for effect in effects:
            if isinstance(effect, HangUp):
                self.rings.pop(effect.leg, None)
            if isinstance(effect, Progress | Answer | Reply) or (
                isinstance(effect, HangUp) and effect.leg == self.caller
            ):
                self.told.append(effect)
        return effects

    def leg(self, who: str) -> int:
        return next(leg for leg, rung in self.rings.items() if rung == who)

    def ring(self, *who: str) -> None:
        for leg in [leg for leg, rung in self.rings.items() if rung in who]:
            self.give(LegProgress(leg, 180, "", DialogId(f"id{leg}", "ours", f"phone{leg}"), None))

    def refuse(self, who: str, status: int, *contacts: str | Uri, reason: str = "") -> list[Effect]:
        leg = self.leg(who)
        del self.rings[leg]
        found = tuple(one if isinstance(one, Uri) else uri(one) for one in contacts)
        redirect = Redirect(found, reason) if 300 <= status < 400 else None
        return self.give(LegEnded(leg, status, "", redirect=redirect))

    def answer(self, who: str) -> list[Effect]:
        leg = self.leg(who)
        return self.give(LegAnswered(leg, DialogId(f"id{leg}", "ours", f"phone{leg}"), SDP))

    def wait(self, seconds: float) -> None:
        self.took(self.world.at(self.world.now + seconds))

    @property
    def at(self) -> list[str]:
        """The extensions at which the call rings."""
        return sorted(self.rings.values())

    @property
    def end(self) -> str:
        """The final response that the caller is told, "" before there is one."""
        last = self.told[-1] if self.told else None
        return f"{last.status} {last.reason}" if isinstance(last, HangUp | Reply) else ""

    def lamps(self, *who: str) -> list[str]:
        return [self.world.lamp(each) for each in who]

    def ways(self, name: str) -> list[str]:
        return [value for known, value in self.dialled[-1].headers if known == name]


def to(**where: object) -> Forwarding:
    return Forwarding(**where)  # type: ignore[arg-type]


Act = Callable[[Story], object]


def refuses(status: int) -> Act:
    def act(story: Story) -> None:
        story.ring("102")
        story.refuse("102", status)

    return act


def waits(seconds: float) -> Act:
    def act(story: Story) -> None:
        story.ring("102")
        story.wait(seconds)

    return act


BUSY, DECLINES, UNFIT, DEAD = refuses(486), refuses(603), refuses(488), refuses(408)
NOTHING, WAITS, WAITS_LONG = waits(0), waits(21), waits(121)


@pytest.mark.parametrize(
    ("rules", "situation", "rings", "end"),
    [
        # always
        ({"102": to(always="105")}, NOTHING, "105", ""),
        ({"102": to(always="105", dnd=True, busy="106")}, NOTHING, "105", ""),
        ({"102": to(always="105"), "105": to(always="106")}, NOTHING, "106", ""),
        ({"102": to(always="101")}, NOTHING, "102", ""),  # who answers for an extension reaches it
        ({"102": to(always="999")}, NOTHING, "102", ""),  # a rule to an extension that is gone counts as none
        (
            {"102": to(always="105"), "105": to(dnd=True)},
            NOTHING,
            "",
            "480 105 does not want to be disturbed",
        ),
        # do not disturb
        ({"102": to(dnd=True)}, NOTHING, "", "480 102 does not want to be disturbed"),
        ({"102": to(dnd=True, busy="105")}, NOTHING, "105", ""),
        ({"102": to(dnd=True, no_answer="105", unregistered="106")}, NOTHING, "", "480 102 does not want"),
        ({"101": to(dnd=True, always="105")}, NOTHING, "102", ""),  # its own calls are not hindered
        # busy
        ({"102": to(busy="105")}, NOTHING, "102", ""),
        ({"102": to(busy="105")}, BUSY, "105", ""),
        ({"102": to(busy="105")}, DECLINES, "105", ""),
        ({"102": to(busy="105")}, WAITS_LONG, "", "480 102 does not answer"),
        ({"102": to(busy="105")}, UNFIT, "", "488 "),
        ({"102": to(busy="105"), "105": to(busy="106")}, BUSY, "105", ""),
        ({}, BUSY, "", "486 "),
        # no answer
        ({"102": to(no_answer="105")}, WAITS, "105", ""),
        ({"102": to(no_answer="105", after=30)}, WAITS, "102", ""),
        ({"102": to(no_answer="105", after=300)}, WAITS_LONG, "105", ""),
        ({"102": to(no_answer="101")}, WAITS, "102", ""),
        ({"102": to(no_answer="101")}, WAITS_LONG, "", "480 102 does not answer"),
        ({"102": to(no_answer="105")}, BUSY, "", "486 "),
        ({"102": to(no_answer="105"), "105": to(dnd=True)}, WAITS, "102", ""),  # rather than ring nowhere
        ({"102": to(no_answer="105"), "105": to(no_answer="102")}, WAITS, "105", ""),
        # not registered
        ({"102": to(unregistered="105")}, DEAD, "105", ""),
        ({"102": to(unregistered="105")}, BUSY, "", "486 "),
        ({"102": to(unregistered="105")}, NOTHING, "102", ""),
    ],
)
def test_a_rule_in_a_situation(rules: dict[str, Forwarding], situation: Act, rings: str, end: str) -> None:
    story = Story(rules)
    if "102" in story.at:
        situation(story)
    assert story.at == ([rings] if rings else [])
    assert story.end.startswith(end) if end else not story.end
    if rings not in ("", "102"):
        story.ring(rings)
        assert story.lamps("101", "102", rings) == ["trying", story.world.lamp("102"), "ringing"]
        assert story.lamps("102")[0] in ("idle", "do not disturb"), "no ringing lamp is left"
        (caller,) = story.world.core.dialogs.of(Aor("default", "101"))
        assert caller.remote == rings, "the caller's lamp says whom it calls by now"
        story.answer(rings)
        assert story.lamps("101", rings) == ["talking", "talking"]
        answer = story.told[-1]
        assert isinstance(answer, Answer)
        assert dict(answer.headers)["P-Asserted-Identity"] == f'"Name {rings}" <sip:{rings}@{HOST}>'
    elif not rings:
        assert story.lamps("101") == ["idle"]
        assert not len(story.world.core.calls)


def test_without_a_phone_a_call_goes_where_the_rule_says() -> None:
    story = Story({"102": to(unregistered="105")}, without=("102",))
    assert story.at == ["105"]
    assert Story(without=("102",)).end == "480 102 is not registered"
    chain = Story({"102": to(unregistered="105")}, without=("102", "105"))
    assert chain.end == "480 105 is not registered"


def test_rules_are_followed_five_times() -> None:
    way = ("102", "103", "104", "105", "106", "107", "108")
    five = {who: to(always=then) for who, then in itertools.pairwise(way[:6])}
    assert Story(five).at == ["107"]
    six = {**five, "107": to(always="108")}
    assert Story(six).end == "480 The call is forwarded more than 5 times"
    before = (("Diversion", "<sip:200@elsewhere.example>;reason=unconditional"),)
    assert Story(five, headers=before).end == "480 The call is forwarded more than 5 times", "where from, too"


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"102": to(always="105"), "105": to(always="102")}, "Calls of 102 go in a circle: 102, 105, 102"),
        (
            {"102": to(dnd=True, busy="105"), "105": to(always="106"), "106": to(always="105")},
            "Calls of 102 go in a circle: 102, 105, 106, 105",
        ),
    ],
)
def test_a_circle_ends(rules: dict[str, Forwarding], words: str) -> None:
    assert Story(rules).end == f"480 {words}"


def test_what_the_phone_that_rings_is_told() -> None:
    story = Story({"102": to(always="105"), "105": to(busy="106")})
    assert story.ways("Diversion") == [f'"Name 102" <sip:102@{HOST}>;reason=unconditional']
    assert story.ways("History-Info") == [
        f"<sip:102@{HOST}?Reason=SIP%3Bcause%3D302>;index=1",
        f"<sip:105@{HOST};cause=302>;index=1.1;mp=1",
    ]
    story.refuse("105", 486)
    assert [value.partition(";")[2] for value in story.ways("Diversion")] == [
        "reason=user-busy",
        "reason=unconditional",
    ]
    assert story.ways("History-Info")[2:] == [f"<sip:106@{HOST};cause=486>;index=1.1.1;mp=1.1"]
    assert story.ways("P-Asserted-Identity") == [f'"Name 101" <sip:101@{HOST}>'], "the caller is the caller"


def test_the_way_that_a_trusted_source_tells_goes_on() -> None:
    said = (
        ("Diversion", "<sip:200@elsewhere.example>;reason=unconditional"),
        ("History-Info", "<sip:200@elsewhere.example>;index=1"),
        ("History-Info", "<sip:102@elsewhere.example>;index=1.2;mp=1"),
    )
    story = Story({"102": to(always="105")}, headers=said)
    assert [value.partition("@")[0] for value in story.ways("Diversion")] == [
        '"Name 102" <sip:102',
        "<sip:200",
    ]
    assert [value.rpartition(">")[2] for value in story.ways("History-Info")] == [
        ";index=1",
        ";index=1.2;mp=1",
        ";index=1.2.1;mp=1.2",
    ]


@pytest.mark.parametrize("privacy", ["id", "history", "header"])
def test_privacy_is_kept(privacy: str) -> None:
    story = Story({"102": to(always="105")}, privacy=frozenset((privacy,)))
    assert not story.ways("History-Info")
    assert story.ways("Diversion"), "it names the callee that was called, who does not ask for privacy"
    if privacy != "history":
        assert "101" not in str([story.dialled[-1].from_, *story.dialled[-1].headers])


def test_the_caller_hears_181_and_then_who_rings() -> None:
    story = Story({"102": to(no_answer="105")})
    story.ring("102")
    story.wait(21)
    story.ring("105")
    heard = [
        (e.status, dict(e.headers)["P-Asserted-Identity"]) for e in story.told if isinstance(e, Progress)
    ]
    names = [f'"Name {who}" <sip:{who}@{HOST}>' for who in ("102", "105")]
    assert heard == [(180, names[0]), (181, names[1]), (180, names[1])]


# A phone's 3xx


@pytest.mark.parametrize(
    ("contacts", "rings", "end"),
    [
        (("105",), "105", ""),
        (("105", "106"), "105", ""),
        ((uri("105", "192.0.2.99"),), "105", ""),  # an address in the place of the domain
        ((Uri("tel:105", "tel", "", "", 0),), "105", ""),
        (("999", "106"), "106", ""),
        (("102", "106"), "106", ""),
        (("999",), "", "480 102 forwards its calls to 999, which is no extension here"),
        ((uri("105", "elsewhere.example"),), "", "480 102 forwards its calls to 105, which is no extension"),
        (
            (Uri("tel:+49301234", "tel", "", "", 0),),
            "",
            "480 102 forwards its calls to +49301234, which is no",
        ),
        (("*97104",), "", "480 102 forwards its calls to *97104, which is a code"),
        (("*72104",), "", "480 102 forwards its calls to *72104, which is a code"),
        (("102",), "", "480 Calls of 102 go in a circle: 102, 102"),
        (("101",), "", "480 102 forwards its calls to 101, who calls"),
        ((), "", "480 102 has forwarded its calls and not said where"),
    ],
)
def test_a_phone_forwards(contacts: tuple[str | Uri, ...], rings: str, end: str) -> None:
    story = Story()
    story.ring("102")
    story.refuse("102", 302, *contacts)
    assert story.at == ([rings] if rings else [])
    assert story.end.startswith(end) if end else not story.end
    assert story.lamps("102") == ["idle"]
    if rings:
        assert story.ways("Diversion") == [f'"Name 102" <sip:102@{HOST}>;reason=deflection']


@pytest.mark.parametrize(
    ("rang", "said", "reason"),
    [
        (False, "", "unconditional"),
        (True, "", "deflection"),
        (True, "no-answer", "no-answer"),
        (True, "USER-BUSY", "user-busy"),
        (False, "x\r\nEvil: 1", "unconditional"),
    ],
)
def test_the_reason_of_a_forward(rang: bool, said: str, reason: str) -> None:
    story = Story()
    if rang:
        story.ring("102")
    story.refuse("102", 302, "105", reason=said)
    assert story.ways("Diversion") == [f'"Name 102" <sip:102@{HOST}>;reason={reason}']


def test_contacts_are_tried_in_turn() -> None:
    story = Story({"105": to(busy="107")})
    story.refuse("102", 300, "105", "106")
    story.refuse("105", 486)
    assert story.at == ["107"], "where the first one's own rule says, and then"
    story.ring("107")
    story.wait(21)
    assert story.at == ["106"], "not answered there either"
    assert [value.partition("@")[0] for value in story.ways("Diversion")] == ['"Name 102" <sip:102']
    story.refuse("106", 486)
    assert story.end.startswith("486")


def test_two_phones_that_forward_to_each_other() -> None:
    story = Story()
    story.refuse("102", 302, "105")
    story.refuse("105", 302, "102")
    assert story.end == "480 Calls of 102 go in a circle: 102, 105, 102"
    assert story.lamps("101", "102", "105") == ["idle"] * 3


def test_a_302_holds_for_all_phones_of_the_extension_or_for_one() -> None:
    every = Story(second_phone=True)
    every.ring("102")
    effects = every.refuse("102", 302, "105")
    (dropped,) = [effect for effect in effects if isinstance(effect, HangUp)]
    assert dropped.cause == Reason(302, "Forwarded to 105")
    assert every.at == ["105"]
    assert every.lamps("102") == ["idle"]

    alone = Story(second_phone=True, tenant={"redirect": Whose.PHONE})
    alone.ring("102")
    alone.refuse("102", 302, "105")
    alone.ring("105")
    assert alone.at == ["102", "105"]
    assert alone.lamps("102", "105") == ["ringing", "ringing"]
    effects = alone.answer("105")
    (dropped,) = [effect for effect in effects if isinstance(effect, HangUp)]
    assert dropped.cause == ELSEWHERE
    assert alone.lamps("101", "102", "105") == ["talking", "idle", "talking"]


def test_in_the_other_phones_alone_a_rule_of_each_extension_holds() -> None:
    story = Story(
        {"102": to(no_answer="106"), "105": to(busy="107")},
        second_phone=True,
        tenant={"redirect": Whose.PHONE},
    )
    story.refuse("102", 302, "105")
    story.refuse("105", 486)
    assert story.at == ["102", "107"]
    story.ring("102", "107")
    story.wait(21)
    assert story.at == ["106", "107"]
    story.refuse("107", 486)
    assert story.at == ["106"]
    assert not story.end
    story.refuse("106", 404)
    assert story.end.startswith("486"), "the first of equal rank"


@pytest.mark.parametrize(
    ("status", "decline", "rings"),
    [
        (486, Whose.ALL, ["102"]),
        (603, Whose.ALL, []),
        (603, Whose.PHONE, ["102"]),
        (600, Whose.PHONE, ["102"]),
    ],
)
def test_one_phone_that_declines_silences_the_others_or_not(
    status: int, decline: Whose, rings: list[str]
) -> None:
    story = Story(second_phone=True, tenant={"decline": decline})
    story.ring("102")
    story.refuse("102", status)
    assert story.at == rings
    if rings:
        story.refuse("102", 486)
    assert story.end[:3] in ("486", "600", "603")


# Pickup


def test_a_forwarded_call_is_picked_up_where_it_rings() -> None:
    for way in ("*97105", "*98", "key", "old key"):
        story = Story({"102": to(no_answer="105")})
        story.ring("102")
        old = story.leg("102")
        story.wait(21)
        story.ring("105")
        new = story.leg("105")
        replaces = {"key": new, "old key": old}.get(way)
        value = (f"id{replaces};to-tag=ours;from-tag=phone{replaces}",) if replaces else ()
        (accept,) = [e for e in story.give(invite("103", way, replaces=value)) if isinstance(e, Accept)]
        story.give(LegAccepted(accept.leg, "mine"))
        effects = story.give(MediaMatched(accept.leg, True, SDP, SDP, None))
        assert {e.leg for e in effects if isinstance(e, Answer)} == {story.caller, accept.leg}
        assert story.at == []
        assert story.lamps("101", "102", "103", "105") == ["talking", "idle", "talking", "idle"]


def test_who_dials_the_code_of_where_it_has_left_is_told_where_it_is() -> None:
    story = Story({"102": to(no_answer="105")})
    story.ring("102")
    story.wait(21)
    story.ring("105")
    assert reply(story.give(invite("103", "*97102"))).reason == "The call was forwarded to 105"


# The lamp of who does not want to be disturbed


@pytest.mark.parametrize(("lamp", "state"), [(DndLamp.BUSY, "confirmed"), (DndLamp.IDLE, "terminated")])
def test_the_lamp_of_do_not_disturb(lamp: DndLamp, state: str) -> None:
    world = World(None, PEOPLE, with_rules({}, dnd_lamp=lamp))
    world.confirm(world.give(subscribe("103", "102")))
    effects = world.give(DirectoryChanged(with_rules({"102": to(dnd=True)}, dnd_lamp=lamp)))
    (notify,) = notifies(effects)
    world.confirm([notify])
    (dialog,) = document(notify).dialogs
    assert dialog.state.value == state
    assert (dialog.call_id, dialog.local_tag, dialog.remote_tag, dialog.direction) == (None,) * 4
    assert world.lamp("102") == "do not disturb"
    assert reply(world.give(invite("103", "*97102"))).status == 480, "there is nothing to pick up"

    (accept,) = world.give(invite("102", "104"))
    assert isinstance(accept, Accept)
    effects = world.give(LegAccepted(accept.leg, "ours"))
    assert len(dials(effects)) == 1, "its own calls go out"
    (notify,) = notifies(effects)
    world.confirm([notify])
    assert [d.state.value for d in document(notify).dialogs] == ["trying"], "it shows its own calls"
    (notify,) = notifies(world.give(LegEnded(accept.leg, 487, "")))
    world.confirm([notify])
    assert [d.state.value for d in document(notify).dialogs] == [state]
    (notify,) = notifies(world.give(DirectoryChanged(with_rules({}, dnd_lamp=lamp))))
    assert [d.state.value for d in document(notify).dialogs] == ["terminated"]
    assert world.lamp("102") == "idle"


def test_a_rule_that_changes_while_it_rings_holds() -> None:
    story = Story({"102": to(no_answer="105")})
    story.ring("102")
    story.give(DirectoryChanged(with_rules({"102": to(no_answer="106")})))
    story.wait(21)
    assert story.at == ["106"]
    story = Story({"102": to(no_answer="105")})
    story.ring("102")
    story.give(DirectoryChanged(with_rules({})))
    story.wait(21)
    assert story.at == ["102"], "it rings on"
    story.wait(100)
    assert story.end == "480 102 does not answer"


@pytest.mark.parametrize(
    ("phones", "rule", "end"),
    [
        (("tls",), "", ["102"]),
        (("udp", "tls"), "", ["102"]),
        (("udp", "tcp"), "", "480 102 has no phone over TLS, and is called by sips:"),
        ((), "", "480 102 is not registered"),
        (("udp",), "103", ["103"]),
        (("udp",), "104", "480 104 has no phone over TLS, and is called by sips:"),
    ],
)
def test_who_is_called_by_sips_is_reached_over_tls(
    phones: tuple[str, ...], rule: str, end: list[str] | str
) -> None:
    """RFC 5630, section 5.1, asks for that; 103 has a phone over TLS, 104 has none."""
    rules = with_rules({"102": Forwarding(unregistered=rule)})
    world = World(None, ("104",), rules)
    for number, (who, transport) in enumerate([("103", "tls"), *(("102", one) for one in phones)]):
        asked = register(who, f"sip:{who}@198.51.100.{number}", cseq=number + 1)
        world.give(asked._replace(request=asked.request._replace(flow=flow(who, transport))))
    effects = world.give(over_tls(invite("101", "102"), sips=True))
    if isinstance(end, str):
        refused = reply(effects)
        assert f"{refused.status} {refused.reason}" == end
        assert (("Warning", '380 blfd "SIPS Not Allowed"') in refused.headers) == ("TLS" in end)
        return
    (accept,) = effects
    assert isinstance(accept, Accept)
    rung = dials(world.give(LegAccepted(accept.leg, "ours")))
    assert [(dial.contact[4:7], dial.flow.transport) for dial in rung] == [(who, "tls") for who in end]


@pytest.mark.parametrize(
    ("caller", "end"),
    [("tls", ""), ("udp", "480 101 has no TLS, which a call by sips: needs")],
)
def test_a_phone_that_forwards_to_sips(caller: str, end: str) -> None:
    """The call goes on over TLS alone, to phones that have it, and stays there (RFC 5630)."""
    world = World(None, ("102", "103", "105"), directory(PEOPLE))
    for event in (register("103", "sip:103@198.51.100.99", cseq=2), register("101")):
        world.give(over_tls(event))
    asked = invite("101", "102")
    (accept,) = world.give(over_tls(asked) if caller == "tls" else asked)
    assert isinstance(accept, Accept)
    (dial,) = dials(world.give(LegAccepted(accept.leg, "ours")))
    to = uri("103")._replace(scheme="sips")
    effects = world.give(LegEnded(dial.leg, 302, "", redirect=Redirect((to,))))
    if end:
        (last,) = [effect for effect in effects if isinstance(effect, HangUp)]
        assert f"{last.status} {last.reason}" == end
        return
    assert [dial.flow.transport for dial in dials(effects)] == ["tls"]
    (leg,) = (dial.leg for dial in dials(effects))
    world.give(LegProgress(leg, 180, "", DialogId("id", "ours", "theirs"), None))
    refused = reply(world.give(invite("105", "*97103")))
    assert refused.reason == "The call is by sips:, and is picked up over TLS only"
