"""What is said of attempts to pick up: to the picker, in the log, and in what is kept."""

from __future__ import annotations

from blfd.core.calls.attempts import Attempt, Way
from blfd.core.effects import Effect, Level, Log, SavePickup
from blfd.core.quoting import quoted
from blfd.core.values import Aor, Headers


def warning(text: str) -> Headers:
    """The Warning that has a text (RFC 3261, section 20.43); its code 399 is for people and logs."""
    return (("Warning", f"399 blfd {quoted(text)}"),)


def report(
    way: Way,
    picker: Aor,
    extension: str,
    status: int,
    result: str,
    started_at: float,
    now: float,
    caller: str = "",
) -> list[Effect]:
    """What is kept of an attempt, and its line in the log."""
    milliseconds = round((now - started_at) * 1000, 3)
    attempt = Attempt(started_at, picker, way, extension, caller, status, result, milliseconds)
    nobodys = "its groups' calls" if way is Way.GROUP else "a call that is not known"
    what = f"{caller}'s call at {extension}" if caller else extension or nobodys
    text = f"pickup ({way.value}): {picker} wants {what}: {status} {result}, {milliseconds:.1f} ms"
    return [Log(Level.INFO, text), SavePickup(attempt)]
