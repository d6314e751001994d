"""Our Contact says of which tenant a dialog is, and requests inside it bring that back."""

from __future__ import annotations

import pytest
from builders import HOST, World, directory, notifies, reply, request, subscribe, uri

from blfd.core import own_contact
from blfd.core.calls.leg_effects import Accept, Dial
from blfd.core.calls.leg_inputs import LegAccepted, LegProgress
from blfd.core.directory import Directory, Extension
from blfd.core.effects import Effect
from blfd.core.messages import InviteReceived, RegisterContact, RegisterReceived, SubscribeReceived
from blfd.core.values import Aor, DialogId, Uri

ACME = "acme.example"
SDP = b"v=0\r\nm=audio 4000 RTP/AVP 0\r\n"


@pytest.mark.parametrize(
    ("tenant", "shown", "user"),
    [
        ("default", "102", ""),
        (ACME, "", ACME),
        (ACME, "102", "102+acme.example"),
        (ACME, "*97102", "*97102+acme.example"),
        (ACME, "+4930123", "+4930123+acme.example"),
        (ACME, "1" * 40, f"{'1' * 40}+acme.example"),
        (ACME, "1" * 41, ACME),
        (ACME, 'a"\r\nVia: x', ACME),
        (ACME, "J\xf6rg", ACME),
    ],
)
def test_what_is_written_is_read_back(tenant: str, shown: str, user: str) -> None:
    assert own_contact.user(tenant, shown) == user
    assert own_contact.tenant(user) == ("" if tenant == "default" else tenant)


class Acme:
    """A server where acme.example has extensions 101 to 103, which are registered."""

    def __init__(self) -> None:
        known = directory()
        people = {aor: Extension(aor) for aor in (Aor(ACME, name) for name in ("101", "102", "103"))}
        self.world = World(known=Directory(known.tenants, known.extensions | people))
        for name in ("101", "102", "103"):
            asked = request("REGISTER", name, name, host=ACME)
            self.world.give(RegisterReceived(asked, (RegisterContact(f"sip:{name}@198.51.100.7"),)))

    def invite(self, user: str, to: str, *, anonymous: bool = False) -> list[Effect]:
        asked = request("INVITE", user, to, host=ACME)
        if anonymous:
            asked = asked._replace(privacy=frozenset(("id",)))
        return self.world.give(InviteReceived(asked, SDP, 70, f"sip:{user}@198.51.100.7"))

    def accepted(self, effects: list[Effect]) -> tuple[Accept, list[Dial]]:
        accept = next(effect for effect in effects if isinstance(effect, Accept))
        dialled = self.world.give(LegAccepted(accept.leg, f"ours{accept.leg}"))
        return accept, [effect for effect in dialled if isinstance(effect, Dial)]


def test_calls() -> None:
    """Our Contact to each phone names who is at the other end, and the tenant."""
    acme = Acme()
    accept, (dial,) = acme.accepted(acme.invite("101", "102"))
    assert (accept.contact_user, dial.contact_user) == ("102+acme.example", "101+acme.example")
    accept, (dial,) = acme.accepted(acme.invite("102", "103", anonymous=True))
    assert (accept.contact_user, dial.contact_user) == ("103+acme.example", ACME)
    acme.world.give(LegProgress(dial.leg, 180, "Ringing", DialogId("id", "ours", "theirs"), None))
    accept, _ = acme.accepted(acme.invite("101", "*97103"))
    assert accept.contact_user == "*97103+acme.example"


def test_calls_of_the_default_tenant() -> None:
    world = World()
    (accept,) = world.give(InviteReceived(request("INVITE"), SDP, 70, "sip:101@198.51.100.7"))
    assert isinstance(accept, Accept)
    dials = [e for e in world.give(LegAccepted(accept.leg, "ours")) if isinstance(e, Dial)]
    assert (accept.contact_user, [dial.contact_user for dial in dials]) == ("", [""])


def subscription(host: str = ACME, **over: object) -> SubscribeReceived:
    return subscribe("103", "102", host=host, call_id="watch", **over)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "target",
    [
        uri(ACME, HOST),  # our Contact
        uri("", HOST),  # our Contact as it was before it named a tenant
        uri("102", ACME),  # the target of a phone that does not look at Contacts
        uri("102+beta.example", HOST),  # a target that anybody may write
        uri("default", HOST),
    ],
    ids=lambda target: target.text,
)
def test_a_subscription_is_refreshed_by_whatever_uri(target: Uri) -> None:
    acme = Acme()
    begun = acme.world.give(subscription())
    assert (reply(begun).status, reply(begun).contact_user) == (200, ACME)
    (first,) = notifies(begun)
    assert first.contact_user == ACME
    acme.world.confirm(begun)
    again = subscription(to_tag=reply(begun).to_tag, cseq=2)
    again = again._replace(request=again.request._replace(target=target))
    refreshed = acme.world.give(again)
    assert (reply(refreshed).status, reply(refreshed).contact_user) == (200, ACME)
    assert [notify.contact_user for notify in notifies(refreshed)] == [ACME]


def test_a_dialog_is_its_tenants_whatever_is_named() -> None:
    """A phone of another tenant that knows all ids of a dialog, and names its tenant, is refused."""
    acme = Acme()
    begun = acme.world.give(subscription())
    for host in (HOST, "localhost"):
        stolen = subscription(host, to_tag=reply(begun).to_tag, cseq=2)
        asked = stolen.request._replace(target=uri(f"103+{ACME}", HOST))
        assert reply(acme.world.give(stolen._replace(request=asked))).status == 481


@pytest.mark.parametrize("user", [ACME, f"102+{ACME}"])
def test_who_subscribes_anew_at_our_contact(user: str) -> None:
    """Some phones subscribe so after a 481; their To says what they want."""
    acme = Acme()
    anew = subscription()
    anew = anew._replace(request=anew.request._replace(target=uri(user, HOST)))
    begun = acme.world.give(anew)
    assert reply(begun).status == 200
    (found,) = acme.world.core.notifier.subscriptions
    assert found.resource == Aor(ACME, "102")
