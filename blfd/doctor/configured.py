"""What is set and cannot work as it should: certificates, trunks, upstreams, settings of phones."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from blfd.config import Config
from blfd.core.advice import command
from blfd.core.directory import Directory, Owner
from blfd.core.trunks.faults import faults as faults_of_trunks
from blfd.core.trunks.outgoing import route_of
from blfd.core.trunks.remote import wrong_sources
from blfd.core.upstreams.upstream import clashes
from blfd.devices.survey import watched_singly
from blfd.doctor.finding import Finding, some
from blfd.store import Store, StoreError
from blfd.transport.certificate import CertificateError, load
from blfd.transport.certificate_faults import faults
from provisioning import written_mac


def phones_settings(path: Path, tenant: str) -> Iterator[Finding]:
    """Whether phones that fetch their files from here are told the time of their place, and reach help."""
    if not os.path.exists(path):
        return
    with contextlib.suppress(StoreError):  # which is a finding of its own
        store = Store(path)
        if not store.devices.all(tenant):
            return
        if not store.overrides.has(tenant, "timezone"):
            advice = command(tenant, "provision", "set", "*", "timezone", "Europe/Berlin")
            yield Finding(
                "warning", "phones are not told their time zone: their clocks are their maker's", advice
            )
        yield from _emergency_numbers(store, tenant)
        yield from _keys_of_nobody(store, tenant)


def _emergency_numbers(store: Store, tenant: str) -> Iterator[Finding]:
    """The emergency numbers that phones dial by themselves as such, and that no emergency route has."""
    said = [*store.overrides.all(tenant), *store.overrides.all(None)]
    texts = (value or "" for _, name, value in said if name == "emergency-numbers")
    wanted = sorted({number for text in texts for number in text.split(",") if number})
    routes = store.trunks.routes(tenant)
    for number in wanted:
        found = route_of(routes, tenant, number)
        if found is None or not found.emergency:
            what = f"phones dial {number} as an emergency number, and no emergency route has it"
            options = ("--trunks", "NAME", "--emergency", "on", "--caller-id", "NUMBER")
            advice = command(tenant, "route", "add", number, *options)
            yield Finding("fault", what, advice)


def _keys_of_nobody(store: Store, tenant: str) -> Iterator[Finding]:
    """Keys of stored phones that watch extensions that do not exist (any more)."""
    known = store.extensions.names(tenant).keys()
    found = {written_mac(row.mac): watched_singly(row) - known for row in store.devices.all(tenant)}
    missing = set[str]().union(*found.values())
    if missing:
        having = {mac for mac, those in found.items() if those}
        do = "which does not exist" if len(missing) == 1 else "which do not exist"
        what = f"keys of {some(having)} watch {some(missing)}, {do}"
        shows = command(tenant, "device", "show", min(having))
        change = command(tenant, "device", "set", min(having), "--keys")
        advice = f"{shows} marks them, {change} gives the phone others"
        yield Finding("warning", what, advice)


def certificates(config: Config) -> Iterator[Finding]:
    """Whether phones will take the certificates: dates, names, chain."""
    tls = config.tls
    for number, files in enumerate(tls.certificates):
        try:
            one = load(files, tls)
        except CertificateError as error:
            yield Finding("fault", f"{error}", "until then it is not served, after a renewal the old one is")
            continue
        found = list(faults(one, "" if number else config.address, tls.ca, time.time()))
        yield from (Finding("warning", *fault) for fault in found)
        if not found:
            yield Finding("ok", f"{one}")
    if tls.oldest < "1.2" and tls.certificates:
        advice = "replace the phones that need it, and leave `oldest` out"
        yield Finding("warning", f"TLS {tls.oldest} is let in", advice)


def of_lines(directory: Directory, tenant: str) -> Iterator[Finding]:
    """What is wrong with the trunks, routes and upstreams as they are set."""
    yield from _numbers(directory, tenant)
    yield from _unwatched(directory, tenant)
    yield from _claimed(directory, tenant)


def _unwatched(directory: Directory, tenant: str) -> Iterator[Finding]:
    """Extensions whose lamps an upstream should know, and none does."""
    found = {
        aor.extension
        for aor, extension in directory.extensions.items()
        if aor.tenant == tenant
        and directory.owner(extension) is Owner.UPSTREAM
        and directory.upstream(aor) is None
    }
    if found:
        what = f"{some(found)}: no upstream has their lamps"
        change = command(tenant, "upstream", "set", "NAME", "--extensions")
        yield Finding("warning", what, f"{change} names whose lamps it knows")


def _claimed(directory: Directory, tenant: str) -> Iterator[Finding]:
    """Upstreams that claim to know the same extensions, or that anybody could speak for."""
    found_here = (one for one in directory.upstreams if one.tenant == tenant)
    of_tenant = sorted(found_here, key=lambda one: one.name)
    for number, one in enumerate(of_tenant):
        if found := next(clashes(one, of_tenant[number + 1 :]), None):
            what = f"upstreams {one.name} and {found[1]} both have {found[0]}: one of them is asked"
            change = command(tenant, "upstream", "set", one.name, "--extensions")
            yield Finding("warning", what, f"{change} says which knows it")
        for text in wrong_sources(f"upstream {one.name}", one.sources):
            advice = command(tenant, "upstream", "set", one.name, "--source")
            yield Finding("fault", text, f"{advice} gives it others")


def _numbers(directory: Directory, tenant: str) -> Iterator[Finding]:
    """Numbers from outside that lead nowhere, and an emergency that nobody can tell of."""
    for fault in faults_of_trunks(directory, tenant):
        yield Finding("fault" if fault.breaks else "warning", fault.what, fault.advice)
