"""Phones' keys for do not disturb and forwarding: what they set, what phones are told, what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import World, notifies, reply, subscribe
from hypothesis import given
from hypothesis import strategies as st
from test_codes import WHO, having, stored

from blfd.core.directory import Forwarding, Rule
from blfd.core.effects import Effect, Notify, Reply, SetRules
from blfd.core.errors import Refusal
from blfd.core.events.features import BOUNDARY, MEDIA_TYPE, NAME, FeaturePackage, wish
from blfd.core.inputs import DirectoryChanged, RulesSet, SubscriptionsRestored
from blfd.core.messages import SubscribeReceived
from dialog_info import DialogInfoError
from dialog_info.hardened import read, texts

XML = '<?xml version="1.0" encoding="ISO-8859-1"?>\n'
CSTA = ' xmlns="http://www.ecma-international.org/standards/ecma-323/csta/ed3"'


def dnd(word: str = "true", more: str = CSTA) -> bytes:
    """The body by which Polycom and Yealink set do not disturb, after public servers' comments and tests."""
    return (
        f"{XML}<SetDoNotDisturb{more}>\r\n  <device>7659366</device>\n\r\n"
        f"  <doNotDisturbOn>{word}</doNotDisturbOn>\r\n</SetDoNotDisturb>\r\n"
    ).encode()


def forward(
    kind: str = "forwardImmediate", to: str = "103", on: str = "true", rings: str | None = ""
) -> bytes:
    count = "" if rings is None else f"<ringCount>{rings}</ringCount>"
    return (
        f"{XML}<SetForwarding{CSTA}><device></device><forwardDN>{to}</forwardDN>"
        f"<forwardingType>{kind}</forwardingType><activateForward>{on}</activateForward>{count}"
        "</SetForwarding>"
    ).encode()


def setting(body: bytes, **over: object) -> SubscribeReceived:
    """A SUBSCRIBE of 101's phone that sets something."""
    fields = {"event": NAME, "content_type": MEDIA_TYPE, "body": body, **over}
    return subscribe("101", "101", **fields)  # type: ignore[arg-type]


def shown(notify: Notify) -> list[dict[str, str]]:
    """The parts of a NOTIFY, each with its root as `event`."""
    assert notify.content_type == f"multipart/mixed;boundary={BOUNDARY}"
    *parts, end = notify.body.split(f"--{BOUNDARY}".encode())[1:]
    assert end == b"--\r\n"
    found = []
    for part in parts:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        length = int(head.rpartition(b": ")[2])
        assert head.startswith(f"Content-Type: {MEDIA_TYPE}\r\nContent-Length: ".encode())
        assert content[length:] == b"", "what the part says is its content"
        root, said = texts(read(content))
        found.append({"event": root, **said})
    return found


def told(effects: list[Effect]) -> str:
    """What the only NOTIFY among the effects says, in short."""
    (notify,) = notifies(effects)
    rules, *forwards = shown(notify)
    assert rules["event"] == "DoNotDisturbEvent"
    on = [
        f"{each['forwardingType']} {each['forwardTo']} {each.get('ringCount', '')}".rstrip()
        for each in forwards
        if each["forwardStatus"] == "true"
    ]
    assert {each["event"] for each in forwards} == {"ForwardingEvent"}
    assert all(not each["forwardTo"] for each in forwards if each["forwardStatus"] == "false")
    return ", ".join([*(["dnd"] if rules["doNotDisturbOn"] == "true" else []), *on]) or "nothing"


ALL = Forwarding(dnd=True, always="102", busy="103", no_answer="102", after=30, unregistered="103")


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (Forwarding(), "nothing"),
        (Forwarding(dnd=True), "dnd"),
        (ALL, "dnd, forwardImmediate 102, forwardBusy 103, forwardNoAns 102 5"),
        (Forwarding(no_answer="102", after=1), "forwardNoAns 102 1"),
        (Forwarding(no_answer="102", after=300), "forwardNoAns 102 50"),
    ],
)
def test_who_subscribes_is_told_everything(rules: Forwarding, words: str) -> None:
    story = World(known=having(rules))
    effects = story.give(subscribe("101", "101", event=NAME, accept=(MEDIA_TYPE,)))
    assert reply(effects).status == 200
    assert told(effects) == words
    again = subscribe("101", "101", event=NAME, to_tag="sub1", call_id=_call_id(effects), cseq=2)
    story.confirm(effects)
    assert told(story.give(again)) == words


