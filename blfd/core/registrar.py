"""Where each extension's phones are (RFC 3261, section 10.3)."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from blfd.core.access.limits import Tally, too_many
from blfd.core.effects import Effect, Level, Log, Reply, SaveBindings
from blfd.core.errors import Refusal
from blfd.core.inputs import RegisterContact, RegisterReceived
from blfd.core.values import Aor, Binding, Extension, Flow, Headers, Settings

Bindings = dict[str, Binding]
"""The contacts of one AOR by `contact_key`."""


class Registrar:
    """All bindings, in memory; SaveBindings effects keep the store in step."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._by_aor: dict[Aor, Bindings] = {}
        self._timers: list[tuple[float, Aor]] = []
        self._of_source = Tally(settings.source_bindings)
        self._of_tenant = Tally(settings.tenant_bindings)
        self._changed: dict[Aor, None] = {}

    def restore(self, bindings: Iterable[Binding], now: float) -> None:
        """Take what the store remembers."""
        for binding in bindings:
            if binding.expires_at > now:
                known = self._by_aor.get(binding.aor, {})
                self._put(binding.aor, {**known, contact_key(binding.contact): binding})
                heapq.heappush(self._timers, (binding.expires_at, binding.aor))

    def bindings(self, aor: Aor, now: float) -> tuple[Binding, ...]:
        """Live bindings: highest q first, then the newest."""
        live = [b for b in self._by_aor.get(aor, {}).values() if b.expires_at > now]
        live.reverse()
        return tuple(sorted(live, key=lambda binding: -binding.q))

    def registered(self, aor: Aor, now: float) -> bool:
        return any(binding.expires_at > now for binding in self._by_aor.get(aor, {}).values())

    def all_bindings(self, now: float) -> Iterator[Binding]:
        for aor in list(self._by_aor):
            yield from self.bindings(aor, now)

    def register(self, register: RegisterReceived, extension: Extension, now: float) -> list[Effect]:
        """Change the bindings of `extension` as asked, all or nothing. Raises Refusal."""
        aor = extension.aor
        old = self._live(aor, now)
        new = self._removed_all(register, old) if register.star else self._updated(register, aor, old, now)
        if len(new) > len(old):
            self._check_limits(aor, register.request.flow, len(new))
        reply = self._reply(register, new, now)
        if new == old:
            return [reply]
        self._put(aor, new)
        for binding in new.values():
            heapq.heappush(self._timers, (binding.expires_at, aor))
        return [*_changes(aor, old, new), SaveBindings(aor, tuple(new.values())), reply]

    def _check_limits(self, aor: Aor, flow: Flow, wanted: int) -> None:
        if wanted > self._settings.max_bindings:
            raise too_many("contacts", self._settings.max_bindings, f"{aor}", flow, "max_bindings")
        for tally, owner, whose, setting in (
            (self._of_tenant, aor.tenant, f"tenant {aor.tenant}", "tenant_bindings"),
            (self._of_source, flow.host, f"address {flow.host}", "source_bindings"),
        ):
            if tally.full(owner):
                raise too_many("contacts", tally.most, whose, aor, setting)

    def _put(self, aor: Aor, bindings: Bindings) -> None:
        """`bindings` take the place of those of before."""
        if bool(bindings) != (aor in self._by_aor):
            self._changed[aor] = None
        for binding in bindings.values():
            self._of_source.add(binding.flow.host)
            self._of_tenant.add(aor.tenant)
        for binding in self._by_aor.pop(aor, {}).values():
            self._of_source.remove(binding.flow.host)
            self._of_tenant.remove(aor.tenant)
        if bindings:
            self._by_aor[aor] = bindings

    def take_changed(self) -> list[Aor]:
        """The extensions that got their first phone or lost their last one since the last call."""
        if not self._changed:
            return []
        changed = list(self._changed)
        self._changed.clear()
        return changed

    def _live(self, aor: Aor, now: float) -> Bindings:
        return {key: b for key, b in self._by_aor.get(aor, {}).items() if b.expires_at > now}

    def _removed_all(self, register: RegisterReceived, old: Bindings) -> Bindings:
        """`Contact: *` (step 6)."""
        if register.contacts or register.expires != 0:
            raise Refusal(400, "Contact: * needs Expires: 0 and stands alone")
        for binding in old.values():
            self._check_order(register, binding)
        return {}

    def _updated(self, register: RegisterReceived, aor: Aor, old: Bindings, now: float) -> Bindings:
        """Step 7: each contact is added, refreshed or removed."""
        new = dict(old)
        for contact in register.contacts:
            if not contact.uri.lower().startswith(("sip:", "sips:")):
                raise Refusal(400, "A Contact has to be a SIP URI")
            expires = self._granted(contact, register.expires)
            key = contact_key(contact.uri)
            if key in old:
                self._check_order(register, old[key])
            new.pop(key, None)
            if expires:
                new[key] = self._binding(register, aor, contact, now + expires)
        return new

    def _granted(self, contact: RegisterContact, header: int | None) -> int:
        settings = self._settings
        asked = contact.expires if contact.expires is not None else header
        if asked is None:
            return settings.register_default_expires
        if 0 < asked < settings.register_min_expires:
            least = settings.register_min_expires
            raise Refusal(423, f"At least {least} s", (("Min-Expires", str(least)),))
        return min(asked, settings.register_max_expires)

    @staticmethod
    def _check_order(register: RegisterReceived, binding: Binding) -> None:
        request = register.request
        if binding.call_id == request.call_id and request.cseq <= binding.cseq:
            raise Refusal(500, "An older REGISTER came late: CSeq is not higher")

    @staticmethod
    def _binding(
        register: RegisterReceived, aor: Aor, contact: RegisterContact, expires_at: float
    ) -> Binding:
        request = register.request
        return Binding(
            aor,
            contact.uri,
            request.flow,
            request.call_id,
            request.cseq,
            expires_at,
            contact.q,
            request.user_agent,
            register.path,
        )

    def _reply(self, register: RegisterReceived, new: Bindings, now: float) -> Reply:
        headers: Headers = tuple(
            ("Contact", f"<{b.contact}>;expires={max(1, round(b.expires_at - now))};q={b.q:g}")
            for b in new.values()
        )
        if register.path:
            headers = (*headers, *(("Path", path) for path in register.path), ("Supported", "path"))
        return Reply(register.request.transaction, 200, "OK", headers)

    # Time and other ends

    def next_timer(self) -> float | None:
        return self._timers[0][0] if self._timers else None

    def handle_timer(self, now: float) -> list[Effect]:
        """Forget what has expired."""
        effects: list[Effect] = []
        while self._timers and self._timers[0][0] <= now:
            aor = heapq.heappop(self._timers)[1]
            effects += self._keep(aor, self._live(aor, now), "expired")
        return effects

    def flow_closed(self, flow: Flow) -> list[Effect]:
        """A TCP connection is gone; its phones cannot be reached until they register again."""
        if flow.transport != "tcp":
            return []
        lost = {b.aor for bindings in self._by_aor.values() for b in bindings.values() if b.flow == flow}
        effects: list[Effect] = []
        for aor in lost:
            kept = {key: b for key, b in self._by_aor[aor].items() if b.flow != flow}
            effects += self._keep(aor, kept, "its connection closed")
        return effects

    def remove(self, aor: Aor) -> list[Effect]:
        """The extension is gone, and its rows with it."""
        self._put(aor, {})
        return []

    def _keep(self, aor: Aor, kept: Bindings, why: str) -> list[Effect]:
        old = self._by_aor.get(aor, {})
        if len(kept) == len(old):
            return []
        self._put(aor, kept)
        lost = ", ".join(binding.contact for key, binding in old.items() if key not in kept)
        log = Log(Level.INFO, f"{aor} is no longer registered at {lost}: {why}")
        return [log, SaveBindings(aor, tuple(kept.values()))]


def _changes(aor: Aor, old: Bindings, new: Bindings) -> list[Effect]:
    gained = [b for key, b in new.items() if key not in old]
    lost = [b for key, b in old.items() if key not in new]
    return [
        *(Log(Level.INFO, f"{aor} registered at {b.contact} from {b.flow} ({b.user_agent})") for b in gained),
        *(Log(Level.INFO, f"{aor} unregistered {b.contact}") for b in lost),
    ]


def contact_key(uri: str) -> str:
    """Equal for URIs that RFC 3261, section 19.1.4 calls equal, as far as a registrar can tell.

    Scheme, host and parameters are compared without case, the user with it; parameters outside the RFC's list
    tell a phone's lines apart (";line="), so they count too. Order does not matter.
    """
    scheme, _, rest = uri.partition(":")
    address, _, headers = rest.partition("?")
    first, *parameters = address.split(";")
    user, at, host = first.rpartition("@")
    ordered = ";".join(sorted(unquote(parameter).lower() for parameter in parameters))
    return f"{scheme.lower()}:{unquote(user)}{at}{host.lower()};{ordered}?{headers}"
