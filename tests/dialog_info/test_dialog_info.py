"""The dialog_info library: documents as phones and servers write them, hostile ones, and what a watcher knows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree

from dialog_info import (
    Dialog,
    DialogInfo,
    DialogInfoError,
    DialogState,
    Direction,
    DocumentState,
    Identity,
    Param,
    Participant,
    Replaces,
    SessionDescription,
    StateEvent,
    Target,
    build,
    build_around_version,
    parse,
)

SCHEMA = etree.XMLSchema(etree.parse(str(Path(__file__).with_name("dialog-info.xsd"))))
FULL, PARTIAL = DocumentState.FULL, DocumentState.PARTIAL
EARLY, CONFIRMED = DialogState.EARLY, DialogState.CONFIRMED


def wrap(body: str, attributes: str = 'version="7" state="full" entity="sip:102@pbx"') -> bytes:
    return (
        f'<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" {attributes}>{body}</dialog-info>'.encode()
    )


def one(body: str) -> Dialog:
    (dialog,) = parse(wrap(body)).dialogs
    return dialog


YEALINK = """<dialog id="88a1" call-id="0_1@192.0.2.7" local-tag="11" remote-tag="22" direction="recipient">
  <state>early</state>
  <local><identity display="Bob">sip:102@pbx</identity><target uri="sip:102@192.0.2.7:5062"/></local>
  <remote><identity display="Al &amp; Co">sip:101@pbx</identity><target uri="sip:101@pbx"/></remote></dialog>"""
POLYCOM = """<dialog id="id1" direction="initiator"><state event="rejected" code="486">terminated</state>
  <local><target uri="sip:102@192.0.2.8"><param pname="+sip.rendering" pval="yes"/></target></local></dialog>"""
SNOM = """<dialog id="pvt" call-id="3c" local-tag="a" remote-tag="b"><state>trying</state>
  <local><identity>"Bob" &lt;sip:102@pbx&gt;</identity></local></dialog>"""
ASTERISK = """<dialog id="102" direction="recipient"><state>confirmed</state>
  <local><target uri="sip:102@pbx"><param pname="+sip.rendering" pvalue="no"/></target></local></dialog>"""
FREESWITCH = """<dialog id="f5" direction="initiator"><state>
   confirmed
  </state><duration>12</duration><x:extra xmlns:x="urn:x">1</x:extra><remote><cseq>5</cseq></remote></dialog>"""

KAMAILIO = """<dialog id="k" call-id="c"><state>Trying</state><remote><identity>sip:101@pbx</identity>
  <target uri="sip:101@192.0.2.9" display="101"/></remote></dialog>"""
TO = Target("sip:101@192.0.2.9")
EXAMPLE = """<dialog id="as7d900as8" call-id="a84b4c76e66710" local-tag="1928" direction="receiver">
  <state>early</state></dialog>"""
EMPTY = """<dialog id="e" call-id="" local-tag="" remote-tag="" direction=""><state event="" code="">early</state>
  <local><identity display="">sip:102@pbx</identity></local></dialog>"""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            YEALINK,
            Dialog(
                "88a1",
                EARLY,
                "0_1@192.0.2.7",
                "11",
                "22",
                Direction.RECIPIENT,
                local=Participant(Identity("sip:102@pbx", "Bob"), Target("sip:102@192.0.2.7:5062")),
                remote=Participant(Identity("sip:101@pbx", "Al & Co"), Target("sip:101@pbx")),
            ),
        ),
        (
            POLYCOM,
            Dialog(
                "id1",
                DialogState.TERMINATED,
                direction=Direction.INITIATOR,
                event=StateEvent.REJECTED,
                code=486,
                local=Participant(target=Target("sip:102@192.0.2.8", (Param("+sip.rendering", "yes"),))),
            ),
        ),
        (
            SNOM,
            Dialog(
                "pvt", DialogState.TRYING, "3c", "a", "b", local=Participant(Identity('"Bob" <sip:102@pbx>'))
            ),
        ),
        (
            ASTERISK,
            Dialog(
                "102",
                CONFIRMED,
                direction=Direction.RECIPIENT,
                local=Participant(target=Target("sip:102@pbx", (Param("+sip.rendering", "no"),))),
            ),
        ),
        (
            FREESWITCH,
            Dialog("f5", CONFIRMED, direction=Direction.INITIATOR, duration=12, remote=Participant(cseq=5)),
        ),
        ('<dialog id="0"><state>committed</state></dialog>', Dialog("0", CONFIRMED)),
        (
            KAMAILIO,
            Dialog("k", DialogState.TRYING, "c", remote=Participant(Identity("sip:101@pbx", "101"), TO)),
        ),
        (EXAMPLE, Dialog("as7d900as8", EARLY, "a84b4c76e66710", "1928", direction=Direction.RECIPIENT)),
        (EMPTY, Dialog("e", EARLY, local=Participant(Identity("sip:102@pbx")))),
    ],
    ids=["yealink", "polycom", "snom", "asterisk", "freeswitch", "sipxecs", "kamailio", "example", "empty"],
)
def test_as_phones_write_it(body: str, expected: Dialog) -> None:
    assert one(body) == expected


def test_the_root_and_an_idle_document() -> None:
    info = parse(
        b'<?xml version="1.0" encoding="UTF-8"?>\r\n' + wrap("", 'version="0" state="partial" entity="x"')
    )
    assert info == DialogInfo("x", 0, PARTIAL)


@pytest.mark.parametrize(
    ("attributes", "entity"),
    [
        ('version="1" state="full"', ""),
        ('version="1" state="full" entity=" "', ""),
        ('version="0000000001" state="Full" entity=" x "', "x"),
        ('version="1" notify-state="full" entity="x"', "x"),
    ],
    ids=["RFC 4235's examples", "Grandstream", "OpenSIPS", "a draft"],
)
def test_roots_as_they_are_written(attributes: str, entity: str) -> None:
    assert parse(wrap("", attributes)) == DialogInfo(entity, 1, FULL)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b"", "not well-formed"),
        (b"hello", "not well-formed"),
        (wrap("")[:-3], "not well-formed"),
        (b'<dialog-info version="1" state="full" entity="x"/>', "not dialog-info of RFC 4235"),
        (b'<presence xmlns="urn:ietf:params:xml:ns:pidf"/>', "not dialog-info of RFC 4235"),
        (wrap("", 'version="1" entity="x"'), "state of dialog-info is None"),
        (wrap("", 'version="x" state="full" entity="x"'), "version is 'x'"),
        (wrap("", 'version="-1" state="full" entity="x"'), "version is '-1'"),
        (wrap("", 'version="99999999999" state="full" entity="x"'), "version is"),
        (wrap("", 'version="1" state="half" entity="x"'), "'half', not one of full, partial"),
        (wrap("<dialog><state>early</state></dialog>"), "no id"),
        (wrap('<dialog id="1"/>'), "no <state>"),
        (wrap('<dialog id="1"><state>odd</state></dialog>'), "'odd', not one of trying"),
        (wrap('<dialog id="1" direction="up"><state>early</state></dialog>'), "direction is 'up'"),
        (wrap('<dialog id="1"><state event="x">early</state></dialog>'), "event is 'x'"),
        (wrap('<dialog id="1"><state code="x">early</state></dialog>'), "code is 'x'"),
        (wrap('<dialog id="1"><state>early</state><duration>-1</duration></dialog>'), "duration is"),
        (wrap('<dialog id="1"><state>early</state><replaces call-id="1"/></dialog>'), "no local-tag"),
        (wrap('<dialog id="1"><state>early</state><local><target/></local></dialog>'), "no uri"),
        (
            wrap(
                '<dialog id="1"><state>early</state><local><target uri="x"><param pname="a"/></target></local></dialog>'
            ),
            "no pval",
        ),
        (b"<!DOCTYPE dialog-info>" + wrap(""), "a DTD is not allowed"),
        (b'<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + wrap("&e;"), "a DTD is not allowed"),
        (b'<!DOCTYPE d SYSTEM "http://127.0.0.1:9/x.dtd">' + wrap(""), "a DTD is not allowed"),
        (wrap("<x>" * 17 + "</x>" * 17), "deeper than 16 levels"),
        (wrap("<x>" * 5000 + "</x>" * 5000), ""),
        (wrap("<x/>" * 2001), "more than 2000 elements"),
        (wrap("<x>" + " " * 65536 + "</x>"), "at most 65536 are read"),
    ],
)
def test_rejected(document: bytes, why: str) -> None:
    with pytest.raises(DialogInfoError) as caught:
        parse(document)
    assert why in str(caught.value)


def test_billion_laughs() -> None:
    entities = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    with pytest.raises(DialogInfoError):
        parse(f"<!DOCTYPE d [{entities}]>".encode() + wrap("&a9;", 'version="1" state="full" entity="&a9;"'))


URIS = st.from_regex(r"sips?:[a-z0-9]{1,8}@[a-z]{1,8}\.example", fullmatch=True)
AWKWARD = st.text(st.characters(codec="utf-8") | st.sampled_from("<>&\"'\t\n\r ]\0\x1b\ufffe"), max_size=12)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
COUNTS = st.integers(0, 2**32)
TARGETS = st.builds(Target, URIS, st.lists(st.builds(Param, NAMES, AWKWARD), max_size=2).map(tuple))
IDENTITIES = st.builds(Identity, URIS, st.none() | AWKWARD)
PARTICIPANTS = st.builds(
    Participant,
    st.none() | IDENTITIES,
    st.none() | TARGETS,
    st.none() | st.builds(SessionDescription, NAMES, AWKWARD),
    st.none() | COUNTS,
)
DIALOGS = st.builds(
    Dialog,
    NAMES,
    st.sampled_from(DialogState),
    st.none() | AWKWARD,
    st.none() | AWKWARD,
    st.none() | AWKWARD,
    st.none() | st.sampled_from(Direction),
    st.none() | st.sampled_from(StateEvent),
    st.none() | st.integers(100, 699),
    st.none() | COUNTS,
    st.none() | st.builds(Replaces, NAMES, NAMES, NAMES),
    st.none() | IDENTITIES,
    st.lists(URIS.map("<{};lr>".format), max_size=2).map(tuple),
    st.none() | PARTICIPANTS,
    st.none() | PARTICIPANTS,
)
DOCUMENTS = st.builds(
    DialogInfo, URIS, COUNTS, st.sampled_from(DocumentState), st.lists(DIALOGS, max_size=3).map(tuple)
)


@given(DOCUMENTS)
def test_round_trip_and_schema(info: DialogInfo) -> None:
    document = build(info)
    root = etree.fromstring(document)
    SCHEMA.assertValid(root)
    empty = {name for element in root.iter() for name, value in element.attrib.items() if value == ""}
    assert empty <= {"pval"}, "an attribute that may be absent is not empty"
    assert etree.tostring(root, xml_declaration=True, encoding="UTF-8") == document, "as lxml writes it"
    again = parse(document)
    assert build(again) == document
    assert repr(again) == repr(cleaned(info))


def cleaned(info: DialogInfo) -> DialogInfo:
    """The document as it has to come back: U+FFFD for characters that XML 1.0 forbids, no empty attribute."""
    optional = ("call_id", "local_tag", "remote_tag", "display")
    forbidden = {n: "\ufffd" for n in (*range(32), 0xFFFE, 0xFFFF) if n not in (9, 10, 13)}

    def clean(value: object) -> object:
        if isinstance(value, str):
            return value.translate(forbidden)
        if not isinstance(value, tuple):
            return value
        if not hasattr(value, "_fields"):
            return tuple(clean(item) for item in value)
        absent = {name for name in optional if getattr(value, name, None) == ""}
        make: Callable[..., object] = type(value)
        return make(*(None if n in absent else clean(getattr(value, n)) for n in value._fields))

    found = clean(info)
    assert isinstance(found, DialogInfo)
    return found


@given(st.binary(max_size=200))
@example(b"\xff\xfe<\0")
def test_any_bytes(document: bytes) -> None:
    with pytest.raises(DialogInfoError):
        parse(document)


@given(DOCUMENTS, st.integers(0), st.integers(0, 30), st.binary(max_size=8))
def test_mutated_bytes(info: DialogInfo, at: int, length: int, put: bytes) -> None:
    document = build(info)
    at %= len(document)
    try:
        found = parse(document[:at] + put + document[at + length :])
    except DialogInfoError:
        return
    assert parse(build(found)) == found


@given(DOCUMENTS, COUNTS)
def test_build_around_version(info: DialogInfo, version: int) -> None:
    before, after = build_around_version(info)
    assert parse(b"%b%d%b" % (before, version, after)).version == version
    assert b"%b%d%b" % (before, info.version, after) == build(info)


def test_a_forbidden_character_becomes_the_replacement() -> None:
    dialog = Dialog("1", EARLY, remote=Participant(Identity("sip:1@x", "A\x00\x1b\ud800B")))
    again = parse(build(DialogInfo("sip:1@x", 0, FULL, (dialog,)))).dialogs[0]
    assert again.remote == Participant(Identity("sip:1@x", "A\ufffd\ufffd\ufffdB"))
