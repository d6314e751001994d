"""Provisioned phones of a tenant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence, Set
from datetime import datetime
from itertools import islice
from typing import NamedTuple

import provisioning
from blfd.control import ControlError, NotRunning
from blfd.core import phones_seen
from blfd.devices.phones import Checked
from blfd.devices.states import device_states
from blfd.devices.survey import watched_singly
from blfd.devices.values import Fit, Wanted
from blfd.operations.desk import Desk, Row, etag, told
from blfd.operations.loss import Loss, counted, some_of
from blfd.store import Outcome, StoreError
from blfd.store.devices import DeviceRow
from provisioning import ProvisioningError, normal_mac, written_mac

AT_ONCE = 500  # extensions in one request to the server, so that their names fit into it


def row(device: DeviceRow) -> Row:
    """What an administrator says of a phone; nothing secret."""
    return {
        "mac": written_mac(device.mac),
        "tenant": device.tenant,
        "model": device.model,
        "extensions": list(device.extensions),
        "keys": device.keys,
        "transport": device.transport,
        "modules": device.modules,
    }


class Overview(NamedTuple):
    """All phones of a tenant, and how each is; `full` says all of one, which takes longer."""

    phones: list[DeviceRow]
    states: dict[str, str]
    full: Callable[[DeviceRow], Row]


def overview(desk: Desk, tenant: str) -> Overview:
    phones = desk.phones.all(tenant)
    survey = desk.phones.survey_of(phones)
    states = _states(desk, tenant, phones, desk.phones.watched(phones, survey))
    return Overview(phones, states, lambda one: _full(one, states[one.mac], desk.phones.fit(one, survey)))


def all(desk: Desk, tenant: str) -> list[Row]:
    """All phones: when each last fetched its files, whether it works, how many of its team have no key."""
    found = overview(desk, tenant)
    return [found.full(phone) for phone in found.phones]


def show(desk: Desk, tenant: str, mac: str) -> tuple[Row, list[Row]]:
    """One phone's row, with its `url`, which holds its secret; and the pages of its keys.

    `missing` are the extensions that its keys watch and that do not exist (any more).
    """
    device = desk.phones.get(tenant, mac)
    with_these = desk.store.devices.with_any(tenant, device.extensions)
    state = _states(desk, tenant, with_these, desk.phones.watched([device]), device.extensions)[device.mac]
    try:
        layout = desk.phones.layout(device)
    except StoreError:
        layout = ()  # the state says why
    pages = [{"title": page.title, "keys": [key._asdict() for key in page.keys]} for page in layout]
    full = _full(device, state, desk.phones.fit(device))
    watched = watched_singly(device)
    missing = sorted(watched - desk.store.devices.names(tenant, watched).keys())
    return {**full, "missing": missing, "url": desk.phones.url(device)}, pages


def fit(desk: Desk, tenant: str, mac: str) -> Fit:
    """How many of a phone's team have a key on it."""
    return desk.phones.fit(desk.phones.get(tenant, mac))


def secrets(desk: Desk, tenant: str, mac: str) -> Row:
    """The users of the phone's web page and their passwords. The audit keeps who has looked at them."""
    device = desk.phones.get(tenant, mac)
    with desk.change(
        tenant, "device.secrets", written_mac(device.mac), lambda: get(desk, tenant, mac), reloads=False
    ):
        admin, user = provisioning.web_users(device.model)
    return {
        "admin": admin,
        "admin_password": device.admin_password,
        "user": user,
        "user_password": device.user_password,
    }


def _full(device: DeviceRow, state: str, fit: Fit) -> Row:
    """A phone's row, with what it has done and how it is."""
    fetch = device.fetch
    return {
        **row(device),
        "fetched": datetime.fromtimestamp(fetch.at).isoformat(" ", "seconds") if fetch else "never",
        "from": fetch.address if fetch else "",
        "firmware": fetch.user_agent if fetch else "",
        "state": state,
        "left_out": fit.left_out,
    }


def _states(
    desk: Desk,
    tenant: str,
    rows: list[DeviceRow],
    wanted: Mapping[str, Set[str] | str],
    extensions: Sequence[str] | None = None,
) -> dict[str, str]:
    """The states of phones that are `wanted`; `extensions` are those of `rows`, where these are not all."""
    of = {} if extensions is None else {"extensions": extensions}
    try:
        seen = phones_seen.read(desk.client.call("phones", tenant=tenant, **of))
    except (NotRunning, ControlError):
        return dict.fromkeys(wanted, "no server runs")
    return device_states(rows, wanted, seen.registered, seen.watching)


