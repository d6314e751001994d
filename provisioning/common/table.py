"""The settings that have one name for all makers: what they mean, and which values they take."""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Callable, Collection
from typing import NamedTuple

from provisioning.model import ProvisioningError, between_commas

ON, OFF = "on", "off"
HTTPS, HTTP = "https", "http"
SILENT = "silent"
RINGS = 8  # ring tones that phones are taken to have
SCREEN, SOUND, BOTH = "screen", "sound", "both"
REFETCH_FROM = "01:00"
MOST_NTP_SERVERS = 2
OUTSIDE_PREFIX, EMERGENCY_NUMBERS, NONE = "outside-prefix", "emergency-numbers", "none"
MOST_EMERGENCIES = 8
# Values that some maker's documents have; not every maker has all of them.
LANGUAGES = "ar bs ca cs da de el en es eu fi fr he hr hu it ja ko lt lv nl no pl pt ru sk sl sv tr uk zh"
COUNTRIES = "at au be br ca ch cl cn cz de dk es fi fr gb gr hu in it jp lt mx nl no nz pt ru se tw us za"
CODECS = ("pcmu", "pcma", "g722", "g729", "ilbc", "opus")
_HOST = re.compile(r"[\w.-]{1,253}", re.ASCII)
_PREFIX, _EMERGENCY = re.compile(r"\d{1,4}", re.ASCII), re.compile(r"\d{2,6}", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)


class Common(NamedTuple):
    """A setting: `normal` gives a value as it is kept, or raises ProvisioningError; `default` is ours.

    `values` and `help` are for people.
    """

    values: str
    help: str
    example: str
    normal: Callable[[str], str]
    default: str = ""


def _one_of(known: Collection[str]) -> Callable[[str], str]:
    def normal(value: str) -> str:
        wanted = value.strip().lower()
        if wanted not in known:
            raise ProvisioningError(f"{value!r} is not one of {', '.join(known)}")
        return wanted

    return normal


def _zone(value: str) -> str:
    """The name of a zone in the tz database, in whatever case it is written."""
    known = zoneinfo.available_timezones()
    wanted = value.strip().lower()
    found = next((zone for zone in known if zone.lower() == wanted), None)
    if found:
        return found
    places = {zone.rpartition("/")[2].lower(): zone for zone in sorted(known) if "/" in zone}
    near = difflib.get_close_matches(wanted, [zone.lower() for zone in known], n=3, cutoff=0.7)
    last = difflib.get_close_matches(wanted.rpartition("/")[2].replace(" ", "_"), places, n=3, cutoff=0.7)
    names = {zone.lower(): zone for zone in known}
    hints = list(dict.fromkeys([*(places[each] for each in last), *(names[each] for each in near)]))[:3]
    hint = f"near it: {', '.join(hints)}" if hints else "write it as the tz database does: Europe/Berlin"
    raise ProvisioningError(f"{value!r} is no time zone; {hint}")


def _hosts(value: str) -> str:
    hosts = between_commas(value)
    if not 1 <= len(hosts) <= MOST_NTP_SERVERS or not all(map(_HOST.fullmatch, hosts)):
        raise ProvisioningError(f"{value!r}: write one host or two, as ntp1.example.com,ntp2.example.com")
    return ",".join(hosts)


def _codecs(value: str) -> str:
    wanted = [codec.lower() for codec in between_commas(value)]
    unknown = [codec for codec in wanted if codec not in CODECS]
    if unknown or not wanted or len(set(wanted)) < len(wanted):
        raise ProvisioningError(f"{value!r}: write some of {','.join(CODECS)}, the best first, each once")
    return ",".join(wanted)


def _from(value: str) -> str:
    wanted = value.strip().lower()
    if wanted != OFF and not _TIME.fullmatch(wanted):
        raise ProvisioningError(f"{value!r}: write when the phones may begin, as {REFETCH_FROM}; or {OFF}")
    return wanted


def _prefix(value: str) -> str:
    wanted = value.strip().lower()
    if wanted != NONE and not _PREFIX.fullmatch(wanted):
        raise ProvisioningError(f"{value!r}: write what is dialled before numbers outside, as 0; or {NONE}")
    return wanted


def _numbers(value: str) -> str:
    numbers = [number.strip() for number in value.split(",") if number.strip()]
    if not 1 <= len(numbers) <= MOST_EMERGENCIES or not all(map(_EMERGENCY.fullmatch, numbers)):
        raise ProvisioningError(f"{value!r}: write up to {MOST_EMERGENCIES} numbers, as 112,110")
    return ",".join(dict.fromkeys(numbers))


_SWITCH = _one_of((ON, OFF))
_ON_OR_OFF = f"{ON}, {OFF}"
COMMON = {
    "timezone": Common("a zone of the tz database", "The phone's time zone.", "Europe/Berlin", _zone),
    "ntp-servers": Common("one host or two", "Where the phone gets the time.", "ntp.example.com", _hosts),
    "time-format": Common("12, 24", "Hours of the clock.", "24", _one_of(("12", "24"))),
    "date-format": Common("dmy, mdy, ymd", "Order of the date.", "dmy", _one_of(("dmy", "mdy", "ymd"))),
    "language": Common(
        "two letters (ISO 639)", "Of the screen and the web page.", "de", _one_of(LANGUAGES.split())
    ),
    "tones": Common(
        "a country (ISO 3166)", "Whose dial and busy tones are heard.", "de", _one_of(COUNTRIES.split())
    ),
    OUTSIDE_PREFIX: Common(
        f"1 to 4 digits, {NONE}",
        f"What is dialled before a number outside; {NONE}: there are no such numbers.",
        "0",
        _prefix,
    ),
    EMERGENCY_NUMBERS: Common(
        "some numbers", "They go out at once, with that prefix and without.", "112,110", _numbers
    ),
    "codecs": Common(",".join(CODECS), "The best first; those left out are off.", "pcma,pcmu", _codecs),
    "ring-tone": Common(
        f"1 to {RINGS}, {SILENT}",
        "How the phone rings.",
        "2",
        _one_of((*(str(ring) for ring in range(1, RINGS + 1)), SILENT)),
    ),
    "key-alerts": Common(
        f"{SCREEN}, {SOUND}, {BOTH}, {OFF}",
        "What tells that a watched extension rings, beside its key.",
        SCREEN,
        _one_of((SCREEN, SOUND, BOTH, OFF)),
    ),
    "call-waiting": Common(_ON_OR_OFF, "Whether a second call rings during a call.", OFF, _SWITCH),
    "dnd-key": Common(_ON_OR_OFF, "Whether the phone has do not disturb.", OFF, _SWITCH),
    "forward-key": Common(_ON_OR_OFF, "Whether the phone itself forwards calls.", OFF, _SWITCH),
    "phonebook": Common(_ON_OR_OFF, "A book of the tenant's extensions.", ON, _SWITCH, ON),
    "web-access": Common(
        f"{HTTPS}, {HTTP}, {OFF}", "The phone's web page.", HTTPS, _one_of((HTTPS, HTTP, OFF)), HTTPS
    ),
    "refetch": Common(
        f"HH:MM, {OFF}",
        "When the phone fetches its files each day: somewhen in the four hours from then.",
        REFETCH_FROM,
        _from,
        REFETCH_FROM,
    ),
}
