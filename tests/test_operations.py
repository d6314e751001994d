"""Operations that are done at the same time, and at sites where something is broken already."""

from __future__ import annotations

import contextlib
import json
import queue
import re
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from unittest.mock import Mock

import pytest

from blfd.control import MAX_REQUEST, ControlClient, ControlServer, socket_path
from blfd.core.core import Core
from blfd.core.directory import Rule
from blfd.core.effects import SetRules
from blfd.core.inputs import DirectoryChanged, Input, RulesSet
from blfd.core.settings import Settings
from blfd.core.values import Aor
from blfd.devices.phones import Phones
from blfd.devices.values import Place, Wanted
from blfd.operations import (
    Desk,
    admins,
    devices,
    extensions,
    groups,
    overrides,
    routes,
    tenants,
    trunks,
    upstreams,
)
from blfd.operations.sentences import sentence
from blfd.server.control_calls import ControlCalls
from blfd.server.own_rules import OwnRules
from blfd.server.thread_work import Work
from blfd.store import Conflict, NewExtension, NotFound, Store, StoreError
from blfd.store.admins import Admin, Role
from blfd.store.audit import Change
from blfd.store.devices import DeviceRow
from provisioning import KeyKind, sync_event

MAC, OTHER = "80:5e:c0:12:34:56", "00:04:13:00:00:01"
PLACE = Place("192.0.2.5", {"udp": 5060, "tcp": 5060}, "http://192.0.2.5:8080")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "blfd.db")
    store.extensions.add(
        "default", [NewExtension(str(number), "x", f"N {number}") for number in range(101, 106)]
    )
    return store


def desk_of(store: Store, who: str = "me", place: Place = PLACE) -> Desk:
    return Desk(store, ControlClient(socket_path(store.path)), Phones(store, lambda: place), who)


@pytest.fixture
def desk(store: Store) -> Desk:
    return desk_of(store)


def both(store: Store, *changes: Callable[[], object]) -> list[BaseException | None]:
    """Do changes at the same time, and return their errors.

    Each has come as far as the database lets it before one of them may write.
    """
    held = sqlite3.connect(store.path, isolation_level=None)
    held.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(len(changes)) as pool:
        asked = [pool.submit(change) for change in changes]
        assert not wait(asked, 0.3).done
        held.execute("ROLLBACK")
        held.close()
        return [future.exception(20) for future in asked]


def test_partial_changes_of_one_phone_both_hold(store: Store, desk: Desk) -> None:
    devices.add(desk, "default", Wanted(MAC, "yealink/t54w", ("101",), "102"))
    failed = both(
        store,
        lambda: devices.change(desk, "default", MAC, keys="103"),
        lambda: devices.change(desk, "default", MAC, transport="tcp"),
    )
    assert failed == [None, None]
    row = devices.get(desk, "default", MAC)
    assert (row["keys"], row["transport"]) == ("103", "tcp")


def test_the_last_who_looks_after_the_system_stays(store: Store, desk: Desk) -> None:
    for name in ("root", "second"):
        admins.add(desk, name, "correct horse", None)
    failed = both(
        store,
        lambda: admins.remove(desk_of(store, "root"), "second"),
        lambda: admins.remove(desk_of(store, "second"), "root"),
    )
    assert sum(error is None for error in failed) == 1
    assert len(admins.all(desk)) == 1


def test_who_signs_in_with_a_password_that_is_changed_meanwhile(store: Store, desk: Desk) -> None:
    admins.add(desk, "root", "correct horse", None)
    old = store.admins.get("root")
    admins.change(desk, "root", password="another horse")
    assert store.admins.open_session(old) is None
    assert store.admins.open_session(Admin("nobody", None, old.role)) is None
    assert admins.sign_in(store, "root", "another horse")
    assert admins.sign_in(store, "root", "correct horse") is None


@pytest.mark.parametrize("text", ["\ud800" + "x" * 12, "x" * 12 + "\udfff"])
def test_half_characters_are_no_password(store: Store, desk: Desk, text: str) -> None:
    with pytest.raises(StoreError, match="no sound text"):
        admins.add(desk, "root", text, None)
    assert admins.sign_in(store, text, text) is None