def _call_id(effects: list[Effect]) -> str:
    return notifies(effects)[0].dialog.id.call_id


SET: list[tuple[bytes, tuple[Rule, ...]]] = [
    (dnd("true"), (Rule("dnd", True),)),
    (dnd("1"), (Rule("dnd", True),)),
    (dnd(" TRUE\n", ""), (Rule("dnd", True),)),
    (dnd("false"), (Rule("dnd", False),)),
    (forward(), (Rule("always", "103"),)),
    (forward(to="sip:103@192.0.2.5;user=phone"), (Rule("always", "103"),)),
    (forward(to="tel:103"), (Rule("always", "103"),)),
    (forward(to=""), (Rule("always", "102"),)),  # the number that it has
    (forward("forwardBusy"), (Rule("busy", "103"),)),
    (forward("forwardBusy", rings="9"), (Rule("busy", "103"),)),
    (forward("forwardNoAns"), (Rule("no_answer", "103"),)),
    (forward("forwardNoAns", rings=None), (Rule("no_answer", "103"),)),
    (forward("forwardNoAns", rings="3"), (Rule("no_answer", "103"), Rule("after", 18))),
    (forward("forwardNoAns", rings="5"), (Rule("no_answer", "103"), Rule("after", 31))),  # as it is
    (forward(on="false"), (Rule("always", ""),)),
    (forward("forwardNoAns", on="0", to="", rings="x"), (Rule("no_answer", ""),)),
]


@pytest.mark.parametrize(("body", "rules"), SET)
def test_what_a_phone_sets(body: bytes, rules: tuple[Rule, ...]) -> None:
    assert wish(body, Forwarding(always="102", after=31)) == rules


@pytest.mark.parametrize(("body", "rules"), SET[:1] + SET[4:5])
@pytest.mark.parametrize("is_known", [False, True])
def test_it_is_stored_and_all_phones_are_told(body: bytes, rules: tuple[Rule, ...], is_known: bool) -> None:
    story = World(known=having(Forwarding()))
    first = story.give(subscribe("101", "101", event=NAME))
    story.confirm(first)
    in_dialog = {"to_tag": "sub1", "call_id": _call_id(first), "cseq": 2}
    (asked,) = story.give(setting(body, **(in_dialog if is_known else {})))
    assert asked == SetRules(1, WHO, rules)
    field = {rule.field: rule.value for rule in rules}
    words = "dnd" if "dnd" in field else "forwardImmediate 103"
    effects = story.give(DirectoryChanged(having(replace(Forwarding(), **field))))  # type: ignore[arg-type]
    assert told(effects) == words, "the other phone, or this one already"
    effects = story.give(RulesSet(1, 200))
    assert reply(effects).status == 200
    if is_known:
        assert not notifies(effects), "one is in flight"
        assert told(story.confirm(first)) == words
    else:
        assert told(effects) == words


@pytest.mark.parametrize(
    ("status", "reason"), [(403, "999 is no extension"), (500, "It cannot be stored now")]
)
def test_what_is_not_stored_is_refused_and_the_phone_is_told_what_holds(status: int, reason: str) -> None:
    story = World(known=having(Forwarding(busy="103")))
    first = story.give(subscribe("101", "101", event=NAME))
    story.confirm(first)
    body = forward(to="999")
    (asked,) = story.give(setting(body, to_tag="sub1", call_id=_call_id(first), cseq=2))
    assert isinstance(asked, SetRules)
    effects = stored(story, asked, status, reason)
    assert (reply(effects).status, reply(effects).reason) == (status, reason)
    assert told(effects) == "forwardBusy 103"
    again = story.give(subscribe("101", "101", event=NAME, to_tag="sub1", call_id=_call_id(first), cseq=3))
    assert reply(again).status == 200, "the subscription is as it was"


