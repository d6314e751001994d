"""Upstreams: PBXs whose lamps are watched, and shown as own ones (RFC 6665, as a subscriber)."""
