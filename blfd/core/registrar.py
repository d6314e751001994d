"""Where each extension's phones are (RFC 3261, section 10.3).

A binding stays until it expires, also when the connection that it was made over ends: then its flow becomes
the address to which a new connection is made when there is something to send. Behind NAT there is none, and
the phone is called again when anything has come from it over a new connection.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import replace

from blfd.core import hosts
from blfd.core.access.limits import Tally, granted, too_many
from blfd.core.by_flow import ByFlow
from blfd.core.changes import Changed
from blfd.core.contacts import contact_key, host_of, is_same_phone, may_be_same_phone
from blfd.core.directory import Extension
from blfd.core.effects import Effect, Level, Log, Reply, SaveBindings
from blfd.core.errors import Refusal
from blfd.core.messages import RegisterContact, RegisterReceived
from blfd.core.next_hop import NextHops, address_in, is_sip
from blfd.core.settings import Settings
from blfd.core.timers import Timers
from blfd.core.values import Aor, Binding, Flow, Headers
from blfd.core.visible import visible

Bindings = dict[str, Binding]
"""The contacts of one AOR by `contact_key`."""


class Registrar:
    """All bindings, in memory; SaveBindings effects keep the store in step."""

    def __init__(self, settings: Settings, next_hops: NextHops) -> None:
        self._settings, self._next_hops = settings, next_hops
        self._over: ByFlow[Aor] = ByFlow()
        self._by_aor: dict[Aor, Bindings] = {}
        self.timers = Timers(self._due)
        self._of_source = Tally(settings.source_bindings)
        self._of_tenant = Tally(settings.tenant_bindings)
        self.changed = Changed()  # extensions that have got their first phone or lost their last one
        self._moved: list[tuple[Binding, Binding]] = []

    def restore(self, bindings: Iterable[Binding], now: float) -> None:
        """Take what the store remembers; the connections of then are gone."""
        for binding in bindings:
            if binding.expires_at > now:
                last = now + self._settings.register_max_expires
                if binding.expires_at > last:  # the system's clock was set back since
                    binding = replace(binding, expires_at=last)
                known = self._by_aor.get(binding.aor, {})
                if binding.flow.is_connected:
                    binding = self._without_connection(binding)
                self._put(binding.aor, {**known, contact_key(binding.contact): binding})

    def bindings(self, aor: Aor, now: float) -> tuple[Binding, ...]:
        """Live bindings: highest q first, then the newest."""
        live = [b for b in self._by_aor.get(aor, {}).values() if b.expires_at > now]
        live.reverse()
        return tuple(sorted(live, key=lambda binding: -binding.q))

    def reachable(self, aor: Aor, now: float) -> tuple[Binding, ...]:
        """The live bindings to which there is a way."""
        return tuple(binding for binding in self.bindings(aor, now) if self.is_reachable(binding))

    def there(self, aor: Aor) -> tuple[Binding, ...]:
        """The bindings to which there is a way, until a timer finds them expired."""
        return self.reachable(aor, 0.0)

    def is_reachable(self, binding: Binding) -> bool:
        reopened = self._next_hops.reopened
        return not binding.lost or reopened(binding.flow, binding.contact, binding.path) is not None

    def ways(self, binding: Binding) -> list[Flow]:
        """The ways to a phone, in the order in which they are tried."""
        return self._next_hops.ways(binding.flow, binding.path)

    def gave_no_response(self, contact: str, flow: Flow, path: tuple[str, ...], now: float) -> None:
        """Note that a call of a phone by `flow` came to nothing there."""
        self._next_hops.without_response(flow, contact, path, now)

    def registered(self, aor: Aor, now: float) -> bool:
        return any(binding.expires_at > now for binding in self._by_aor.get(aor, {}).values())

    def is_over(self, aor: Aor, flow: Flow, now: float) -> bool:
        """Whether a phone of an extension is registered by just this way."""
        return any(binding.flow == flow for binding in self.bindings(aor, now))

    def has_phones_at(self, host: str) -> bool:
        """Whether any phone is registered from an address."""
        return self._of_source.has(hosts.sender(host))

    def registered_in(self, tenant: str) -> list[Aor]:
        """The extensions of a tenant that have bindings, live or not yet found expired."""
        return [aor for aor in self._by_aor if aor.tenant == tenant]

    def all_bindings(self, now: float) -> Iterator[Binding]:
        for aor in list(self._by_aor):
            yield from self.bindings(aor, now)

    def register(
        self, register: RegisterReceived, extension: Extension, now: float, proof: str = ""
    ) -> list[Effect]:
        """Change the bindings of `extension` as asked, all or nothing; `proof` is the password by which that
        is. Raises Refusal."""
        aor = extension.aor
        old = self._live(aor, now)
        new = (
            self._removed_all(register, old)
            if register.star
            else self._updated(register, aor, old, now, proof)
        )
        replaced = self._make_room(register, aor, old, new)
        if len(new) > len(old):
            self._check_limits(aor, register.request.flow)
        reply = self._reply(register, new, now)
        if new == old:
            return [reply]
        self._put(aor, new)
        for key, binding in new.items():
            if binding is not old.get(key):
                self._note_move(binding, [old[k] for k in (key, *replaced) if k in old])
        return [*_changes(aor, old, new, replaced), SaveBindings(aor, tuple(new.values())), reply]

    def _note_move(self, new: Binding, of_before: Iterable[Binding]) -> None:
        """Note a binding that takes the place of what the same phone had before, and leads elsewhere."""
        for old in of_before:
            is_its = old.contact == new.contact or is_same_phone(old, new)
            if is_its and (old.flow, old.path) != (new.flow, new.path):
                self._moved.append((old, new))

    def take_moved(self) -> list[tuple[Binding, Binding]]:
        """The bindings that led to a phone, each with what leads there instead, since the last call."""
        if not self._moved:
            return []
        moved, self._moved = self._moved, []
        return moved

    def _make_room(
        self, register: RegisterReceived, aor: Aor, old: Bindings, new: Bindings
    ) -> dict[str, str]:
        """Take out of `new` what gives way to what is registered now: the reasons, by key. Raises Refusal."""
        asked = {contact_key(contact.uri) for contact in register.contacts}
        most = self._settings.max_bindings
        if len(asked & new.keys()) > most:
            raise too_many("contacts", most, f"{aor}", register.request.flow, "max_bindings")
        replaced: dict[str, str] = {}
        for key in [key for key in new if key in asked and key not in old]:
            added = new[key]
            for other in [k for k, b in new.items() if k not in asked and is_same_phone(b, added)]:
                del new[other]
                replaced[other] = f": its phone is at {visible(added.contact)} now"
            while len(new) > most:
                others = [k for k in new if k not in asked]  # those unheard of for longest come first
                own = (k for k in others if may_be_same_phone(new[k], added))
                oldest = next(own, others[0])
                del new[oldest]
                replaced[oldest] = (
                    f": the oldest of {most} gives way to {visible(added.contact)} (max_bindings)"
                )
        return replaced

    def _check_limits(self, aor: Aor, flow: Flow) -> None:
        for tally, owner, whose, setting in (
            (self._of_tenant, aor.tenant, f"tenant {aor.tenant}", "tenant_bindings"),
            (self._of_source, hosts.sender(flow.host), f"address {flow.host}", "source_bindings"),
        ):
            if tally.full(owner):
                raise too_many("contacts", tally.most, whose, aor, setting)

    def _put(self, aor: Aor, bindings: Bindings) -> None:
        """Have `bindings` take the place of those of before."""
        if bool(bindings) != (aor in self._by_aor):
            self.changed.add(aor)
        for binding in bindings.values():
            self._of_source.add(hosts.sender(binding.flow.host))
            self._of_tenant.add(aor.tenant)
            self._over.add(binding.flow, aor)
        for binding in self._by_aor.pop(aor, {}).values():
            self._of_source.remove(hosts.sender(binding.flow.host))
            self._of_tenant.remove(aor.tenant)
            self._over.remove(binding.flow, aor)
        if bindings:
            self._by_aor[aor] = bindings
            self.timers.set(aor, min(binding.expires_at for binding in bindings.values()))
        else:
            self.timers.cancel(aor)

    def _live(self, aor: Aor, now: float) -> Bindings:
        return {key: b for key, b in self._by_aor.get(aor, {}).items() if b.expires_at > now}

    def _removed_all(self, register: RegisterReceived, old: Bindings) -> Bindings:
        """The bindings after `Contact: *` (step 6)."""
        if register.contacts or register.expires != 0:
            raise Refusal(400, "Contact: * needs Expires: 0 and stands alone")
        for binding in old.values():
            self._check_order(register, binding)
        return {}

    def _updated(
        self, register: RegisterReceived, aor: Aor, old: Bindings, now: float, proof: str
    ) -> Bindings:
        """The bindings after step 7: each contact is added, refreshed or removed."""
        new = dict(old)
        for contact in register.contacts:
            if not is_sip(contact.uri):
                raise Refusal(400, "A Contact has to be a SIP URI")
            expires = self._granted(contact, register.expires)
            key = contact_key(contact.uri)
            if key in old:
                self._check_order(register, old[key])
            new.pop(key, None)
            if expires:
                new[key] = self._binding(register, aor, contact, now + expires, proof)
        return new

    def _granted(self, contact: RegisterContact, header: int | None) -> int:
        asked, of = contact.expires if contact.expires is not None else header, self._settings
        return granted(asked, of.register_default_expires, of.register_min_expires, of.register_max_expires)

    @staticmethod
    def _check_order(register: RegisterReceived, binding: Binding) -> None:
        request = register.request
        if binding.call_id == request.call_id and request.cseq <= binding.cseq:
            raise Refusal(500, "An older REGISTER came late: CSeq is not higher")

    def _binding(
        self,
        register: RegisterReceived,
        aor: Aor,
        contact: RegisterContact,
        expires_at: float,
        proof: str,
    ) -> Binding:
        request = register.request
        flow = self._next_hops.of(request.flow, contact.uri, register.path, request.asks_rport)
        return Binding(
            aor,
            contact.uri,
            flow,
            request.call_id,
            request.cseq,
            expires_at,
            contact.q,
            request.user_agent,
            register.path,
            contact.instance,
            proof=proof,
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

    def _due(self, aor: Aor, now: float) -> list[Effect]:
        """Forget what has expired."""
        return self._keep(aor, self._live(aor, now), "expired")

    def flow_closed(self, flow: Flow) -> list[Effect]:
        """Look for other ways to the phones whose connection is gone."""
        effects: list[Effect] = []
        for aor in self._over.of(flow):
            known = self._by_aor[aor]
            moved = {key: self._without_connection(b) for key, b in known.items() if b.flow == flow}
            self._put(aor, {**known, **moved})
            for key, binding in moved.items():
                if not known[key].lost and not self.is_reachable(binding):
                    text = f"{aor} at {visible(binding.contact)} closed its connection {flow}"
                    effects.append(Log(Level.INFO, f"{text}: it cannot be called until it connects again"))
        return effects

    def _without_connection(self, binding: Binding) -> Binding:
        way = self._next_hops.reopened(binding.flow, binding.contact, binding.path)
        return replace(binding, flow=way or binding.flow, lost=True)

    def came_back(self, aor: Aor, flow: Flow, contact: str) -> None:
        """Have what was lost of a phone go by `flow` now, as something came from the phone over that.

        Of several phones at one address that is the one with this contact's port, if there is one.
        """
        known = self._by_aor.get(aor, {})
        host, port = address_in(contact, flow)
        there = {key: b for key, b in known.items() if b.lost and b.flow[:2] == flow[:2]}
        ports = {key: address_in(b.contact, flow)[1] for key, b in there.items() if host_of(b) == host}
        again = [key for key in ports if ports[key] == port] or list(ports)
        if again:
            moved = {key: replace(known[key], flow=flow, lost=False) for key in again}
            self._put(aor, {**known, **moved})
            for key, binding in moved.items():
                self._note_move(binding, [known[key]])

    def remove(self, aor: Aor) -> list[Effect]:
        """Forget the bindings of an extension that is gone, and its rows with it."""
        self._put(aor, {})
        return []

    def keep_proved(self, aor: Aor, proofs: Container[str]) -> list[Effect]:
        """Forget the bindings that were made by passwords that hold no more: only `proofs` do."""
        kept = {k: b for k, b in self._by_aor.get(aor, {}).items() if not b.proof or b.proof in proofs}
        return self._keep(aor, kept, "its password holds no more, so it has to register with the new one")

    def _keep(self, aor: Aor, kept: Bindings, why: str) -> list[Effect]:
        old = self._by_aor.get(aor, {})
        if len(kept) == len(old):
            return []
        self._put(aor, kept)
        lost = ", ".join(visible(binding.contact) for key, binding in old.items() if key not in kept)
        log = Log(Level.INFO, f"{aor} is no longer registered at {lost}: {why}")
        return [log, SaveBindings(aor, tuple(kept.values()))]


def _changes(aor: Aor, old: Bindings, new: Bindings, replaced: dict[str, str]) -> list[Effect]:
    gained = [b for key, b in new.items() if key not in old]
    lost = [(b.contact, replaced.get(key, "")) for key, b in old.items() if key not in new]
    return [
        *(Log(Level.INFO, f"{aor} registered at {_where(b)} ({visible(b.user_agent)})") for b in gained),
        *(Log(Level.INFO, f"{aor} unregistered {visible(contact)}{why}") for contact, why in lost),
    ]


def _where(binding: Binding) -> str:
    return f"{visible(binding.contact)} from {binding.flow}"
