"""What a SUBSCRIBE asks for, and why that is refused (RFC 6665, section 4.2.1)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import lru_cache

from blfd.core.access.domains import Domains
from blfd.core.access.limits import granted
from blfd.core.directory import Directory, Extension
from blfd.core.errors import ONLY_TLS, Refusal
from blfd.core.events.package import Package
from blfd.core.events.subscription import Subscription, is_secret
from blfd.core.messages import Request, SubscribeReceived
from blfd.core.next_hop import NextHops, is_sip, without_headers
from blfd.core.settings import Settings
from blfd.core.values import Address, Aor, DialogId, NameAddr, SubscriptionDialog
from blfd.core.visible import visible

MAX_UNKNOWN = 100  # wrong keys that are remembered
SHARED = 8192  # name-addrs that are remembered
LONGEST_SHARED = 200  # characters of one that is, as attackers would fill memory with longer ones


class Requests:
    """Makes SUBSCRIBEs subscriptions. Its methods raise Refusal; `new_tag` makes an unguessable token."""

    def __init__(
        self, packages: Iterable[Package], settings: Settings, next_hops: NextHops, new_tag: Callable[[], str]
    ) -> None:
        self.packages = {package.name: package for package in packages}
        self._settings, self._next_hops, self._new_tag = settings, next_hops, new_tag
        self._directory, self._domains = Directory(), Domains(Directory(), ())
        self.unknown: dict[tuple[Aor, str], None] = {}  # keys for extensions that do not exist, newest last

    def directory_changed(self, directory: Directory, domains: Domains) -> None:
        self._directory, self._domains = directory, domains
        self.unknown.clear()  # what is still wrong is asked for again

    def package(self, subscribe: SubscribeReceived) -> Package:
        """The event package that is asked for, in a form that the watcher takes."""
        package = self.packages.get(subscribe.event)
        if package is None:
            served = ", ".join(self.packages)
            allow = (("Allow-Events", served),)
            raise Refusal(
                489, f"Event {visible(subscribe.event) or 'missing'}, only {served} is served", allow
            )
        if subscribe.accept is not None and package.accepts.isdisjoint(subscribe.accept):
            served = ", ".join(sorted(kind for kind in package.accepts if not kind.endswith("*")))
            raise Refusal(406, f"Only {served} is served", (("Accept", served),))
        return package

    def granted(self, asked: int | None) -> int:
        """The seconds that are granted to a watcher who has asked for so many, or for none."""
        of = self._settings
        return granted(
            asked, of.subscribe_default_expires, of.subscribe_min_expires, of.subscribe_max_expires
        )

    @property
    def longest(self) -> int:
        """The seconds that a watcher is granted at most."""
        return self._settings.subscribe_max_expires

    def new(
        self, subscribe: SubscribeReceived, package: Package, watcher: Extension, expires_at: float
    ) -> Subscription:
        """The subscription that a SUBSCRIBE outside a dialog begins."""
        request = subscribe.request
        resource, entity = self._resource(request, watcher)
        package.check(watcher.aor, resource)
        if is_secret(entity) and not request.flow.is_secure:
            raise Refusal(403, ONLY_TLS)
        if not subscribe.contact:
            raise Refusal(400, "Contact is missing")
        if not request.from_.tag:
            raise Refusal(400, "From has no tag")
        dialog = _dialog(subscribe, self._new_tag())
        return Subscription(
            resource,
            watcher.aor,
            package,
            entity,
            dialog=dialog,
            remote_cseq=request.cseq,
            flow=self._next_hops.of(request.flow, dialog.target, dialog.route_set, request.asks_rport),
            expires_at=expires_at,
            user_agent=request.user_agent,
        )

    def refreshed(
        self, subscribe: SubscribeReceived, watcher: Extension, known: Subscription | None
    ) -> Subscription:
        """`known`, the subscription with the To tag of a SUBSCRIBE, where that is its refresh."""
        request = subscribe.request
        if (
            known is None
            or not known.alive
            or known.dialog.id != (request.call_id, request.to.tag, request.from_.tag)
            or known.package.name != subscribe.event
            or known.watcher != watcher.aor
        ):
            raise Refusal(481, "Subscription does not exist")
        if known.is_secret and not request.flow.is_secure:
            raise Refusal(403, ONLY_TLS)
        if request.cseq <= known.remote_cseq:
            raise Refusal(500, "CSeq is not higher than before")
        return known

    def _resource(self, request: Request, watcher: Extension) -> tuple[Aor, str]:
        """The extension that is asked for, and its URI as the watcher writes it."""
        target = request.target  # it may be our Contact, which some keep and subscribe to anew
        is_ours = not target.user or self._domains.tenant_of_contact(target.user) is not None
        uri = request.to.uri if is_ours else target
        resource = self._domains.aor_of(uri)
        if resource is None or not uri.user:
            raise Refusal(404, f"No such extension here: {visible(uri.user)}@{visible(uri.host)}")
        if resource.tenant != watcher.aor.tenant:
            text = f"{watcher.aor} may not watch {visible(f'{resource}')}: they belong to different tenants"
            raise Refusal(403, "Another tenant's extension", (), text)
        extension = self._directory.extensions.get(resource)
        if extension:
            resource = extension.aor  # all subscriptions share the one name
        elif not self._directory.has_lamp(resource):
            self._remember_unknown(watcher.aor, resource.extension)
            wanted = visible(resource.extension)
            text = f"{watcher.aor} watches {wanted}, which does not exist: add it or fix the key"
            raise Refusal(404, f"Extension {wanted} does not exist", (), text)
        return resource, f"{uri.scheme}:{uri.user}@{uri.domain}"

    def _remember_unknown(self, watcher: Aor, wanted: str) -> None:
        """Keep a wrong key for `blfd doctor`: one that nobody has fixed asks again and again."""
        self.unknown.pop((watcher, wanted), None)
        self.unknown[watcher, wanted] = None
        if len(self.unknown) > MAX_UNKNOWN:
            del self.unknown[next(iter(self.unknown))]


def target_of(contact: str) -> str:
    """The remote target that a Contact gives. Raises Refusal."""
    if contact[:4] == "sip:" and "?" not in contact:  # as nearly all are
        return contact
    if not is_sip(contact):
        raise Refusal(400, "The Contact has to be a SIP URI")
    return without_headers(contact)


def _name_addr(address: Address) -> NameAddr:
    """The name-addr of a peer or a resource, which is one for all of its dialogs."""
    uri, display, _ = address
    if len(uri.text) + len(display) > LONGEST_SHARED:
        return NameAddr(uri.text, display)
    return _shared(uri.text, display)


_shared = lru_cache(SHARED)(NameAddr)


def _dialog(subscribe: SubscribeReceived, tag: str) -> SubscriptionDialog:
    """The dialog that a SUBSCRIBE begins, from our side, with our `tag` (RFC 3261, section 12.1.1)."""
    request = subscribe.request
    event = f"{subscribe.event};id={subscribe.event_id}" if subscribe.event_id else subscribe.event
    return SubscriptionDialog(
        DialogId(request.call_id, tag, request.from_.tag),
        _name_addr(request.to),
        _name_addr(request.from_),
        target_of(subscribe.contact),
        subscribe.record_route,
        sys.intern(event),
    )