def test_a_page_that_goes_on_by_itself_keeps_a_viewer_alone_signed_in(store: Store, desk: Desk) -> None:
    for role, stays in ((Role.ADMINISTRATOR, False), (Role.VIEWER, True)):
        admins.add(desk, role.value, "correct horse", "default", role)
        secret = admins.sign_in(store, role.value, "correct horse")
        assert secret
        before = 7 * 3600.0
        with store.writing() as db:
            db.execute("UPDATE sessions SET used_at = used_at - ?", [before])
        assert store.admins.session(secret, used=False)
        with store.writing() as db:
            db.execute("UPDATE sessions SET used_at = used_at - ?", [2 * 3600.0])
        assert bool(store.admins.session(secret)) == stays, role


def test_a_tenants_changes_begin_with_its_making(store: Store, desk: Desk) -> None:
    tenants.add(desk, "acme.example", [])
    extensions.add(desk, "acme.example", NewExtension("101", "x", "Old customer"))
    tenants.remove(desk, "acme.example")
    tenants.add(desk, "acme.example", [])
    extensions.add(desk, "acme.example", NewExtension("102", "x", "New customer"))
    told = [change.subject for change in store.audit.changes("acme.example")]
    assert told == ["102", "acme.example"]
    assert len(store.audit.changes(None)) == 5, "the system's view has all"


def test_keys_that_are_a_groups_follow_it(desk: Desk) -> None:
    groups.add(desk, "default", "sales", ["101"], ["102", "103"])
    devices.add(desk, "default", Wanted(MAC, "yealink/t54w", ("101",), "team:sales"))
    groups.change(desk, "default", "sales", ["101"], ["102"], rename="sellers")
    assert devices.get(desk, "default", MAC)["keys"] == "team:sellers"
    with pytest.raises(StoreError, match=f"group sellers: the keys of {MAC} are its members"):
        groups.remove(desk, "default", "sellers")
    devices.change(desk, "default", MAC, keys="102")
    groups.remove(desk, "default", "sellers")


def test_many_phones_are_looked_at_as_each_by_itself(desk: Desk) -> None:
    """What is read once for many phones is what would be read for each of them."""
    groups.add(desk, "default", "sales", ["101"], ["101", "103"])
    kinds = ("team", "team:sales", "102,103=Bob,*98=Group,line:1", "")
    for at, keys in enumerate((*kinds, *kinds)):
        model = ("yealink/t54w", "snom/d785")[at % 2]
        devices.add(desk, "default", Wanted(f"80:5e:c0:00:01:{at:02x}", model, (f"10{1 + at % 3}",), keys))
    phones, rows = desk.phones, desk.phones.all("default")
    for survey in (phones.survey("default"), phones.survey_of(rows)):
        assert phones.watched(rows, survey) == phones.watched(rows)
        for row in rows:
            device = phones.device(row)
            assert phones.fit(row, survey) == phones.fit(row)
            assert phones.device(row, survey) == device
            assert survey.watched(row) == {key.value for key in device.keys if key.kind is KeyKind.BLF}
            assert list(phones.layers(row, survey)) == list(phones.layers(row))
    assert [phones.fit(rows[at]).wanted for at in (1, 5)] == [2, 1]  # 103 is in sales itself
    shown = {row["mac"]: row for row in devices.all(desk, "default")}
    assert all(devices.show(desk, "default", mac)[0].items() >= row.items() for mac, row in shown.items())


def test_each_of_many_phones_is_told_to_fetch_its_files(store: Store, desk: Desk) -> None:
    rows = [DeviceRow(f"{at:012x}", "default", "yealink/t54w", (f"{at}", "all")) for at in range(1200)]
    rows += [DeviceRow("00", "default", "polycom/vvx450", ("1", "2"))]
    client, told = Mock(spec=ControlClient), list[tuple[str, str]]()

    def call(name: str, tenant: str, extensions: list[str], event: str) -> int:
        told.extend((extension, event) for extension in extensions)
        assert len(json.dumps(extensions)) < MAX_REQUEST / 2
        return len(extensions)

    client.call.side_effect = call
    wanted = {(extension, sync_event(row.model)) for row in rows for extension in row.extensions}
    done = devices.sync_rows(Desk(store, client, desk.phones, "me"), "default", rows)
    assert done == (len(wanted), len(rows))
    assert sorted(told) == sorted(wanted)


