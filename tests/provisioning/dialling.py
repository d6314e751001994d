"""How phones of each maker collect a number key by key, by what their makers' documents say of their plans.

The phones are written from those documents, and not from what blfd writes: each reads the settings that it
has been told, says after each key whether the number goes out, and after the last one how long it waits.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from makers import Settings

KEYS = frozenset("0123456789*#+")
DIGITS = frozenset("0123456789")
NEVER = None  # how long a phone waits that waits for its send key, or refuses the number


class Sent(NamedTuple):
    """The number that goes out, or what is left of one that is cut, and the seconds after the last key."""

    number: str
    after: float | None


class Phone(Protocol):
    """What a phone does with keys that are dialled off the hook."""

    def at_once(self, typed: str) -> str | None:
        """The number that goes out when the last of these keys is pressed; None if none does."""

    def waits(self, typed: str) -> float | None:
        """The seconds after which these keys go out if no more are pressed."""


def dial(phone: Phone, number: str) -> Sent:
    """Dial a number key by key, without a pause, and return what goes out."""
    for count in range(1, len(number) + 1):
        sent = phone.at_once(number[:count])
        if sent is not None:
            return Sent(sent, 0)
    return Sent(number, phone.waits(number))


# Elements of a plan, and the places in an entry that some keys lead to


class Element(NamedTuple):
    """Keys of which one is pressed once or, if it `repeats`, `least` times or more."""

    keys: frozenset[str]
    least: int = 1
    repeats: bool = False


@dataclass(frozen=True)
class Entry:
    """One alternative of a plan; `mark` is what stands at its end."""

    elements: tuple[Element, ...]
    mark: str = ""

    def places(self, typed: str) -> set[int]:
        """How many elements these keys may have passed; one that may still repeat is not passed."""
        places = self._skipped({0})
        for key in typed:
            after = set()
            for place in places:
                if place < len(self.elements) and key in self.elements[place].keys:
                    after |= {place, place + 1} if self.elements[place].repeats else {place + 1}
            places = self._skipped(after)
        return places

    def _skipped(self, places: set[int]) -> set[int]:
        """These places, and those after elements that may be left out."""
        found = set(places)
        for place in sorted(places):
            for at in itertools.takewhile(
                lambda at: self.elements[at].least == 0, range(place, len(self.elements))
            ):
                found.add(at + 1)
        return found

    def fits(self, typed: str) -> bool:
        return len(self.elements) in self.places(typed)

    def goes_on(self, typed: str) -> bool:
        return any(place < len(self.elements) for place in self.places(typed))


def bracketed(text: str) -> frozenset[str]:
    """The keys that brackets stand for: keys and ranges, and `x` for any digit."""
    keys = re.sub(r"(\d)-(\d)", _range, text)
    return frozenset(keys.replace("x", "".join(DIGITS)))


def _range(found: re.Match[str]) -> str:
    return "".join(map(str, range(int(found[1]), int(found[2]) + 1)))


def elements(text: str, repeats: str, least: int, any_key: frozenset[str] = DIGITS) -> Iterator[Element]:
    """The elements of an entry; a pattern `repeats` follows those that are pressed `least` times or more."""
    one = r"\[(?P<set>[^\]]*)\]|(?P<any>x)|\\(?P<escaped>.)|(?P<key>[\d*#+])"
    token = re.compile(f"(?:{one})(?P<more>{repeats})?")
    at = 0
    while at < len(text):
        found = token.match(text, at)
        assert found, f"{text!r} has {text[at:]!r}, of which no document tells"
        keys = any_key if found["any"] else frozenset(found["escaped"] or found["key"] or "")
        keys = bracketed(found["set"]) if found["set"] else keys
        yield Element(keys, least, True) if found["more"] else Element(keys)
        at = found.end()


# Yealink and Polycom: RFC 3435, section 2.1.5


@dataclass(frozen=True)
class DigitMap:
    """A digit map; a number that fits an entry without the timer `T` goes out at once."""

    entries: list[Entry]
    short: float
    long: float | None  # seconds after which a number goes out that fits no entry yet
    sends_what_fits_nothing: bool
    sends_by_pound: bool = False
    strips_pound: bool = False

    def at_once(self, typed: str) -> str | None:
        if self.sends_by_pound and typed.endswith("#"):
            return typed[:-1]
        if any(not entry.mark and entry.fits(typed) for entry in self.entries):
            return typed[:-1] if self.strips_pound and typed.endswith("#") else typed
        fits_nothing = not any(entry.places(typed) for entry in self.entries)
        return typed if fits_nothing and self.sends_what_fits_nothing else None

    def waits(self, typed: str) -> float | None:
        return self.short if any(entry.fits(typed) for entry in self.entries) else self.long


def digit_map(text: str) -> list[Entry]:
    found = []
    for part in text.split("|"):
        timed = part.endswith("T")
        found.append(Entry(tuple(elements(part.removesuffix("T"), r"\.", 0)), "T" if timed else ""))
    return found


def yealink(found: Settings) -> Phone:
    """A Yealink; by its manuals `#` sends, and they do not tell how that is switched off."""
    assert found["dialplan.digitmap.enable"] == "1"
    text, action = found["dialplan.digitmap.string"], found["dialplan.digitmap.no_match_action"]
    assert len(text) <= 2048
    short = float(found["dialplan.digitmap.interdigit_short_timer"])
    long = float(found["dialplan.digitmap.interdigit_long_timer"])
    assert short < long
    return DigitMap(digit_map(text), short, long, action == "0", sends_by_pound=True)


def polycom(found: Settings) -> Phone:
    text, handling = found["dialplan.digitmap"], found["dialplan.impossibleMatchHandling"]
    strips = found["dialplan.removeEndOfDial"] == "1"
    return DigitMap(digit_map(text), 3, NEVER, handling == "0", strips_pound=strips)


# Grandstream


@dataclass(frozen=True)
class Braces:
    """A plan in braces: entries of fixed length go out at once, those with `+` at their end after the timer.

    No document tells whether one of fixed length waits where another might go on; if `patient`, it does.
    """

    entries: list[Entry]
    timer: float
    sends_by_pound: bool
    patient: bool = False

    def at_once(self, typed: str) -> str | None:
        if self.sends_by_pound and typed.endswith("#"):
            return typed[:-1]
        complete = [entry for entry in self.entries if entry.fits(typed) and not entry.goes_on(typed)]
        might_go_on = any(entry.goes_on(typed) for entry in self.entries)
        return typed if complete and not (self.patient and might_go_on) else None

    def waits(self, typed: str) -> float | None:
        """The timer for a number that fits an entry; any other is refused."""
        return self.timer if any(entry.fits(typed) for entry in self.entries) else NEVER


def braces(text: str) -> list[Entry]:
    assert re.fullmatch(r"\{.*\}", text)
    assert len(text) <= 1024
    return [Entry(tuple(elements(part.strip(), r"\+", 1))) for part in text[1:-1].split("|")]


def grandstream(found: Settings, patient: bool = False) -> Phone:
    line = "account.1.call."
    assert found["account.1.featureCodes.callFeatures"] == "No", "its own star codes would be eaten"
    plan = braces(found[line + "dialplan"])
    timer = float(found[line + "noKeyEntryTimeout"])
    return Braces(plan, timer, found[line + "keyAsSend"] == "Pound", patient)


def htek(found: Settings) -> Phone:
    """An Htek, whose plan has the form of Grandstream's; its phones come with `{[x*]+}`."""
    pound = found["Account1.Use#AsDialKey"] == "1"
    timer = float(found["Preference.NoKeyEntryTimeout"])
    return Braces(braces(found["Account1.DialPlan"]), timer, pound)


