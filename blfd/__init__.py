"""blfd: a BLF presence server with call pickup, on PJSIP."""

from importlib.metadata import version

__version__ = version("blfd")