def test_what_is_done_to_many_phones_is_done_to_all_or_none(desk: Desk) -> None:
    macs = [f"80:5e:c0:00:02:{at:02x}" for at in range(3)]
    for mac in macs:
        devices.add(desk, "default", Wanted(mac, "yealink/t54w", ("101",), "102"))
    chosen, version = macs[:2], devices.loss_by_renewal_of_many(desk, "default", macs[:2]).version
    before = desk.phones.all("default")
    devices.renew_many(desk, "default", chosen, version)
    after = desk.phones.all("default")
    changed = [
        (old.password, old.secret) != (new.password, new.secret)
        for old, new in zip(before, after, strict=True)
    ]
    assert changed == [True, True, False]
    devices.change(desk, "default", macs[0], keys="103")
    with pytest.raises(Conflict):
        devices.renew_many(desk, "default", chosen, version)
    assert desk.phones.all("default")[1] == after[1]
    for value in ("Mars/Base", "Europe/Berlin"):
        with contextlib.suppress(StoreError):
            overrides.set_many(desk, "default", chosen, "timezone", value)
    overrides.set_many(desk, "default", chosen, "features.dnd.allow", None)
    own = [overrides.own(desk, "default", mac) for mac in macs]
    assert [[(row["name"], row["value"]) for row in rows] for rows in own] == [
        [("features.dnd.allow", None), ("timezone", "Europe/Berlin")],
        [("features.dnd.allow", None), ("timezone", "Europe/Berlin")],
        [],
    ]
    overrides.unset_many(desk, "default", macs[1:], "timezone")
    assert [len(overrides.own(desk, "default", mac)) for mac in macs] == [2, 1, 0]
    with pytest.raises(NotFound, match="set for none of these phones"):
        overrides.unset_many(desk, "default", macs[1:], "timezone")
    said = [sentence(change) for change in desk.store.audit.changes("default", limit=4)]
    assert said == [
        f"took back timezone for 1 phone ({macs[1]})",
        f"set features.dnd.allow for 2 phones ({macs[0]} and {macs[1]})",
        f"set timezone for 2 phones ({macs[0]} and {macs[1]})",
        f"changed phone {macs[0]}: keys",
    ]


def test_a_broken_phone_says_so_and_keeps_nobody_from_anything(store: Store, desk: Desk) -> None:
    devices.add(desk, "default", Wanted(OTHER, "snom/d785", ("101", "102"), "line:2"))
    devices.add(desk, "default", Wanted(MAC, "yealink/t54w", ("103",), "104"))
    extensions.remove(desk, "default", "102")
    watched = desk.phones.watched(desk.phones.all("default"))
    assert watched["805ec0123456"] == {"104"}
    assert "a key is for line 2, and it has 1" in str(watched["000413000001"])
    row, pages = devices.show(desk, "default", OTHER)
    assert (row["mac"], pages) == (OTHER, [])
    overrides.set(desk, "default", "*", "features.dnd.allow", "0")
    with pytest.raises(NotFound, match="no device"):
        overrides.set(desk, "default", "805ec0999999", "x", "1")
    elsewhere = Place("192.0.2.5", {"udp": 5060}, "")
    devices.change(desk, "default", MAC, transport="tcp")
    phones = desk_of(store, place=elsewhere).phones
    said = str(phones.watched(phones.all("default"))["805ec0123456"])
    assert "transport 'tcp': the server listens on udp" in said


def test_what_is_set_is_tried_on_new_phones_too(desk: Desk) -> None:
    overrides.set(desk, "default", "*", "not an XML name", "1")
    with pytest.raises(StoreError, match="not an XML name"):
        devices.add(desk, "default", Wanted("00:0e:08:00:00:01", "cisco/spa504g", ("101",)))
    with pytest.raises(StoreError, match="name no group"):
        devices.add(desk, "default", Wanted(MAC, "yealink/t54w", ("101",), "team:"))


def test_a_lines_key_has_no_extensions_name(store: Store, desk: Desk) -> None:
    store.extensions.add("default", [NewExtension("2", "x", "Zed")])
    devices.add(desk, "default", Wanted(MAC, "yealink/t54w", ("101", "102"), "line:2"))
    _, (page, *_) = devices.show(desk, "default", MAC)
    assert [key["label"] for key in page["keys"][:3]] == ["N 101", "N 102", "N 102"]


