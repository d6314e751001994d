"""Everything that outlives the server, in one SQLite file; never in the path of a NOTIFY."""

from blfd.store.checks import NewExtension, Outcome
from blfd.store.opening import Conflict, Exists, Faults, NotFound, Several, StoreError, Unavailable
from blfd.store.store import Store

__all__ = [
    "Conflict",
    "Exists",
    "Faults",
    "NewExtension",
    "NotFound",
    "Outcome",
    "Several",
    "Store",
    "StoreError",
    "Unavailable",
]
