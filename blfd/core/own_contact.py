"""The user part of our Contact, which says of which tenant a dialog is.

A request inside a dialog goes to our Contact, so it brings the user part back: who stands before several
servers sends it by that to the one that has the tenant. Before the tenant stands who is at the other end, as
some phones show it. The Contact of the default tenant is an address alone, as are those of older dialogs.
Outside it has our account there, or nobody (`Calls.contact_user`): a tenant is no business of a carrier's.

Anybody may write any Request-URI. So the tenant in it says whose password is asked for, where nothing else
does, and no more than that: the dialog knows whose it is.
"""

from __future__ import annotations

import re

from blfd.core.values import DEFAULT_TENANT

MARK = "+"  # no domain has one
_plain = re.compile(r"[A-Za-z0-9_.*#+-]{1,40}").fullmatch


def user(tenant: str, shown: str = "") -> str:
    """The user part for a dialog of `tenant`; `shown` is what the other end is called by, left out where that
    is unusual."""
    if tenant == DEFAULT_TENANT:
        return ""
    return f"{shown}{MARK}{tenant}" if _plain(shown) else tenant


def tenant(user: str) -> str:
    """What may be the tenant in the user part of a Request-URI."""
    return user.rpartition(MARK)[2].lower()