def test_no_password_of_a_phone_is_kept_in_the_audit(store: Store, desk: Desk) -> None:
    overrides.set(desk, "default", "yealink", "static.security.user_password", "admin:h1dden")
    devices.add(
        desk, "default", Wanted(MAC, "yealink/t54w", ("101",), settings=(("P2 AdminPswd", "h1dden"),))
    )
    assert "h1dden" not in str(store.audit.changes("default"))
    assert desk.phones.store.overrides.settings("default", "yealink")["static.security.user_password"]


def test_the_server_is_told_the_newest_last(store: Store) -> None:
    """This holds however long the first one takes to read the database."""
    told: list[int] = []
    work = Work(lambda: None)
    core = Core(Settings(), {"127.0.0.1"}, secret=b"x" * 32, mark="000000", new_tag=lambda: "a")
    slow, reading = threading.Event(), threading.Event()
    read = store.directory

    def directory() -> object:
        found = read()
        if not reading.is_set():
            reading.set()
            slow.wait(30)
        return found

    def emit(event: Input) -> None:
        assert isinstance(event, DirectoryChanged)
        told.append(len(event.directory.extensions))

    sluggish = Mock(directory=directory)
    answers = ControlCalls(
        core,
        Mock(),
        Mock(),
        sluggish,
        work,
        emit,
        Settings(),
        [],
        PLACE,
        Mock(),
    )
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(answers.ask, "reload", {})
        assert reading.wait(30)
        store.extensions.add("default", [NewExtension("200", "x")])
        second = pool.submit(answers.ask, "reload", {})
        threading.Timer(0.2, slow.set).start()
        while not (first.done() and second.done()):
            work.run()
    assert told == [5, 6]


def test_where_calls_go_is_checked_kept_and_in_the_audit(store: Store, desk: Desk) -> None:
    rules = {"dnd": True, "forward_always": " 102 ", "forward_no_answer": "103", "forward_after": 15}
    row = extensions.change(desk, "default", "101", forwarding=rules)
    assert (row["dnd"], row["forward_always"], row["forward_after"]) == (True, "102", 15)
    assert extensions.goes(row) == "do not disturb, always: 102, no answer for 15 s: 103"
    row = extensions.change(desk, "default", "101", forwarding={"dnd": False, "forward_busy": None})
    assert extensions.goes(row) == "always: 102, no answer for 15 s: 103"
    (change, *_) = store.audit.changes("default")
    assert change.before
    assert change.after
    assert (change.before["dnd"], change.after["dnd"]) == (True, False)
    extensions.change(desk, "default", "102", forwarding={"forward_always": "103"})
    with pytest.raises(StoreError, match="in a circle: 103 to 101 to 102 to 103"):
        extensions.change(desk, "default", "103", forwarding={"forward_always": "101"})
    loss = extensions.loss(desk, "default", "103")
    assert "Calls of 101, 102 are no longer forwarded to it." in loss.text
    extensions.remove(desk, "default", "103")
    assert extensions.goes(extensions.get(desk, "default", "101")) == "always: 102"


def test_calls_go_outside_where_a_route_leads_and_the_tenant_lets_them(desk: Desk) -> None:
    trunks.add(desk, "default", "carrier", {"servers": ["192.0.2.7"]})
    routes.add(desk, "default", "0.", {"trunks": ["carrier"]})
    routes.add(desk, "default", "112", {"trunks": ["carrier"], "emergency": True})
    row = extensions.change(desk, "default", "101", forwarding={"forward_always": "0170"})
    assert extensions.goes(row) == "always: 0170"
    for number, words in (("+49170", "no extension here"), ("112", "for emergencies")):
        with pytest.raises(StoreError, match=words):
            extensions.change(desk, "default", "102", forwarding={"forward_busy": number})
    tenants.change(desk, "default", send_outside=False)
    with pytest.raises(StoreError, match="no extension here"):
        extensions.change(desk, "default", "102", forwarding={"forward_busy": "0170"})
    extensions.change(desk, "default", "101", forwarding={"forward_always": ""})


