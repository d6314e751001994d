"""The event state compositor (RFC 3903): what others publish of extensions whose calls are not carried here.

A publication is what one publisher says of one extension, under an entity-tag that changes with each change;
a new body takes the place of the old one. An extension has as many as there are: Kamailio makes one for each
side of each call, Asterisk one for all calls of an extension (`composition` adds them up). All publications
and their entity-tags are stored before they are answered, so a restart changes no lamp and costs no publisher
its entity-tag: one that refreshes once an hour would show what is wrong for as long.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from blfd.core import capabilities
from blfd.core.access.domains import Domains
from blfd.core.access.limits import Tally, granted, too_many
from blfd.core.advice import command
from blfd.core.directory import Directory, Extension, Owner
from blfd.core.effects import Effect, Level, Log, Reply, SavePublication, TellSaved
from blfd.core.errors import Refusal
from blfd.core.events.documents import DialogPackage
from blfd.core.inputs import Saved
from blfd.core.messages import PublishReceived
from blfd.core.publications.composition import Composition, Publication
from blfd.core.publications.documents import readable, user_and_host
from blfd.core.saved import SavedPublication
from blfd.core.settings import Settings
from blfd.core.timers import Timers
from blfd.core.values import Aor, Uri
from blfd.core.visible import visible
from dialog_info import DialogInfoError

PACKAGE, CONTENT_TYPE = DialogPackage.name, DialogPackage.content_type
MOST_OF_EXTENSION = 100  # publications: the oldest gives way, as its publisher has lost its entity-tag
MOST_DIALOGS_OF_EXTENSION = 100  # likewise: all of them are in each NOTIFY, which may have to fit a datagram
MOST_REFUSED = 100  # PUBLISHes that are remembered
EXPECTED = frozenset((412, 423, 503))
"""Statuses after which a publisher goes on by itself."""


class RefusedPublish(NamedTuple):
    """What a source has got for its last PUBLISH of an extension, `times` in a row."""

    at: float
    status: int
    reason: str
    times: int


class Publisher(NamedTuple):
    """Who publishes: `name` for people, `extension` None for a source that is taken at its word; else `proof`
    is the password by which."""

    name: str
    extension: Extension | None = None
    proof: str = ""

    def may_publish(self, aor: Aor) -> bool:
        own = self.extension
        if own is None:
            return True
        return own.aor == aor or (own.publishes and own.aor.tenant == aor.tenant)


class Compositor:
    """All publications, in memory; SavePublication effects keep the store in step.

    `new_tag` makes entity-tags.
    """

    def __init__(self, composition: Composition, settings: Settings, new_tag: Callable[[], str]) -> None:
        self._composition, self._settings, self._new_tag = composition, settings, new_tag
        self._directory, self._domains = Directory(), Domains(Directory(), ())
        self._by_etag: dict[str, Publication] = {}
        self.timers = Timers(self._expire)
        self.refused: dict[tuple[str, Aor], RefusedPublish] = {}  # by source and extension, the newest last
        self._held: dict[int, Reply] = {}
        self._numbers = itertools.count(1)
        self._of_publisher = Tally(settings.source_publications)
        self._of_tenant = Tally(settings.tenant_publications)

    def __len__(self) -> int:
        return len(self._by_etag)

    def directory_changed(
        self, directory: Directory, domains: Domains, altered: Iterable[Aor], now: float
    ) -> list[Effect]:
        """What was published of extensions that are gone, or whose calls are carried here now, is dropped; so
        is what one of the `altered` has published, and would be refused."""
        self._directory, self._domains = directory, domains
        self.refused.clear()  # what is still wrong is published again
        effects: list[Effect] = []
        for aor in [aor for aor in self._composition.published() if not self._is_published(aor)]:
            for publication in self.of(aor):
                effects += self._remove(publication.saved.etag, now)
        accounts = {f"{aor}": aor for aor in altered}
        for saved in [one.saved for one in self.all() if one.saved.publisher in accounts]:
            if why := self._refuses(saved, accounts):
                text = f"what {saved.publisher} has published of {saved.aor} is over: {why}"
                effects += [Log(Level.INFO, text), *self._remove(saved.etag, now)]
        return effects

    def restore(self, publications: Iterable[SavedPublication], now: float) -> list[Effect]:
        """Take what the store remembers."""
        effects: list[Effect] = []
        accounts = {f"{aor}": aor for aor in self._directory.extensions}
        for saved in sorted(publications, key=lambda saved: saved.at):
            is_over = saved.expires_at <= now or not self._is_published(saved.aor)
            if is_over or self._refuses(saved, accounts):
                effects.append(SavePublication(saved.etag, None))
                continue
            try:
                document, _ = readable(saved.body)
            except DialogInfoError as error:  # that of an older blfd, which took it
                text = f"what {saved.publisher} has published of {saved.aor} cannot be read any more"
                effects += [
                    Log(Level.WARNING, f"{text}: {visible(f'{error}')}"),
                    SavePublication(saved.etag, None),
                ]
                continue
            last = now + self._settings.publish_max_expires  # the system's clock may have been set back since
            saved = saved._replace(at=min(saved.at, now), expires_at=min(saved.expires_at, last))
            self._add(self._composition.restored(saved, document.dialogs), now)
        return effects

    def of(self, aor: Aor) -> list[Publication]:
        """The publications of an extension, the newest body last."""
        return self._composition.of(aor)

    def all(self) -> list[Publication]:
        return list(self._by_etag.values())

    def _refuses(self, saved: SavedPublication, accounts: Mapping[str, Aor]) -> str:
        """Why what an account has published would be refused now, "" where it would not be."""
        if not saved.proof:  # a source that is taken at its word, or it is not known
            return ""
        account = accounts.get(saved.publisher)
        extension = self._directory.extensions.get(account) if account else None
        if extension is None:
            return "there is no such account any more"
        if saved.proof not in extension.proofs:
            return "its password holds no more"
        if not Publisher(saved.publisher, extension).may_publish(saved.aor):
            return "it may not publish that any more"
        return ""

    def _is_published(self, aor: Aor) -> bool:
        extension = self._directory.extensions.get(aor)
        return extension is not None and self._directory.owner(extension) is Owner.PUBLISHED

    # PUBLISH

    def publish(self, publish: PublishReceived, publisher: Publisher, now: float) -> list[Effect]:
        """Take a PUBLISH (RFC 3903, section 6, step by step); answered when it is stored. Raises Refusal."""
        *effects, response = self._published(publish, publisher, now)
        if not isinstance(response, Reply) or not any(isinstance(one, SavePublication) for one in effects):
            return [*effects, response]
        number = next(self._numbers)
        self._held[number] = response
        return [*effects, TellSaved(number)]

    def saved(self, saved: Saved) -> list[Effect]:
        """The responses to PUBLISHes that are stored."""
        return [self._held.pop(number) for number in saved.numbers]

    @property
    def held(self) -> int:
        """How many PUBLISHes wait until they are stored."""
        return len(self._held)

    def _published(self, publish: PublishReceived, publisher: Publisher, now: float) -> list[Effect]:
        """What comes of a PUBLISH, and the response last. Raises Refusal."""
        if publish.event.lower() != PACKAGE:
            text = f"{publish.event} is not published here" if publish.event else "Event is missing"
            raise Refusal(489, visible(text), (("Allow-Events", PACKAGE),))
        old = self._named(publish, publisher)
        expires = self._granted(publish.expires)
        if not publish.body:
            if old is None:
                raise Refusal(400, "A first PUBLISH needs a body")
            return self._refresh(publish, old, publisher, expires, now)
        if publish.content_type not in (CONTENT_TYPE, ""):
            raise Refusal(415, "", (capabilities.accept("PUBLISH"),))
        try:
            document, faults = readable(publish.body)
        except DialogInfoError as error:
            raise Refusal(400, visible(f"Dialog-info: {error}", 120)) from None
        aor = self._whose(publish.request.target, document.entity, publisher)
        if old and old.saved.aor != aor:
            raise Refusal(400, f"This entity-tag is of {old.saved.aor.extension}")
        if old is None:
            self._check_limits(aor, publisher)
        effects = [self._skipped(aor, publisher, fault) for fault in faults]
        etag = self._new_tag()
        if expires:
            effects += self._make_room(aor, old, len(document.dialogs), now)
            saved = SavedPublication(
                etag, aor, publisher.name, now, now + expires, publish.body, publisher.proof
            )
            of = self._composition
            new = of.modified(old, saved, document.dialogs) if old else of.first(saved, document.dialogs)
            effects += self._replace(old, new, now)
        elif old:
            effects += self._remove(old.saved.etag, now)
        return [*effects, _accepted(publish, etag, expires)]

    def note(self, publish: PublishReceived, refusal: Refusal | None, now: float) -> None:
        """Remember a PUBLISH that was refused, for who looks why a lamp shows nothing; None: it was taken."""
        aor = self._domains.aor_of(publish.request.target)
        if aor is None or aor not in self._directory.extensions:
            return
        key = publish.request.flow.host, aor
        before = self.refused.pop(key, None)
        if refusal and refusal.status not in EXPECTED:
            times = before.times + 1 if before else 1
            self.refused[key] = RefusedPublish(now, refusal.status, str(refusal), times)
            if len(self.refused) > MOST_REFUSED:
                del self.refused[next(iter(self.refused))]

    def _named(self, publish: PublishReceived, publisher: Publisher) -> Publication | None:
        """The publication that SIP-If-Match names; None where a new one is meant."""
        if not publish.if_match:
            return None
        if len(publish.if_match) > 1:
            raise Refusal(400, "More than one SIP-If-Match")
        known = self._by_etag.get(publish.if_match[0])
        if known is None or known.saved.publisher != publisher.name:
            raise Refusal(412, "No such entity-tag")
        return known

    def _granted(self, asked: int | None) -> int:
        of = self._settings
        return granted(asked, of.publish_default_expires, of.publish_min_expires, of.publish_max_expires)

    def _refresh(
        self, publish: PublishReceived, old: Publication, publisher: Publisher, expires: int, now: float
    ) -> list[Effect]:
        if not expires:
            return [*self._remove(old.saved.etag, now), _accepted(publish, self._new_tag(), 0)]
        saved = old.saved._replace(etag=self._new_tag(), expires_at=now + expires, proof=publisher.proof)
        effects = self._replace(old, self._composition.refreshed(old, saved), now)
        return [*effects, _accepted(publish, saved.etag, expires)]

    def _whose(self, target: Uri, entity: str, publisher: Publisher) -> Aor:
        """The extension that the document's entity names, or else the Request-URI, where the entity has the
        same user in another domain, or none. Raises Refusal."""
        user, host = user_and_host(entity)
        tenant = self._domains.tenant_of(host)
        named = [Aor(tenant.domain, user)] if tenant else []
        if user in ("", target.user) and (asked := self._domains.aor_of(target)):
            named.append(asked)
        aor = next((aor for aor in named if aor in self._directory.extensions), None)
        if aor is None:
            raise Refusal(404, visible(f"{user or target.user or 'This'} does not exist"))
        if not publisher.may_publish(aor):
            text = f"{publisher.name} publishes the state of {aor} and may not{_lets(publisher, aor)}"
            raise Refusal(403, f"You may not publish the state of {aor.extension}", (), text)
        if not self._is_published(aor):
            text = (
                f"{publisher.name} publishes the state of {aor}, whose calls are carried here: refused; "
                f"{command(aor.tenant, 'extension', 'set', aor.extension, '--owner', 'published')} takes it"
            )
            raise Refusal(403, f"The calls of {aor.extension} are carried here", (), text)
        return aor

    def _make_room(self, aor: Aor, old: Publication | None, coming: int, now: float) -> list[Effect]:
        """Drop the oldest for one with so many dialogs in the place of `old`, where there is one."""
        effects: list[Effect] = []
        others = [publication for publication in self.of(aor) if publication is not old]
        dialogs = sum(len(publication.dialogs) for publication in others) + coming
        while len(others) >= MOST_OF_EXTENSION or (others and dialogs > MOST_DIALOGS_OF_EXTENSION):
            oldest = others.pop(0)
            dialogs -= len(oldest.dialogs)
            effects += self._remove(oldest.saved.etag, now)
        return effects

    def _check_limits(self, aor: Aor, publisher: Publisher) -> None:
        for tally, owner, whose, setting in (
            (self._of_tenant, aor.tenant, f"tenant {aor.tenant}", "tenant_publications"),
            (self._of_publisher, publisher.name, f"publisher {publisher.name}", "source_publications"),
        ):
            if tally.full(owner):
                raise too_many("publications", tally.most, whose, aor, setting)

    @staticmethod
    def _skipped(aor: Aor, publisher: Publisher, fault: str) -> Effect:
        text = f"{publisher.name} publishes of {aor} what cannot be read and is left out: {fault}"
        return Log(Level.WARNING, visible(text, 300))

    # What lives

    def _add(self, publication: Publication, now: float) -> None:
        saved = publication.saved
        self._by_etag[saved.etag] = publication
        self._composition.add(publication)
        self._of_publisher.add(saved.publisher)
        self._of_tenant.add(saved.aor.tenant)
        self.timers.set(saved.etag, saved.expires_at)
        self._composition.compose(saved.aor, now)

    def _drop(self, etag: str) -> Aor:
        publication = self._by_etag.pop(etag)
        saved = publication.saved
        self.timers.cancel(etag)
        self._composition.remove(publication)
        self._of_publisher.remove(saved.publisher)
        self._of_tenant.remove(saved.aor.tenant)
        return saved.aor

    def _replace(self, old: Publication | None, new: Publication, now: float) -> list[Effect]:
        effects: list[Effect] = [SavePublication(new.saved.etag, new.saved)]
        if old:
            self._drop(old.saved.etag)
            effects.insert(0, SavePublication(old.saved.etag, None))
        self._add(new, now)
        return effects

    def _remove(self, etag: str, now: float) -> list[Effect]:
        self._composition.compose(self._drop(etag), now)
        return [SavePublication(etag, None)]

    def _expire(self, etag: str, now: float) -> list[Effect]:
        """Nobody has refreshed a publication: it is over, and so is what it says."""
        saved = self._by_etag[etag].saved
        log = Log(Level.INFO, f"what {saved.publisher} published of {saved.aor} has expired")
        return [*([log] if self._composition.is_shown(saved.aor) else ()), *self._remove(etag, now)]


def _accepted(publish: PublishReceived, etag: str, expires: int) -> Reply:
    headers = (("SIP-ETag", etag), ("Expires", str(expires)))
    return Reply(publish.request.transaction, 200, "OK", headers)


def _lets(publisher: Publisher, aor: Aor) -> str:
    """What lets an account publish the state of others, which are those of its own tenant alone."""
    own = publisher.extension
    if own is None or own.aor.tenant != aor.tenant:
        return ""
    return f": {command(aor.tenant, 'extension', 'set', own.aor.extension, '--publish', 'on')} lets it"
