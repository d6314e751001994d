"""The API under `/api/v1`: the operations of portal and command line, for programs."""

from blfd.web.api.app import api

__all__ = ["api"]
