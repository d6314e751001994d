"""Contacts compared: which are the same URI, and which lead to one phone."""

from __future__ import annotations

from urllib.parse import unquote

from blfd.core.next_hop import address_in
from blfd.core.values import Binding


def is_same_phone(one: Binding, other: Binding) -> bool:
    """Whether both are the same line of one phone, which has got another address.

    It says so (RFC 5626, section 6), or one connection leads to both: that of `one` was lost, and `other`
    came over the new one, from another port. A phone that is called at both would ring twice.
    """
    if one.instance and one.instance == other.instance:
        return _line(one.contact) == _line(other.contact)
    same_way = one.flow.is_connected and one.flow == other.flow and not one.path
    return same_way and may_be_same_phone(one, other)


def may_be_same_phone(one: Binding, other: Binding) -> bool:
    """Whether both may be one phone that takes another port at each start and does not say which it is."""
    if _line(one.contact) != _line(other.contact) or (one.instance and other.instance):
        return False
    same_host = host_of(one) == host_of(other) and one.flow.host == other.flow.host
    return one.call_id == other.call_id or same_host


def host_of(binding: Binding) -> str:
    return address_in(binding.contact, binding.flow)[0]


def _line(uri: str) -> str:
    """A contact without host and port."""
    user, at, rest = uri.rpartition("@")
    return user + at + ";".join(sorted(rest.split(";")[1:]))


def contact_key(uri: str) -> str:
    """A key that is equal for URIs that RFC 3261, section 19.1.4 calls equal, as far as a registrar can tell.

    Scheme, host and parameters are compared without case, the user with it; parameters outside the RFC's list
    tell a phone's lines apart (";line="), so they count too. Order does not matter.
    """
    scheme, _, rest = uri.partition(":")
    address, _, headers = rest.partition("?")
    first, *parameters = address.split(";")
    user, at, host = first.rpartition("@")
    ordered = ";".join(sorted(unquote(parameter).lower() for parameter in parameters))
    return f"{scheme.lower()}:{unquote(user)}{at}{host.lower()};{ordered}?{headers}"
