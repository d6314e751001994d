"""The one loop: feeds the core, performs its effects, starts and stops everything. No decisions."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import FrameType

from blfd import __version__, logs
from blfd.config import Config
from blfd.control import ControlError, ControlServer, socket_path
from blfd.core import hosts
from blfd.core.access.limits import Rates
from blfd.core.access.nonces import MARK_OCTETS
from blfd.core.core import Core
from blfd.core.effects import (
    Effect,
    FindProfile,
    Locate,
    Log,
    Notify,
    NotifyAll,
    Reply,
    SaveBindings,
    SaveCalls,
    SavePickup,
    SavePublication,
    SaveSubscription,
    SetRules,
    TellSaved,
)
from blfd.core.events.subscription import AHEAD
from blfd.core.inputs import (
    BindingsRestored,
    CallsRestored,
    DirectoryChanged,
    Drain,
    Input,
    Located,
    ProfileFound,
    PublicationsRestored,
    Saved,
    SubscriptionsRestored,
)
from blfd.core.locations import Locations
from blfd.core.next_hop import NextHops
from blfd.core.saved import SavedCall, SavedSeat
from blfd.core.values import TRANSPORTS, UDP
from blfd.devices.values import place
from blfd.pjsip.calls import Calls
from blfd.pjsip.errors import PjsipError
from blfd.pjsip.selfcheck import SelfCheckFailed, check_layouts
from blfd.server.control_calls import ControlCalls
from blfd.server.own_rules import OwnRules
from blfd.server.settling import Settling
from blfd.server.systemd import Systemd
from blfd.server.thread_work import Work
from blfd.server.web_process import WebProcess, WebProcessError, start
from blfd.sip.call_ids import CallIds
from blfd.sip.own_uris import OwnUris
from blfd.sip.stack import Stack
from blfd.sip.tokens import Tokens
from blfd.store import Store, StoreError
from blfd.store.writer import StoreWriter
from blfd.transport.addresses import ListenAddress
from blfd.transport.certificates import CertificateError, Certificates, authority, faults
from blfd.transport.network import Network
from blfd.transport.resolver import Resolver

log = logging.getLogger("blfd")

LONGEST_WAIT = 1.0
RENEWAL = 1.0  # seconds between looks whether certificates have changed
SWITCH = 0.001  # seconds that a thread may keep the interpreter from the SIP thread, which sends often
STOP_PATIENCE = 5.0  # seconds for BYEs, CANCELs and last NOTIFYs to be answered
STOP_QUIET = 2.0  # seconds after the last answer: who has not answered by then is not there
SAME_WISH = 1.0  # what ends a process often comes twice, as from a terminal and from a supervisor
ENDED_BY = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class ServerError(Exception):
    """The server cannot start; the text says what to do."""


class Server:
    """Owns the SIP thread's world: the stack, the core and the queue of other threads' work."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._store = Store(config.database)
        self._saved: deque[tuple[int, ...]] = deque()
        self._writer = StoreWriter(self._store.records, self._tell_saved)
        sip = config.sip

        def trusts(host: str) -> bool:
            return self._core.trusts(host)

        self._settling = Settling(self._begin, self._perform)
        self.emit = self._settling.emit
        handshakes = Rates(sip.source_handshakes)
        self._certificates = _certificates(config)
        network = Network(
            lambda host, count: count < sip.source_connections or trusts(host),
            sip.slowest_message,
            certificates=self._certificates,
            may_shake_hands=lambda host: (
                trusts(host) or handshakes.take(hosts.sender(host), time.monotonic())
            ),
        )
        own_uris = OwnUris(network, config.address)
        locations = Locations()

        def is_edge(host: str) -> bool:
            return self._core.is_edge(host)

        next_hops = NextHops(is_edge, network.leads_here, locations, network.connections.may_reach)
        call_ids = CallIds(self._store.records.secret("calls"))
        self._calls = Calls(
            network, own_uris, next_hops, call_ids, self.emit, sip.session_expires, verbose=config.verbose
        )
        self._stack = Stack(
            network,
            own_uris,
            self._calls,
            self.emit,
            user_agent=f"blfd/{__version__}",
            max_waiting=sip.max_waiting,
            source_requests=sip.source_requests,
            trusts=trusts,
        )
        self._work = Work(self._stack.wake)
        self._lookups = ThreadPoolExecutor(1, "lookups")
        self._resolver = Resolver(
            config.dns_servers,
            lambda server, location: self._answer_later(Located(server, location)),
        )
        self._own_rules = OwnRules(self._store, self._answer_later)
        self._renewed_at = 0.0  # a time of time.monotonic()
        self._systemd = Systemd()
        self._stopping_since: float | None = None  # a time of time.monotonic()
        self._cut_short_by = 0  # number of the signal, 0 for none
        self._listening = self._listen()
        self._core = Core(
            config.sip,
            self._own_hosts(),
            secret=self._store.records.secret("nonces"),
            mark=os.urandom(MARK_OCTETS).hex(),
            new_tag=Tokens().new,
            leads_here=network.leads_here,
            may_reach=network.connections.may_reach,
            locations=locations,
            adopt=network.adopt,
        )
        self._settling.handle = self._core.handle
        self._control_calls = ControlCalls(
            self._core,
            self._stack,
            self._calls,
            self._store,
            self._work,
            self.emit,
            config.sip,
            self._listening,
            place(self._listening, config.address, "", authority(config.tls)),
            self._writer,
        )

    def _own_hosts(self) -> list[str]:
        """What phones may call this server: where it listens, `address`, and the names in certificates."""
        served = self._certificates.served if self._certificates else ()
        names = [name for one in served for name in one.names if "*" not in name]
        listening = [address.host for address in self._listening]
        return [host for host in dict.fromkeys((*listening, self._config.address, *names)) if host]

    def _listen(self) -> list[ListenAddress]:
        """Open all listeners: the addresses that they listen on."""
        try:
            check_layouts(self._calls.endpoint)
        except SelfCheckFailed as error:
            raise ServerError(str(error)) from error
        opened = []
        for wanted in self._config.listen:
            try:
                opened.append(self._stack.listen(wanted))
            except OSError as error:
                raise ServerError(
                    f"cannot listen on {wanted}: {error.strerror}; "
                    "stop what uses it, or choose another with --listen"
                ) from error
        if self._config.pnp:
            self._listen_for_new_phones(self._config.pnp)
        return opened

    def _listen_for_new_phones(self, group: ListenAddress) -> None:
        if not self._config.provision:
            raise ServerError("--pnp tells phones where their files are: give --provision as well")
        if not any(one.transport == UDP.name and one.reaches(group.host) for one in self._config.listen):
            raise ServerError("--pnp answers over UDP and IPv4: give --listen udp:0.0.0.0:5060 as well")
        try:
            self._stack.listen_multicast((group.host, group.port))
        except OSError as error:
            text = f"cannot listen on {group} for new phones: {error.strerror}"
            raise ServerError(f"{text}; stop what uses it, or leave --pnp out") from error

    # The core

    def _begin(self) -> float:
        self._stack.client.notifies.changed_at = time.monotonic()
        return time.time()

    def _perform(self, effect: Effect) -> None:
        match effect:  # the most frequent ones first
            case Notify() | Reply() | NotifyAll():
                self._stack.perform(effect)
            case SaveSubscription() | SaveBindings() | SavePublication() | SaveCalls() | TellSaved():
                self._writer.save(effect)
            case SavePickup():
                self._writer.save(effect)
                self._control_calls.pickups[effect.attempt.way.value, effect.attempt.status] += 1
                self._core.changes.attempt(effect.attempt)
            case Log():
                log.log(effect.level, "%s", effect.text)
            case SetRules():
                self._own_rules.set(effect)
            case Locate():
                self._resolver.ask(effect.server)
            case FindProfile():
                self._lookups.submit(self._find_profile, effect)
            case _:
                self._stack.perform(effect)

    def _fire_timers(self) -> float:
        """Fire the core's timers: the seconds until the next."""
        now = time.time()
        at = self._core.next_timer()
        if at is not None and at <= now:
            self._settling.settle(self._core.handle_timer(self._begin()))
            at = self._core.next_timer()
        return LONGEST_WAIT if at is None else min(LONGEST_WAIT, max(0.0, at - now))

    # Other threads

    def _answer_later(self, event: Input) -> None:
        """Give the core an input, from another thread."""
        self._work.later(lambda: self.emit(event))

    def _tell_saved(self, numbers: tuple[int, ...]) -> None:
        """Note what is saved, from the writer's thread; while the server stops, too."""
        self._saved.append(numbers)
        self._stack.wake()

    def _answer_saved(self) -> None:
        while self._saved:
            self.emit(Saved(self._saved.popleft()))

    def _find_profile(self, effect: FindProfile) -> None:
        """Find where a phone's files are, on a thread of its own, since it reads the database."""
        from blfd.devices.phones import Phones  # all of provisioning, which few servers need

        try:
            url = Phones(self._store, lambda: self._control_calls.place).profile(effect.mac)
        except StoreError as error:
            log.error("PnP: device %s is not told where its files are: %s", effect.mac, error)
            url = None
        except Exception:  # the question waits for an answer, whatever we have got wrong about it
            log.exception("PnP: device %s is not told where its files are", effect.mac)
            url = None
        found = ProfileFound(effect.wanted, effect.mac, url)
        self._answer_later(found)

    # Life

    def run(self) -> int:
        """Serve until SIGTERM, SIGINT or SIGHUP: the exit code."""
        for number in ENDED_BY:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves SIGHUP
                signal.signal(number, self._on_signal)
        try:  # first, as it is what keeps a second server off this database
            control = ControlServer(socket_path(self._config.database), self._control_calls.ask)
        except (ControlError, OSError) as error:
            raise ServerError(str(error)) from error
        web_process = self._start_web_process(control)
        sys.setswitchinterval(SWITCH)
        gc.disable()  # what is made now is not garbage
        self.emit(DirectoryChanged(self._store.directory()))
        self._restore()
        # Most of it lives until the end, too: the collector need not look at it again.
        gc.freeze()
        gc.enable()
        gc.set_threshold(100_000, 50, 100)  # cycles are rare here, and a full pass halts every phone
        print("ready", *self._listening, flush=True)
        self._systemd.ready()
        log.info("serving on %s, database %s", ", ".join(map(str, self._listening)), self._config.database)
        try:
            while self._stopping_since is None:
                self._turn(self._fire_timers())
            self._systemd.stopping()
            self._work.close()
            if web_process:
                web_process.leave()
            self._drain()
        finally:
            self._writer.close()  # first, so that whatever comes now, what was accepted is on the disk
            if web_process:
                web_process.close()
            control.close()
            self._own_rules.close()
            self._lookups.shutdown(cancel_futures=True)
            self._resolver.close()
            self._stack.close()
        log.info("stopped")
        return 128 + self._cut_short_by if self._cut_short_by else 0

    def _start_web_process(self, control: ControlServer) -> WebProcess | None:
        try:
            web_process, urls = start(self._config, self._control_calls.place)
        except WebProcessError as error:
            control.close()
            raise ServerError(str(error)) from error
        self._control_calls.urls = urls
        self._control_calls.place = replace(self._control_calls.place, url=urls.get("provision", ""))
        return web_process

    def _restore(self) -> None:
        """Go on with the phones, calls and watchers of before, through the listeners of today."""
        records, adopt = self._store.records, self._stack.network.adopt
        bindings = [(b, adopt(b.flow)) for b in records.bindings()]
        self.emit(BindingsRestored(tuple(replace(b, flow=flow) for b, flow in bindings if flow)))
        self.emit(PublicationsRestored(tuple(records.publications())))
        self._restore_calls()
        saved = [(s, adopt(s.flow)) for s in records.subscriptions(AHEAD)]
        found = tuple(s if flow is s.flow else s._replace(flow=flow) for s, flow in saved if flow)
        self.emit(SubscriptionsRestored(found))
        for one, flow in saved:
            if flow is None:
                self._writer.save(SaveSubscription(one.key, None))
        if saved:
            log.info(
                "%d subscriptions go on, %d cannot be reached any more", len(found), len(saved) - len(found)
            )

    def _restore_calls(self) -> None:
        """Go on with calls before those who watch are told, so that they see no other state between."""
        found: list[SavedCall] = []
        lost: list[SavedCall] = []
        halves = [seat for half in self._store.records.halves() if (seat := self._by_today(half.seat))]
        for call in self._store.records.calls(AHEAD):
            ends = [self._by_today(seat) for seat in (call.caller, call.callee)]
            reached = [seat for seat in ends if seat]
            if len(reached) == 2:
                found.append(call._replace(caller=reached[0], callee=reached[1]))
            else:
                lost.append(call)
        self.emit(CallsRestored(tuple(found), tuple(lost), tuple(halves)))

    def _by_today(self, seat: SavedSeat) -> SavedSeat | None:
        flow = self._stack.network.adopt(seat.saved.flow)
        return seat._replace(saved=seat.saved._replace(flow=flow)) if flow else None

    def _turn(self, wait: float) -> None:
        self._stack.poll(wait if self._stopping_since is None else 0.0)
        self._answer_saved()
        self._work.run()
        self._systemd.turned()
        if self._certificates and time.monotonic() >= self._renewed_at + RENEWAL:
            self._renewed_at = time.monotonic()
            self._lookups.submit(self._certificates.renew)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """Obey the first signal to the end; another one, later, leaves out what is waited for."""
        now = time.monotonic()
        if self._stopping_since is None:
            self._stopping_since = now
        elif now - self._stopping_since >= SAME_WISH:
            self._cut_short_by = number
        self._stack.wake()

    def _drain(self) -> None:
        """Hang up what cannot go on in the next process, or all that there is; tell the watchers if asked to;
        and give the answers a moment."""
        self.emit(Drain(self._config.drain, self._config.hang_up_on_stop))
        now = time.monotonic()
        end, quiet, left = now + STOP_PATIENCE, now + STOP_QUIET, self._leaving()
        while left and now < min(end, quiet) and not self._cut_short_by:
            self._stack.poll(0.05)
            self._answer_saved()
            now, before, left = time.monotonic(), left, self._leaving()
            if left < before:
                quiet = now + STOP_QUIET

    def _leaving(self) -> int:
        """How many legs and registrations end, PUBLISHes wait for the disk and, with `drain`, subscriptions
        are not confirmed to have ended."""
        leaving = self._calls.legs.ending() + len(self._core.registrations) + self._core.compositor.unanswered
        return leaving + (len(self._core.notifier.subscriptions) if self._config.drain else 0)


def _certificates(config: Config) -> Certificates | None:
    """The certificates that TLS is served with, if it is; what phones will not like of it is told. Raises
    ServerError."""
    if not any(TRANSPORTS[listen.transport].secure for listen in config.listen):
        return None
    try:
        certificates = Certificates(config.tls)
    except CertificateError as error:
        raise ServerError(f"cannot serve with TLS: {error}") from None
    for number, one in enumerate(certificates.served):
        log.info("TLS: %s", one)
        for fault in faults(one, "" if number else config.address, config.tls.ca, time.time()):
            log.warning("TLS: %s", fault)
    if config.tls.oldest < "1.2":
        log.warning("TLS %s is let in for old phones: it protects from nobody who is able", config.tls.oldest)
    return certificates


def run(config: Config) -> int:
    """`blfd run`: returns the exit code; raises ServerError and StoreError."""
    logs.start(logging.DEBUG if config.verbose else logging.INFO, config.log_format)
    try:
        server = Server(config)
    except PjsipError as error:
        raise ServerError(f"PJSIP did not start: {error}") from error
    return server.run()
