"""What has come of an attempt to pick up, as a plain value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from blfd.core.values import Aor


class Way(Enum):
    """How a phone asks for somebody else's call."""

    DIRECTED = "directed"  # the code and an extension, dialled or by the key
    GROUP = "group"  # the group's code
    REPLACES = "replaces"  # INVITE with Replaces for a call that rings (RFC 3891)
    TAKE_OVER = "take-over"  # the same for a call that is up


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to pick up, and what came of it: `status` and `result` are what the picker was told.

    `at` is in seconds since the epoch, `milliseconds` from the INVITE to the decision. `extension` is whose
    call was wanted and `caller` whose it was; both are empty where there was none.
    """

    at: float
    picker: Aor
    way: Way
    extension: str
    caller: str
    status: int
    result: str
    milliseconds: float

    def row(self) -> dict[str, Any]:
        """The attempt as people and programs read it, with times as ISO 8601."""
        return {
            "at": datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds"),
            "picker": self.picker.extension,
            "tenant": self.picker.tenant,
            "way": self.way.value,
            "extension": self.extension,
            "caller": self.caller,
            "status": self.status,
            "result": self.result,
            "milliseconds": self.milliseconds,
        }