# Snom, and Gigaset's phones with its software


@dataclass(frozen=True)
class Rules:
    """Rules, of which the first that fits is taken; its flag `d` says that the number is complete."""

    rules: list[tuple[re.Pattern[str], str, str]]
    timer: float | None

    def at_once(self, typed: str) -> str | None:
        for pattern, result, flags in self.rules:
            if found := pattern.search(typed):
                uri = found.expand(result.replace(r"\d", "registrar"))
                return self._dialled(uri) if "d" in flags else None
        return None

    @staticmethod
    def _dialled(uri: str) -> str:
        user = re.fullmatch(r"sip:(.*)@registrar", uri)
        assert user
        return user[1]

    def waits(self, typed: str) -> float | None:
        return self.timer


def snom(found: Settings) -> Phone:
    rules = []
    for text in found["user_dp_str 1"].split():
        _, pattern, result, flags = text.split(text[0])
        rules.append((re.compile(pattern), result, flags))
    timer = found["auto_dial None"]
    assert timer in ("off", "2", "5", "10", "15"), "what firmware before 10.1.11.3 knows"
    return Rules(rules, NEVER if timer == "off" else float(timer))


# Fanvil


@dataclass(frozen=True)
class Timer:
    """A phone without a plan: a number goes out by the timer, by `#`, or when it is as long as it may be."""

    timer: float | None
    sends_by_pound: bool
    length: int | None

    def at_once(self, typed: str) -> str | None:
        if self.sends_by_pound and typed.endswith("#"):
            return typed[:-1]
        return typed if len(typed) == self.length else None

    def waits(self, typed: str) -> float | None:
        return self.timer