def get(desk: Desk, tenant: str, mac: str) -> Row:
    return row(desk.phones.get(tenant, mac))


def only_of_many(desk: Desk, tenant: str, extensions: Container[str]) -> list[str]:
    """Phones that have no other extensions than these."""
    return [
        written_mac(device.mac)
        for device in desk.phones.all(tenant)
        if not any(extension not in extensions for extension in device.extensions)
    ]


def watching(desk: Desk, tenant: str, extensions: Collection[str]) -> list[str]:
    """Phones with a key that shows the lamp of one of these extensions."""
    rows = desk.phones.all(tenant)
    watched, those = desk.phones.watched(rows, desk.phones.survey_of(rows)), set(extensions)
    return [
        written_mac(mac)
        for mac, keys in watched.items()
        if not isinstance(keys, str) and not those.isdisjoint(keys)
    ]


def add(desk: Desk, tenant: str, wanted: Wanted) -> Row:
    """Add a phone. Raises Exists."""
    checked = desk.phones.checked(tenant, [wanted])
    unseen = _own(wanted.settings)
    subject = written_mac(checked[0].row.mac)
    with desk.change(tenant, "device.add", subject, lambda: get(desk, tenant, subject), unseen=unseen):
        desk.phones.keep(checked)
    return get(desk, tenant, subject)


def _own(settings: tuple[tuple[str, str], ...]) -> Row | None:
    """The settings of one phone alone, as the audit keeps them; None without any."""
    return {"settings": told(settings)} if settings else None


def change(
    desk: Desk,
    tenant: str,
    mac: str,
    *,
    model: str | None = None,
    extensions: Iterable[str] | None = None,
    keys: str | None = None,
    transport: str | None = None,
    modules: int | str | None = None,
    settings: tuple[tuple[str, str], ...] = (),
    expected: str | None = None,
) -> Row:
    """Change what is given of a phone; it keeps its password, its address for files and other settings."""
    if (model, extensions, keys, transport, modules) == (None,) * 5 and not settings:
        advice = "give --model, --extension, --keys, --transport, --modules or --set"
        raise StoreError("nothing to change", advice)

    def look() -> Row:
        return get(desk, tenant, mac)

    subject = written_mac(desk.phones.get(tenant, mac).mac)
    with desk.change(tenant, "device.change", subject, look, expected, unseen=_own(settings)):
        known = desk.phones.get(tenant, mac)  # in the transaction: others change other fields of it
        wanted = Wanted(
            mac,
            known.model if model is None else model,
            known.extensions if extensions is None else tuple(extensions),
            known.keys if keys is None else keys,
            known.transport if transport is None else transport,
            known.modules if modules is None else modules,
            settings,
        )
        desk.phones.change(tenant, wanted)
    return get(desk, tenant, mac)


def loss(desk: Desk, tenant: str, mac: str) -> Loss:
    """What is lost when a phone is removed."""
    found = get(desk, tenant, mac)
    text = "It gets no files any more, and its SIP password is worth nothing."
    own = len(desk.store.overrides.settings(tenant, normal_mac(mac)))
    if own:
        text += f" {counted(own, 'setting')} of its own {'goes' if own == 1 else 'go'} with it."
    return Loss(f"phone {found['mac']}", text, etag(found))


def loss_by_renewal(desk: Desk, tenant: str, mac: str) -> Loss:
    """What is lost when a phone is renewed."""
    found = get(desk, tenant, mac)
    text = "It is out of service until it has fetched its files from its new address with its new secret."
    return Loss(f"phone {found['mac']}", text)


def remove(desk: Desk, tenant: str, mac: str, expected: str | None = None) -> None:
    """Remove a phone, whose SIP password is worth nothing from then on."""
    subject = written_mac(desk.phones.get(tenant, mac).mac)
    with desk.change(tenant, "device.remove", subject, lambda: get(desk, tenant, mac), expected):
        desk.phones.remove(tenant, mac)


def many(desk: Desk, tenant: str, macs: Iterable[str]) -> list[DeviceRow]:
    """Those of the phones with these MACs that exist, in the order of their MACs."""
    those = {bare(mac) for mac in macs}
    return [device for device in desk.phones.all(tenant) if device.mac in those]


def change_many(
    desk: Desk, tenant: str, macs: Iterable[str], *, keys: str | None = None, transport: str | None = None
) -> None:
    """Change phones alike, all or none. Raises StoreError with all that is wrong."""
    wanted = (
        Wanted(
            written_mac(device.mac),
            device.model,
            device.extensions,
            device.keys if keys is None else keys,
            device.transport if transport is None else transport,
            device.modules,
        )
        for device in many(desk, tenant, macs)
    )
    put_many(desk, tenant, wanted, True, "device.many")


