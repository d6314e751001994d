"""What it means to dial something: which extension or whose call a SIP URI leads to, or why nowhere.

One function for whatever names a target: the INVITE of a phone, the Refer-To of a transfer, the Contact of a
phone's 3xx. It says what is meant, from the directory alone; whether that can be had now (who is registered,
what rings, who may) is for those to say who carry it out, and what a target may not be in their place.
"""

from __future__ import annotations

from typing import NamedTuple

from blfd.core.access.domains import Domains
from blfd.core.advice import command
from blfd.core.calls.attempts import Way
from blfd.core.calls.replaces import parse
from blfd.core.directory import Directory, Extension, Rule, Tenant
from blfd.core.errors import Refusal
from blfd.core.trunks.outgoing import Outside, route_of
from blfd.core.values import DEFAULT_TENANT, Aor, Replaces, Uri
from blfd.core.visible import visible


class ToExtension(NamedTuple):
    """A call to an extension that exists."""

    extension: Extension


class ToOutside(NamedTuple):
    """A call to a number that a route of the tenant leads to."""

    outside: Outside


class ToPickup(NamedTuple):
    """Somebody else's call is asked for.

    DIRECTED has `extension`, what was dialled behind the code, which may be anything, and `target`, the
    extension of that name, None where there is none; REPLACES has `replaces`.
    """

    way: Way
    extension: str = ""
    target: Aor | None = None
    replaces: Replaces | None = None


class ToRule(NamedTuple):
    """One of the caller's own rules is to be set, by a code; `to` is the number that it names, if any."""

    rule: Rule
    to: str = ""


class Refused(NamedTuple):
    """A call that leads nowhere: `reason` is for who has dialled, `log` for the operator ("" is not worth a
    line)."""

    status: int
    reason: str
    log: str = ""


Route = ToExtension | ToOutside | ToPickup | ToRule | Refused

SETS = {
    "dnd": Rule("dnd", True),
    "dnd_off": Rule("dnd", False),
    "forward_always_off": Rule("always", ""),
    "forward_busy_off": Rule("busy", ""),
    "forward_no_answer_off": Rule("no_answer", ""),
}
"""What a code of `StarCodes` sets that is dialled alone."""

TELLS = {"withhold": False, "withhold_off": True}
"""Whether a call says whose it is, by the code before who is called."""

FORWARDS = {"forward_always": "always", "forward_busy": "busy", "forward_no_answer": "no_answer"}
"""The rule that one sets behind which comes an extension, or a number outside."""


class Routing:
    """Answers from a directory; made anew when that changes."""

    def __init__(self, directory: Directory, domains: Domains) -> None:
        self._directory, self._domains = directory, domains

    def aor_of(self, uri: Uri) -> Aor | None:
        """The address of record that a URI names; None if its domain is not served here."""
        return self._domains.aor_of(uri)

    def telling(self, who: Aor, target: Uri) -> tuple[Uri, bool] | None:
        """Whom a call is for, and whether it says whose it is, by its code; None of a call without one."""
        codes = self._tenant(who).star_codes
        for name, tells in TELLS.items():
            code = getattr(codes, name)
            if code and target.user.startswith(code):
                return target._replace(user=target.user.removeprefix(code)), tells
        return None

    def route(self, who: Aor, target: Uri, replaces: tuple[str, ...] = ()) -> Route:
        """What it means that `who` dials `target`; `replaces` are the values of Replaces that go with it."""
        if replaces:
            try:
                return ToPickup(Way.REPLACES, replaces=parse(replaces))
            except Refusal as refusal:
                return Refused(refusal.status, refusal.reason)
        if target.scheme not in ("sip", "sips"):
            return Refused(416, f"Scheme {visible(target.scheme)}, only sip is served")
        tenant = self._tenant(who)
        if target.user == tenant.group_pickup_code:
            return ToPickup(Way.GROUP)
        if target.user.startswith(tenant.pickup_code):
            extension = target.user.removeprefix(tenant.pickup_code)
            return ToPickup(Way.DIRECTED, extension, self._named(who, target._replace(user=extension)))
        for name, code in tenant.star_codes.dialled.items():
            if target.user == code and name in SETS:
                return ToRule(SETS[name])
            if name in FORWARDS and target.user.startswith(code):
                return self._forwards(who, target, name, code)
        aor = self._named(who, target)
        if aor is None:
            outside = self._outside(who, target)
            if outside:
                return ToOutside(outside)
            user = visible(target.user)
            text = f"{who} calls {user}, which does not exist"
            if not self._is_here(who, target):
                host = visible(target.host)
                add = command(DEFAULT_TENANT, "tenant", "set", who.tenant, "--alias")
                text = f"{who} calls {user} at {host}, which is no name of its tenant; see {add}"
            return Refused(404, f"{user or 'This'} does not exist", text)
        return ToExtension(self._directory.extensions[aor])

    def _forwards(self, who: Aor, target: Uri, name: str, code: str) -> ToRule | Refused:
        """The wish that calls of `who` go to the number behind the code."""
        number = target.user.removeprefix(code)
        if not number:
            return Refused(484, f"Dial {code} and the extension")
        target = target._replace(user=number)
        aor, outside = self._named(who, target), self._outside(who, target)
        if aor is None and outside:
            if outside.route.emergency or not self._tenant(who).send_outside:
                return Refused(403, f"Calls are not forwarded to {visible(number)}")
            return ToRule(Rule(FORWARDS[name], number), number)
        if aor is None:
            text = f"{who} forwards its calls to {visible(number)}, which is no extension here"
            return Refused(404, f"{visible(number)} does not exist", text)
        if aor == who:
            return Refused(403, f"Calls of {who.extension} cannot be forwarded to itself")
        return ToRule(Rule(FORWARDS[name], aor.extension), aor.extension)

    def _tenant(self, who: Aor) -> Tenant:
        return self._directory.tenants.get(who.tenant) or Tenant(who.tenant)

    def _outside(self, who: Aor, target: Uri) -> Outside | None:
        """The number outside that a URI means, where a route leads there."""
        if not self._is_here(who, target):
            return None
        route = route_of(self._directory.routes, who.tenant, target.user)
        return Outside(target.user, route) if route else None

    def _is_here(self, who: Aor, target: Uri) -> bool:
        """Whether a URI is of `who`'s own tenant."""
        aor = self._domains.aor_of(target)
        return aor is not None and aor.tenant == who.tenant

    def _named(self, who: Aor, target: Uri) -> Aor | None:
        """The extension that a URI names, among those of `who`'s tenant: others are as if there were none."""
        aor = self._domains.aor_of(target)
        return aor if aor and aor.tenant == who.tenant and aor in self._directory.extensions else None
