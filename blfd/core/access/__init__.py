"""Who somebody is, which domain is meant, and how much of anything each may have."""
