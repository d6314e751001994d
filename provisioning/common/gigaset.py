"""Gigaset's P8xx: snom's software and settings."""

from __future__ import annotations

from provisioning.common.snom import REGISTRATION, TRANSLATIONS, WEB_USERS, always, passwords, slot

__all__ = ["REGISTRATION", "TRANSLATIONS", "WEB_USERS", "always", "passwords", "slot"]
