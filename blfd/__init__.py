"""blfd: a BLF presence server with call pickup, on PJSIP."""

__version__ = "0.1.0"
