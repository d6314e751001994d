"""Plug and play: who is told where its files are."""

from __future__ import annotations

import pytest
from builders import request, uri

from blfd.core.core import Core
from blfd.core.effects import Effect, FindProfile, Ignore, Log, Notify, Reply
from blfd.core.inputs import ProfileFound
from blfd.core.messages import ProfileWanted
from blfd.core.settings import Settings
from blfd.core.values import Address, DialogId, NameAddr, SubscriptionDialog

MAC = "805ec0123456"
URL = "http://192.0.2.5:8080/p/secret/"
EVENT = 'ua-profile;profile-type="device";vendor="Yealink";model="T54W";version="96.86.0.70"'
NOBODY = uri("", "224.0.1.75")


def wanted(**over: object) -> ProfileWanted:
    """The SUBSCRIBE by which a Yealink asks for its profile; `over` are fields of the request."""
    own = uri(f"MAC:{MAC}", "224.0.1.75")
    asked = request("SUBSCRIBE")._replace(
        target=own, from_=Address(own, "", "77aa"), to=Address(own), call_id="abc123", user_agent="Yealink"
    )
    return ProfileWanted(asked._replace(**over), EVENT, "sip:198.51.100.7:5060")  # type: ignore[arg-type]


def give(event: ProfileWanted | ProfileFound) -> list[Effect]:
    core = Core(Settings(), ["192.0.2.5"], secret=b"secret", mark="000000", new_tag=lambda: "ours")
    return core.handle(event, 0.0)


@pytest.mark.parametrize(
    "event",
    [
        wanted(),
        wanted(target=uri(f"mac:{MAC.upper()}")),
        wanted(target=NOBODY, to=Address(NOBODY)),
        wanted(target=NOBODY, from_=Address(NOBODY, "", "1"), to=Address(uri(f"MAC:{MAC}"))),
        wanted(
            target=NOBODY,
            from_=Address(NOBODY, "", "1"),
            to=Address(NOBODY),
            user_agent="x 80:5E:C0:12:34:56",
        ),
    ],
)
def test_a_phone_is_known_by_its_address(event: ProfileWanted) -> None:
    assert give(event) == [FindProfile(event, MAC)]


@pytest.mark.parametrize(
    "event",
    [
        wanted(target=NOBODY, from_=Address(NOBODY, "", "1"), to=Address(NOBODY), user_agent="x"),
        wanted()._replace(contact=""),
    ],
    ids=["no address of a phone", "no Contact"],
)
def test_what_cannot_be_answered_is_not_looked_up(event: ProfileWanted) -> None:
    assert give(event) == [Ignore(event.request.transaction)]


def test_a_new_phone_is_told() -> None:
    event = wanted()
    log, reply, notify = give(ProfileFound(event, MAC, URL))
    assert isinstance(log, Log)
    assert MAC in log.text
    assert "secret" not in log.text
    assert reply == Reply(event.request.transaction, 200, "OK", (("Expires", "0"),), "ours", "")
    assert isinstance(notify, Notify)
    dialog = SubscriptionDialog(
        DialogId("abc123", "ours", "77aa"),
        NameAddr(f"sip:MAC:{MAC}@224.0.1.75"),
        NameAddr(f"sip:MAC:{MAC}@224.0.1.75"),
        "sip:198.51.100.7:5060",
        (),
        EVENT,
    )
    assert (notify.flow, notify.dialog, notify.cseq) == (event.request.flow, dialog, 1)
    assert (notify.expires, notify.reason, notify.content_type) == (None, "timeout", "application/url")
    assert notify.body == URL.encode()


def test_silence_to_an_unknown_phone() -> None:
    event = wanted()
    assert give(ProfileFound(event, MAC, None)) == [Ignore(event.request.transaction)]


def test_a_phone_that_knows_already_is_not_told() -> None:
    event = wanted()
    log, ignore = give(ProfileFound(event, MAC, ""))
    assert ignore == Ignore(event.request.transaction)
    assert isinstance(log, Log)
    assert f"'blfd device renew {MAC}'" in log.text
    of_tenant = give(ProfileFound(event, MAC, "", "acme.example"))[0]
    assert isinstance(of_tenant, Log)
    assert f"'blfd --tenant acme.example device renew {MAC}'" in of_tenant.text
