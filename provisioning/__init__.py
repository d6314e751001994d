"""Phone files from devices and line keys: what a desk phone fetches at boot so that its lamp keys work.

Knows phones and no calls, and imports nothing of blfd. Its templates come with the work on
auto-provisioning; until then phones are configured by hand, as README.md shows.
"""
