"""Lists of resources, which name the documents that come beside them (RFC 4662)."""

from __future__ import annotations

import pytest

from dialog_info import DialogInfoError, Instance, Resource, ResourceList, parse_resource_list

OF_THE_RFC = b"""<?xml version="1.0" encoding="UTF-8"?>
<list xmlns="urn:ietf:params:xml:ns:rlmi" uri="sip:adam-friends@pres.vancouver.example.com" version="1"
      fullState="true">
  <name xml:lang="en">Buddy List at COM</name>
  <resource uri="sip:bob@vancouver.example.com">
    <name>Bob Smith</name>
    <instance id="juwigmtboe" state="active" cid="bUZBsM@pres.vancouver.example.com"/>
  </resource>
  <resource uri="sip:ed@dallas.example.net"><name>Ed at NET</name></resource>
  <resource uri="sip:x@y"><instance id="i" state="Terminated" reason="noresource"/></resource>
</list>"""


def test_the_list_of_the_rfc() -> None:
    bob = Instance("juwigmtboe", "active", "bUZBsM@pres.vancouver.example.com")
    assert parse_resource_list(OF_THE_RFC) == ResourceList(
        "sip:adam-friends@pres.vancouver.example.com",
        1,
        True,
        (
            Resource("sip:bob@vancouver.example.com", (bob,)),
            Resource("sip:ed@dallas.example.net"),
            Resource("sip:x@y", (Instance("i", "terminated", "", "noresource"),)),
        ),
    )


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (b"urn:ietf:params:xml:ns:rlmi", b"urn:other"),
        (b'version="1"', b'version="one"'),
        (b'uri="sip:x@y"', b""),
        (b"</list>", b""),
        (b"<list ", b"<!DOCTYPE a><list "),
    ],
)
def test_what_is_no_list(wrong: bytes, right: bytes) -> None:
    assert wrong in OF_THE_RFC
    with pytest.raises(DialogInfoError):
        parse_resource_list(OF_THE_RFC.replace(wrong, right))


def test_partial_state() -> None:
    assert not parse_resource_list(OF_THE_RFC.replace(b'"true"', b'"false"')).is_full