def test_a_trunk_and_an_upstream_of_a_removed_extension_can_be_changed(desk: Desk) -> None:
    dids = ["+49301=102", "+493012x=10x"]
    trunks.add(desk, "default", "carrier", {"servers": ["192.0.2.7"], "dids": dids, "default": "103"})
    upstreams.add(desk, "default", "pbx", {"servers": ["192.0.2.8"], "extensions": ["102"]})
    loss = "Numbers of trunk carrier lead nowhere then."
    assert loss not in extensions.loss(desk, "default", "101").text
    assert loss in extensions.loss(desk, "default", "102").text
    assert loss in extensions.loss_of_many(desk, "default", ["101", "103"]).text
    for gone in ("102", "103"):
        extensions.remove(desk, "default", gone)
    assert trunks.change(desk, "default", "carrier", {"enabled": False})["enabled"] is False
    assert trunks.change(desk, "default", "carrier", {"dids": [*dids, "+49302=101"]})["default"] == "103"
    assert upstreams.change(desk, "default", "pbx", {"enabled": False})["enabled"] is False
    with pytest.raises(StoreError, match=r"'999' in '.*' is no extension here"):
        trunks.change(desk, "default", "carrier", {"dids": [*dids, "+49302=999"]})
    trunks.change(desk, "default", "carrier", {"dids": [], "default": ""})
    with pytest.raises(StoreError, match=r"'102' in '.*' is no extension here"):
        trunks.change(desk, "default", "carrier", {"dids": dids})


def test_what_clashes_as_it_is_stored_keeps_nothing_else_from_being_changed(desk: Desk) -> None:
    """Made by hand or an older version: what is not being changed is not checked."""
    tenants.add(desk, "acme.example")
    desk.store.extensions.add("acme.example", [NewExtension("101", "x")])
    at, none = {"servers": ["192.0.2.7"]}, {"dids": ["+491=101", "+492=101"]}
    trunks.add(desk, "default", "carrier", at | none)
    trunks.add(desk, "acme.example", "carrier", at | {"dids": ["+493=101"]})
    peer = {"mode": "peer-registers", "password": "x"}
    for name in ("a", "b"):
        trunks.add(desk, "default", name, peer | {"username": f"gate-{name}"})
        upstreams.add(desk, "default", name, at | {"extensions": [f"{ord(name)}xx"]})
    routes.add(desk, "default", "0.", {"trunks": ["carrier"]})
    with contextlib.closing(sqlite3.connect(desk.store.path)) as db, db:
        db.execute("UPDATE trunks SET settings = replace(settings, '+493', '+491')")
        db.execute("UPDATE trunks SET settings = replace(settings, 'gate-b', 'gate-a')")
        db.execute("UPDATE upstreams SET settings = replace(settings, '98xx', '97xx')")
        db.execute("UPDATE routes SET pattern = '*97.'")  # a code that a tenant got later
    for tenant, said in (("acme.example", {"ping": 60}), ("default", {"max_calls": 2})):
        trunks.change(desk, tenant, "carrier", said)
        with pytest.raises(StoreError, match=r"\+492 is a number of another tenant"):
            trunks.change(desk, "acme.example", "carrier", {"dids": ["+491=101", "+492=101"]})
    assert trunks.change(desk, "default", "b", {"password": "y"})["username"] == "gate-a"
    with pytest.raises(StoreError, match="another one registers as gate-a"):
        trunks.change(desk, "default", "carrier", peer | {"servers": [], "username": "gate-a"})
    assert upstreams.change(desk, "default", "b", {"rate": 2})["extensions"] == ["97xx"]
    upstreams.change(desk, "default", "a", {"extensions": ["97xx", "9xxx"]})
    with pytest.raises(StoreError, match="9xxx is of upstream a as well"):
        upstreams.change(desk, "default", "b", {"extensions": ["97xx", "9xxx"]})
    assert routes.change(desk, "default", "*97.", {"prefix": "0"})["prefix"] == "0"
    with pytest.raises(StoreError, match=r"\*97 is a code here"):
        routes.change(desk, "default", "*97.", {"emergency": True})
    for tenant in ("default", "acme.example"):
        assert trunks.change(desk, tenant, "carrier", {"enabled": False})["enabled"] is False


