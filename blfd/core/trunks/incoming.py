"""Calls in: who calls or answers, as a trunk says, and whom the number leads to that is called.

Who calls from outside has no right here but to call the numbers that its trunk has: everything else that it
sends is a stranger's, and a number leads to an extension or nowhere, never to a code or to another trunk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from blfd.core import privacy
from blfd.core.advice import command
from blfd.core.directory import Directory, Extension, Owner
from blfd.core.errors import Refusal
from blfd.core.messages import InviteReceived, Request
from blfd.core.party import Party
from blfd.core.trunk import NAMED_SOURCES, REQUEST_URI, TO, Trunk, split
from blfd.core.trunks import numbers
from blfd.core.values import DEFAULT_TENANT, Address, Aor, Uri
from blfd.core.visible import visible


def caller(trunk: Trunk, request: Request, directory: Directory) -> Party:
    """Who calls, as the trunk says: it is taken at its word about that, and about nothing else.

    Number and name are of one identity. Who says that it is an extension of ours is shown to nobody.
    """
    who = request.asserted[0] if request.asserted else request.from_
    number = numbers.plain(_user(who.uri))
    hidden = bool(request.privacy - {"none"}) or privacy.is_anonymous(request.from_.uri) or not number
    hidden = hidden or is_ours(who.uri, trunk.tenant, directory)
    is_same = numbers.plain(_user(request.from_.uri)) == number
    display = who.display or (request.from_.display if is_same else "")
    name = visible(display) if display != number else ""
    return Party(Aor(trunk.tenant, trunk.resource), name, hidden, number)


def is_ours(uri: Uri, tenant: str, directory: Directory) -> bool:
    """Whether a URI names an extension whose calls are carried here: such a one calls and answers by no
    trunk, and phones would be told that it is one of the domain (RFC 3325, section 5)."""
    found = directory.extensions.get(Aor(tenant, numbers.plain(_user(uri))))
    return found is not None and directory.owner(found) is Owner.LOCAL


def identified(party: Party, who: Address | None) -> Party:
    """Somebody outside as the trunk says who that is by now; where it says nothing of use, as before."""
    number = numbers.plain(_user(who.uri)) if who and party.is_outside else ""
    if who is None or not number or privacy.is_anonymous(who.uri):
        return party
    name = visible(who.display) if who.display != number else ""
    return replace(party, number=number, name=name or (party.name if number == party.number else ""))


def called(
    trunks: Sequence[Trunk], invite: InviteReceived, extensions: Mapping[Aor, Extension]
) -> tuple[Trunk, Extension]:
    """The extension that a number leads to, and by which of the trunks that may have sent the call.

    It is the one whose DID says most for the number, then the one whose account is called, then the only
    one that has a default. Raises Refusal.
    """
    request, names = invite.request, _names(trunks)
    if invite.replaces:
        raise Refusal(403, "", log=f"{names} sent Replaces: no call is taken over from outside")
    users = {request.target.user, request.to.uri.user} - {""}
    accounts = [trunk for trunk in trunks if trunk.username in users]
    by_did = [(trunk, *found) for trunk in trunks if (found := _by_did(trunk, invite, extensions))]
    if by_did:
        most = max(weight for _, weight, _ in by_did)
        ways = [(trunk, extension) for trunk, weight, extension in by_did if weight == most]
        ways = [way for way in ways if way[0] in accounts] or ways
    else:
        defaults = ((trunk, Aor(trunk.tenant, trunk.default)) for trunk in accounts or trunks)
        ways = [(trunk, extensions[aor]) for trunk, aor in defaults if aor in extensions]
    if len({extension.aor for _, extension in ways}) == 1:
        return ways[0]
    said = visible(next((_user(uri) for uri in _named(trunks[0], invite)), "")) or "nothing"
    if ways:
        text = f"which could be for {' or '.join(f'{way[1].aor}' for way in ways)}; say by --did whose it is"
    else:
        name, tenant = ("NAME", DEFAULT_TENANT) if len(trunks) > 1 else (trunks[0].name, trunks[0].tenant)
        dialled = f"{numbers.plain(said) or 'NUMBER'}=EXTENSION"
        advice = (
            f"{command(tenant, 'trunk', 'set', name, '--did', dialled)} beside all that it has, or "
            f"{command(tenant, 'trunk', 'set', name, '--default', 'EXTENSION')}"
        )
        text = f"which leads to no extension; {advice}"
    raise Refusal(404, "Not Found", log=f"a call by {names} for {said}, {text}", warns=True)


def _by_did(
    trunk: Trunk, invite: InviteReceived, extensions: Mapping[Aor, Extension]
) -> tuple[tuple[int, int], Extension] | None:
    """The extension that the trunk's numbers lead to, and how much the one that counts says."""
    for uri in _named(trunk, invite):
        as_written = () if ";" in uri.user else (uri.user,)
        for number in dict.fromkeys((numbers.plain(_user(uri)), *as_written)):
            weight, target = _target(trunk, number)
            found = extensions.get(Aor(trunk.tenant, target)) if target else None
            if found:
                return weight, found
    return None


def _named(trunk: Trunk, invite: InviteReceived) -> list[Uri]:
    """The URIs where the number may be that is called, the likeliest first."""
    request, source = invite.request, trunk.did_source
    if source == REQUEST_URI:
        found = [request.target]
    elif source == TO:
        found = [request.to.uri]
    else:
        header = source if source in NAMED_SOURCES else source.removeprefix("header:").lower()
        found = [uri for name, uri in invite.named if name == header] or [request.target]
    if trunk.username and found[0].user == trunk.username:  # the account is where the number should be
        found = [*found[1:], request.to.uri]
    return found


def _names(trunks: Sequence[Trunk]) -> str:
    """The names of trunks that may have sent a call; with their tenants where there are several."""
    if len(trunks) == 1:
        return f"trunk {trunks[0].name}"
    return " or ".join(f"trunk {trunk.name} of {trunk.tenant}" for trunk in trunks)


def _user(uri: Uri) -> str:
    return uri.text.partition(":")[2] if uri.scheme == "tel" else uri.user


def _target(trunk: Trunk, number: str) -> tuple[tuple[int, int], str]:
    """The extension that a trunk's numbers say, "" for none, and how much the number that counts says."""
    if not number:
        return (0, 0), ""
    leads = _leads(trunk.dids, trunk.country, trunk.area)
    return leads.of(numbers.normal(number, trunk.country, trunk.area))


@lru_cache(100)
def _leads(dids: tuple[str, ...], country: str, area: str) -> numbers.Leads:
    return numbers.Leads((numbers.normal(left, country, area), right) for left, right in map(split, dids))