def remove_many(desk: Desk, tenant: str, macs: Iterable[str], expected: str | None = None) -> None:
    """Remove phones, all or none."""
    found = many(desk, tenant, macs)
    look = _look(desk, tenant, {device.mac for device in found})
    with desk.change(tenant, "device.many", "devices", look, expected):
        for device in found:
            desk.phones.remove(tenant, device.mac)


def loss_of_many(desk: Desk, tenant: str, macs: Iterable[str]) -> Loss:
    """What is lost when phones are removed."""
    found = many(desk, tenant, macs)
    text = "They get no files any more, and their SIP passwords are worth nothing."
    own = [device for device in found if desk.store.overrides.settings(tenant, device.mac)]
    if own:
        text += f" Settings of {counted(len(own), 'phone')} of them go, too."
    return _loss(desk, tenant, found, text)


def _loss(desk: Desk, tenant: str, found: list[DeviceRow], text: str) -> Loss:
    names = [written_mac(device.mac) for device in found]
    version = etag(_look(desk, tenant, {device.mac for device in found})())
    return Loss(f"{counted(len(names), 'phone')} ({some_of(names)})", text, version)


def _look(desk: Desk, tenant: str, macs: Container[str]) -> Callable[[], Row]:
    """A function that looks up the rows of several phones, by MAC, for the audit."""

    def look() -> Row:
        found = [row(device) for device in desk.phones.all(tenant) if device.mac in macs]
        return {each.pop("mac"): each for each in found}

    return look


def renew(desk: Desk, tenant: str, mac: str) -> None:
    """Give a phone other passwords and another secret, since it was reset or its secret has leaked."""
    subject = written_mac(desk.phones.get(tenant, mac).mac)
    with desk.change(tenant, "device.renew", subject, lambda: get(desk, tenant, mac)):
        desk.phones.renew(tenant, mac)


def renew_many(desk: Desk, tenant: str, macs: Iterable[str], expected: str | None = None) -> None:
    """Renew several phones, all or none."""
    found = many(desk, tenant, macs)
    look = _look(desk, tenant, {device.mac for device in found})
    with desk.change(tenant, "device.renew_many", "devices", look, expected):
        for device in found:
            desk.store.devices.renew(device.mac)


def loss_by_renewal_of_many(desk: Desk, tenant: str, macs: Iterable[str]) -> Loss:
    """What is lost when phones are renewed."""
    text = "Each is out of service until it has fetched its files from its new address with its new secret."
    return _loss(desk, tenant, many(desk, tenant, macs), text)


def bare(mac: str) -> str:
    """A MAC as it is kept; "" for what is none, whose fault is told with those of the other fields."""
    try:
        return normal_mac(mac)
    except ProvisioningError:
        return ""


def put_many(
    desk: Desk,
    tenant: str,
    wanted: Iterable[Wanted],
    update: bool,
    operation: str,
) -> list[Checked]:
    """Add phones, and with `update` change those that exist: all or none.

    Where nothing is to be changed, nothing is done. Raises StoreError with all that is wrong.
    """
    checked = desk.phones.checked(tenant, wanted, update)  # slow for thousands, so nobody waits for it
    writing = {each.row.mac for each in checked if each.outcome is not Outcome.UNCHANGED}
    if writing:
        look = _look(desk, tenant, writing)
        with desk.change(tenant, operation, "devices", look, expected=etag(look())):
            desk.phones.keep(checked)
    return checked


def sync(desk: Desk, tenant: str, mac: str | None) -> tuple[int, int]:
    """Have one phone, or all with None, fetch its files now.

    Returns how many registered phones were told, and how many devices were meant. Raises NotRunning and
    ControlError.
    """
    return sync_rows(desk, tenant, desk.phones.all(tenant) if mac is None else [desk.phones.get(tenant, mac)])


def sync_many(desk: Desk, tenant: str, macs: Iterable[str]) -> tuple[int, int]:
    """Have several phones fetch their files; returns what `sync` does."""
    return sync_rows(desk, tenant, many(desk, tenant, macs))


def sync_rows(desk: Desk, tenant: str, rows: list[DeviceRow]) -> tuple[int, int]:
    """Have phones fetch their files; returns and raises what `sync` does."""
    count = 0
    for event, extensions in desk.phones.syncs(rows).items():
        several = iter(sorted(extensions))
        while some := [*islice(several, AT_ONCE)]:
            count += desk.client.call("sync", tenant=tenant, extensions=some, event=event)
    return count, len(rows)