def test_no_extension_has_the_name_by_which_a_trunk_registers(desk: Desk) -> None:
    peer = {"mode": "peer-registers", "username": "gateway", "password": "s3cret"}
    with pytest.raises(StoreError, match="102 is an extension"):
        trunks.add(desk, "default", "peer", {**peer, "username": "102"})
    trunks.add(desk, "default", "peer", peer)
    new = NewExtension("gateway", "s3cret")
    with pytest.raises(StoreError, match="trunk peer registers as gateway"):
        extensions.add(desk, "default", new, force=True)
    with pytest.raises(StoreError, match="trunk peer registers as gateway"):
        extensions.put_many(desk, "default", [new], update=True)
    trunks.change(desk, "default", "peer", {"username": "another"})
    assert extensions.add(desk, "default", new)["extension"] == "gateway"


def test_no_route_is_set_that_a_code_takes(desk: Desk) -> None:
    trunks.add(desk, "default", "carrier", {"servers": ["192.0.2.7"]})
    for pattern, code in (("*97.", "*97"), ("*72.", "*72"), ("*98", "*98")):
        with pytest.raises(StoreError, match=re.escape(f"route {pattern}: {code} is a code here")):
            routes.add(desk, "default", pattern, {"trunks": ["carrier"]})
    with pytest.raises(StoreError, match="route 101: extension 101 gets all its calls"):
        routes.add(desk, "default", "101", {"trunks": ["carrier"]})
    assert routes.add(desk, "default", "101", {"trunks": ["carrier"]}, force=True)["pattern"] == "101"
    assert routes.add(desk, "default", "1xx", {"trunks": ["carrier"]})["pattern"] == "1xx"
    tenants.change(desk, "default", pickup_code="*55")
    assert routes.add(desk, "default", "*97.", {"trunks": ["carrier"]})["pattern"] == "*97."
    with pytest.raises(StoreError, match="trunks has carrier twice"):
        routes.change(desk, "default", "*97.", {"trunks": ["carrier", "carrier"]})


def test_no_two_upstreams_are_asked_for_one_lamp(desk: Desk) -> None:
    pbx = {"servers": ["192.0.2.7"], "extensions": ["2xx"]}
    upstreams.add(desk, "default", "pbx", pbx)
    other = {"servers": ["192.0.2.8"], "extensions": ["3xx", "2xx"]}
    with pytest.raises(StoreError, match="upstream other: 2xx is of upstream pbx as well"):
        upstreams.add(desk, "default", "other", other)
    upstreams.add(desk, "default", "other", {**other, "extensions": ["20x"]})
    with pytest.raises(StoreError, match="upstream pbx: 20x is of upstream other as well"):
        upstreams.change(desk, "default", "pbx", {"extensions": ["20x"]})
    upstreams.change(desk, "default", "pbx", {"extensions": ["20x"], "enabled": False})
    with pytest.raises(StoreError, match="20x is of upstream other as well"):
        upstreams.change(desk, "default", "pbx", {"enabled": True})


def test_phones_get_the_codes_and_features_of_their_tenant(store: Store, desk: Desk) -> None:
    devices.add(desk, "default", Wanted(MAC, "yealink/t54w", ("101",)))
    tenants.change(desk, "default", star_codes={"dnd": "#78", "forward_busy": ""}, feature_sync=False)
    (row,) = desk.phones.all("default")
    service = desk.phones.service(row, desk.phones.survey_of([row]))
    assert service.star_codes == ("#78", "*79", "*73", "*91", "*93")
    assert (service.prefix_codes, service.feature_sync) == (("*72", "*92", "*67", "*68"), False)
    assert service.dial_plan.needs_pound


def own(store: Store, *rules: Rule) -> RulesSet:
    """Store the rules that the phone of 101 sets, and return what the core is told."""
    answers: queue.SimpleQueue[RulesSet] = queue.SimpleQueue()
    own_rules = OwnRules(store, answers.put)
    own_rules.set(SetRules(7, Aor("default", "101"), rules))
    answer = answers.get(timeout=20)
    own_rules.close()
    return answer


