"""The one loop: feeds the core, performs its effects, starts and stops everything. No decisions."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import time
from collections import deque
from contextlib import ExitStack
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
    Failed,
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
from blfd.core.inputs import (
    DirectoryChanged,
    Drain,
    Input,
    Located,
    ProfileFound,
    Saved,
)
from blfd.core.locations import Locations
from blfd.core.next_hop import NextHops
from blfd.core.values import DEFAULT_TENANT
from blfd.devices.values import place
from blfd.pjsip.calls import Calls
from blfd.pjsip.errors import PjsipError
from blfd.server.clock import Clock
from blfd.server.control_calls import ControlCalls
from blfd.server.listening import ServerError, certificates_of, listen, own_hosts
from blfd.server.own_rules import OwnRules
from blfd.server.restoring import restore
from blfd.server.settling import Settling
from blfd.server.systemd import Systemd
from blfd.server.thread_work import Work, Worker
from blfd.server.turning import turn_until
from blfd.server.web_process import WebProcess, WebProcessError, start
from blfd.sip.call_ids import CallIds
from blfd.sip.own_uris import OwnUris
from blfd.sip.stack import Stack
from blfd.sip.tokens import Tokens
from blfd.store import Store, StoreError
from blfd.store.writer import StoreWriter
from blfd.transport.certificate import authority
from blfd.transport.network import Network
from blfd.transport.resolver import Resolver

log = logging.getLogger("blfd")

LONGEST_WAIT = 1.0
RENEWAL = 1.0  # seconds between looks whether certificates have changed
SWITCH = 0.001  # seconds that a thread may keep the interpreter from the SIP thread, which sends often
STOP_PATIENCE = 5.0  # seconds for BYEs, CANCELs and last NOTIFYs to be answered
STOP_QUIET = 2.0  # seconds after the last response: who has not answered by then is not there
SAME_WISH = 1.0  # what ends a process often comes twice, as from a terminal and from a supervisor
ENDED_BY = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Server:
    """Owns the SIP thread's world: the stack, the core and the queue of other threads' work."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._store = Store(config.database)
        self._clock = Clock()
        self._saved: deque[tuple[int, ...]] = deque()
        self._writer = StoreWriter(self._store.records, self._tell_saved)
        self._settling = Settling(self._begin, self._perform)
        self.emit = self._settling.emit
        self._certificates = certificates_of(config)
        network, locations = self._made_network(), Locations()
        own_uris = OwnUris(network, config.address)
        self._calls = self._made_calls(network, own_uris, locations)
        self._stack = self._made_stack(network, own_uris)
        self._work = Work(self._stack.wake)
        self._lookups = Worker("lookups")
        self._resolver = Resolver(
            config.dns_servers,
            lambda server, location: self._answer_later(Located(server, location)),
        )
        self._own_rules = OwnRules(self._store, self._answer_later)
        self._renewed_at = 0.0  # a time of time.monotonic()
        self._systemd = Systemd()
        self._stopping_since: float | None = None  # a time of time.monotonic()
        self._cut_short_by = 0  # number of the signal, 0 for none
        self._listening = listen(self._stack, self._calls.endpoint, config)
        self._core = self._made_core(network, locations)
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
            self._clock.now,
        )

    def _made_network(self) -> Network:
        sip = self._config.sip
        handshakes = Rates(sip.source_handshakes)
        return Network(
            lambda host, count: count < sip.source_connections or self._trusts(host),
            sip.slowest_message,
            certificates=self._certificates,
            may_shake_hands=lambda host: (
                self._trusts(host) or handshakes.take(hosts.sender(host), time.monotonic())
            ),
        )

    def _made_calls(self, network: Network, own_uris: OwnUris, locations: Locations) -> Calls:
        return Calls(
            network,
            own_uris,
            NextHops(
                lambda host: self._core.is_edge(host),
                network.leads_here,
                locations,
                network.connections.may_reach,
            ),
            CallIds(self._store.records.secret("calls")),
            self.emit,
            self._config.sip.session_expires,
            verbose=self._config.verbose,
        )

    def _made_stack(self, network: Network, own_uris: OwnUris) -> Stack:
        return Stack(
            network,
            own_uris,
            self._calls,
            self.emit,
            user_agent=f"blfd/{__version__}",
            max_waiting=self._config.sip.max_waiting,
            source_requests=self._config.sip.source_requests,
            trusts=self._trusts,
        )

    def _made_core(self, network: Network, locations: Locations) -> Core:
        return Core(
            self._config.sip,
            own_hosts(self._listening, self._config, self._certificates),
            secret=self._store.records.secret("nonces"),
            mark=os.urandom(MARK_OCTETS).hex(),
            new_tag=Tokens().new,
            leads_here=network.leads_here,
            may_reach=network.connections.may_reach,
            locations=locations,
            adopt=network.adopt,
        )

    def _trusts(self, host: str) -> bool:
        return self._core.trusts(host)

    # The core

    def _begin(self) -> float:
        self._stack.client.notifies.changed_at = time.monotonic()
        return self._clock.now()

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
                self._lookups.later(self._find_profile, effect)
            case Failed():
                raise effect.error
            case _:
                self._stack.perform(effect)

    def _fire_timers(self) -> float:
        """Fire the core's timers: the seconds until the next."""
        now = self._clock.now()
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

        tenant = DEFAULT_TENANT
        try:
            url, tenant = Phones(self._store, lambda: self._control_calls.place).profile(effect.mac)
        except StoreError as error:
            log.error("PnP: device %s is not told where its files are: %s", effect.mac, error)
            url = None
        except Exception:  # the question waits for an answer, whatever we have got wrong about it
            log.exception("PnP: device %s is not told where its files are", effect.mac)
            url = None
        found = ProfileFound(effect.wanted, effect.mac, url, tenant)
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
        with self._ends(control, web_process):
            self._begin_to_serve()
            turn_until(lambda: self._stopping_since is not None, self._turn)
            self._systemd.stopping()
            self._work.close()
            if web_process:
                web_process.leave()
            self._drain()
        log.info("stopped")
        return 128 + self._cut_short_by if self._cut_short_by else 0

    def _ends(self, control: ControlServer, web_process: WebProcess | None) -> ExitStack:
        """What ends with the server, whatever has ended it; each does, whatever becomes of the others."""
        ends = ExitStack()  # the last one is the first to end
        ends.callback(self._stack.close)
        ends.callback(self._resolver.close)
        ends.callback(self._lookups.close)
        ends.callback(self._own_rules.close)
        ends.callback(control.close)
        if web_process:
            ends.callback(web_process.close)
        ends.callback(self._work.close)  # nobody waits for this thread where something else has ended it
        ends.callback(self._writer.close)  # so that whatever comes now, what was accepted is on the disk
        return ends

    def _begin_to_serve(self) -> None:
        """Go on with what an earlier process has left, and say that we are there."""
        sys.setswitchinterval(SWITCH)
        gc.disable()  # what is made now is not garbage
        self.emit(DirectoryChanged(self._store.directory()))
        restore(self._store.records, self._stack.network.adopt, self.emit, self._writer.save)
        # Most of it lives until the end, too: the collector need not look at it again.
        gc.freeze()
        gc.enable()
        # Cycles are rare here. Each pass halts every phone: one over 1,000 young objects for some 0.4 ms, one
        # over ten times as many for 4, which in sum is the same; and a full one for longer.
        gc.set_threshold(1000, 5000, 100)
        print("ready", *self._listening, flush=True)
        self._systemd.ready()
        log.info("serving on %s, database %s", ", ".join(map(str, self._listening)), self._config.database)

    def _start_web_process(self, control: ControlServer) -> WebProcess | None:
        try:
            web_process, urls = start(self._config, self._control_calls.place)
        except WebProcessError as error:
            control.close()
            raise ServerError(str(error)) from error
        self._control_calls.urls = urls
        self._control_calls.place = replace(self._control_calls.place, url=urls.get("provision", ""))
        return web_process

    def _turn(self) -> None:
        wait = self._fire_timers()
        self._stack.poll(wait if self._stopping_since is None else 0.0)
        self._answer_saved()
        self._work.run()
        self._systemd.turned()
        if step := self._clock.set_by():
            self._clock_was_set(step)
        if self._certificates and time.monotonic() >= self._renewed_at + RENEWAL:
            self._renewed_at = time.monotonic()
            self._lookups.later(self._certificates.renew)

    def _clock_was_set(self, step: float) -> None:
        """Have what is stored follow the system's clock; what goes on here does not."""
        way = "forward" if step > 0 else "back"
        text = "the system's clock was set %s by %.0f s: nothing expires sooner or later by that"
        log.warning(text, way, abs(step))
        self._writer.clock_set(self._clock.offset)
        self._calls.legs.clock_set(step)

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
        and give the responses a moment."""
        try:
            self.emit(Drain(self._config.drain, self._config.hang_up_on_stop))
        except Exception:  # those who were told wait for our answers all the same
            log.exception("not all could be told that the server stops")
        began = quiet_since = time.monotonic()
        left = self._leaving()

        def is_over() -> bool:
            nonlocal left, quiet_since
            now, before, left = time.monotonic(), left, self._leaving()
            if left < before:
                quiet_since = now
            return (
                not left
                or now >= min(began + STOP_PATIENCE, quiet_since + STOP_QUIET)
                or bool(self._cut_short_by)
            )

        def turn() -> None:
            self._stack.poll(0.05)
            self._answer_saved()

        turn_until(is_over, turn)

    def _leaving(self) -> int:
        """How many legs and registrations end, PUBLISHes wait for the disk and, with `drain`, subscriptions
        are not confirmed to have ended."""
        leaving = self._calls.legs.ending() + len(self._core.registrations) + self._core.compositor.held
        return leaving + (len(self._core.notifier.subscriptions) if self._config.drain else 0)


def run(config: Config) -> int:
    """`blfd run`: returns the exit code; raises ServerError and StoreError."""
    logs.start(logging.DEBUG if config.verbose else logging.INFO, config.log_format)
    try:
        server = Server(config)
    except PjsipError as error:
        raise ServerError(f"PJSIP did not start: {error}") from error
    return server.run()
