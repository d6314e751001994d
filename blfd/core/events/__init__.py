"""Event packages: what is watched, who watches it, and what they are told."""
