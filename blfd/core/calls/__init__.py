"""Calls: who talks with whom, pickup among it."""