def fanvil(found: Settings) -> Phone:
    basic = "call/basic/"
    timed = found[basic + "DialbyTimeout"] == "1"
    fixed = found[basic + "DialFixedLength"] == "1"
    return Timer(
        float(found[basic + "DialTimeoutvalue"]) if timed else NEVER,
        found[basic + "DialbyPound"] == "1",
        int(found[basic + "FixedLengthNums"]) if fixed else None,
    )


# Cisco


@dataclass(frozen=True)
class Parentheses:
    """A plan in parentheses: a number that no sequence begins with is refused at the key that makes it so.

    `S0` sends at once. Otherwise a number that is complete goes out at once where no sequence goes on, and
    after the short timer where one does. One that is not complete is refused after the long timer. The phone
    acts on star codes of its own as soon as they are entered.
    """

    entries: list[Entry]
    short: float
    star_codes: frozenset[str] = field(default_factory=frozenset)

    def at_once(self, typed: str) -> str | None:
        if typed in self.star_codes:
            return ""
        candidates = [entry for entry in self.entries if entry.places(typed)]
        if not candidates:
            return ""
        complete = [entry for entry in candidates if entry.fits(typed)]
        instant = any(entry.mark == "S0" for entry in complete)
        return typed if complete and (instant or not any(e.goes_on(typed) for e in candidates)) else None

    def waits(self, typed: str) -> float | None:
        return self.short if any(entry.fits(typed) for entry in self.entries) else NEVER


def cisco(found: Settings, any_key: frozenset[str] = DIGITS) -> Phone:
    """A Cisco; its older manuals say that `x` is a digit, newer ones that it is any key."""
    text = found["Dial_Plan_1_"]
    assert re.fullmatch(r"\(.*\)", text)
    entries = []
    for part in text[1:-1].split("|"):
        mark = "S0" if part.endswith("S0") else ""
        entries.append(Entry(tuple(elements(part.removesuffix("S0"), r"\.", 0, any_key)), mark))
    own = {value for name, value in found.items() if re.fullmatch(r"\w.*_Codes?", name) and value}
    own -= {found.get("Attendant_Console_Call_Pickup_Code")}
    return Parentheses(entries, float(found["Interdigit_Short_Timer"]), frozenset(own))


PHONES: dict[str, Callable[[Settings], Phone]] = {
    "yealink": yealink,
    "polycom": polycom,
    "grandstream": grandstream,
    "snom": snom,
    "gigaset": snom,
    "fanvil": fanvil,
    "cisco": cisco,
    "htek": htek,
}
