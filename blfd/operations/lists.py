"""Lists as people write them: 101, 102."""

from __future__ import annotations

from blfd.store import StoreError
from provisioning import ProvisioningError, between_commas


def listed(text: str, what: str) -> list[str]:
    """The parts between commas, or else spaces; `what` they are is said in the error. Raises StoreError."""
    try:
        return [word for part in between_commas(text, what) for word in part.split()]
    except ProvisioningError as error:
        raise StoreError(str(error)) from None
