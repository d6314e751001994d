"""Files that are imported and exported: what was written is what is read, and nothing else changes."""

from __future__ import annotations

import csv
import io
import json
import threading
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Blfd
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import Console

from blfd.cli import progress
from blfd.control import ControlClient, socket_path
from blfd.core.directory import Forwarding
from blfd.devices.phones import Phones
from blfd.devices.values import Place, Wanted
from blfd.operations import Desk, device_files, devices, extensions, table
from blfd.operations.imports import Counts
from blfd.operations.sentences import sentence
from blfd.operations.table import Columns
from blfd.store import Exists, NewExtension, NotFound, Store, StoreError
from blfd.store.devices import DeviceRow

PLACE = Place("192.0.2.5", {"udp": 5060, "tcp": 5060}, "http://192.0.2.5:8080")
MAC, OTHER = "80:5e:c0:12:34:56", "80:5e:c0:12:34:57"
AWKWARD = st.text(st.sampled_from("ab1\"',;\t\n\r\x0b\x0c\x1c\x85\u2028=+-@ é😀\x00\ufeff"), max_size=8)
THREE = Columns(("a", "b", "c"), ("a",), ("b",))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desk_of(tmp_path)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A database with two extensions and a phone; examples write over what those before have left."""
    desk = desk_of(tmp_path_factory.mktemp("lasting"))
    desk.store.extensions.add("default", [NewExtension(number, "x") for number in ("101", "102")])
    devices.add(desk, "default", Wanted(MAC, "yealink/t54w", ("101",)))
    return desk


def desk_of(folder: Path) -> Desk:
    store = Store(folder / "blfd.db")
    return Desk(store, ControlClient(socket_path(store.path)), Phones(store, lambda: PLACE), "me")


def put(desk: Desk, content: str | bytes, update: bool = False, tenant: str = "default") -> Counts:
    text = content if isinstance(content, str) else table.text_of(content, "e.csv")
    lines = table.read(text, "e.csv", extensions.COLUMNS)
    new = extensions.read(desk, tenant, lines, update)
    return extensions.put_many(desk, tenant, new, update)


def put_devices(
    desk: Desk, content: str | bytes, update: bool = False, tenant: str = "default"
) -> device_files.Put:
    text = content if isinstance(content, str) else table.text_of(content, "d.csv")
    wanted = device_files.read(desk, tenant, table.read(text, "d.csv", device_files.COLUMNS), update)
    return device_files.put(desk, tenant, wanted, update)


def kept(desk: Desk) -> list[object]:
    """All that an import may touch, and the audit of who has changed what."""
    return [desk.store.directory(), desk.store.devices.everywhere(), desk.store.audit.changes(None)]


# Files


@given(st.lists(st.tuples(AWKWARD, AWKWARD, AWKWARD)))
@example([("'=1", "=1", "''=1"), ("-1", "@", "+4930"), ('"', '""', "\r"), ("\ufeff", "sep=;", "\n")])
def test_what_is_written_is_read(rows: list[tuple[str, str, str]]) -> None:
    found = list(
        table.read(table.text_of(table.write(THREE.all, rows), "f"), "f", Columns(THREE.all, ("a",)))
    )
    assert [tuple(values.values()) for _, values in found] == [row for row in rows if any(row)]


@given(
    st.lists(st.tuples(AWKWARD, AWKWARD, AWKWARD)),
    st.sampled_from(",;\t"),
    st.sampled_from(("\n", "\r\n", "\r")),
    st.sampled_from(("utf-8", "utf-8-sig", "utf-16")),
    st.sampled_from((csv.QUOTE_ALL, csv.QUOTE_MINIMAL)),
    st.booleans(),
)
def test_what_spreadsheets_write_is_read(
    rows: list[tuple[str, str, str]], delimiter: str, end: str, encoding: str, quoting: int, says: bool
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow((" B", "a", "C"))
    bare = quoting == csv.QUOTE_MINIMAL  # a lone line end of the other kind has no quotes then
    rows = [row for row in rows if not (bare and any(set(cell) & set("\r\n") for cell in row))]
    writer.writerows(rows)
    said = f"sep={delimiter}{end if end != chr(13) else chr(10)}" if says else ""
    found = table.read(table.text_of((said + out.getvalue()).encode(encoding), "f"), "f", THREE)
    as_written = Columns(THREE.all, (), THREE.all)
    again = table.read(table.text_of((said + out.getvalue()).encode(encoding), "f"), "f", as_written)
    wanted = [row for row in rows if any(row)]
    assert [(values["b"], values["a"], values["c"]) for _, values in again] == wanted
    assert [values["b"] for _, values in found] == [row[0] for row in wanted], "b is taken as it stands"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the first line has to name its columns, as a,b,c"),
        ("1,2,3\n", "the first line has to name its columns"),
        ("b,c\n", "line 1: the column a is missing"),
        ("a,bb\n", "line 1: no column is called 'bb'; near it: b"),
        ("a,zzz\n", "line 1: no column is called 'zzz'; there are a, b, c"),
        ("a;b,c\n", "line 1: no column is called 'a;b'"),
        ("a,b,a\n", "line 1: the column a stands there twice"),
        ("a,b\n1\n", "line 2: 2 values are needed, and there are 1"),
        ('a,b\n"1\n2",3\n4\n', "line 4: 2 values are needed"),
        (
            "a;b\n\n1;2;3\n",
            "line 3: 2 values are needed, and there are 3; put quotes around those with semicolons",
        ),
        ('a,b\n1,"2\n\n', "line 2: unexpected end"),
        ('sep=;\na;b\n1;"2"x\n', "line 3: "),
        (f"a,b\n{'x' * 200_000},1\n", "line 2: field larger"),
    ],
)
def test_files_that_are_wrong(text: str, said: str) -> None:
    with pytest.raises(StoreError) as error:
        list(table.read(text, "f.csv", THREE))
    assert said in str(error.value)
    assert str(error.value).startswith("f.csv")


def test_empty_lines_and_columns_of_a_spreadsheet() -> None:
    found = list(table.read("A;b;;\r\n1;2;;\r\n;;;\r\n\r\n3;4;;;;\r\n", "f", THREE))
    assert found == [("f, line 2", {"a": "1", "b": "2"}), ("f, line 5", {"a": "3", "b": "4"})]


def test_a_file_that_is_not_utf_8() -> None:
    for octets in ("é".encode("latin-1"), b"\xff\xfea"):
        with pytest.raises(StoreError, match=r"not UTF-8; save it as that: spreadsheets call it CSV UTF-8"):
            table.text_of(octets, "f")


# Extensions


@settings(max_examples=60)
@given(st.lists(AWKWARD, min_size=2, max_size=2), st.sampled_from(("on", "off", "groups", "default", "")))
def test_awkward_names_are_refused_or_come_back(lasting: Desk, names: list[str], pickup: str) -> None:
    desk, before = lasting, kept(lasting)
    rows = [(number, "", name, pickup) for number, name in zip(("101", "102"), names, strict=True)]
    content = table.write(("extension", "password", "name", "pickup"), rows)
    control = [any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in name.strip(" ")) for name in names]
    if any(control):
        with pytest.raises(StoreError) as error:
            put(desk, content, update=True)
        said = str(error.value).splitlines()
        assert len(said) == sum(control)
        assert all("password and name are UTF-8 without control characters" in line for line in said)
        assert kept(desk) == before
        return
    put(desk, content, update=True)
    assert [row["name"] for row in extensions.all(desk, "default")] == [name.strip() for name in names]
    _same_again(desk)


def _same_again(desk: Desk, tenant: str = "default", spreadsheet: bool = True) -> None:
    """Assert that an export changes nothing when it is imported, not even as a spreadsheet would write it."""
    before = kept(desk)
    content, of_devices = extensions.export(desk, tenant), device_files.export(desk, tenant)
    found, phones = extensions.all(desk, tenant), desk.phones.all(tenant)
    assert put(desk, content, update=True, tenant=tenant) == Counts(0, 0, len(found))
    assert put_devices(desk, of_devices, True, tenant).counts == Counts(0, 0, len(phones))
    for written, again in ((content, put), (of_devices, put_devices)) if spreadsheet else ():
        out = io.StringIO(newline="")
        rows = csv.reader(io.StringIO(written.decode(), newline=""))
        csv.writer(out, delimiter=";", quoting=csv.QUOTE_ALL).writerows(rows)
        again(desk, out.getvalue().encode("utf-8-sig"), True, tenant)
    assert kept(desk) == before
    assert extensions.export(desk, tenant) == content


def test_an_update_changes_what_the_file_says_and_nothing_else(desk: Desk) -> None:
    put(desk, "extension,password,name,pickup,pickable\n101,old,Ann,groups,off\n102,old,Ben,,\n")
    secrets = {aor.extension: found.ha1 for aor, found in desk.store.directory().extensions.items()}
    with pytest.raises(
        Exists,
        match=r"line 2: extension 101 exists already; 'blfd extension import FILE --update' changes it",
    ):
        put(desk, "name;extension\nAnna;101\n")
    with pytest.raises(StoreError, match=r"line 3: extension 103 needs a password"):
        put(desk, "name;extension\nAnna;101\nCid;103\n", update=True)
    assert extensions.get(desk, "default", "101")["name"] == "Ann", "nothing is half imported"
    assert put(desk, "name;extension\n Anna ;101\nBen;102\n", update=True) == Counts(0, 1, 1)
    row = extensions.get(desk, "default", "101")
    assert (row["name"], row["pickup"], row["pickable"]) == ("Anna", "groups", "off")
    assert put(desk, "extension,password,name\n101,,\n102,new,Ben\n103,x,Cid\n", update=True) == Counts(
        1, 2, 0
    )
    now = {aor.extension: found.ha1 for aor, found in desk.store.directory().extensions.items()}
    assert (now["101"] == secrets["101"], now["102"] == secrets["102"]) == (True, False)
    assert extensions.get(desk, "default", "101")["name"] == ""
    assert put(desk, "extension,pickup,pickable\n101,ON,\n", update=True) == Counts(0, 1, 0)
    row = extensions.get(desk, "default", "101")
    assert (row["pickup"], row["pickable"]) == ("on", "default")
    _same_again(desk)


def test_the_audit_says_what_an_import_has_changed(desk: Desk) -> None:
    put(desk, "extension,password,name\n101,old,Ann\n102,old,Ben\n")
    put(desk, "extension,password,name\n101,new,Ann\n102,,Ben\n103,h1dden,Cid\n", update=True)
    change = desk.store.audit.changes("default")[0]
    ann = dict.fromkeys(("pickup", "pickable", "owner"), "default")
    ann |= {"name": "Ann", "publish": "off", "withhold": "off"}
    ann |= {name: getattr(Forwarding(), field) for name, field in extensions.FORWARDING.items()}
    assert change.before == {"101": ann}
    assert change.after == {"101": {**ann, "password": "changed"}, "103": {**ann, "name": "Cid"}}
    assert "h1dden" not in json.dumps(change)


def test_a_change_of_many_is_kept_in_parts(desk: Desk) -> None:
    audit, numbers = desk.store.audit, [str(number) for number in range(90, 150)]
    put(desk, "extension,password,name\n" + "".join(f"{n},x,Person {n}\n" for n in numbers))
    put(desk, "extension,password,name\n" + "".join(f"{n},y,Person {n}\n" for n in range(145, 205)), True)
    extensions.change_many(desk, "default", [str(number) for number in range(100, 200)], pickup="off")
    rights, second, first = audit.changes("default")
    assert first.counts == {"added": 60, "changed": 0, "removed": 0, "unchanged": 0}
    assert sentence(first) == "added 60 extensions (90, 91, 92, 93, 94, 95 and 54 more) from a file"
    assert list(first.after or {}) == numbers[:12], "the others are not read with it"
    assert sentence(second) == (
        "added 55 extensions (150, 151, 152, 153, 154, 155 and 49 more), changed 5 extensions "
        "(145, 146, 147, 148 and 149) from a file"
    )
    assert sentence(rights) == "changed 100 extensions (100, 101, 102, 103, 104, 105 and 94 more)"
    parts, total = audit.parts(second.id, part=(53, 4))
    assert (total, [part.name for part in parts]) == (60, ["203", "204", "145", "146"])
    assert (parts[0].before, (parts[0].after or {})["name"]) == (None, "Person 203")
    assert (parts[3].after or {})["password"] == "changed"
    assert [part.name for part in audit.parts(second.id, ["person", "99"])[0]] == ["199"]
    found, total = audit.some("default", ["149"], "-at", (0, 100))
    assert [change.id for change in found] == [rights.id, second.id, first.id], "by the name of any of them"
    assert audit.some("default", ["204"], "-at", (0, 100))[1] == 1
    for number in (999, -1, 1 << 80, -1 << 80):  # as an address of a page may name any
        with pytest.raises(NotFound, match=f"no change {number}"):
            audit.get("default", number)
    desk.store.tenants.add("acme.example")
    with pytest.raises(NotFound, match=f"no change {first.id}"):
        audit.get("acme.example", first.id)
    assert audit.get(None, first.id) == first


def test_all_that_is_wrong_is_named_and_nothing_is_done(desk: Desk) -> None:
    put(desk, "extension,password\n101,x\n")
    before = kept(desk)
    text = (
        "extension,password,name,pickup,pickable\n"
        "102,x,,,\n"  # this line is right
        "1 3,x,,,\n"
        '104,x,"a\nb",,\n'
        "105,,,,\n"
        "106,x,,maybe,\n"
        "107,x,,,maybe\n"
        "108,x\n"
        "102,x,,,\n"
        f"109,x,{'x' * 201},,\n"
    )
    with pytest.raises(StoreError) as error:
        put(desk, text, update=True)
    said = sorted(str(error.value).splitlines())
    for number, words in (
        (10, "extension 102 exists already: it stands there twice"),
        (11, "extension 109: the name has 200 letters at most"),
        (3, "extension '1 3': letters, digits"),
        (4, "extension 104: password and name"),
        (6, "extension 105 needs a password"),
        (7, "pickup is one of on, off, groups, default, not 'maybe'"),
        (8, "pickable is one of on, off, default, not 'maybe'"),
        (9, "5 values are needed, and there are 2"),
    ):
        line = said.pop(0)
        assert line.startswith(f"e.csv, line {number}: ")
        assert words in line
    assert said == []
    assert kept(desk) == before


def test_do_not_disturb_and_forwarding(desk: Desk) -> None:
    put(desk, "extension,password,dnd,forward_busy,forward_after\n101,x,ON,102,30\n102,x,,,\n103,x,off,,\n")
    row = extensions.get(desk, "default", "101")
    assert extensions.goes(row) == "do not disturb, busy: 102"
    assert (row["forward_after"], extensions.get(desk, "default", "102")["forward_after"]) == (30, 20)
    assert put(desk, "extension,name\n101,Ann\n", update=True) == Counts(0, 1, 0)
    assert extensions.goes(extensions.get(desk, "default", "101")) == "do not disturb, busy: 102"
    before = kept(desk)
    text = (
        "extension,dnd,forward_always,forward_after\n101,maybe,,\n102,,999,\n103,,101,0\n104,,,soon\n"
        "105,,106,\n106,,105,\n107,,107,\n"
    )
    text = text.replace("\n", ",p\n").replace("after,p", "after,password", 1)
    with pytest.raises(StoreError) as error:
        put(desk, text, update=True)
    assert [line.removeprefix("e.csv, line ") for line in str(error.value).splitlines()] == [
        "2: extension 101: dnd is on or off, not 'maybe'",
        "3: calls of 102 cannot be forwarded to '999', which is no extension here",
        "4: 103 can ring for 1 to 300 s before a call is forwarded",
        "5: extension 104: forward_after is a number of seconds, not 'soon'",
        "6: calls would go in a circle: 105 to 106 to 105",
        "7: calls would go in a circle: 106 to 105 to 106",
        "8: calls of 107 cannot be forwarded to itself",
    ]
    assert kept(desk) == before
    put(desk, "extension,password,forward_always\n105,x,106\n106,x,101\n", update=True)
    _same_again(desk)
    put(desk, "extension,dnd,forward_always\n101,,105\n106,,\n", update=True)
    assert extensions.goes(extensions.get(desk, "default", "101")) == "always: 105, busy: 102"


def test_what_others_have_changed_meanwhile_stays(desk: Desk) -> None:
    put(desk, "extension,password,name\n101,x,Ann\n")

    def lines() -> Iterator[table.Line]:
        yield "line 2", {"extension": "101", "name": "Anna"}
        extensions.change(desk, "default", "101", name="Changed meanwhile")

    planned = extensions.read(desk, "default", lines(), True)
    assert extensions.put_many(desk, "default", planned, True) == Counts(0, 1, 0), "it was seen"
    assert extensions.get(desk, "default", "101")["name"] == "Anna"


# Phones


def test_phones_are_updated(desk: Desk) -> None:
    put(desk, "extension,password\n101,x\n102,x\n")
    header = "mac,model,extensions,keys,transport,modules\n"
    done = put_devices(desk, f'{header}{MAC},t54w,"101, 102",*98=Group,tcp,2\n{OTHER},snom/d785,102,team,,\n')
    assert done.counts == Counts(2, 0, 0)
    rows = desk.store.devices.all("default")
    assert [(row.transport, row.modules) for row in rows] == [("tcp", 2), ("udp", 0)]
    assert [each["url"] for each in done.addresses] == [
        f"http://192.0.2.5:8080/p/{row.secret}/" for row in rows
    ]
    done = put_devices(desk, "keys;mac\n103=Bob;805EC0123456\n".replace("103", "102"), update=True)
    assert (done.counts, [each["mac"] for each in done.addresses]) == (Counts(0, 1, 0), [MAC])
    first = desk.store.devices.all("default")[0]
    assert first == rows[0]._replace(keys="102=Bob"), "its passwords and all else stay"
    devices.change(desk, "default", MAC, settings=(("own.setting", "1"),))
    _same_again(desk)
    assert desk.store.overrides.settings("default", first.mac) == {"own.setting": "1"}
    change = desk.store.audit.changes("default")[1]
    assert change.before == {MAC: _told(rows[0])}
    assert change.after == {MAC: _told(first)}


def _told(row: DeviceRow) -> dict[str, object]:
    return {name: value for name, value in devices.row(row).items() if name != "mac"}


def test_an_update_of_phones_that_is_wrong(desk: Desk) -> None:
    desk.store.tenants.add("acme.example")
    put(desk, "extension,password\n101,x\n")
    put(desk, "extension,password\n201,x\n", tenant="acme.example")
    put_devices(desk, f"mac,model,extensions\n{MAC},t54w,101\n")
    before = kept(desk)
    with pytest.raises(StoreError, match=f"line 2: device {MAC} exists already"):
        put_devices(desk, f"mac,model,extensions\n{MAC},t54w,201\n", update=True, tenant="acme.example")
    text = (
        f"mac,model,extensions,keys,transport,modules\n{OTHER},t54w,101,,sctp,\n"
        f"{MAC},t54w,101,,,x\n{MAC},,101,,,\n"
    )
    with pytest.raises(StoreError) as error:
        put_devices(desk, text, update=True)
    said = str(error.value).splitlines()
    assert [line[:14] for line in said] == ["d.csv, line 2:", "d.csv, line 3:", "d.csv, line 4:"]
    for line, words in zip(
        said, ("transport 'sctp'", "modules 'x': write how many", "no phone ''"), strict=True
    ):
        assert words in line
    assert kept(desk) == before


# Thousands of extensions and phones


def test_a_round_trip_of_many_changes_nothing(desk: Desk) -> None:
    numbers = range(10_000, 30_000)
    kinds, owners = ("on", "off", "groups", "default"), ("local", "published", "upstream", "default")
    rows = (
        (
            str(number),
            "x",
            f'{"=@ +"[number % 4]}Näme "{number}"; a,b',
            kinds[number % 4],
            "off",
            owners[number % 3],
            "off",
            "on",
            ("on", "off")[number % 2],
            *("", str(number ^ 1), str(number ^ 1), "30", ""),
        )
        for number in numbers
    )
    assert put(desk, table.write(extensions.COLUMNS.all, rows)) == Counts(20_000, 0, 0)
    models = ("yealink/t54w", "polycom/vvx450", "snom/d785", "grandstream/grp2612")
    phones = (
        (
            f"805ec0{number:06x}",
            models[number % 4],
            f"{number},{number + 1}",
            "10005,*98=Gr,10006=A;b",
            "TCP",
            "",
        )
        for number in numbers[:2000]
    )
    assert put_devices(desk, table.write(device_files.COLUMNS.all, phones)).counts == Counts(2000, 0, 0)
    _same_again(desk, spreadsheet=False)


def test_an_export_is_imported_elsewhere(desk: Desk) -> None:
    desk.store.tenants.add("acme.example")
    put(desk, "extension,password,name,pickup,pickable\n101,x,=Ann,groups,off\n102,x,,,\n")
    new = extensions.export(desk, "default").replace(b",,", b",y,", 1)
    with pytest.raises(StoreError, match=r"line 3: extension 102 needs a password"):
        put(desk, new, update=True, tenant="acme.example")
    put(desk, new.replace(b"102,,", b"102,y,"), tenant="acme.example")
    of_both = [
        [{**row, "tenant": ""} for row in extensions.all(desk, tenant)]
        for tenant in ("default", "acme.example")
    ]
    assert of_both[0] == of_both[1]


# On the command line


def test_addresses_come_with_imports_and_lists(inside: Blfd, tmp_path: Path) -> None:
    Path("blfd.toml").write_text('provision = "http://192.0.2.5:8080"\n')
    Path("e.csv").write_text("extension,password,name\n101,x,Ann\n")
    Path("d.csv").write_text(f"mac,model,extensions\n{MAC},t54w,101\n")
    of_site = ("--config", "blfd.toml")
    assert inside(*of_site, "extension", "import", "e.csv")[1] == "1 extensions added\n"
    _, out, _ = inside(*of_site, "device", "import", "d.csv", "--json")
    done = json.loads(out)
    (phone,) = done.pop("devices")
    assert done == {"added": 1, "changed": 0, "unchanged": 0}
    assert phone["url"].startswith("http://192.0.2.5:8080/p/")
    csv_ = f"mac,model,extensions,url\r\n{MAC},yealink/t54w,101,{phone['url']}\r\n"
    assert inside(*of_site, "device", "import", "d.csv", "--update", "--csv")[1] == csv_
    listed = json.loads(inside(*of_site, "device", "list", "--json")[1])
    assert listed[0]["url"] == phone["url"]
    assert inside(*of_site, "device", "list", "--csv")[1].startswith(
        f"mac,model,extensions,url,fetched,from,firmware,state\r\n{MAC},yealink/t54w,101,{phone['url']},never,"
    )
    assert phone["url"] not in inside(*of_site, "device", "list")[1]
    assert inside("device", "list", "--csv", "--json")[0] == 2
    assert inside(*of_site, "device", "import", "d.csv", "--update")[1] == "0 devices added, 1 as before\n"


def test_exports_go_to_a_file_or_to_standard_output(inside: Blfd) -> None:
    Path("e.csv").write_text("extension,password,name\n101,h1dden,Ann\n")
    inside("extension", "import", "e.csv")
    code, out, errors = inside("extension", "export")
    assert (code, out) == (
        0,
        f"{','.join(extensions.COLUMNS.all)}\r\n101,,Ann,default,default,default,off,off,off,,,,20,\r\n",
    )
    assert errors == (
        "blfd: note: passwords are kept as hashes alone, so that column is empty: "
        "an update leaves them as they are\n"
    )
    assert inside("extension", "export", "out.csv")[:2] == (0, "written to out.csv\n")
    assert Path("out.csv").read_bytes().decode() == out
    assert inside("extension", "import", "--update", "out.csv")[1] == "0 extensions added, 1 as before\n"
    assert inside("device", "export")[1] == "mac,model,extensions,keys,transport,modules\r\n"
    for what in ("extension", "device"):
        code, out, errors = inside(what, "export", "nowhere/out.csv")
        assert (code, out, errors) == (1, "", "blfd: nowhere/out.csv: No such file or directory\n")


class Screen(io.StringIO):
    """What another thread may write to."""

    def __init__(self) -> None:
        super().__init__()
        self._written = threading.Condition()

    def write(self, text: str) -> int:
        with self._written:
            self._written.notify_all()
            return super().write(text)

    def wait_for(self, text: str) -> None:
        with self._written:
            assert self._written.wait_for(lambda: text in self.getvalue(), 60)


@pytest.mark.parametrize("total", [50, None])
def test_a_bar_on_a_terminal_for_what_takes_long(monkeypatch: pytest.MonkeyPatch, total: int | None) -> None:
    def shown(patience: float, terminal: bool, wanted: str) -> str:
        monkeypatch.setattr(progress, "PATIENCE", patience)
        out = Screen()
        console = Console(file=out, force_terminal=terminal, width=80)
        with progress.waiting("Checking lines", total, console) as passed:
            for _ in range(progress.EVERY):
                passed()
            out.wait_for(wanted)
        return out.getvalue()

    last = shown(0.0, True, "Checking lines").rpartition("Checking lines")[2]
    assert "\x1b[?25h" in last  # the cursor is back
    assert "\x1b[2K" in last  # and the bar is gone
    if total:
        shown(0.0, True, f"{progress.EVERY}/{total}")
    assert shown(3600.0, True, "") == ""
    assert shown(0.0, False, "") == ""


def test_rows_with_a_bar_are_the_rows() -> None:
    out = io.StringIO()
    rows = progress.watched(iter(range(50)), 50, "Checking lines", Console(file=out, force_terminal=True))
    assert list(rows) == list(range(50))
    assert out.getvalue() == ""
