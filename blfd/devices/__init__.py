"""Provisioned phones: from what is stored of them to their files, and whether they work."""
