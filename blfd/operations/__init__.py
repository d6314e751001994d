"""What an administrator can do: each operation and its rules once, for command line, portal and API.

Every operation takes the `Desk` first, raises StoreError, is all or nothing, is kept in the audit, and
holds for the running server when it returns.
"""

from blfd.operations.desk import Desk, NotTaken, etag

__all__ = ["Desk", "NotTaken", "etag"]