def test_what_a_phone_sets_is_a_change_like_others(store: Store, desk: Desk) -> None:
    assert own(store, Rule("no_answer", "103"), Rule("after", 30)) == RulesSet(7, 200)
    assert extensions.goes(extensions.get(desk, "default", "101")) == "no answer for 30 s: 103"
    (change, *_) = store.audit.changes("default")
    assert (change.who, change.operation, change.subject) == ("101 (its phone)", "extension.change", "101")
    extensions.change(desk, "default", "103", forwarding={"forward_always": "101"})
    assert own(store, Rule("always", "103")) == RulesSet(
        7, 403, "calls would go in a circle: 101 to 103 to 101"
    )
    assert own(store, Rule("always", "999")).status == 403
    assert store.audit.changes("default")[0].subject == "103"
    with store.writing() as db:
        db.execute("DROP TABLE audit")
    assert own(store, Rule("dnd", True)) == RulesSet(7, 500, "It cannot be stored now")
    assert extensions.get(desk, "default", "101")["dnd"] is False, "all or nothing"


def test_a_phone_is_told_when_the_server_has_not_taken_over_what_it_sets(store: Store) -> None:
    def refuse(name: str, arguments: object) -> None:
        raise ValueError("no")

    server = ControlServer(socket_path(store.path), refuse)
    try:
        assert own(store, Rule("dnd", True)) == RulesSet(7, 500, "It is stored, and does not hold yet")
    finally:
        server.close()


def test_a_late_edit_is_a_conflict(desk: Desk) -> None:
    with pytest.raises(Conflict, match="changed by somebody else"):
        extensions.change(desk, "default", "101", name="Late", expected="stale")


def group_of(*pickers: str, targets: tuple[str, ...] = ()) -> dict[str, object]:
    return {"name": "sales", "pickers": list(pickers), "targets": list(targets or pickers)}


@pytest.mark.parametrize(
    ("operation", "subject", "before", "after", "told"),
    [
        ("extension.add", "105", None, {"name": ""}, "added extension 105"),
        ("extension.change", "105", {"name": "a"}, {"name": "b"}, "changed extension 105: name"),
        ("extension.remove", "105", {"name": "a"}, None, "removed extension 105"),
        ("group.add", "sales", None, group_of("9", "10"), "added group sales with 9 and 10"),
        ("group.change", "sales", group_of("9"), group_of("9", "105"), "added 105 to group sales"),
        (
            "group.change",
            "sales",
            group_of("9", "10"),
            group_of("10", "11", targets=("9", "10", "12")),
            "added 11 to who picks up in group sales, added 12 to whose calls are picked up in group sales, "
            "removed 9 from who picks up in group sales",
        ),
        (
            "group.change",
            "sales",
            group_of("9"),
            {**group_of("9"), "name": "shop"},
            "renamed group sales to shop",
        ),
        ("group.change", "sales", group_of("9"), group_of("9"), "saved group sales as it was"),
        (
            "extension.import",
            "extensions",
            {"101": {"name": "a"}, "102": {"name": "b"}},
            {"101": {"name": "a"}, "102": {"name": "c"}, "103": {}},
            "added 1 extension (103), changed 1 extension (102) from a file",
        ),
        (
            "device.many",
            "phones",
            {str(n): {"keys": ""} for n in range(9)},
            {},
            "removed 9 phones (0, 1, 2, 3, 4, 5 and 3 more)",
        ),
        ("device.secrets", MAC, {}, {}, f"looked at the passwords of phone {MAC}"),
        ("setting.set", "*", {}, {"timezone": "Asia/Oral"}, "set timezone to Asia/Oral for all phones"),
        ("setting.set", "yealink", {}, {"refetch": None}, "left refetch out for yealink"),
        ("setting.unset", "yealink", {"refetch": "9"}, {}, "took refetch back for yealink"),
        ("admin.change", "a", {"role": "viewer"}, {"role": "administrator"}, "changed administrator a: role"),
        ("upstream.add", "pbx", None, {}, "added upstream pbx"),
    ],
)  # fmt: skip
def test_changes_as_sentences(
    operation: str,
    subject: str,
    before: dict[str, object] | None,
    after: dict[str, object] | None,
    told: str,
) -> None:
    assert sentence(Change(1, 0.0, "alice", "default", operation, subject, before, after)) == told