@pytest.mark.parametrize(
    ("over", "status"),
    [
        ({"body": b"<SetDoNotDisturb>"}, 400),
        ({"body": b"\xff\x00"}, 400),
        ({"body": forward("forwardNoAns", "102", rings="1" + "9" * 5_000)}, 400),
        ({"body": forward("forwardNoAns", "102", rings="00000000150")}, 400),
        ({"body": b"<a/>" * 30_000}, 400),
        ({"body": dnd("maybe")}, 400),
        ({"body": b"<SetDoNotDisturb/>"}, 400),
        ({"body": b'<!DOCTYPE a [<!ENTITY b "true">]>' + dnd("&b;", "").partition(b"\n")[2]}, 400),
        ({"body": forward("forwardNever")}, 400),
        ({"body": forward(on="")}, 400),
        ({"body": forward("forwardNoAns", rings="0")}, 400),
        ({"body": forward("forwardNoAns", rings="9" * 5000)}, 400),
        ({"body": forward("forwardNoAns", rings="\u0663")}, 400),
        ({"body": forward(to="1" * 65)}, 400),
        ({"body": forward(to="")}, 403),
        ({"body": b"<SetRecording><on>true</on></SetRecording>"}, 403),
        ({"content_type": "application/json"}, 415),
        ({"to_tag": "unknown"}, 481),
        ({"contact": ""}, 400),
        ({"accept": ("application/pidf+xml",)}, 406),
    ],
)
def test_what_is_refused_sets_nothing(over: dict[str, object], status: int) -> None:
    story = World(known=having(Forwarding()))
    effects = story.give(setting(over.pop("body", dnd()), **over))  # type: ignore[arg-type]
    assert reply(effects).status == status
    assert not any(isinstance(effect, SetRules) for effect in effects)


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_octets_are_read_or_refused(body: bytes) -> None:
    try:
        wish(body, Forwarding())
    except (DialogInfoError, Refusal):
        return


def test_phones_see_and_set_the_rules_of_their_own_extension_alone() -> None:
    story = World(known=having(ALL))
    for asked in (subscribe("102", "101", event=NAME), subscribe("102", "101", event=NAME, expires=0)):
        refused = reply(story.give(asked))
        assert (refused.status, refused.reason) == (403, "Another extension's rules")
    body = setting(dnd())
    other = body._replace(request=subscribe("102", "101").request)
    effects = story.give(other)
    assert reply(effects).status == 403
    assert not any(isinstance(effect, SetRules) for effect in effects)


def test_a_tenant_may_have_no_features() -> None:
    known = having(ALL)
    without = replace(
        known, tenants={name: replace(t, feature_sync=False) for name, t in known.tenants.items()}
    )
    story = World(known=known)
    effects = story.give(subscribe("101", "101", event=NAME))
    story.confirm(effects)
    (last,) = notifies(story.give(DirectoryChanged(without)))
    assert (last.expires, last.reason) == (None, "rejected")
    assert reply(story.give(subscribe("101", "101", event=NAME))).status == 489
    assert reply(story.give(setting(dnd()))).status == 489


def test_calls_are_not_told_to_it_and_rules_not_to_others() -> None:
    story = World(known=having(Forwarding()))
    story.confirm(story.give(subscribe("101", "101", event=NAME)))
    story.confirm(story.give(subscribe("103", "101")))
    story.core.dialogs.do_not_disturb(WHO, True)
    (lamp,) = notifies(story.core._tell(story.now))
    assert lamp.content_type == "application/dialog-info+xml"
    story.confirm([lamp])
    (rules,) = notifies(story.give(DirectoryChanged(having(Forwarding(dnd=True, busy="102")))))
    assert rules.content_type.startswith("multipart/")
    assert story.core.notifier.subscriptions.of(WHO)


def test_a_subscription_to_features_outlives_a_restart() -> None:
    story = World(known=having(Forwarding()))
    effects = story.give(subscribe("101", "101", event=NAME))
    saved = story.core.notifier.subscriptions.of(WHO)[0].save(0)
    assert saved.package == NAME
    assert isinstance(reply(effects), Reply)
    after = World(known=having(Forwarding(always="103")))
    after.give(SubscriptionsRestored((saved,)))
    assert told(after.at(after.now + 1)) == "forwardImmediate 103"


def test_the_document_of_an_extension_that_is_gone_is_empty() -> None:
    package = FeaturePackage()
    assert package.view(WHO, WHO) == Forwarding()
    document = package.document(WHO, "sip:101@x", Forwarding())
    assert document.body(1) == document.body(2)
    assert document.told == "nothing is set"
