"""Sockets and flows; knows octets, and no SIP beyond where a message ends."""
