"""Phones shall fetch their files: NOTIFY outside any subscription, with the Event that their maker reads."""

from __future__ import annotations

from blfd.core import own_contact
from blfd.core.effects import Notify
from blfd.core.next_hop import without_headers
from blfd.core.values import Binding, DialogId, NameAddr, SubscriptionDialog


def notify(binding: Binding, domain: str, event: str, tag: str) -> Notify:
    """The NOTIFY to where a phone is registered, by its Path; nothing is done about the response.

    `tag` cannot be guessed.
    """
    dialog = SubscriptionDialog(
        DialogId(f"{tag}@{domain}", tag, ""),
        NameAddr(f"sip:{binding.aor.extension}@{domain}"),
        NameAddr(binding.contact),
        without_headers(binding.contact),
        binding.path,
        event,
    )
    return Notify("", binding.flow, dialog, 1, None, contact_user=own_contact.user(binding.aor.tenant))
